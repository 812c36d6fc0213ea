"""Ctrl-C, SIGTERM and SIGHUP as an exception in the main thread, so that every `with` cleans up. Knows no work."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from svmv_cli.errors import ExitCode

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
_HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none
if _HANG_UP is not None:
    _CODES[_HANG_UP] = ExitCode.HUNG_UP


class Interrupted(KeyboardInterrupt):
    """The user or the system asked the process to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = _CODES[signal.Signals(signum)]


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` in the main thread at the first signal; end the process at the second.

    A SIGHUP is never that second one: as a terminal is closed, the shell repeats what the system sends. What is
    ignored stays so, as SIGHUP under nohup. Outside the main thread, where signals cannot be handled, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopping = False

    def handle(signum: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            raise Interrupted(signum)
        if signum != _HANG_UP:
            # The clean way out is taking too long for the user. A part file may stay behind.
            os._exit(_CODES[signal.Signals(signum)])

    heard = [signum for signum in _CODES if signal.getsignal(signum) != signal.SIG_IGN]
    before = {signum: signal.signal(signum, handle) for signum in heard}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
