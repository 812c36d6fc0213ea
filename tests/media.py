"""Clips made here, small and seeded: every picture carries its own number, so that losses and swaps show at once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.stream import Stream

from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo, Span
from svmv_cli.media.pictures import picture_of, working_format
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader
from svmv_cli.media.target import Target, choose_target
from svmv_cli.media.writer import VideoWriter, WrittenInfo
from svmv_cli.timeline import Clock
from tests.sound import add_sound, sound_codec, write_sound

BITS = 10  # a number is so many blocks in the top rows


@dataclass(frozen=True)
class Clip:
    """What a made clip is, as the maker meant it."""

    path: Path
    times: list[Fraction]  # s, of every picture
    end: Fraction  # s, where the last picture ends


def make_clip(
    path: Path,
    *,
    frames: int = 24,
    rate: Fraction = Fraction(24),
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: list[Fraction] | None = None,
    last_duration: Fraction | None = None,
    start_offset: Fraction = Fraction(0),
    bframes: bool = True,
    color: ColorInfo | None = None,
    sample_aspect_ratio: Fraction | None = None,
    rotation: int = 0,
    audio: int = 0,
    audio_codec: str | None = None,
    audio_start: Fraction = Fraction(0),
    languages: tuple[str, ...] = ("eng", "deu", "jpn"),
    subtitles: bool = False,
    chapters: bool = False,
    attachment: bytes | None = None,
    title: str | None = None,
    seed: int = 0,
) -> Clip:
    """Write a clip; the container is told by the extension.

    Args:
        path: where to.
        frames: how many pictures, at most 2**BITS.
        rate: pictures per second, unless `times` are given.
        size: width and height, px.
        codec: FFmpeg encoder.
        pix_fmt: planar FFmpeg format.
        options: of the encoder.
        times: presentation times, s, for a variable rate; they count instead of `frames`.
        last_duration: s, of the last picture; the last gap when None.
        start_offset: s, added to every picture's time.
        bframes: whether the encoder may reorder.
        color: tags.
        sample_aspect_ratio: of the pixels.
        rotation: degrees counter-clockwise.
        audio: sound tracks, each a tone of its own with a click every `CLICK_EVERY`.
        audio_codec: FFmpeg encoder; AAC, or Opus in WebM, when None.
        audio_start: s, where sound begins.
        languages: of the sound tracks in turn.
        subtitles: whether a track of two lines is added (mkv only).
        chapters: whether two chapters are added.
        attachment: content of an attached font (mkv only).
        title: of the file.
        seed: of the texture.
    """
    shown = times if times is not None else [Fraction(i) / rate for i in range(frames)]
    shown = [time + start_offset for time in shown]
    gap = last_duration or (shown[-1] - shown[-2] if len(shown) > 1 else 1 / rate)
    clip = Clip(path, shown, shown[-1] + gap)
    with av.open(path, "w", format=_MUXERS.get(path.suffix)) as out:
        if title:
            out.metadata["title"] = title
        video = _add_video(out, codec, rate, size, pix_fmt, shown)
        _set_options(video, options, bframes)
        _tag(video, color, sample_aspect_ratio, rotation)
        tracks = [add_sound(out, audio_codec or sound_codec(path), languages[i]) for i in range(audio)]
        words = _add_words(out) if subtitles else None
        if chapters:
            out.set_chapters(_two_chapters(clip))
        if attachment is not None:
            out.add_attachment("font.ttf", "application/x-truetype-font", attachment)
        for number, track in enumerate(tracks):
            write_sound(out, track, number=number, start=audio_start, end=clip.end)
        if words is not None:
            _write_words(out, words)
        _write_pictures(out, video, clip, size=size, pix_fmt=pix_fmt, seed=seed)
    return clip


_MUXERS = {".webm": "webm", ".mkv": "matroska", ".264": "h264"}


def draw(number: int, *, size: tuple[int, int], pix_fmt: str, seed: int = 0) -> tuple[Plane, ...]:
    """Planes of picture `number`: its number in black and white above, a moving texture below."""
    width, height = size
    layout = PixelFormat.parse(pix_fmt)
    low, high = 16 << (layout.depth - 8), 235 << (layout.depth - 8)
    planes: list[Plane] = []
    for index in range(layout.planes):
        rows, columns = layout.plane_shape(index, width, height)
        texture = _texture(rows, columns, seed=seed + index, shift=2 * number)
        planes.append(cast(Plane, (low + texture * (high - low)).astype(layout.dtype)))
    bar = max(1, height // 4)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        planes[0][:bar, left:right] = high if number >> bit & 1 else low
    return tuple(planes)


def cut(source: Path, target: Path, share: float) -> Path:
    """The first `share` of a file's bytes."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


def spoil(source: Path, target: Path, *, start: float, length: int, seed: int = 0) -> Path:
    """A copy with `length` bytes of noise from `start` (a share of the file) on."""
    shutil.copyfile(source, target)
    noise = np.random.default_rng(seed).integers(0, 256, length, dtype=np.uint8).tobytes()
    with target.open("r+b") as file:
        file.seek(int(source.stat().st_size * start))
        file.write(noise)
    return target


def _texture(rows: int, columns: int, *, seed: int, shift: int) -> npt.NDArray[np.float64]:
    """Smooth noise in [0, 1] that moves to the right by `shift` px."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    waves = rng.uniform(0.05, 0.4, (6, 2))
    phases = rng.uniform(0, 2 * np.pi, 6)
    field = sum(np.sin(fx * (x - shift) + fy * y + phase) for (fx, fy), phase in zip(waves, phases, strict=True))
    return np.asarray(0.5 + field / 12)


def _add_video(
    out: OutputContainer,
    codec: str,
    rate: Fraction,
    size: tuple[int, int],
    pix_fmt: str,
    times: list[Fraction],
) -> av.VideoStream:
    video = out.add_stream(codec, rate=rate)
    assert isinstance(video, av.VideoStream)
    video.codec_context.width, video.codec_context.height = size
    video.codec_context.pix_fmt = pix_fmt
    grid = np.lcm.reduce([time.denominator for time in times] + [rate.numerator])
    video.codec_context.time_base = Fraction(1, max(int(grid), 1))
    video.codec_context.thread_count = 1
    return video


def _set_options(video: av.VideoStream, options: dict[str, str] | None, bframes: bool) -> None:
    name = video.codec_context.codec.name
    quiet = {
        "libx264": {"preset": "veryfast", "crf": "12"},
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    }
    video.codec_context.options = {**quiet.get(name, {}), **(options or {})}
    if not bframes:
        video.codec_context.max_b_frames = 0


def _tag(video: av.VideoStream, color: ColorInfo | None, sample_aspect_ratio: Fraction | None, rotation: int) -> None:
    context = video.codec_context
    if color is not None:
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        context.colorspace, context.color_range = color.matrix, 2 if color.full_range else 1
    if sample_aspect_ratio is not None:
        context.sample_aspect_ratio = sample_aspect_ratio
    if rotation:
        video.set_display_rotation(rotation)


def _write_pictures(
    out: OutputContainer, video: av.VideoStream, clip: Clip, *, size: tuple[int, int], pix_fmt: str, seed: int
) -> None:
    layout = PixelFormat.parse(pix_fmt)
    base = video.codec_context.time_base
    durations = {round(a / base): round((b - a) / base) for a, b in pairwise([*clip.times, clip.end])}
    for number, time in enumerate(clip.times):
        frame = Frame(time, Fraction(0), layout, draw(number, size=size, pix_fmt=pix_fmt, seed=seed))
        picture = picture_of(frame)
        picture.pts, picture.time_base = round(time / base), base
        _mux(out, video.encode(picture), durations)
    _mux(out, video.encode(None), durations)


def _mux(out: OutputContainer, packets: list[av.Packet[Stream]], durations: dict[int, int]) -> None:
    for packet in packets:
        packet.duration = durations[packet.pts or 0]
        out.mux(packet)


def _add_words(out: OutputContainer) -> Stream:
    words = out.add_mux_stream("subrip")
    words.metadata["language"] = "eng"
    return words


def _write_words(out: OutputContainer, words: Stream) -> None:
    for line, at in (("first line", 100), ("second <i>line</i>", 500)):
        packet = av.Packet(line.encode())
        packet.stream, packet.time_base = words, Fraction(1, 1000)
        packet.pts = packet.dts = at
        packet.duration = 300
        out.mux(packet)


def _two_chapters(clip: Clip) -> list[av.container.core.Chapter]:
    middle, end = round(clip.end * 500), round(clip.end * 1000)
    spans = [("One", 0, middle), ("Two", middle, end)]
    return [
        {
            "id": number,
            "start": start,
            "end": stop,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": name},
        }
        for number, (name, start, stop) in enumerate(spans)
    ]


def repeated(
    source: Path,
    target: Path,
    *,
    factor: int = 2,
    rate: Fraction | Literal["keep"] | None = "keep",
    stretch: Fraction = Fraction(1),
    clip: Span = (None, None),
    slow_audio: Literal["stretch", "drop"] = "stretch",
    codec: str | None = None,
    preset: str | None = None,
    overwrite: bool = False,
) -> tuple[Target, WrittenInfo]:
    """Upsample without a model: every picture `factor` times, through probe, target, reader and writer.

    Args:
        source: a clip.
        target: the file to make.
        factor: pictures out per picture in.
        rate: of the output; "keep" for the source's times the factor, None for a variable one.
        stretch: output seconds per source second.
        clip: what is kept, s on the source's clock.
        slow_audio: what to do with sound when `stretch` is not 1.
        codec: the user's name of one.
        preset: of the codec.
        overwrite: whether `target` may exist.
    """
    info = probe(source)
    origin = clip[0] if clip[0] is not None else info.start_claimed
    if rate == "keep":
        assert info.video.rate_claimed is not None
        rate = info.video.rate_claimed * factor / stretch
    decided = choose_target(
        info,
        path=target,
        clock=Clock(origin, stretch),
        rate=rate,
        codec=codec,
        preset=preset,
        clip=clip,
        slow_audio=slow_audio,
    )
    working = working_format(info.video.pix_fmt).name
    with (
        VideoReader(info, pix_fmt=working, start=clip[0], stop=clip[1]) as reader,
        VideoWriter(decided, info, overwrite=overwrite) as writer,
    ):
        start: Fraction | None = None
        for number, frame in enumerate(reader):
            begin, gap = decided.clock.to_output(frame.time), frame.duration * stretch / factor
            if rate is not None:
                start = begin if start is None else start
                begin, gap = start + number * factor / rate, 1 / rate
            for k in range(factor):
                writer.write(replace(frame, time=begin + k * gap, duration=gap))
        return decided, writer.finish()
