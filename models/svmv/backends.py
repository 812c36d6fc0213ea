"""Which of the twins of a kernel runs on a device."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

Backend = Literal["auto", "torch", "numba", "triton"]
Trial = Callable[[torch.device, Backend], Tensor]  # something small that a kernel computes

_CLOSE = 1e-3  # of what a trial gives: sums in another order differ by a thousandth of that


def fastest(device: torch.device, trial: Trial, training_trial: Trial | None = None) -> Backend:
    """The best backend of a kernel for float32 tensors of a device; where Triton fails on CUDA, the definition.

    Args:
        device: where the tensors are.
        trial: of the kernel, by its Triton twin and by its definition.
        training_trial: of its gradients too; taken instead where gradients are wanted.
    """
    if training_trial is not None and torch.is_grad_enabled():
        trial = training_trial
    if device.type == "cpu":
        return "numba"
    return "triton" if device.type == "cuda" and failure(trial, device) is None else "torch"


@cache
def failure(trial: Trial, device: torch.device) -> str | None:
    """Why a Triton kernel is not to be used on a CUDA device; None where it is.

    That Triton is installed says little: on the user's machine it needs a C compiler, Python's headers and a GPU that
    is not too old for it. So each kernel computes something small, once, and has to give what its definition gives.

    Raises:
        torch.OutOfMemoryError: the device is full, which says nothing about Triton.
    """
    if find_spec("triton") is None:
        return "it is not installed"
    try:
        with torch.no_grad():
            right = torch.allclose(trial(device, "triton"), trial(device, "torch"), rtol=_CLOSE, atol=_CLOSE)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001 compilers, loaders and drivers fail in ways of their own
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return None if right else "what it computes is wrong"


def learned(kernel: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """What a kernel gives and the gradients of its square by each input, as one row: a trial of both directions."""
    with torch.enable_grad():
        leaves = [each.clone().requires_grad_() for each in inputs]
        out = kernel(*leaves)
        gradients = torch.autograd.grad(out.square().sum(), leaves)
    return torch.cat([each.detach().flatten() for each in (out, *gradients)])


def waves(device: torch.device, *shape: int, pace: float) -> Tensor:
    """Numbers between -1 and 1 for a trial, each place another, the same everywhere: float32.

    Args:
        device: where they are to be.
        shape: of the tensor.
        pace: radians from one number to the next.
    """
    return torch.arange(torch.Size(shape).numel(), device=device).mul(pace).sin().view(shape)
