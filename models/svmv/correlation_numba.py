"""The CPU twin of `correlate`: compiled loops over channels-last features, float32, with its backward."""

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from svmv.jit import inlined, kernel


def correlate_numba(a: Tensor, b: Tensor, flow: Tensor, radius: int) -> Tensor:
    """Same contract as `svmv.correlation.correlate`, for float32 tensors on the CPU."""
    out: Tensor = _Correlate.apply(a, b, flow, radius)  # type: ignore[no-untyped-call]
    return out


class _Correlate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, flow: Tensor, radius: int) -> Tensor:
        a_, b_, f = _last(a), _last(b), flow.detach().contiguous()
        B, H, W, _ = a_.shape
        out = np.empty((B, H, W, (2 * radius + 1) ** 2), np.float32)
        _lookup(a_.numpy(), b_.numpy(), f.numpy(), radius, out)
        ctx.save_for_backward(a_, b_, f)
        ctx.radius = radius
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        a, b, f = ctx.saved_tensors
        ga, gb = np.zeros_like(a.numpy()), np.zeros_like(b.numpy())
        _spread(a.numpy(), b.numpy(), f.numpy(), ctx.radius, _last(grads[0].float()).numpy(), ga, gb)
        return torch.from_numpy(ga).permute(0, 3, 1, 2), torch.from_numpy(gb).permute(0, 3, 1, 2), None, None


def _last(x: Tensor) -> Tensor:
    return x.detach().permute(0, 2, 3, 1).contiguous()


@inlined
def _corner(position, size, side):  # type: ignore[no-untyped-def]
    """Integer part and fraction of a position, clamped (NaN too) to where every read gives zero."""
    position = position if position > -side - 1 else np.float32(-side - 1)
    position = min(np.float32(position), np.float32(size + side))
    whole = int(np.floor(position))
    return whole, np.float32(position - whole)


@kernel
def _lookup(a, b, flow, radius, out):  # type: ignore[no-untyped-def]
    B, H, W, C = a.shape
    side = 2 * radius + 2
    scale = np.float32(1.0 / C)
    for row in prange(B * H):
        n, y = row // H, row % H
        dots = np.empty((side, side), np.float32)
        for x in range(W):
            x0, fx = _corner(x + flow[n, 0, y, x], W, side)
            y0, fy = _corner(y + flow[n, 1, y, x], H, side)
            for i in range(side):
                cy = y0 + i - radius
                for j in range(side):
                    cx = x0 + j - radius
                    dot = np.float32(0)
                    if 0 <= cy < H and 0 <= cx < W:
                        for c in range(C):
                            dot += a[n, y, x, c] * b[n, cy, cx, c]
                    dots[i, j] = dot * scale
            for i in range(side - 1):
                for j in range(side - 1):
                    upper = dots[i, j] * (1 - fx) + dots[i, j + 1] * fx
                    lower = dots[i + 1, j] * (1 - fx) + dots[i + 1, j + 1] * fx
                    out[n, y, x, i * (side - 1) + j] = upper * (1 - fy) + lower * fy


@kernel
def _spread(a, b, flow, radius, grad, grad_a, grad_b):  # type: ignore[no-untyped-def]
    B, H, W, C = a.shape
    side = 2 * radius + 2
    scale = np.float32(1.0 / C)
    for n in prange(B):  # grad_b is scattered into, so one picture belongs to one thread
        dots = np.empty((side, side), np.float32)
        for y in range(H):
            for x in range(W):
                x0, fx = _corner(x + flow[n, 0, y, x], W, side)
                y0, fy = _corner(y + flow[n, 1, y, x], H, side)
                dots[:] = 0
                for i in range(side - 1):
                    for j in range(side - 1):
                        g = grad[n, y, x, i * (side - 1) + j] * scale
                        dots[i, j] += g * (1 - fx) * (1 - fy)
                        dots[i, j + 1] += g * fx * (1 - fy)
                        dots[i + 1, j] += g * (1 - fx) * fy
                        dots[i + 1, j + 1] += g * fx * fy
                for i in range(side):
                    cy = y0 + i - radius
                    if cy < 0 or cy >= H:
                        continue
                    for j in range(side):
                        cx = x0 + j - radius
                        if cx < 0 or cx >= W:
                            continue
                        g = dots[i, j]
                        for c in range(C):
                            grad_a[n, y, x, c] += g * b[n, cy, cx, c]
                            grad_b[n, cy, cx, c] += g * a[n, y, x, c]
