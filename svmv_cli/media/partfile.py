"""A file that appears under its name only when it is whole, and is one run's alone. Knows nothing of what is in it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from svmv_cli.errors import OutputError
from svmv_cli.media.opening import reason

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class Claim:
    """Keeps other runs of this program from a file or folder that lies there, until `release`.

    The system gives it back when its holder dies, however it dies. Where it has no such locks, nothing is kept off.

    Args:
        path: what is claimed.
        output: what is being made there, for the message.

    Raises:
        OutputError: another run has claimed it, or has just put it in its place.
    """

    def __init__(self, path: Path, *, output: Path) -> None:
        self._descriptor: int | None = None
        if fcntl is None:
            return
        descriptor = None
        try:
            descriptor = os.open(path, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lies_there = os.path.samestat(os.fstat(descriptor), path.stat())
        except (BlockingIOError, FileNotFoundError):
            lies_there = False
        except OSError:  # a disk without locks
            lies_there = True
        if lies_there:
            self._descriptor = descriptor
            return
        if descriptor is not None:
            os.close(descriptor)
        hint = "Wait until it is done, or give another name with -o."
        raise OutputError(f"another run is at work on {output}", hint=hint)

    def release(self) -> None:
        """Let other runs have it; harmless when done already."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def part_of(path: Path) -> Path:
    """Where a file is written until it is whole: hidden, beside its final place, on the same disk."""
    return path.with_name(f".{path.stem}.svmv-part{path.suffix}")


def create_part(path: Path) -> tuple[Path, Claim]:
    """Make the part file of `path`, so that a folder that cannot be written to is told at once.

    It is empty, unless a run that was killed left it; whoever opens it to write empties it.

    Raises:
        OutputError: the folder is missing or refuses, or another run is writing this file.
    """
    part = part_of(path)
    with telling_writes(path):
        part.touch()
        claim = Claim(part, output=path)
        if part.stat().st_nlink > 1:
            # A run was killed while it published: this is its whole output, under a second name.
            part.unlink()
            claim.release()
            part.touch()
            claim = Claim(part, output=path)
        return part, claim


def publish(part: Path, path: Path, *, overwrite: bool) -> None:
    """Bring the part to the disk and give it its final name, at one stroke.

    Raises:
        OutputError: `path` exists and `overwrite` is False, or the disk refuses.
    """
    with telling_writes(path):
        sync(part)
        if overwrite:
            part.replace(path)
        else:
            _rename_new(part, path)
        sync(path.parent)


@contextmanager
def telling_writes(path: Path) -> Iterator[None]:
    """Turn what the system or FFmpeg says while writing `path` into an OutputError."""
    try:
        yield
    except FileExistsError as error:
        raise _exists(path) from error
    except (OSError, av.FFmpegError) as error:
        raise _write_error(path, error) from error


def _exists(path: Path) -> OutputError:
    return OutputError(f"{path} exists already", hint="Use --overwrite to replace it.")


def _write_error(path: Path, error: OSError | av.FFmpegError) -> OutputError:
    if error.errno in _FULL:
        return OutputError(f"the disk is full, writing {path}", hint="Make room, or write to another disk.")
    if error.errno == errno.EFBIG:
        return OutputError(f"{path} grew larger than its disk or your limits allow", hint="Write to another disk.")
    if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
        return OutputError(f"{path.parent} cannot be written to", hint="Check its permissions.")
    if error.errno == errno.ENOENT:
        return OutputError(f"the folder {path.parent} does not exist", hint="Create it first.")
    return OutputError(f"writing {path} failed: {reason(error)}")


def _rename_new(part: Path, path: Path) -> None:
    """Rename, but never over an existing file, even one that appeared a moment ago."""
    try:
        path.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Some file systems have no links: claim the name first, then rename over the claim.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        part.replace(path)
    else:
        part.unlink()


def sync(path: Path) -> None:
    """Bring a file, or what a folder says of its files, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
