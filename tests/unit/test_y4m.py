import io
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from svmv_cli.errors import InputError, UnsupportedError, UsageError
from svmv_cli.media.bare import PIPE
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.inputs import examine, open_reader
from svmv_cli.media.outputs import choose_output, open_writer
from svmv_cli.media.pictures import planes_of
from svmv_cli.media.y4m import Y4mFile
from svmv_cli.media.y4m_header import FORMATS, Y4mHeader, parse_header
from svmv_cli.timeline import Clock
from tests.media import draw, make_clip
from tests.reading import number_of
from tests.rows import make_row, same

NTSC = Fraction(24000, 1001)
Pipe = Callable[[bytes], MediaInfo]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Puts bytes into stdin and looks at them."""

    def fill(data: bytes) -> MediaInfo:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        return examine(PIPE)

    return fill


def y4m(path: Path, pix_fmt: str, *, frames: int = 4, color: str = "tv") -> bytes:
    """A stream made by FFmpeg's own muxer."""
    with av.open(path, "w", format="yuv4mpegpipe", options={"strict": "-2"}) as out:
        stream = out.add_stream("wrapped_avframe", rate=NTSC)
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = 97, 65, pix_fmt
        context.color_range = 2 if color == "pc" else 1
        from svmv_cli.media.pictures import picture_of

        for number in range(frames):
            layout = PixelFormat.parse(pix_fmt)
            planes = draw(number, size=(97, 65), pix_fmt=pix_fmt)
            picture = picture_of(Frame(Fraction(0), Fraction(1), layout, planes))
            picture.pts = number
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    # PyAV has no way to tell this muxer of the pixels' shape.
    return re.sub(rb" A\d+:\d+", b" A16:11", path.read_bytes(), count=1)


def write(path: Path, info: MediaInfo, frames: list[Frame], *, rate: Fraction) -> None:
    target = choose_output(info, path=path, clock=Clock(Fraction(0)), rate=rate)
    with open_writer(target, info, overwrite=False) as writer:
        for frame in frames:
            writer.write(frame)
        writer.finish()


FFMPEG_WRITES = ["yuv420p", "yuv422p", "yuv444p", "gray", "yuv420p10le", "yuv422p12le", "yuv444p16le", "gray16le"]


@pytest.mark.parametrize("pix_fmt", FFMPEG_WRITES)
def test_streams_of_ffmpeg_are_read_and_written_back_bit_by_bit(tmp_path: Path, pipe: Pipe, pix_fmt: str) -> None:
    info = pipe(y4m(tmp_path / "a.y4m", pix_fmt))
    video = info.video
    assert (video.width, video.height, video.pix_fmt, video.rate_claimed) == (97, 65, pix_fmt, NTSC)
    assert (video.sample_aspect_ratio, video.fields.interlaced, video.color.full_range) == (
        Fraction(16, 11),
        False,
        False,
    )
    with open_reader(info, pix_fmt=pix_fmt) as reader:
        frames = list(reader)
    assert [frame.time for frame in frames] == [i / NTSC for i in range(4)]
    for number, frame in enumerate(frames):
        assert same(frame.planes, draw(number, size=(97, 65), pix_fmt=pix_fmt))
    write(tmp_path / "b.y4m", info, frames, rate=NTSC)
    with av.open(tmp_path / "b.y4m") as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, stream.sample_aspect_ratio) == (NTSC, Fraction(16, 11))
        pictures = [planes_of(p, PixelFormat.parse(pix_fmt)) for p in container.decode(stream)]
    assert all(same(a.planes, b) for a, b in zip(frames, pictures, strict=True))


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_every_header_survives(pix_fmt: str) -> None:
    header = Y4mHeader(8, 6, pix_fmt, NTSC, Fraction(4, 3), interlaced=True, full_range=True)
    again = parse_header(header.line())
    assert (again.pix_fmt, again.rate, again.interlaced, again.full_range) == (pix_fmt, NTSC, True, True)
    assert parse_header(again.line()) == again


@pytest.mark.parametrize(
    ("words", "pix_fmt", "place"),
    [("", "yuv420p", 2), ("C420mpeg2", "yuv420p", 1), ("C420paldv", "yuv420p", 3), ("C422 XYSCSS=422", "yuv422p", 0)],
)
def test_what_a_header_leaves_out_is_assumed(words: str, pix_fmt: str, place: int) -> None:
    header = parse_header(f"YUV4MPEG2 W8 H6 F0:0 A0:0 {words}\n".encode())
    assert (header.pix_fmt, header.chroma_location) == (pix_fmt, place)
    assert (header.rate, header.sample_aspect_ratio) == (25, 1)


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        (b"", InputError, "nothing came"),
        (b"RIFF", InputError, "no y4m"),
        (b"YUV4MPEG2 W8 F25:1\n", InputError, "header of the y4m stream is damaged"),
        (b"YUV4MPEG2 W8 Hx F25:1\n", InputError, "header of the y4m stream is damaged"),
        (b"YUV4MPEG2 W99999 H6 F25:1\n", InputError, "99999x6"),
        (b"YUV4MPEG2 W8 H6 F25:1 C411\n", UnsupportedError, "'411'"),
    ],
)
def test_what_cannot_be_read_is_told(pipe: Pipe, line: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        pipe(line)


def test_a_terminal_pipes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(UsageError, match="nothing is piped in"):
        examine(PIPE)


@pytest.mark.parametrize("spoil", ["cut", "garbage"])
def test_a_torn_stream_gives_what_it_holds(tmp_path: Path, pipe: Pipe, spoil: str) -> None:
    data = y4m(tmp_path / "a.y4m", "yuv420p10le")
    frame = 2 * (97 * 65 + 2 * 49 * 33) + 6
    data = data[:-7] if spoil == "cut" else data[:-frame] + b"x" * frame
    with open_reader(pipe(data), pix_fmt="yuv420p10le") as reader:
        assert [number_of(f.planes[0], depth=10) for f in reader] == [0, 1, 2]
    assert (reader.decoded, reader.damaged, reader.untold) == (3, 1, (1, 0))


def test_frames_may_say_more_of_themselves(pipe: Pipe) -> None:
    data = b"YUV4MPEG2 W2 H2 F25:1 Cmono\nFRAME Ip\nabcdFRAME\nefgh"
    with open_reader(pipe(data), pix_fmt="gray") as reader:
        assert [frame.planes[0].tobytes() for frame in reader] == [b"abcd", b"efgh"]


def test_a_part_of_a_stream(tmp_path: Path, pipe: Pipe) -> None:
    info = pipe(y4m(tmp_path / "a.y4m", "gray", frames=8))
    with open_reader(info, pix_fmt="gray", start=2 / NTSC, stop=5 / NTSC) as reader:
        assert [number_of(frame.planes[0]) for frame in reader] == [2, 3, 4]


def test_full_range_is_said(tmp_path: Path, pipe: Pipe) -> None:
    info = pipe(y4m(tmp_path / "a.y4m", "yuv420p", color="pc"))
    assert info.video.color.full_range
    with open_reader(info, pix_fmt="yuv420p") as reader:
        write(tmp_path / "b.y4m", info, list(reader), rate=NTSC)
    assert b"XCOLORRANGE=FULL" in (tmp_path / "b.y4m").read_bytes()[:200]


def test_rgb_takes_the_matrix_that_is_assumed(tmp_path: Path) -> None:
    info = examine(make_row(tmp_path / "in", numbers=range(2)) / "%05d.png")
    target = choose_output(info, path=tmp_path / "a.y4m", clock=Clock(Fraction(0)), rate=Fraction(24))
    assert (target.pix_fmt, target.color.matrix) == ("yuv444p", 1)
    import numpy as np

    red709 = tuple(np.full((64, 96), value, np.uint8) for value in (63, 102, 240))
    with open_writer(target, info, overwrite=False) as writer:
        writer.write(Frame(Fraction(0), Fraction(1, 24), PixelFormat.parse("yuv444p"), red709))
        writer.finish()
    with av.open(tmp_path / "a.y4m") as container:
        planes = planes_of(next(container.decode(video=0)), PixelFormat.parse("yuv444p"))
    assert [int(plane[9, 9]) for plane in planes] == pytest.approx([81, 90, 240], abs=1)  # red in BT.601


def test_tags_that_are_lost_are_named(tmp_path: Path) -> None:
    from svmv_cli.media.info import ColorInfo
    from svmv_cli.media.probe import probe

    info = probe(make_clip(tmp_path / "a.mkv", color=ColorInfo(1, 1, 1), audio=1, subtitles=True, chapters=True).path)
    target = choose_output(info, path=PIPE, clock=Clock(Fraction(0)), rate=Fraction(48))
    assert any("BT.709" in note for note in target.notes)
    assert any("2 chapters are lost" in note for note in target.notes)
    assert [stream.action for stream in target.streams] == ["drop", "drop"]


def test_fields_are_made_whole(tmp_path: Path, pipe: Pipe) -> None:
    data = y4m(tmp_path / "a.y4m", "yuv420p", frames=6).replace(b" Ip ", b" It ", 1)
    for how, per_frame in (("frames", 1), ("fields", 2)):
        info = pipe(data)
        assert info.video.fields.interlaced
        with open_reader(info, pix_fmt="yuv420p", deinterlace=how, start=1 / NTSC) as reader:  # type: ignore[arg-type]
            frames = list(reader)
        assert [frame.time for frame in frames] == [1 / NTSC + i / NTSC / per_frame for i in range(5 * per_frame)]


class Slow(io.BytesIO):
    """Takes a hundred bytes at a time."""

    def write(self, data: Any) -> int:
        return super().write(memoryview(data)[:100])

    def close(self) -> None:
        """What came stays readable."""


def test_a_pipe_that_takes_a_part_is_given_the_rest(tmp_path: Path, pipe: Pipe) -> None:
    info = pipe(b"YUV4MPEG2 W97 H65 F25:1 Cmono\n")
    target = choose_output(info, path=tmp_path / "a.y4m", clock=Clock(Fraction(0)), rate=Fraction(25))
    planes = [draw(number, size=(97, 65), pix_fmt="gray") for number in range(2)]
    layout = PixelFormat.parse("gray")
    sinks = Slow(), io.BytesIO()
    for sink in sinks:
        file = Y4mFile(sink, target, info)
        for number, one in enumerate(planes):
            file.write(Frame(Fraction(number, 25), Fraction(1, 25), layout, one))
        assert file.bytes == len(sink.getvalue()) == len(sinks[0].getvalue())
    assert sinks[0].getvalue() == sinks[1].getvalue()
    assert sinks[0].getvalue().endswith(b"FRAME\n" + planes[1][0].tobytes())
