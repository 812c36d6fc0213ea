"""Local correlation along a motion estimate: the definition in plain torch, and the choice of a faster twin.

For every pixel p of `a` the features of `b` are looked up in a (2r+1)² window centred at p + flow(p) and
compared with a(p). The window keeps one sub-pixel phase per p, so bilinear interpolation of the features equals
bilinear interpolation of (2r+2)² integer dot products: no warped copy of `b` is ever made.
The motion estimate is data, not a variable: no gradient flows into it (as in RAFT, Teed & Deng 2020).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from svmv.splat import Backend


def correlate(a: Tensor, b: Tensor, flow: Tensor, *, radius: int, backend: Backend = "auto") -> Tensor:
    """Mean of products of `a` at p with `b` around p + flow(p).

    Args:
        a: (B, C, H, W).
        b: (B, C, H, W); reads outside it give zero.
        flow: (B, 2, H, W), px, x then y.
        radius: r, px; the window is (2r+1) × (2r+1), rows first.
        backend: as in `splat`; "triton" falls back to the definition, which is already parallel on CUDA.

    Returns:
        (B, (2r+1)², H, W), float32.
    """
    if a.shape != b.shape or flow.shape != (a.shape[0], 2, *a.shape[2:]):
        raise ValueError(f"correlate: got {a.shape = }, {b.shape = }, {flow.shape = }")
    if backend == "numba" or (backend == "auto" and a.device.type == "cpu" and a.dtype != torch.float64):
        from svmv.correlation_numba import correlate_numba

        return correlate_numba(a.float(), b.float(), flow.float(), radius)
    return correlate_torch(a, b, flow, radius)


def correlate_torch(a: Tensor, b: Tensor, flow: Tensor, radius: int) -> Tensor:
    """Reference implementation by gathering; same contract as `correlate`."""
    B, C, H, W = a.shape
    side = 2 * radius + 2
    flow = flow.detach().to(torch.float32)
    ys, xs = torch.meshgrid(
        torch.arange(H, device=a.device, dtype=flow.dtype),
        torch.arange(W, device=a.device, dtype=flow.dtype),
        indexing="ij",
    )
    x, y = xs + flow[:, 0], ys + flow[:, 1]
    # Far outside everything reads zero; clamping keeps the integer conversion defined.
    x = x.clamp(-side - 1, W + side)
    y = y.clamp(-side - 1, H + side)
    left, top = x.floor(), y.floor()
    fx, fy = (x - left).to(a.dtype), (y - top).to(a.dtype)
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
