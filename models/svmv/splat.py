"""Weighted many-to-many forward splatting: the definition in plain torch, and the choice of a faster twin.

Every source pixel p is moved by M offsets u^m(p) and spread bilinearly over the four target pixels around
p + u^m(p), each contribution scaled by w^m(p). What lands outside the picture, or at NaN, is lost.
At whole positions the gradient with respect to offsets is the one seen from the right and from below.
Conventions: offsets in pixels, (x, y). The picture is Σ w·value / Σ w over all that lands on a pixel.
"""

import torch
from torch import Tensor

from svmv.backends import Backend, fastest, learned, waves
from svmv.warp import pixel_grid


def splat(values: Tensor, offsets: Tensor, weights: Tensor, *, backend: Backend = "auto") -> tuple[Tensor, Tensor]:
    """Move each pixel to M places and add up what lands where.

    Args:
        values: (B, C, H, W), what is carried.
        offsets: (B, M, 2, H, W), px, x then y.
        weights: (B, M, H, W), ≥ 0.
        backend: "torch" is the definition (any device, any float dtype, differentiable twice); "numba" (CPU)
            and "triton" (CUDA) are float32 twins; "auto" takes the fastest there is for these tensors.

    Returns:
        sum (B, C, H, W) and norm (B, 1, H, W); the picture is sum / norm where norm > 0.

    Raises:
        ValueError: shapes do not belong together, or the backend cannot take these tensors.
    """
    _check(values, offsets, weights)
    if backend == "auto":
        backend = fastest(values.device, trial, training_trial) if values.dtype == torch.float32 else "torch"
    if backend == "numba":
        from svmv.splat_numba import splat_numba

        return splat_numba(values, offsets, weights)
    if backend == "triton":
        from svmv.splat_triton import splat_triton

        return splat_triton(values, offsets, weights)
    return splat_torch(values, offsets, weights)


def splat_torch(values: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Reference implementation with `index_add_`; same contract as `splat`."""
    B, C, H, W = values.shape
    M = offsets.shape[1]
    where = offsets + pixel_grid(H, W, offsets.device).to(offsets.dtype)
    near = (where > -1).all(dim=2) & (where[:, :, 0] < W) & (where[:, :, 1] < H)  # NaN is not
    # Replaced before anything is computed from it: a NaN masked afterwards comes back in the gradient.
    x, y = torch.where(near[:, :, None], where, 0).unbind(dim=2)  # (B, M, H, W)
    left, top = x.detach().floor(), y.detach().floor()
    right, below = x - left, y - top  # shares of the columns and rows to the right and below
    carried = torch.cat([values, torch.ones_like(values[:, :1])], dim=1)  # the last becomes norm
    out = values.new_zeros(B * H * W, C + 1)
    batch = torch.arange(B, device=values.device).view(B, 1, 1, 1) * (H * W)
    for dx in (0, 1):
        for dy in (0, 1):
            cx, cy = left + dx, top + dy
            share = (right if dx else 1 - right) * (below if dy else 1 - below) * weights
            inside = near & (cx >= 0) & (cx < W) & (cy >= 0) & (cy < H)
            share = torch.where(inside, share, 0)
            index = batch + cy.clamp(0, H - 1).long() * W + cx.clamp(0, W - 1).long()
            added = (share.unsqueeze(2) * carried.unsqueeze(1)).permute(0, 1, 3, 4, 2)  # (B, M, H, W, C+1)
            out = out.index_add(0, index.flatten(), added.reshape(B * M * H * W, C + 1))
    grid = out.view(B, H, W, C + 1).permute(0, 3, 1, 2)
    return grid[:, :C], grid[:, C:]


def trial(device: torch.device, backend: Backend) -> Tensor:
    """See `backends.Trial`."""
    return torch.cat(splat(*_tried(device), backend=backend), dim=1)


def training_trial(device: torch.device, backend: Backend) -> Tensor:
    """The same with the gradients."""
    return learned(lambda *inputs: torch.cat(splat(*inputs, backend=backend), dim=1), *_tried(device))


def _tried(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    offsets, weights = waves(device, 1, 4, 2, 16, 24, pace=0.9), waves(device, 1, 4, 16, 24, pace=0.3)
    return waves(device, 1, 3, 16, 24, pace=0.7), 5 * offsets, 1 + weights


def _check(values: Tensor, offsets: Tensor, weights: Tensor) -> None:
    B, _, H, W = values.shape
    M = offsets.shape[1]
    if offsets.shape != (B, M, 2, H, W) or weights.shape != (B, M, H, W):
        raise ValueError(f"splat: got {values.shape = }, {offsets.shape = }, {weights.shape = }")
