"""torch's tensors as the numpy arrays that the CPU's compiled passes read and write, and back."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from svmv import features_numba
from svmv.features import padded_size
from svmv.synthesis_numba import Array
from svmv.vectors_numba import LANES
from svmv.volume import Level


def empty(*shape: int, numbers: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """An array without content."""
    return np.empty(shape, numbers)


def numbers(arithmetic: torch.dtype) -> type[np.float32] | type[np.uint16]:
    """What arrays of such numbers are made of; see `bfloat16_numba`."""
    return np.uint16 if arithmetic is torch.bfloat16 else np.float32


def channels_last(x: Tensor) -> npt.NDArray[Any]:
    """(B, C, H, W) → the same numbers as (B, H, W, C); no copy if they lie so already."""
    last = x.permute(0, 2, 3, 1).contiguous()
    if x.dtype is torch.bfloat16:
        bits: npt.NDArray[np.uint16] = last.view(torch.int16).numpy().view(np.uint16)
        return bits
    array: Array = last.numpy()
    return array


def tensor(x: npt.NDArray[Any]) -> Tensor:
    """(B, H, W, C) → the same numbers as a channels-last (B, C, H, W)."""
    if x.dtype == np.uint16:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16).permute(0, 3, 1, 2)
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def by_rows(x: Tensor) -> Array:
    """(B, C, H, W) → the same numbers as (B, H, C, W), no copy if they lie so already; small ones grow by zeros."""
    missing = [max(LANES - side, 0) for side in x.shape[2:]]
    if any(missing):
        x = F.pad(x, (0, missing[1], 0, missing[0]))
    rows: Array = x.permute(0, 2, 1, 3).contiguous().numpy()
    return rows


def unit_rows(detail: npt.NDArray[Any]) -> Array:
    """(B, h, w, D) → the same as `by_rows` has it, float32, at unit mean square over D."""
    B, h, w, D = detail.shape
    rows, nothing = empty(B, h, D, w), empty(B, h, w, 0, numbers=detail.dtype)
    features_numba.split(detail, rows, nothing)
    return by_rows(torch.from_numpy(rows).permute(0, 2, 1, 3))


def motion(level: Level) -> Array:
    """A level's motion, near and far in one, (2B, h, w, 4)."""
    return channels_last(torch.cat([level.near, level.far], dim=1))


def halved(x: Array) -> Array:
    """Means of 2 × 2 pixels, after padding to multiples of `CELL`."""
    rows, columns = padded_size(x.shape[1], x.shape[2])
    half = empty(len(x), rows // 2, columns // 2, x.shape[3])
    features_numba.halve(x, half)
    return half
