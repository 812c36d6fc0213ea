"""Every way in behind one interface: files, rows of pictures, a pipe. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from svmv_cli.errors import InputError, UnsupportedError, UsageError
from svmv_cli.media.animation_facts import is_opaque, plays_of
from svmv_cli.media.bare import PIPE, is_row
from svmv_cli.media.fields import Deinterlace
from svmv_cli.media.frame import Frame
from svmv_cli.media.framewise import FramewiseReader
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.numbering import PICTURE_SUFFIXES, find_row, pattern_like
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader
from svmv_cli.media.sequences import DEFAULT_RATE, probe_row, row_frames
from svmv_cli.media.stills import is_animated_webp
from svmv_cli.media.y4m import pipe_frames, probe_pipe

_ANIMATED = frozenset({"gif", "apng"})


class Reader(Protocol):
    """Frames of a source in order; a context manager. Open, read and close it in one thread at a time."""

    decoded: int  # frames given so far
    damaged: int  # broken packets or pictures met so far
    dropped: int  # frames left out because their time is missing or out of order

    @property
    def untold(self) -> tuple[int, int]:
        """Of `damaged` and `dropped` what no frame given so far carries."""
        ...

    def __enter__(self) -> Self:
        """Open the source."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Frames in rising time."""
        ...


def examine(path: Path, *, input_rate: Fraction | None = None) -> MediaInfo:
    """What a source is, whichever way it comes in.

    Args:
        path: a file, the pattern of a row of pictures, or `bare.PIPE`.
        input_rate: frames per second of a row of pictures; None for the usual 24.

    Raises:
        UsageError: a rate is given for what has its own.
        InputError: it cannot be read, or is a single picture.
        UnsupportedError: it is in a form that this build does not decode.
    """
    if is_row(path):
        return probe_row(find_row(path), path=path, rate=input_rate or DEFAULT_RATE)
    if input_rate is not None:
        raise UsageError(f"--input-fps is for rows of pictures: {path} has its own times", hint="Leave it out.")
    if path == PIPE:
        return probe_pipe()
    _refuse_still(path)
    info = probe(path)
    if info.format not in _ANIMATED:
        return info
    opaque = info.format == "gif" and is_opaque(path)
    video = replace(info.video, pix_fmt="bgr0") if opaque else info.video
    return replace(info, video=video, plays=plays_of(path))


def open_reader(
    info: MediaInfo,
    *,
    pix_fmt: str,
    start: Fraction | None = None,
    stop: Fraction | None = None,
    deinterlace: Deinterlace = "off",
) -> Reader:
    """The reader for a source.

    Args:
        info: what `examine` found.
        pix_fmt: planar format the frames are to have.
        start: s on the source's clock; the first frame is the one at or after it. None: from the beginning.
        stop: s on the source's clock; frames at or after it are not given. None: to the end.
        deinterlace: which pictures are made whole of their fields.
    """
    if info.is_file:
        return VideoReader(info, pix_fmt=pix_fmt, start=start, stop=stop, deinterlace=deinterlace)

    def come(first: int) -> Iterator[Frame | None]:
        return pipe_frames(info) if info.row is None else row_frames(info, first, pix_fmt=pix_fmt)

    return FramewiseReader(info, come, pix_fmt=pix_fmt, start=start, stop=stop, deinterlace=deinterlace)


def _refuse_still(path: Path) -> None:
    """Name the better way for what FFmpeg would take for a film of one picture."""
    if path.suffix.lower() not in PICTURE_SUFFIXES or not path.is_file():
        return
    if is_animated_webp(path):
        raise UnsupportedError(
            f"{path} is an animated WebP, which this build cannot decode",
            hint="Turn it into an APNG or GIF first, or into PNGs with libwebp's anim_dump.",
        )
    if plays_of(path) is None:
        raise InputError(
            f"{path} is a single picture", hint=f"Give its folder {path.parent}, or a pattern: {pattern_like(path)}."
        )
