"""Errors of the system and of libraries, told in our own words. Knows no terminal."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from svmv_cli.errors import DeviceError, OutputError, SvmvError


class InternalError(SvmvError):
    """Something happened that this program did not foresee: its own fault until shown otherwise."""


@contextmanager
def explained(*, debug: bool) -> Iterator[None]:
    """Turn any other exception that leaves the block into the SvmvError that says the same.

    Args:
        debug: let what is not foreseen through as it is.
    """
    try:
        yield
    except (SvmvError, BrokenPipeError):
        # A broken pipe means that nobody reads what is printed; the command line ends quietly.
        raise
    except Exception as error:
        told = explain(error)
        if debug and isinstance(told, InternalError):
            raise
        for note in getattr(error, "__notes__", ()):
            told.add_note(note)
        raise told from error


def explain(error: Exception) -> SvmvError:
    """The SvmvError that says what `error` means to the user."""
    if isinstance(error, SvmvError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError("the disk is full", hint="Make room, or write elsewhere with -o.")
    if is_out_of_memory(error):
        hint = "Try --batch 1, --device cpu, or a smaller picture."
        return DeviceError("out of memory", hint=hint)
    if isinstance(error, OSError) and error.filename is not None:
        return OutputError(f"{error.filename}: {error.strerror}")
    return InternalError(f"unforeseen: {type(error).__name__}: {error}", hint="--debug shows where. Please report it.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how Python, numpy or torch says that a device or the host has no memory left.

    Torch's ways are told by name: this module does not import it.
    """
    kind = type(error)
    if kind.__name__ == "OutOfMemoryError" and kind.__module__.partition(".")[0] == "torch":
        return True
    if not isinstance(error, RuntimeError):
        return isinstance(error, MemoryError)
    # Host; MPS, and what of CUDA is not torch's own allocator's: its context, pinned memory; Fourier transforms.
    return any(sign in str(error) for sign in ("DefaultCPUAllocator", "out of memory", "CUFFT_ALLOC_FAILED"))
