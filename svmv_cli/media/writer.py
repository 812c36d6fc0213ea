"""Frames into a finished file, joined by the source's other streams; all or nothing. Knows no models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import av
from av.container import OutputContainer

from svmv_cli.errors import OutputError
from svmv_cli.media.frame import Frame
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.outfile import Carried, OutFile
from svmv_cli.media.partfile import Claim, create_part, publish, telling_writes
from svmv_cli.media.segment import JoinedFile, Segment
from svmv_cli.media.target import Target
from svmv_cli.media.track import Pace, PictureTrack


@dataclass(frozen=True, slots=True)
class WrittenInfo:
    """What a finished file holds."""

    frames: int
    bytes: int
    duration: Fraction  # s, first frame's beginning to last frame's end
    damaged_others: int = 0  # broken packets of the source's other streams
    lost_tags: tuple[str, ...] = ()  # words and flags of the source that the file does not have


Check = Callable[[Path, WrittenInfo], None]


class OpenFile(Protocol):
    """A part file while frames go in."""

    @property
    def carried(self) -> Carried:
        """How the rest of the source fared; to be asked when the file is finished."""
        ...

    def write(self, frame: Frame) -> None:
        """Append a frame; its time is later than that of the one before."""
        ...

    def finish(self) -> Fraction:
        """Complete and close it, and tell how long the picture lasts, s."""
        ...

    def abandon(self) -> None:
        """Close it as it is."""
        ...


class OpenPart(Protocol):
    """Opens a part file for a target, once its first frame is there."""

    def __call__(self, part: Path, target: Target, info: MediaInfo, *, first: Frame) -> OpenFile:
        """The file, with nothing in it yet."""
        ...


class VideoWriter:
    """Encodes frames into `target.path`; a context manager that leaves nothing behind unless finished.

    The file grows under a hidden name beside its place and is renamed by `finish`. Where a link lies in that place,
    it is what the link leads to.

    Args:
        target: what to write.
        info: the source whose other streams are joined.
        overwrite: whether an existing file may be replaced.
        open_file: opens the part file; None: one that holds other streams too.
    """

    def __init__(
        self, target: Target, info: MediaInfo, *, overwrite: bool = False, open_file: OpenPart | None = None
    ) -> None:
        self._target = target
        self._info = info
        self._overwrite = overwrite
        self._place = target.path.resolve() if target.path.is_symlink() else target.path
        self._part: Path | None = None
        self._claim: Claim | None = None
        self._file: OpenFile | JoinedFile | None = None
        self._open_file: OpenPart = open_file or VideoFile
        self.frames = 0

    def __enter__(self) -> Self:
        if self._target.path.exists() and not self._overwrite:
            raise OutputError(f"{self._target.path} exists already", hint="Use --overwrite to replace it.")
        self._part, self._claim = create_part(self._place)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def write(self, frame: Frame) -> None:
        """Encode a frame, and mux what the other streams have up to its time.

        Args:
            frame: its time is on the output's clock and later than that of the frame before.

        Raises:
            OutputError: the disk is full or the encoder fails.
            ValueError: the writer is not open, or times do not rise.
        """
        if self._part is None:
            raise ValueError("a VideoWriter is written to inside its `with`, before finish()")
        with telling_writes(self._target.path):
            if isinstance(self._file, JoinedFile):
                raise ValueError("segments were joined: no frame follows them")
            if self._file is None:
                self._file = self._open_file(self._part, self._target, self._info, first=frame)
            self._file.write(frame)
        self.frames += 1

    def join(self, segments: Sequence[Segment], *, pace: Pace) -> None:
        """Instead of `write`: take the picture from finished segments.

        Args:
            segments: in order.
            pace: they were written at.

        Raises:
            OutputError: the disk is full, or a segment is damaged.
            ValueError: the writer is not open.
        """
        if self._part is None:
            raise ValueError("a VideoWriter joins inside its `with`, before finish()")
        with telling_writes(self._target.path):
            self._file = joined = JoinedFile(self._part, self._target, self._info, segments=segments, pace=pace)
            self.frames = joined.copy()

    def finish(self, check: Check | None = None) -> WrittenInfo:
        """Encode what is left, join the rest of the other streams and give the file its name.

        Args:
            check: looks at the complete file before it gets its name; what it raises keeps the name from it.

        Raises:
            OutputError: no frame was written, the disk is full, or the file appeared in the meantime.
        """
        path = self._target.path
        if self._part is None or self._file is None:
            raise OutputError(f"there was no frame to write to {path}")
        with telling_writes(path):
            duration = self._file.finish()
        carried, self._file = self._file.carried, None
        size = self._part.stat().st_size
        written = WrittenInfo(self.frames, size, duration, carried.damaged, carried.lost_tags)
        if check is not None:
            check(self._part, written)
        publish(self._part, self._place, overwrite=self._overwrite)
        self._part = None
        self._release()
        return written

    def abort(self) -> None:
        """Throw away what was written; harmless after `finish`."""
        if self._part is None:
            return
        part, self._part = self._part, None
        _remove(part)  # before closing: without the file, no time is spent on moving its index to the front
        if self._file is not None:
            self._file.abandon()
            self._file = None
        _remove(part)
        self._release()

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()


class VideoFile:
    """A part file in a container that holds other streams too. Its first frame settles the time base."""

    def __init__(self, part: Path, target: Target, info: MediaInfo, *, first: Frame) -> None:
        pace = Pace.of(target, info, first=first.time, step=first.duration)

        def add_picture(out: OutputContainer) -> av.VideoStream:
            self._track = PictureTrack(out, target, info, pace=pace, given=first.format)
            return self._track.stream

        self._file = OutFile(part, target, info, add_picture=add_picture)

    def write(self, frame: Frame) -> None:
        """Encode a frame, and mux what the other streams have up to its time."""
        self._track.write(frame)
        self._file.pump(frame.time)

    def finish(self) -> Fraction:
        """Flush, close, and tell how long the picture lasts, s."""
        self._track.flush()
        self._file.finish()
        return self._track.duration

    @property
    def carried(self) -> Carried:
        """How the rest of the source fared."""
        return self._file.carried

    def abandon(self) -> None:
        """Close what is open."""
        self._file.abandon()


def _remove(part: Path) -> None:
    # Windows refuses while the file is open; it is tried again once it is closed.
    with suppress(OSError):
        part.unlink(missing_ok=True)
