"""Ctrl-C, SIGTERM and SIGHUP as an exception in the main thread, so that every `with` cleans up. Knows no work."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from svmv_cli.errors import ExitCode

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _CODES[signal.SIGHUP] = ExitCode.HUNG_UP


class Interrupted(KeyboardInterrupt):
    """The user or the system asked the process to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = _CODES[signal.Signals(signum)]


def let_go_of_stdout() -> None:
    """Keep the interpreter from writing to a closed pipe once more as it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` in the main thread at the first signal; end the process at the second.

    One that is ignored stays so, as SIGHUP under nohup. Outside the main thread, where signals cannot be handled, it
    does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def handle(signum: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            # The clean way out is taking too long for the user. A part file may stay behind.
            os._exit(_CODES[signal.Signals(signum)])
        raise Interrupted(signum)

    heard = [signum for signum in _CODES if signal.getsignal(signum) != signal.SIG_IGN]
    before = {signum: signal.signal(signum, handle) for signum in heard}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
