"""The CUDA twin of `splat`: two Triton kernels, forward and backward, float32. Knows no other device.

Everything stays planar, as it arrives. A program takes a run of pixels of one picture, loads what they carry
once and walks over the M members. Neighbours in x are neighbours in memory for every read, and under smooth
motion for every atomic addition too; a channels-last grid would need copies of all inputs to gain nothing.
The forward kernel adds atomically, so its last bits depend on the order of arrival; the backward only gathers.
"""

import os
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 256  # px per program


def splat_triton(values: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Same contract as `svmv.splat.splat`, for float32 tensors on CUDA.

    Under TRITON_INTERPRET=1 the kernels are interpreted and tensors on the CPU are taken as well.
    """
    check_device("splat", values)
    _, C, H, W = values.shape
    check_size("splat", (C + 1) * H * W)
    out: tuple[Tensor, Tensor] = _Splat.apply(values, offsets.float(), weights.float())  # type: ignore[no-untyped-call]
    return out


def check_device(what: str, tensor: Tensor) -> None:
    """Refuse tensors the kernels cannot read.

    Raises:
        ValueError: not float32, or not on CUDA while the interpreter is off.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if tensor.dtype != torch.float32 or not (tensor.is_cuda or interpreted):
        raise ValueError(f"the Triton {what} takes float32 on CUDA, got {tensor.dtype} on {tensor.device}")


def check_size(what: str, numbers: int) -> None:
    """Refuse pictures too large to be addressed with 32 bits inside; pictures and members count with 64.

    Raises:
        ValueError: one picture holds 2³¹ numbers or more (8K with alpha holds 0.17·10⁹).
    """
    if numbers >= 2**31 - BLOCK:
        raise ValueError(f"the Triton {what} takes less than 2^31 numbers per picture, got {numbers}")


def launching_on(tensor: Tensor) -> torch.cuda.device:
    """Context that makes a tensor's device the current one: Triton launches there, whatever it is handed."""
    return torch.cuda.device(tensor.device if tensor.is_cuda else -1)


class _Splat(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        v, o, w = (x.detach().contiguous() for x in (values, offsets, weights))
        B, C, H, W = v.shape
        grid = v.new_zeros(B, C + 1, H, W)
        with launching_on(v):
            _scatter[_programs(v)](v, o, w, grid, o.shape[1], H, W, C, triton.next_power_of_2(C + 1), BLOCK)
        ctx.save_for_backward(v, o, w)
        return grid[:, :C], grid[:, C:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_sum: Tensor, grad_norm: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        v, o, w = ctx.saved_tensors
        C = v.shape[1]
        g = torch.cat([grad_sum, grad_norm], dim=1).contiguous()
        # Where pictures are plain data their gradient, the larger half of the stores, is not asked for.
        wanted = bool(ctx.needs_input_grad[0])
        gv, go, gw = torch.empty_like(v) if wanted else v, torch.empty_like(o), torch.empty_like(w)
        lanes = triton.next_power_of_2(C + 1)
        with launching_on(v):
            _gather[_programs(v)](v, o, w, g, gv, go, gw, o.shape[1], *v.shape[2:], C, lanes, BLOCK, wanted)
        return gv if wanted else None, go, gw


def _programs(values: Tensor) -> tuple[int, int]:
    B, _, H, W = values.shape
    return triton.cdiv(H * W, BLOCK), B


@triton.jit
def landing(px, py, live, H, W):  # type: ignore[no-untyped-def]
    """Column, row and fractions of where pixels land, and which land near enough to touch the picture.

    Comparing floats first keeps wild and NaN positions away from the integer conversion.
    """
    near = live & (px > -1) & (px < W) & (py > -1) & (py < H)
    px, py = tl.where(near, px, 0.0), tl.where(near, py, 0.0)
    left, top = tl.floor(px), tl.floor(py)
    return left.to(tl.int32), top.to(tl.int32), px - left, py - top, near


@triton.jit
def _moved(offsets, member, at, live, H, W):  # type: ignore[no-untyped-def]
    """Where pixels are after a member's offsets, px."""
    size = H * W
    px = (at % W).to(tl.float32) + tl.load(offsets + 2 * member * size + at, mask=live, other=0.0)
    py = (at // W).to(tl.float32) + tl.load(offsets + (2 * member + 1) * size + at, mask=live, other=0.0)
    return px, py


@triton.jit
def drop(out, carried, weight, x0, y0, fx, fy, near, H, W, C: tl.constexpr, LANES: tl.constexpr):  # type: ignore[no-untyped-def]
    """Add what pixels carry, (LANES, BLOCK) of which C + 1 count, to the four pixels around where each lands."""
    lane = tl.arange(0, LANES)[:, None]
    for dy in tl.static_range(2):
        for dx in tl.static_range(2):
            cx, cy = x0 + dx, y0 + dy
            share = weight * (fx if dx else 1 - fx) * (fy if dy else 1 - fy)
            inside = near & (cx >= 0) & (cx < W) & (cy >= 0) & (cy < H)
            target = out + lane * (H * W) + (cy * W + cx)[None, :]
            tl.atomic_add(target, carried * share[None, :], mask=inside[None, :] & (lane <= C), sem="relaxed")


@triton.jit
def _carried(values, b, at, live, size, C: tl.constexpr, LANES: tl.constexpr):  # type: ignore[no-untyped-def]
    """(LANES, BLOCK): a pixel's channels, then a one that becomes the norm, then zeros."""
    lane = tl.arange(0, LANES)[:, None]
    own = tl.load(values + b * C * size + lane * size + at[None, :], mask=live[None, :] & (lane < C), other=0.0)
    return tl.where(lane == C, 1.0, own)


@triton.jit
def _scatter(  # type: ignore[no-untyped-def]
    values,
    offsets,
    weights,
    grid,
    M,
    H,
    W,
    C: tl.constexpr,
    LANES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    size = H * W
    b = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < size
    carried = _carried(values, b, at, live, size, C, LANES)
    out = grid + b * (C + 1) * size
    for m in range(M):
        member = b * M + m
        weight = tl.load(weights + member * size + at, mask=live, other=0.0)
        px, py = _moved(offsets, member, at, live, H, W)
        x0, y0, fx, fy, near = landing(px, py, live, H, W)
        drop(out, carried, weight, x0, y0, fx, fy, near, H, W, C, LANES)


@triton.jit
def _gather(  # type: ignore[no-untyped-def]
    values,
    offsets,
    weights,
    grad,
    grad_values,
    grad_offsets,
    grad_weights,
    M,
    H,
    W,
    C: tl.constexpr,
    LANES: tl.constexpr,
    BLOCK: tl.constexpr,
    WANT_VALUES: tl.constexpr,
):
    size = H * W
    b = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < size
    lane = tl.arange(0, LANES)[:, None]
    carried = _carried(values, b, at, live, size, C, LANES)
    arriving = grad + b * (C + 1) * size
    total = tl.zeros([LANES, BLOCK], tl.float32)
    for m in range(M):
        member = b * M + m
        weight = tl.load(weights + member * size + at, mask=live, other=0.0)
        px, py = _moved(offsets, member, at, live, H, W)
        x0, y0, fx, fy, near = landing(px, py, live, H, W)
        by_weight = tl.zeros([BLOCK], tl.float32)
        by_x = tl.zeros([BLOCK], tl.float32)
        by_y = tl.zeros([BLOCK], tl.float32)
        for dy in tl.static_range(2):
            for dx in tl.static_range(2):
                cx, cy = x0 + dx, y0 + dy
                sx, sy = (fx if dx else 1 - fx), (fy if dy else 1 - fy)
                inside = near & (cx >= 0) & (cx < W) & (cy >= 0) & (cy < H)
                source = arriving + lane * size + (cy * W + cx)[None, :]
                g = tl.load(source, mask=inside[None, :] & (lane <= C), other=0.0)
                dot = tl.sum(g * carried, axis=0)
                by_weight += sx * sy * dot
                by_x += (2 * dx - 1) * sy * dot
                by_y += (2 * dy - 1) * sx * dot
                if WANT_VALUES:
                    total += g * (weight * sx * sy)[None, :]
        tl.store(grad_weights + member * size + at, by_weight, mask=live)
        tl.store(grad_offsets + 2 * member * size + at, weight * by_x, mask=live)
        tl.store(grad_offsets + (2 * member + 1) * size + at, weight * by_y, mask=live)
    if WANT_VALUES:
        tl.store(grad_values + b * C * size + lane * size + at[None, :], total, mask=live[None, :] & (lane < C))
