"""Files with streams that are rarely met: data, pictures of words, timecode, cover art."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

from tests.media import make_clip, repeated

PIECES = [b"\x06\x0e\x2b\x34 piece %d" % number for number in range(8)]
PIECE = Fraction(1, 4)  # s, one to the next


def with_track(path: Path, codec: str, *, handler: str | None = None, chapters: bool = False) -> Path:
    """Two seconds of picture and sound with a track of eight pieces, a quarter of a second apart."""
    plain = make_clip(path.with_name(f"plain{path.suffix}"), frames=48, size=(64, 48), audio=1, chapters=chapters).path
    with av.open(plain) as source, av.open(path, "w") as out:
        streams = {
            s.index: out.add_stream_from_template(s, opaque=True)
            for s in source.streams
            if s.type in {"video", "audio"}
        }
        track = out.add_mux_stream(codec)
        track.metadata["language"] = "deu"
        if handler:
            track.metadata["handler_name"] = handler
        if chapters:
            out.set_chapters(source.chapters())
        begin = source.streams.video[0].start_time or 0
        pieces = list(enumerate(PIECES))
        for packet in source.demux():
            if not packet.size or packet.stream.index not in streams:
                continue
            time = (packet.dts or 0) * packet.time_base
            while pieces and pieces[0][0] * PIECE <= time:
                number, content = pieces.pop(0)
                piece = av.Packet(content)
                piece.stream, piece.time_base, piece.duration = track, Fraction(1, 90_000), 22_500
                piece.pts = piece.dts = round(number * PIECE * 90_000) + (begin if path.suffix == ".ts" else 0)
                out.mux(piece)
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    return path


def with_second_picture(path: Path, first: Path, second: Path) -> Path:
    """The pictures of two files in one."""
    with av.open(first) as one, av.open(second) as two, av.open(path, "w") as out:
        for source, stream in [(s, out.add_stream_from_template(s.streams.video[0], opaque=True)) for s in (one, two)]:
            for packet in source.demux():
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    return path


def with_timecode(path: Path, label: str, *, rate: Fraction) -> Path:
    """24 pictures with a timecode track."""
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["timecode"] = label
        for number in range(24):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = number
            for plane in picture.planes:
                plane.update(bytes([16 + 8 * number]) * plane.buffer_size)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def with_cover(folder: Path, suffix: str) -> Path:
    """Six pictures, sound and a cover."""
    plain = make_clip(folder / "plain.mp4", frames=6, audio=1).path
    if suffix == ".mkv":
        repeated(with_cover(folder, ".mp4"), folder / "cover.mkv")
        return folder / "cover.mkv"
    image = io.BytesIO()
    with av.open(image, "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        out.mux(stream.encode(av.VideoFrame(32, 32, "yuvj420p")))
        out.mux(stream.encode(None))
    image.seek(0)
    path = folder / "cover.mp4"
    with av.open(plain) as source, av.open(image, "r", format="mjpeg") as still, av.open(path, "w") as out:
        streams = {s.index: out.add_stream_from_template(s, opaque=True) for s in source.streams}
        cover = out.add_stream_from_template(still.streams.video[0], opaque=True)
        cover.disposition = Disposition.attached_pic
        packet = next(still.demux(still.streams.video[0]))
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        out.mux(packet)
        for each in source.demux():
            if each.size:
                each.stream = streams[each.stream.index]
                out.mux(each)
    return path
