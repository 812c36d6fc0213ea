"""The CUDA twin of `correlate`: Triton kernels for whole-pixel products and their gradient, float32.

Features are read channels-last: one window position of one pixel is one unbroken run of C numbers, however
torn the motion is, and the network's own tensors lie that way already. A program takes a few pixels and one
window row at a time. The blend to sub-pixel positions is left to torch: linear, small, with a gradient of its own.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from svmv.correlation import corners
from svmv.splat_triton import check_device, check_size, launching_on

_BLOCK = 16  # px per program; times a window row of 8 and 32 channels: 32 numbers per thread


def correlate_triton(a: Tensor, b: Tensor, flow: Tensor, radius: int) -> Tensor:
    """Same contract as `svmv.correlation.correlate`, for float32 tensors on CUDA.

    Under TRITON_INTERPRET=1 the kernels are interpreted and tensors on the CPU are taken as well.
    """
    check_device("correlation", a)
    _, C, H, W = a.shape
    side = 2 * radius + 2
    check_size("correlation", H * W * max(C, side * side))
    left, top, fx, fy = corners(flow, radius)
    products: Tensor = _Products.apply(a, b, left.int(), top.int(), radius)  # type: ignore[no-untyped-call]
    grid = products.reshape(*products.shape[:3], side, side)
    fx, fy = fx[..., None, None], fy[..., None, None]
    rows = torch.lerp(grid[..., :-1, :], grid[..., 1:, :], fy)
    return torch.lerp(rows[..., :-1], rows[..., 1:], fx).flatten(3).permute(0, 3, 1, 2)


class _Products(torch.autograd.Function):
    """(B, H, W, (2r+2)²): mean of products of `a` at a pixel with `b` at each position of its window."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, left: Tensor, top: Tensor, radius: int) -> Tensor:
        a_, b_ = _last(a), _last(b)
        B, H, W, C = a_.shape
        side = 2 * radius + 2
        out = a_.new_empty(B, H, W, side * side)
        with launching_on(a_):
            _lookup[_programs(a_)](a_, b_, left, top, out, H, W, *_shape(C, side), radius, _BLOCK)
        ctx.save_for_backward(a_, b_, left, top)
        ctx.radius = radius
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        a, b, left, top = ctx.saved_tensors
        _, H, W, C = a.shape
        side = 2 * ctx.radius + 2
        ga, gb = torch.empty_like(a), torch.zeros_like(b)
        with launching_on(a):
            _spread[_programs(a)](
                a, b, left, top, grad.contiguous(), ga, gb, H, W, *_shape(C, side), ctx.radius, _BLOCK
            )
        return ga.permute(0, 3, 1, 2), gb.permute(0, 3, 1, 2), None, None, None


def _last(x: Tensor) -> Tensor:
    """(B, C, H, W) → contiguous (B, H, W, C), detached; no copy if it lies channels-last already."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


def _programs(last: Tensor) -> tuple[int, int]:
    B, H, W, _ = last.shape
    return triton.cdiv(H * W, _BLOCK), B


def _shape(channels: int, side: int) -> tuple[int, int, int, int]:
    """Channels and window side, each followed by the power of two Triton's tensors need."""
    return channels, triton.next_power_of_2(channels), side, triton.next_power_of_2(side)


@triton.jit
def _window_row(  # type: ignore[no-untyped-def]
    x0,
    y,
    live,
    H,
    W,
    C: tl.constexpr,
    LANES: tl.constexpr,
    SIDE: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """(BLOCK, COLUMNS, LANES) places of a row of the window in a channels-last picture; which exist."""
    column = tl.arange(0, COLUMNS)[None, :]
    lane = tl.arange(0, LANES)[None, None, :]
    x = x0[:, None] + column
    inside = live[:, None] & (column < SIDE) & (x >= 0) & (x < W) & (y >= 0)[:, None] & (y < H)[:, None]
    place = (y[:, None] * W + x) * C
    return place[:, :, None] + lane, inside[:, :, None] & (lane < C)


@triton.jit
def _lookup(  # type: ignore[no-untyped-def]
    a,
    b,
    left,
    top,
    out,
    H,
    W,
    C: tl.constexpr,
    LANES: tl.constexpr,
    SIDE: tl.constexpr,
    COLUMNS: tl.constexpr,
    RADIUS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    size = H * W
    first = tl.program_id(1).to(tl.int64) * size  # this picture's first pixel
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < size
    lane = tl.arange(0, LANES)[None, :]
    column = tl.arange(0, COLUMNS)[None, :]
    own = tl.load(a + first * C + at[:, None] * C + lane, mask=live[:, None] & (lane < C), other=0.0) * (1.0 / C)
    x0 = tl.load(left + first + at, mask=live, other=0) - RADIUS
    y0 = tl.load(top + first + at, mask=live, other=0) - RADIUS
    for i in range(SIDE):
        place, exists = _window_row(x0, y0 + i, live, H, W, C, LANES, SIDE, COLUMNS)
        seen = tl.load(b + first * C + place, mask=exists, other=0.0)
        row = tl.sum(own[:, None, :] * seen, axis=2)
        target = out + first * (SIDE * SIDE) + at[:, None] * (SIDE * SIDE) + i * SIDE + column
        tl.store(target, row, mask=live[:, None] & (column < SIDE))


@triton.jit
def _spread(  # type: ignore[no-untyped-def]
    a,
    b,
    left,
    top,
    grad,
    grad_a,
    grad_b,
    H,
    W,
    C: tl.constexpr,
    LANES: tl.constexpr,
    SIDE: tl.constexpr,
    COLUMNS: tl.constexpr,
    RADIUS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    size = H * W
    first = tl.program_id(1).to(tl.int64) * size
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < size
    lane = tl.arange(0, LANES)[None, :]
    column = tl.arange(0, COLUMNS)[None, :]
    mine = at[:, None] * C + lane
    own = tl.load(a + first * C + mine, mask=live[:, None] & (lane < C), other=0.0)
    x0 = tl.load(left + first + at, mask=live, other=0) - RADIUS
    y0 = tl.load(top + first + at, mask=live, other=0) - RADIUS
    total = tl.zeros([BLOCK, LANES], tl.float32)
    for i in range(SIDE):
        source = grad + first * (SIDE * SIDE) + at[:, None] * (SIDE * SIDE) + i * SIDE + column
        g = tl.load(source, mask=live[:, None] & (column < SIDE), other=0.0) * (1.0 / C)
        place, exists = _window_row(x0, y0 + i, live, H, W, C, LANES, SIDE, COLUMNS)
        seen = tl.load(b + first * C + place, mask=exists, other=0.0)
        total += tl.sum(g[:, :, None] * seen, axis=1)
        tl.atomic_add(grad_b + first * C + place, g[:, :, None] * own[:, None, :], mask=exists, sem="relaxed")
    tl.store(grad_a + first * C + mine, total, mask=live[:, None] & (lane < C))
