"""The CPU twin of `splat`: compiled loops, forward and backward, float32.

Forward scatters, so each chunk of source rows adds into an accumulator of its own; backward only gathers.
"""

from typing import Any

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from svmv.jit import kernel


def splat_numba(values: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Same contract as `svmv.splat.splat`, for float32 tensors on the CPU."""
    if values.device.type != "cpu" or values.dtype != torch.float32:
        raise ValueError(f"the numba splat takes float32 on the CPU, got {values.dtype} on {values.device}")
    out: tuple[Tensor, Tensor] = _Splat.apply(values, offsets.float(), weights.float())  # type: ignore[no-untyped-call]
    return out


class _Splat(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        v, o, w = _last(values), offsets.detach().contiguous(), weights.detach().contiguous()
        B, H, W, C = v.shape
        chunks = max(1, -(-numba.get_num_threads() // B))
        grid = np.zeros((B, chunks, H, W, C + 1), np.float32)
        _scatter(v.numpy(), o.numpy(), w.numpy(), grid)
        ctx.save_for_backward(v, o, w)
        total = torch.from_numpy(grid[:, 0] if chunks == 1 else grid.sum(axis=1)).permute(0, 3, 1, 2)
        return total[:, :C], total[:, C:]

    @staticmethod
    def backward(ctx: Any, grad_sum: Tensor, grad_norm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        v, o, w = ctx.saved_tensors
        g = _last(torch.cat([grad_sum, grad_norm], dim=1))
        gv, go, gw = np.empty_like(v.numpy()), np.empty_like(o.numpy()), np.empty_like(w.numpy())
        _gather(v.numpy(), o.numpy(), w.numpy(), g.numpy(), gv, go, gw)
        return torch.from_numpy(gv).permute(0, 3, 1, 2), torch.from_numpy(go), torch.from_numpy(gw)


def _last(x: Tensor) -> Tensor:
    """(B, C, H, W) → contiguous (B, H, W, C), detached."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


@kernel
def _scatter(values, offsets, weights, grid):  # type: ignore[no-untyped-def]
    B, H, W, C = values.shape
    M = offsets.shape[1]
    chunks = grid.shape[1]
    for job in prange(B * chunks):
        b, k = job // chunks, job % chunks
        out = grid[b, k]
        for y in range(k * H // chunks, (k + 1) * H // chunks):
            for m in range(M):
                for x in range(W):
                    w = weights[b, m, y, x]
                    # Comparing floats first keeps wild or NaN offsets away from the integer conversion.
                    px, py = x + offsets[b, m, 0, y, x], y + offsets[b, m, 1, y, x]
                    if not (px > -1 and px < W and py > -1 and py < H):
                        continue
                    x0, y0 = int(np.floor(px)), int(np.floor(py))
                    fx, fy = px - x0, py - y0
                    for dy in range(2):
                        cy = y0 + dy
                        if cy < 0 or cy >= H:
                            continue
                        wy = w * (fy if dy else 1 - fy)
                        for dx in range(2):
                            cx = x0 + dx
                            if cx < 0 or cx >= W:
                                continue
                            s = wy * (fx if dx else 1 - fx)
                            for c in range(C):
                                out[cy, cx, c] += s * values[b, y, x, c]
                            out[cy, cx, C] += s


@kernel
def _gather(values, offsets, weights, grad, grad_values, grad_offsets, grad_weights):  # type: ignore[no-untyped-def]
    B, H, W, C = values.shape
    M = offsets.shape[1]
    for row in prange(B * H):
        b, y = row // H, row % H
        for x in range(W):
            for c in range(C):
                grad_values[b, y, x, c] = 0
        for m in range(M):
            for x in range(W):
                w = weights[b, m, y, x]
                px, py = x + offsets[b, m, 0, y, x], y + offsets[b, m, 1, y, x]
                gw, gx, gy = np.float32(0), np.float32(0), np.float32(0)
                if px > -1 and px < W and py > -1 and py < H:
                    x0, y0 = int(np.floor(px)), int(np.floor(py))
                    fx, fy = px - x0, py - y0
                    for dy in range(2):
                        cy = y0 + dy
                        if cy < 0 or cy >= H:
                            continue
                        sy, ty = (fy, 1) if dy else (1 - fy, -1)
                        for dx in range(2):
                            cx = x0 + dx
                            if cx < 0 or cx >= W:
                                continue
                            sx, tx = (fx, 1) if dx else (1 - fx, -1)
                            dot = grad[b, cy, cx, C]
                            for c in range(C):
                                g = grad[b, cy, cx, c]
                                dot += values[b, y, x, c] * g
                                grad_values[b, y, x, c] += w * sx * sy * g
                            gw += sx * sy * dot
                            gx += tx * sy * dot
                            gy += ty * sx * dot
                grad_weights[b, m, y, x] = gw
                grad_offsets[b, m, 0, y, x] = w * gx
                grad_offsets[b, m, 1, y, x] = w * gy
