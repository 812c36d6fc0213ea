"""The CUDA twin of `synthesize`, fused over members and over times: one Triton kernel from the volume to the grid.

A program takes a run of pixels of one anchor at one time: it enlarges their members from 1/2 size, sharpens what they
carry and adds it where it lands; nothing of full size is written before that. Programs of the same pixels at different
times run side by side, so the volume is read from memory once. A second kernel divides by the norm. No gradients.
"""

import triton
import triton.language as tl
from torch import Tensor

from svmv.motion import _LOGIT_RANGE, STILL_COST, STILL_RANGE, Motion
from svmv.splat_triton import BLOCK, check_device, check_size, drop, landing, launching_on


def synthesize_triton(motion: Motion, t: Tensor, *, hole: float) -> Tensor:
    """Same contract as `svmv.synthesis.synthesize`, for float32 tensors on CUDA, without gradients; to 1e-4.

    Under TRITON_INTERPRET=1 the kernels are interpreted and tensors on the CPU are taken as well.

    Args:
        motion: of B windows.
        t: (B, T), in [0, 1].
        hole: weight of the linear blend that fills what nothing lands on.
    """
    pictures, members, times = motion.pictures.float().contiguous(), motion.members(), t.float().contiguous()
    check_device("synthesis", pictures)
    N, C, H, W = pictures.shape
    (B, T), M = times.shape, motion.velocity.shape[1]
    check_size("synthesis", max((C + 1) * H * W, members[0].numel()))
    lanes = triton.next_power_of_2(C + 1)
    grid = pictures.new_zeros(B, T, C + 1, H, W)
    out = pictures.new_empty(B, T, C, H, W)
    blocks = triton.cdiv(H * W, BLOCK)
    with launching_on(pictures):
        _scatter[(blocks * T, N)](
            pictures, members, times, grid, M, H, W, B, T, C, lanes, _LOGIT_RANGE, STILL_COST, *STILL_RANGE, BLOCK
        )
        _finish[(blocks, B * T)](pictures, times, grid, out, hole, H, W, B, T, C, lanes, BLOCK)
    height, width = motion.size
    return out[..., :height, :width]


@triton.jit
def _doubled(at, size):  # type: ignore[no-untyped-def]
    """Where a sample of a doubled row comes from, bilinear, the ends repeated: two samples, the share of the second."""
    first = (at + 1) // 2 - 1
    share = tl.where(at % 2 == 0, 0.75, 0.25)
    return tl.maximum(first, 0), tl.minimum(first + 1, size - 1), share


@triton.jit
def _four(field, places):  # type: ignore[no-untyped-def]
    """The samples of a field of 1/2 size that lie around each pixel."""
    a, b, c, d = places
    return tl.load(field + a), tl.load(field + b), tl.load(field + c), tl.load(field + d)


@triton.jit
def _mixed(samples, shares):  # type: ignore[no-untyped-def]
    a, b, c, d = samples
    wa, wb, wc, wd = shares
    return a * wa + b * wb + c * wc + d * wd


@triton.jit
def _weighed(samples, slopes, s, LIMIT: tl.constexpr):  # type: ignore[no-untyped-def]
    """Log weights of four samples at a local time, each within its range."""
    a, b, c, d = samples
    ka, kb, kc, kd = slopes
    late = s - 0.5
    return (
        tl.clamp(a + ka * late, -LIMIT, LIMIT),
        tl.clamp(b + kb * late, -LIMIT, LIMIT),
        tl.clamp(c + kc * late, -LIMIT, LIMIT),
        tl.clamp(d + kd * late, -LIMIT, LIMIT),
    )


@triton.jit
def _member(member, places, shares, small, s, LIMIT: tl.constexpr):  # type: ignore[no-untyped-def]
    """Offset and weight of one member at a local time; see `Motion.trajectory`."""
    bend = s * s - s
    dx = _mixed(_four(member, places), shares) * s + _mixed(_four(member + 2 * small, places), shares) * bend
    dy = _mixed(_four(member + small, places), shares) * s + _mixed(_four(member + 3 * small, places), shares) * bend
    logits = _weighed(_four(member + 4 * small, places), _four(member + 5 * small, places), s, LIMIT)
    return dx, dy, tl.exp(_mixed(logits, shares))


@triton.jit
def _fraction(offset):  # type: ignore[no-untyped-def]
    """What an offset has beyond whole pixels; of a wild one, which lands nowhere, none."""
    tame = tl.clamp(offset, -1e6, 1e6)
    return tame - tl.floor(tame)


@triton.jit
def _scatter(  # type: ignore[no-untyped-def]
    pictures,
    members,
    times,
    grid,
    M,
    H,
    W,
    B,
    T,
    C: tl.constexpr,
    LANES: tl.constexpr,
    LIMIT: tl.constexpr,
    COST: tl.constexpr,
    LEAST: tl.constexpr,
    MOST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Every pixel of an anchor, M times, into the grid (B, T, C + 1, H, W): C channels, the norm behind them."""
    k = tl.program_id(0) % T
    at = tl.program_id(0) // T * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1)
    b = n % B
    t = tl.load(times + b * T + k)
    s = tl.where(n < B, t, 1 - t)
    size, h, w = H * W, H // 2, W // 2
    small = h * w
    live = at < size
    at = tl.minimum(at, size - 1)  # so that every read below is one of the picture's
    x, y = at % W, at // W
    left, right, along = _doubled(x, w)
    upper, lower, down = _doubled(y, h)
    places = (upper * w + left, upper * w + right, lower * w + left, lower * w + right)
    shares = ((1 - down) * (1 - along), (1 - down) * along, down * (1 - along), down * along)
    volume = members + n.to(tl.int64) * (6 * M + 2) * small
    across, below, total = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for m in range(M):
        dx, dy, weight = _member(volume + 6 * m * small, places, shares, small, s, LIMIT)
        fx, fy = _fraction(dx), _fraction(dy)
        across += weight * fx * (1 - fx)
        below += weight * fy * (1 - fy)
        total += weight
    sharpness = 0.5 * _mixed(_four(volume + 6 * M * small, places), shares) / total
    own = pictures + n.to(tl.int64) * C * size
    carried = _sharpened(own, x, y, H, W, across * sharpness, below * sharpness, C, LANES)
    target = grid + (b * T + k).to(tl.int64) * (C + 1) * size
    still = _mixed(_four(volume + (6 * M + 1) * small, places), shares)
    other = pictures + ((n + B) % (2 * B)).to(tl.int64) * C * size
    stays = _standing(own, other, target, at, live, still, 1 - s, size, C, LANES, COST, LEAST, MOST)
    for m in range(M):
        dx, dy, weight = _member(volume + 6 * m * small, places, shares, small, s, LIMIT)
        x0, y0, fx, fy, near = landing(x + dx, y + dy, live, H, W)
        drop(target, carried, weight / (1 + stays) * (1 - s), x0, y0, fx, fy, near, H, W, C, LANES)


@triton.jit
def _standing(  # type: ignore[no-untyped-def]
    own,
    other,
    target,
    at,
    live,
    still,
    share,
    size,
    C: tl.constexpr,
    LANES: tl.constexpr,
    COST: tl.constexpr,
    LEAST: tl.constexpr,
    MOST: tl.constexpr,
):
    """What stands still of a run of pixels, added where it is; returns its weights. See `synthesis.standing`."""
    lane = tl.arange(0, LANES)[:, None]
    plane = lane * size + at[None, :]
    here = tl.load(own + plane, mask=lane < C, other=0.0)
    there = tl.load(other + plane, mask=lane < C, other=0.0)
    change = tl.sum(tl.where(lane < 3, tl.abs(here - there), 0.0), axis=0) / 3
    stays = tl.exp(tl.clamp(still - COST * change, LEAST, MOST))
    kept = tl.where(lane == C, 1.0, here) * (stays * share)[None, :]
    tl.atomic_add(target + plane, kept, mask=live[None, :] & (lane <= C), sem="relaxed")
    return stays


@triton.jit
def _sharpened(picture, x, y, H, W, across, down, C: tl.constexpr, LANES: tl.constexpr):  # type: ignore[no-untyped-def]
    """(LANES, BLOCK): what pixels carry, see `synthesis.sharpened`; then the one that becomes the norm, then zeros."""
    lane = tl.arange(0, LANES)[:, None]
    real = lane < C
    plane = picture + lane * (H * W)
    row = y * W
    own = tl.load(plane + (row + x)[None, :], mask=real, other=0.0)
    beside = tl.load(plane + (row + tl.maximum(x - 1, 0))[None, :], mask=real, other=0.0)
    beside += tl.load(plane + (row + tl.minimum(x + 1, W - 1))[None, :], mask=real, other=0.0)
    around = tl.load(plane + (tl.maximum(y - 1, 0) * W + x)[None, :], mask=real, other=0.0)
    around += tl.load(plane + (tl.minimum(y + 1, H - 1) * W + x)[None, :], mask=real, other=0.0)
    sharp = own - across[None, :] * (beside - 2 * own) - down[None, :] * (around - 2 * own)
    return tl.where(lane == C, 1.0, tl.where(real, sharp, 0.0))


@triton.jit
def _finish(  # type: ignore[no-untyped-def]
    pictures,
    times,
    grid,
    out,
    hole,
    H,
    W,
    B,
    T,
    C: tl.constexpr,
    LANES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Divide by the norm; where hardly anything landed, the linear blend."""
    size = H * W
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < size
    job = tl.program_id(1).to(tl.int64)  # b·T + k
    b = job // T
    t = tl.load(times + job)
    lane = tl.arange(0, LANES)[:, None]
    wanted = live[None, :] & (lane < C)
    plane = lane * size + at[None, :]
    left = tl.load(pictures + b * C * size + plane, mask=wanted, other=0.0)
    right = tl.load(pictures + (b + B) * C * size + plane, mask=wanted, other=0.0)
    total = tl.load(grid + job * (C + 1) * size + plane, mask=wanted, other=0.0)
    norm = tl.load(grid + (job * (C + 1) + C) * size + at, mask=live, other=1.0)
    blend = left + t * (right - left)
    tl.store(out + job * C * size + plane, (total + hole * blend) / (norm + hole)[None, :], mask=wanted)
