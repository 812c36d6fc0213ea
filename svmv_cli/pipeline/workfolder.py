"""A folder in which finished segments outlive the run that made them. Knows no frames.

It holds `plan.json`, which says what the segments depend on, and for each of them a file and a mark. A segment is
finished when its mark is there; files and marks appear by renaming, after they have reached the disk.
"""

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import TypeVar

from svmv_cli.errors import OutputError
from svmv_cli.media.partfile import Claim, sync, telling_writes
from svmv_cli.media.segment import Segment, SegmentInfo
from svmv_cli.pipeline.records import Json, from_json, to_json
from svmv_cli.pipeline.report import Tally
from svmv_cli.pipeline.windows import Resume

R = TypeVar("R")
_FORMAT = "svmv work folder 1"
_OURS = re.compile(r"(plan\.json|\d{5}\.mkv|\d{5}\.json)(\.part)?$|lock$")
_SAMPLES = 16  # places in the source that are read to tell it from another
_SAMPLE = 1 << 16  # bytes at each


@dataclass(frozen=True, slots=True)
class Identity:
    """All that the content of a segment depends on."""

    format: str
    programs: str  # versions of this one and of those it stands on
    source: str  # its size, time and content in samples
    settings: str
    network: str  # weights, device, precision


@dataclass(frozen=True, slots=True)
class Mark:
    """Says that a segment is finished, and what went into it."""

    bytes: int
    digest: str  # SHA-256 of the file
    info: SegmentInfo
    tally: Tally
    resume: Resume | None  # where the film goes on; None: it is complete


def identity_of(source: Path, *, settings: Json, network: str) -> Identity:
    """The identity of a job's segments.

    Args:
        source: the input.
        settings: what else decides about them, as plain data.
        network: weights, device and precision.
    """
    known = source.stat()
    sampled = hashlib.sha256()
    with source.open("rb") as file:
        for place in range(_SAMPLES):
            file.seek(max(0, known.st_size - _SAMPLE) * place // (_SAMPLES - 1))
            sampled.update(file.read(_SAMPLE))
    return Identity(
        format=_FORMAT,
        programs=" ".join(f"{name} {_version(name)}" for name in ("svmv", "av", "torch", "numba")),
        source=f"{known.st_size} bytes, {known.st_mtime_ns} ns, {sampled.hexdigest()}",
        settings=hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        network=network,
    )


class WorkFolder:
    """The work folder of one output, claimed for this process until `release`.

    Args:
        output: the file that is being made; the folder lies hidden beside it.
        identity: of the segments this run makes.
        resume: whether finished segments are taken over; otherwise they are removed.

    Attributes:
        marks: of the segments finished so far, in order.

    Raises:
        OutputError: a folder of that name is not ours, another process has claimed it, or it holds segments of
            another identity.
    """

    def __init__(self, output: Path, identity: Identity, *, resume: bool) -> None:
        self.path = folder_of(output)
        self.marks: list[Mark] = []
        self._released = False
        _check_ours(self.path)
        with telling_writes(self.path):
            self.path.mkdir(exist_ok=True)
            lock = self.path / "lock"
            lock.touch()
            self._claim = Claim(lock, output=output)
        try:
            self._take_over(identity, resume=resume)
        except BaseException:
            self.release()
            raise

    @property
    def complete(self) -> bool:
        """Whether all segments of the film are finished."""
        return bool(self.marks) and self.marks[-1].resume is None

    @property
    def segments(self) -> list[Segment]:
        """The finished ones, in order."""
        return [Segment(self._file(number), mark.info) for number, mark in enumerate(self.marks)]

    @property
    def part(self) -> Path:
        """Where the next segment is written until it is finished."""
        return self._file(len(self.marks)).with_suffix(".mkv.part")

    def add(self, info: SegmentInfo, *, tally: Tally, resume: Resume | None) -> None:
        """Finish the segment that was written to `part`.

        Args:
            info: what it holds.
            tally: what went into it.
            resume: where the film goes on; None: this was the last.

        Raises:
            OutputError: the disk is full, or the segment cannot be joined to those before it.
        """
        if self.marks and info.header != self.marks[0].info.header:
            raise OutputError(
                "segments of this encoder cannot be joined: it changes its header", hint="Use --segment 0 --no-resume."
            )
        number, part = len(self.marks), self.part
        mark = Mark(part.stat().st_size, _digest(part), info, tally, resume)
        with telling_writes(self.path):
            _rename(part, self._file(number))
            _write_json(self._mark(number), to_json(mark))
        self.marks.append(mark)

    def discard(self) -> None:
        """Remove what is ours in the folder, and the folder unless something else lies in it; not when released."""
        if self._released:
            return
        self.marks.clear()
        with suppress(OSError):
            # The plan goes after what it tells of: a folder left by a run killed here is known for ours. The lock last.
            for path in sorted(self.path.iterdir(), key=lambda path: (path.name == "lock", path.name)):
                if _OURS.match(path.name):
                    path.unlink(missing_ok=True)
            self.path.rmdir()
        self.release()

    def release(self) -> None:
        """Let other processes claim the folder; harmless when done already."""
        self._released = True
        self._claim.release()

    def _take_over(self, identity: Identity, *, resume: bool) -> None:
        found = _read(self.path / "plan.json", Identity)
        if found == identity and resume:
            self._load_marks()
        elif found is not None and resume and self._mark(0).exists():
            raise OutputError(
                f"{self.path} holds unfinished work of another kind: {_difference(found, identity)}",
                hint="Go on with the command that began it, or drop that work with --no-resume.",
            )
        self._remove_from(len(self.marks))
        with telling_writes(self.path):
            _write_json(self.path / "plan.json", to_json(identity))

    def _load_marks(self) -> None:
        """Take over the finished segments from the first on, up to one that is not whole."""
        for number in count():
            mark, file = _read(self._mark(number), Mark), self._file(number)
            if mark is None or self.complete or not file.is_file() or _digest(file) != mark.digest:
                return
            self.marks.append(mark)

    def _remove_from(self, number: int) -> None:
        """Remove segments from `number` on, finished or not."""
        for path in self.path.iterdir():
            if _OURS.match(path.name) and path.name[:5].isdecimal() and int(path.name[:5]) >= number:
                path.unlink()

    def _file(self, number: int) -> Path:
        return self.path / f"{number:05}.mkv"

    def _mark(self, number: int) -> Path:
        return self.path / f"{number:05}.json"


def folder_of(output: Path) -> Path:
    """The work folder of an output."""
    return output.with_name(f".{output.name}.svmv-work")


def held_bytes(output: Path) -> int:
    """What an output's work folder takes of the disk already."""
    folder = folder_of(output)
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) if folder.is_dir() else 0


def _check_ours(folder: Path) -> None:
    """Refuse a folder that another program, or the user, made."""
    if not folder.is_symlink() and not folder.exists():
        return
    ours = not folder.is_symlink() and folder.is_dir()
    # A run that was killed at once leaves no more than a lock and a part of a plan.
    if ours and _read(folder / "plan.json", Identity) is None:
        ours = all(path.name in {"lock", "plan.json.part"} for path in folder.iterdir())
    if not ours:
        raise OutputError(f"{folder} is in the way, and is no work folder of this program", hint="Move it elsewhere.")


def _difference(found: Identity, wanted: Identity) -> str:
    words = {
        "format": "an older format",
        "programs": "another version of this program",
        "source": "the input has changed",
        "settings": "other options",
        "network": "another network, device or precision",
    }
    names = [each.name for each in fields(Identity) if getattr(found, each.name) != getattr(wanted, each.name)]
    return ", ".join(words[name] for name in names)


def _read(path: Path, kind: type[R]) -> R | None:
    """A record from a file; None if there is none or it is not one."""
    try:
        return from_json(kind, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _write_json(path: Path, data: Json) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(data), encoding="utf-8")
    _rename(part, path)


def _rename(part: Path, path: Path) -> None:
    sync(part)
    part.replace(path)
    sync(path.parent)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
