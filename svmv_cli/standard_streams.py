"""stderr that cannot be written to stops no work; stdout that cannot is told of as such. Imports little."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from svmv_cli.errors import OutputError


def secure_streams() -> None:
    """To be called before any file is opened: see above, and no file gets the number of a closed stream."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file would get this number, the lowest free, and FFmpeg's words on stderr would go into it.
            os.open(os.devnull, os.O_RDWR)
    sys.stderr = Forgiving(sys.stderr)
    sys.stdout = Telling(sys.stdout)


def let_go(stream: TextIO) -> None:
    """Keep what a stream still holds from failing once more as the interpreter ends, and changing its exit code."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Stream:
    """Stands for a real stream.

    Args:
        stream: the real one; None where the process has none.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open as long as we run)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Forgiving(_Stream):
    """A stream to talk on: once it fails, as on a full disk, what is written to it is dropped."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except OSError:
            let_go(self._stream)
            return len(text)

    def flush(self) -> None:
        """Bring it on its way, if there is one."""
        try:
            self._stream.flush()
        except OSError:
            let_go(self._stream)


class Telling(_Stream):
    """A stream for data: that it cannot be written is its own failure, and not that of a file being made."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._failure = "" if stream else "it is closed"
        with suppress(AttributeError):
            # Names of files may hold what the locale has no word for.
            self._stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    def write(self, text: str) -> int:
        """Write.

        Raises:
            OutputError: it is closed, or has failed, as on a full disk.
            BrokenPipeError: its reader has gone.
        """
        self._refuse_failed()
        with self._told():
            return self._stream.write(text)

    def flush(self) -> None:
        """Bring it on its way.

        Raises:
            OutputError: it fails.
            BrokenPipeError: its reader has gone.
        """
        with self._told():
            self._stream.flush()

    def fileno(self) -> int:
        """Its number.

        Raises:
            OutputError: it is closed, or has failed.
        """
        self._refuse_failed()
        return self._stream.fileno()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            let_go(self._stream)
            self._failure = error.strerror or str(error)
            self._refuse_failed()

    def _refuse_failed(self) -> None:
        if self._failure:
            raise OutputError(f"stdout cannot be written to: {self._failure}", hint="Files are not affected by that.")
