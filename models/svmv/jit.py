"""How the CPU's kernels are compiled, said once: parallel over rows, cached on disk where that is possible."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.event import Event, Listener, register

_SOURCES = "*_numba.py", "motion.py", "shifts.py"  # kernels, and the constants they take
# Sums may be reordered, but NaN must stay NaN: comparisons with it keep wild offsets out of memory.
_MATH = {"reassoc", "contract", "arcp", "nsz"}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function whose `prange` loop runs on all threads.

    The machine code is kept beside the source, or in the user's cache folder where the installation is read-only.
    Where neither can be written numba refuses to cache at all; then every process compiles anew, in some ten seconds.
    """
    try:
        return njit(function, parallel=True, fastmath=_MATH, cache=True)
    except RuntimeError:
        return njit(function, parallel=True, fastmath=_MATH)


def part(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call."""
    return njit(function, fastmath=_MATH)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function that becomes part of the loops it is called in."""
    return njit(function, fastmath=_MATH, inline="always")


class _Compiling(Listener):  # type: ignore[misc]
    """Tells, once, that machine code is being made because none is kept."""

    tell: Callable[[], None] | None = None

    def on_start(self, _event: Event) -> None:
        tell, self.tell = self.tell, None
        if tell is not None:
            tell()

    def on_end(self, _event: Event) -> None:
        pass


_compiling = _Compiling()
register("numba:compile", _compiling)


def when_compiling(tell: Callable[[], None]) -> None:
    """Call `tell` when a kernel is compiled next, and not again; what is kept on disk is loaded without a word."""
    _compiling.tell = tell


def forget_older(folder: Path) -> None:
    """Remove machine code that is older than any of the folder's compiled sources.

    numba looks only at the file a kernel is in; what comes from other files, `part`, `inlined` and constants, would
    stay as it was after an update.
    """
    with suppress(OSError):  # a folder that can't be read or written holds no machine code of ours
        dates = [source.stat().st_mtime for kind in _SOURCES for source in folder.glob(kind)]
        newest = max((date for date in dates if date <= time.time()), default=0.0)
        for index in (folder / "__pycache__").glob("*_numba.*.nbi"):
            if index.stat().st_mtime < newest:
                index.unlink(missing_ok=True)


forget_older(Path(__file__).parent)
