"""Which device computes, in which arithmetic, and how much memory it has left. Knows no video."""

import sys
from collections.abc import Callable
from typing import Literal

import torch

import svmv
from svmv_cli.errors import DeviceError, UsageError
from svmv_cli.pipeline import memory
from svmv_cli.pipeline.failures import is_out_of_memory

Precision = Literal["fp32", "fp16", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def open_device(wanted: str, *, training: bool = False, tell: Callable[[str], None] = lambda _: None) -> torch.device:
    """The device a name stands for, ready to compute: "auto" is CUDA, else Apple's MPS, else the CPU.

    Args:
        wanted: see there.
        training: whether a network is to be trained on it.
        tell: is told what makes work on it slower than it could be, or late to begin.

    Raises:
        DeviceError: there is no such device here.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        # With its index: what is known of `cuda:0`, such as whether Triton runs there, is not asked again of `cuda`.
        device = torch.zeros(1, device=torch.device(wanted)).device
    except (RuntimeError, AssertionError) as error:
        if is_out_of_memory(error):
            raise DeviceError(f"{wanted} is full", hint="close other programs on it, or use --device cpu") from error
        hint = "use --device auto, or see `svmv info` for what is here"
        raise DeviceError(f"no device {wanted!r} on this machine", hint=hint) from error
    if device.type == "cpu":
        memory.keep_freed()
    if (note := slow_kernels(device, training=training)) is not None:
        tell(note)
    svmv.when_compiling(lambda: tell("compiling for this processor, the first time only: up to half a minute"))
    return device


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """The arithmetic of the network's convolutions; coordinates and splatting are always float32.

    "auto" takes fp16 on CUDA, and bf16 on CPUs with AMX; without it fp32 is faster, by minimal filtering.

    Raises:
        UsageError: there is no such arithmetic, or it is of no use on this device.
    """
    if wanted == "auto":
        if device.type == "cuda":
            return "fp16"
        return "bf16" if device.type == "cpu" and _cpu_has("amx_tile") else "fp32"
    if wanted not in DTYPES:
        raise UsageError(f"no precision {wanted!r}", hint="one of auto, fp32, fp16, bf16")
    if wanted == "fp16" and device.type == "cpu":
        raise UsageError("fp16 is slower than fp32 on CPUs", hint="use --precision bf16 or fp32 with --device cpu")
    return wanted


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 in hardware (AVX-512 BF16 or AMX); for training emulation is slower than fp32."""
    return _cpu_has("avx512_bf16")


def _cpu_has(units: str) -> bool:
    probe = getattr(torch.cpu, f"_is_{units}_supported", None)
    return bool(probe and probe())


def free_memory(device: torch.device) -> int | None:
    """Bytes of a device's memory that can be taken; None where it does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return memory.free_host() if device.type == "cpu" else None


def slow_kernels(device: torch.device, *, training: bool = False) -> str | None:
    """What to tell the user where only the slow kernels run on a GPU; None where there is nothing to tell."""
    failure = svmv.triton_failure(device, training=training) if device.type == "cuda" else None
    if failure is None:
        return None
    windows = sys.platform == "win32"
    remedy = "On Windows it is the package triton-windows" if windows else "It needs a C compiler and Python.h"
    return f"Triton does not run on {device} ({failure}): slower kernels are used. {remedy}"
