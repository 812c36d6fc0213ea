"""What can go wrong, as exceptions that carry one sentence, a remedy and an exit code. Imports nothing of ours.

SvmvError
├── UsageError        2    the command line contradicts itself, or names what there is not
│   └── ModelError         weights missing or not readable
├── InputError        3    the source is missing, empty, no video …
│   └── UnsupportedError   the source is real, but this build cannot handle it
├── OutputError       4    the target cannot be written, has no room …
│   └── ExistsError        it is there already
├── DamagedError      5    the source is damaged, and was to be refused for it
└── DeviceError       6    the device is absent or out of memory
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Process exit codes, as the README's table lists them."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    INPUT = 3
    OUTPUT = 4
    DAMAGED = 5  # a partial result, kept; with --strict, none
    DEVICE = 6
    HUNG_UP = 129  # the terminal was closed
    INTERRUPTED = 130
    PIPE = 141  # the reader of stdout went away, as SIGPIPE would have it
    TERMINATED = 143


class SvmvError(Exception):
    """A failure that is told to the user as one sentence and, where there is one, a remedy."""

    exit_code: ClassVar[ExitCode] = ExitCode.SOME_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SvmvError):
    """The command line contradicts itself, or asks for something that does not exist."""

    exit_code = ExitCode.USAGE


class InputError(SvmvError):
    """The source cannot be read as video."""

    exit_code = ExitCode.INPUT


class UnsupportedError(InputError):
    """The source is sound, but something in it is beyond this build."""


class OutputError(SvmvError):
    """The target exists already, cannot be written, or the disk is full."""

    exit_code = ExitCode.OUTPUT


class ExistsError(OutputError):
    """The target exists already, and nothing was said of replacing it."""


class DamagedError(SvmvError):
    """The source is damaged. A run that goes on nevertheless ends with the same code if too much is lost."""

    exit_code = ExitCode.DAMAGED


class DeviceError(SvmvError):
    """The device is absent, fails, or has no memory left."""

    exit_code = ExitCode.DEVICE


class ModelError(UsageError):
    """The weights that were asked for are not there, or are not ours."""
