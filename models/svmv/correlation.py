"""Local correlation along a motion estimate: the definition in plain torch, and the choice of a faster twin.

For every pixel p of `a` the features of `b` are looked up in a (2r+1)² window centred at p + flow(p) and
compared with a(p). The window keeps one sub-pixel phase per p, so bilinear interpolation of the features
equals bilinear interpolation of (2r+2)² integer dot products: no warped copy of `b` is ever made.
The motion estimate is data, not a variable: no gradient flows into it (as in RAFT, Teed & Deng 2020).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from svmv.backends import Backend, fastest, learned, waves
from svmv.warp import pixel_grid


def correlate(a: Tensor, b: Tensor, flow: Tensor, *, radius: int, backend: Backend = "auto") -> Tensor:
    """Mean of products of `a` at p with `b` around p + flow(p).

    Args:
        a: (B, C, H, W).
        b: (B, C, H, W); reads outside it give zero.
        flow: (B, 2, H, W), px, x then y.
        radius: r, px; the window is (2r+1) × (2r+1), rows first.
        backend: as in `splat`.

    Returns:
        (B, (2r+1)², H, W), float32; float64 where the definition is given float64. Zero where `flow` is NaN.

    Raises:
        ValueError: shapes do not belong together, or the backend cannot take these tensors.
    """
    if a.shape != b.shape or flow.shape != (a.shape[0], 2, *a.shape[2:]):
        raise ValueError(f"correlate: got {a.shape = }, {b.shape = }, {flow.shape = }")
    if backend == "auto":
        backend = "torch" if a.dtype == torch.float64 else fastest(a.device, trial, training_trial)
    if backend == "numba":
        from svmv.correlation_numba import correlate_numba

        return correlate_numba(a.float(), b.float(), flow.float(), radius)
    if backend == "triton":
        from svmv.correlation_triton import correlate_triton

        return correlate_triton(a.float(), b.float(), flow, radius)
    return correlate_torch(a, b, flow, radius)


def corners(flow: Tensor, radius: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Whole and fractional part of p + flow(p): left, top, and the fractions to their right and below.

    Far outside everything reads zero, so positions are clamped to where no window touches the picture (NaN is
    sent there too), which keeps the integer conversion defined.

    Returns:
        Four (B, H, W) float32 tensors, px.
    """
    H, W = flow.shape[2:]
    side = 2 * radius + 2
    where = (flow.detach().float() + pixel_grid(H, W, flow.device)).nan_to_num(nan=-side - 1.0)
    x, y = where[:, 0].clamp(-side - 1, W + side), where[:, 1].clamp(-side - 1, H + side)
    left, top = x.floor(), y.floor()
    return left, top, x - left, y - top


def correlate_torch(a: Tensor, b: Tensor, flow: Tensor, radius: int) -> Tensor:
    """Reference implementation by gathering; same contract as `correlate`."""
    B, C, H, W = a.shape
    side = 2 * radius + 2
    left, top, fx, fy = corners(flow, radius)
    fx, fy = fx.to(a.dtype), fy.to(a.dtype)
    flat = F.pad(b, (1, 1, 1, 1)).flatten(2)  # a ring of zeros: every read outside is sent there
    rows = []
    for i in range(side):
        cy = (top + (i - radius)).long().clamp(-1, H) + 1
        row = []
        for j in range(side):
            cx = (left + (j - radius)).long().clamp(-1, W) + 1
            index = (cy * (W + 2) + cx).view(B, 1, H * W).expand(B, C, H * W)
            row.append((a * flat.gather(2, index).view(B, C, H, W)).mean(dim=1))
        rows.append(torch.stack(row, dim=1))
    grid = torch.stack(rows, dim=1)  # (B, side, side, H, W)
    fx, fy = fx[:, None, None], fy[:, None, None]
    grid = grid[:, :-1] * (1 - fy) + grid[:, 1:] * fy
    grid = grid[:, :, :-1] * (1 - fx) + grid[:, :, 1:] * fx
    out = grid.reshape(B, (2 * radius + 1) ** 2, H, W)
    return out if a.dtype == torch.float64 else out.float()


def trial(device: torch.device, backend: Backend) -> Tensor:
    """See `backends.Trial`."""
    a, b, flow = _tried(device)
    return correlate(a, b, flow, radius=3, backend=backend)


def training_trial(device: torch.device, backend: Backend) -> Tensor:
    """The same with the gradients."""
    a, b, flow = _tried(device)
    return learned(lambda a, b: correlate(a, b, flow, radius=3, backend=backend), a, b)


def _tried(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    features = waves(device, 1, 32, 12, 20, pace=0.7)
    return features, features.flip(3), 5 * waves(device, 1, 2, 12, 20, pace=0.3)
