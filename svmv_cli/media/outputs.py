"""Every way out behind one interface: containers, animations, rows of pictures, a pipe. Reads no source."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from svmv_cli.errors import UsageError
from svmv_cli.media.animation import AnimatedFile, GifFile
from svmv_cli.media.animation_facts import measure_webp
from svmv_cli.media.bare import PIPE, bare_choice, is_row
from svmv_cli.media.bare_target import choose_bare_target
from svmv_cli.media.encoders import Device
from svmv_cli.media.frame import Frame
from svmv_cli.media.info import MediaInfo, Span
from svmv_cli.media.numbering import parse_pattern
from svmv_cli.media.partfile import telling_writes
from svmv_cli.media.sequence_writer import SequenceWriter, measure_row
from svmv_cli.media.streams import SlowAudio
from svmv_cli.media.target import Target, choose_target
from svmv_cli.media.verify import Measured, measure
from svmv_cli.media.writer import Check, OpenFile, VideoFile, VideoWriter, WrittenInfo
from svmv_cli.media.y4m import PipeWriter, Y4mFile
from svmv_cli.timeline import Clock


class Writer(Protocol):
    """Takes frames in rising time; a context manager that leaves nothing behind unless finished."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Throw away what was not finished."""
        ...

    def write(self, frame: Frame) -> None:
        """Take one frame."""
        ...

    def abort(self) -> None:
        """Throw away what was not finished; harmless after `finish`."""
        ...

    def finish(self, check: Check | None = None) -> WrittenInfo:
        """Complete the output, have it checked where it can be read back, and give it its name."""
        ...


def choose_output(
    info: MediaInfo,
    *,
    path: Path,
    clock: Clock,
    rate: Fraction | None,
    codec: str | None = None,
    encoder: Device = "auto",
    crf: int | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    clip: Span = (None, None),
    slow_audio: SlowAudio = "stretch",
) -> Target:
    """Decide everything about an output, whichever way it goes out; see `target.choose_target`.

    Raises:
        UsageError: a setting that the way out does not have, or a value it does not take.
        OutputError: the name asks for nothing that is written, or the picture cannot be encoded so.
        DeviceError: NVENC was asked for and does not open.
        UnsupportedError: the source's pixel format has no planar form.
    """
    choice = bare_choice(path)
    if choice is None:
        return choose_target(
            info,
            path=path,
            clock=clock,
            rate=rate,
            codec=codec,
            encoder=encoder,
            crf=crf,
            preset=preset,
            pix_fmt=pix_fmt,
            clip=clip,
            slow_audio=slow_audio,
        )
    if encoder == "nvenc":
        raise UsageError(f"NVENC does not make {choice.noun}", hint="Leave --encoder out.")
    return choose_bare_target(
        info,
        choice,
        path=path,
        clock=clock,
        rate=rate,
        codec=codec,
        quality=crf,
        preset=preset,
        pix_fmt=pix_fmt,
        clip=clip,
    )


def open_writer(target: Target, info: MediaInfo, *, overwrite: bool) -> Writer:
    """The writer for a target.

    Args:
        target: what to write.
        info: the source, whose other streams are joined where the target has place for them.
        overwrite: whether what is there may be replaced.

    Raises:
        OutputError: the folder cannot be made.
    """
    if target.path == PIPE:
        return PipeWriter(target, info)
    with telling_writes(target.path):
        place_of(target).parent.mkdir(parents=True, exist_ok=True)
    if is_row(target.path):
        return SequenceWriter(target, overwrite=overwrite)
    return VideoWriter(target, info, overwrite=overwrite, open_file=_open_file)


def measure_output(target: Target, part: Path) -> Measured:
    """What an output really holds, before it has its name.

    Raises:
        OutputError: it cannot be read back.
        InputError: it cannot even be opened.
    """
    if is_row(target.path):
        return measure_row(part, parse_pattern(target.path), target.rate or Fraction(25))
    return measure_webp(part) if target.container == "webp" else measure(part)


def place_of(target: Target) -> Path:
    """What appears at once when all is done: the file, or the folder of a row of pictures."""
    return target.path.parent if is_row(target.path) else target.path


def _open_file(part: Path, target: Target, info: MediaInfo, *, first: Frame) -> OpenFile:
    if target.container == "yuv4mpegpipe":
        return Y4mFile(part.open("wb"), target, info)
    if target.container == "gif":
        return GifFile(part, target, info, first=first)
    if target.container in {"apng", "webp"}:
        return AnimatedFile(part, target, info, first=first)
    return VideoFile(part, target, info, first=first)
