"""stderr that cannot be written to stops no work, and no file gets the number of a closed stream. Imports little."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO


def secure_streams() -> None:
    """To be called before any file is opened: see above."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file would get this number, the lowest free, and FFmpeg's words on stderr would go into it.
            os.open(os.devnull, os.O_RDWR)
    sys.stderr = Forgiving(sys.stderr)


class Forgiving:
    """A stream to talk on: once it fails, as on a full disk, what is written to it is dropped.

    Args:
        stream: the real one; None where the process has none.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open as long as we run)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """Bring it on its way, if there is one."""
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        # What is still held would fail once more as the interpreter ends, and change its exit code.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
