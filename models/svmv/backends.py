"""Which of the twins of a kernel runs on a device."""

from functools import cache
from importlib.util import find_spec
from typing import Literal

import torch

Backend = Literal["auto", "torch", "numba", "triton"]


def fastest(device: torch.device) -> Backend:
    """The best backend here for float32 tensors of a device; CUDA on which Triton does not run has the definition."""
    if device.type == "cpu":
        return "numba"
    return "triton" if device.type == "cuda" and triton_failure(device) is None else "torch"


@cache
def triton_failure(device: torch.device) -> str | None:
    """Why Triton does not run on a CUDA device; None where it does.

    That it is installed says little: on the user's machine it needs a C compiler, Python's headers and a GPU that is
    not too old for it. So a small kernel is compiled and run, once.

    Raises:
        torch.OutOfMemoryError: the device is full, which says nothing about Triton.
    """
    if find_spec("triton") is None:
        return "it is not installed"
    try:
        from svmv.splat_triton import splat_triton

        ones = torch.ones(1, 1, 8, 8, device=device)
        total, _ = splat_triton(ones, ones.new_zeros(1, 1, 2, 8, 8), ones)
        right = torch.equal(total, ones)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001 compilers, loaders and drivers fail in ways of their own
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return None if right else "what it computes is wrong"
