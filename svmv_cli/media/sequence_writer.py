"""Frames into a row of numbered pictures; all or nothing. Knows no models."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.stream import Stream

from svmv_cli.errors import InputError, OutputError
from svmv_cli.media.finishing import Finisher, still_color, upright_size
from svmv_cli.media.frame import Frame
from svmv_cli.media.numbering import Numbering, parse_pattern
from svmv_cli.media.partfile import Claim, sync, telling_writes
from svmv_cli.media.stills import read_header
from svmv_cli.media.target import Target
from svmv_cli.media.verify import Measured
from svmv_cli.media.writer import Check, WrittenInfo

_THREADS = 4


class SequenceWriter:
    """Encodes frames into the pictures `target.path` is the pattern of; leaves nothing behind unless finished.

    They gather in a hidden folder beside their own. `finish` renames it, or, if the folder is there already, moves
    the pictures into it one by one; whatever else is in it stays.

    Args:
        target: what to write.
        overwrite: whether a folder that holds something may be written into, and pictures in it replaced.
    """

    def __init__(self, target: Target, *, overwrite: bool = False) -> None:
        if target.rate is None:
            raise ValueError("a row of pictures has a constant rate")
        self._target = target
        self._overwrite = overwrite
        self._row = parse_pattern(target.path)
        self._rate = target.rate
        self._part: Path | None = None
        self._claim: Claim | None = None
        self._encoder: av.VideoCodecContext | None = None
        self._finisher = Finisher(target, pix_fmt=target.pix_fmt, color=still_color(target))
        self._stored = 0
        self._bytes = 0
        self.frames = 0

    def __enter__(self) -> Self:
        folder = self._row.folder
        self._refuse_occupied()
        part = part_folder(folder)
        with telling_writes(part):
            if part.exists():
                left = Claim(part, output=folder)  # by a run that was killed
                shutil.rmtree(part)
                left.release()
            part.mkdir()
            self._claim = Claim(part, output=folder)
        self._part = part
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def write(self, frame: Frame) -> None:
        """Encode a frame into the next picture.

        Args:
            frame: in the target's format, one tick of its rate behind the one before.

        Raises:
            OutputError: the disk is full or the encoder fails.
            ValueError: the writer is not open.
        """
        if self._part is None:
            raise ValueError("a SequenceWriter is written to inside its `with`, before finish()")
        with telling_writes(self._target.path):
            if self._encoder is None:
                self._encoder = _encoder(self._target, time_base=1 / self._rate)
            picture = self._finisher(frame, pts=self.frames, time_base=1 / self._rate)
            self._store(self._part, self._encoder.encode(picture))
        self.frames += 1

    def finish(self, check: Check | None = None) -> WrittenInfo:
        """Encode what is left and give the pictures their place.

        Args:
            check: looks at the complete folder before that; what it raises keeps the pictures from their place.

        Raises:
            OutputError: no frame was written, the disk is full, or the folder was filled in the meantime.
        """
        if self._part is None or self._encoder is None:
            raise OutputError(f"there was no frame to write to {self._target.path}")
        part = self._part
        with telling_writes(self._target.path):
            self._store(part, self._encoder.encode(None))
        written = WrittenInfo(self.frames, self._bytes, self.frames / self._rate)
        if check is not None:
            check(part, written)
        self._refuse_occupied()
        with telling_writes(self._target.path):
            self._publish(part)
        self._part = None
        self._release()
        return written

    def abort(self) -> None:
        """Throw away what was written; harmless after `finish`."""
        if self._part is not None:
            shutil.rmtree(self._part, ignore_errors=True)
            self._part = None
        self._release()

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()

    def _store(self, part: Path, packets: Iterable[av.Packet[Stream]]) -> None:
        for packet in packets:
            name = self._row.path(self._stored).name
            self._bytes += (part / name).write_bytes(bytes(packet))
            self._stored += 1

    def _publish(self, part: Path) -> None:
        folder = self._row.folder.resolve()  # a link stays one
        names = [self._row.path(index).name for index in range(self._stored)]
        for name in names:
            sync(part / name)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
        if folder.exists():
            _move_all(names, part, folder)
            part.rmdir()
            sync(folder)
        else:
            part.rename(folder)
            sync(folder.parent)

    def _refuse_occupied(self) -> None:
        folder = self._row.folder
        if not self._overwrite and folder.is_dir() and any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty", hint="Use --overwrite to write into it, or name a new folder.")


def _move_all(names: Sequence[str], part: Path, folder: Path) -> None:
    """Move files, all of them whatever signal comes: half a row of one film and half of another are none."""
    stopped: KeyboardInterrupt | None = None
    while True:
        try:
            for name in names:
                if (part / name).exists():
                    (part / name).replace(folder / name)
            break
        except KeyboardInterrupt as error:
            stopped = error
    if stopped is not None:
        raise stopped


def part_folder(folder: Path) -> Path:
    """Where pictures gather until all are there: hidden, beside their place, on the same disk."""
    place = folder.resolve()
    return place.with_name(f".{place.name}.svmv-part")


def measure_row(folder: Path, row: Numbering, rate: Fraction) -> Measured:
    """Count the pictures of a row in a folder, and look at the header of each.

    Args:
        folder: where they are, wherever the row says they belong.
        row: their names.
        rate: pictures per second.

    Raises:
        OutputError: one cannot be read.
    """
    found = sorted(number for path in folder.iterdir() if (number := row.number_of(path.name)) is not None)
    try:
        sizes = {
            (header.width, header.height) for number in found if (header := read_header(folder / row.name(number)))
        }
    except InputError as error:
        raise OutputError(f"a picture cannot be read back: {error.message}") from error
    if len(sizes) > 1 or found != list(range(row.first, row.first + len(found))):
        raise OutputError(f"the pictures in {folder} are no whole row")
    last = max(len(found) - 1, 0) / rate
    return Measured(len(found), len(found) / rate, first=Fraction(0), last=last, sound=())


def _encoder(target: Target, *, time_base: Fraction) -> av.VideoCodecContext:
    context = av.CodecContext.create(target.encoder, "w")
    if not isinstance(context, av.VideoCodecContext):
        raise ValueError(f"not a video encoder: {target.encoder!r}")
    context.width, context.height = upright_size(target)
    context.pix_fmt = target.pix_fmt
    context.time_base = time_base
    context.color_range = 2 if target.codec == "jpeg" else 0
    context.thread_count = _THREADS
    context.options = dict(target.options)
    return context
