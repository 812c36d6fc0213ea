"""The CPU twin of `synthesize`, fused: each row of the volume is moved to the time t, enlarged and splatted at once.

The definition writes every intermediate field at full size; here they live in rows of a few kilobytes. No gradients.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import torch
from numba import prange
from torch import Tensor

from svmv.carried_numba import at_time, enlarged, sharpened, softening, standing
from svmv.jit import kernel, part
from svmv.motion import Motion
from svmv.vectors_numba import add_four_times
from svmv.volume_numba import doubled

_ZERO, _ONE = np.float32(0), np.float32(1)
_FEWEST_ROWS = 16  # of a job; a job's band of targets is that much larger than its rows anyway

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PackedMotion(Motion):
    """A motion volume whose fields are views of one array."""

    whole: Tensor  # the array, as `members` gives it
    furthest: Tensor  # (2B, h, 2): of each row the largest vertical velocity and acceleration, px


def packed(motion: Motion) -> tuple[Tensor, Tensor]:
    """Members, see `Motion.members`, and `furthest` of `PackedMotion`."""
    if isinstance(motion, PackedMotion):
        return motion.whole, motion.furthest
    return motion.members(), torch.stack([reach(motion.velocity), reach(motion.acceleration)], dim=2)


def reach(motion: Tensor) -> Tensor:
    """(N, M, 2, h, w) → (N, h), the largest vertical motion of each row; NaN counts as none, for it lands nowhere."""
    return motion[:, :, 1].abs().nan_to_num(nan=0, posinf=torch.inf).amax(dim=(1, 3))


def synthesize_numba(motion: Motion, t: Tensor, *, hole: float) -> Tensor:
    """Same contract as `svmv.synthesis.synthesize`, on the CPU, without gradients; to 1e-4.

    Args:
        motion: of B windows.
        t: (B, T), in [0, 1].
        hole: weight of the linear blend that fills what nothing lands on.

    Returns:
        (B, T, C, H, W), a view of channels-last pictures.
    """
    pictures = motion.pictures.float().permute(0, 2, 3, 1).contiguous().numpy()
    members, furthest = (array.numpy() for array in packed(motion))
    N, H, W, C = pictures.shape
    lanes = 4 if C == 3 else max(C + 1, 8)
    height, width = motion.size
    out = np.empty((t.shape[1], N // 2, height, width, C), np.float32)
    for k, one in enumerate(t.float().unbind(dim=1)):
        local = torch.cat([one, 1 - one]).contiguous().numpy()
        jobs = _jobs(furthest, local, height=H, row_size=W * lanes)
        grid = np.empty(int(jobs[-1, 5]) + int(jobs[-1, 4] - jobs[-1, 3]) * W * lanes, np.float32)
        _scatter(pictures, members, local, jobs, lanes, grid)
        _finish(pictures, local, jobs, lanes, grid, np.float32(hole), out[k])
    return torch.from_numpy(out).permute(1, 0, 4, 2, 3)


def _jobs(furthest: Array, local: Array, *, height: int, row_size: int) -> npt.NDArray[np.int64]:
    """Rows of each anchor for the threads, and the band of target rows each of them can reach.

    Returns:
        (jobs, 6): anchor, first row, row behind the last, the same of the band, the band's place in the grid.
    """
    N = len(local)
    chunks = max(1, min(-(-numba.get_num_threads() // N), height // _FEWEST_ROWS))
    jobs, place = [], 0
    for n in range(N):
        s = float(local[n])
        rows = s * furthest[n, :, 0] + (s - s * s) * furthest[n, :, 1]
        for k in range(chunks):
            first, last = k * height // chunks, (k + 1) * height // chunks
            reach = int(min(float(rows[max(first // 2 - 1, 0) : last // 2 + 2].max()), height)) + 2
            top, bottom = max(first - reach, 0), min(last + reach, height)
            jobs.append((n, first, last, top, bottom, place))
            place += (bottom - top) * row_size
    return np.array(jobs, np.int64)


@kernel
def _scatter(pictures, members, local, jobs, lanes, grid):  # type: ignore[no-untyped-def]
    """Each job's rows into its own band of the grid: C channels, the norm behind them, up to `lanes`."""
    N, H, W, C = pictures.shape
    K, h, w = members.shape[1:]
    M = K // 6
    for job in prange(len(jobs)):
        n, first, last, top, bottom, place = jobs[job]
        band = grid[place : place + (bottom - top) * W * lanes]
        band[:] = 0
        half = np.empty((2, 3 * M + 2, w), np.float32)  # the two latest rows of the volume at this time
        held = np.full(2, -1)
        fine = np.empty((3 * M + 2, W), np.float32)
        soft = np.empty((3, W), np.float32)
        carried = np.zeros((W, lanes), np.float32)
        places, shares = np.full(W, -1, np.int32), np.empty((4, W), np.float32)
        for y in range(first, last):
            upper, lower, down = doubled(y, h)
            for row in (upper, lower):
                if held[row % 2] != row:
                    at_time(members[n, :, row], local[n], half[row % 2])
                    held[row % 2] = row
            enlarged(half[upper % 2], half[lower % 2], down, fine)
            own, start = pictures[n, y], (y - top) * W * lanes
            standing(fine, M, own, pictures[(n + N // 2) % N, y], _ONE - local[n], band[start : start + W * lanes])
            softening(fine, M, soft)
            sharpened(pictures[n, max(y - 1, 0)], own, pictures[n, min(y + 1, H - 1)], soft, C, carried)
            _spread(fine, M, carried, y, H, W, top, bottom, _ONE - local[n], places, shares, band)


@part
def _spread(fine, M, carried, y, H, W, top, bottom, scale, places, shares, band):  # type: ignore[no-untyped-def]
    """A row's pixels, M times each, over the four pixels around where they land.

    Neighbours add to the same pixels and wait for each other's sums; pixels from four parts of the row in turn do not.
    """
    quarter = W // 4  # W is a multiple of 8
    for m in range(M):
        if carried.shape[1] == 4:
            _aim(fine, M, m, y, W, top, bottom, scale, places, shares)
        for x in range(quarter):
            a, b, c, d = x, quarter + x, 2 * quarter + x, 3 * quarter + x
            if min(min(places[a], places[b]), min(places[c], places[d])) >= 0:
                add_four_times(band, places[a], 4 * W, carried, shares, a)
                add_four_times(band, places[b], 4 * W, carried, shares, b)
                add_four_times(band, places[c], 4 * W, carried, shares, c)
                add_four_times(band, places[d], 4 * W, carried, shares, d)
                continue
            for k in (a, b, c, d):
                if places[k] >= 0:
                    add_four_times(band, places[k], 4 * W, carried, shares, k)
                else:
                    _land(fine, M, m, carried, k, y, H, W, top, bottom, scale, band)


@part
def _aim(fine, M, m, y, W, top, bottom, scale, places, shares):  # type: ignore[no-untyped-def]
    """Where in the band a row's pixels land, and the shares of the four pixels there; −1 if not all are in it."""
    for x in range(W):
        px, py = np.float32(x) + fine[m, x], np.float32(y) + fine[M + m, x]
        # Comparing floats first keeps wild or NaN offsets away from the integer conversion.
        inside = px >= 0 and px < W - 1 and py >= top and py < bottom - 1
        px, py = (px, py) if inside else (_ZERO, _ZERO)
        x0, y0 = np.int32(px), np.int32(py)
        fx, fy = px - np.float32(x0), py - np.float32(y0)
        places[x] = 4 * ((y0 - top) * W + x0) if inside else -1
        weight = fine[2 * M + m, x] * scale
        over, under = weight * (_ONE - fy), weight * fy
        shares[0, x], shares[1, x] = over * (_ONE - fx), over * fx
        shares[2, x], shares[3, x] = under * (_ONE - fx), under * fx


@part
def _land(fine, M, m, carried, x, y, H, W, top, bottom, scale, band):  # type: ignore[no-untyped-def]
    """One pixel, once, wherever it lands."""
    lanes = carried.shape[1]
    px, py = np.float32(x) + fine[m, x], np.float32(y) + fine[M + m, x]
    if not (px > -1 and px < W and py > -1 and py < H):
        return
    x0, y0 = int(np.floor(px)), int(np.floor(py))
    fx, fy = px - np.float32(x0), py - np.float32(y0)
    weight = fine[2 * M + m, x] * scale
    for dy in range(2):
        if y0 + dy < top or y0 + dy >= bottom:
            continue
        for dx in range(2):
            if x0 + dx < 0 or x0 + dx >= W:
                continue
            share = weight * (fy if dy else _ONE - fy) * (fx if dx else _ONE - fx)
            target = ((y0 + dy - top) * W + x0 + dx) * lanes
            for c in range(lanes):
                band[target + c] += share * carried[x, c]


@kernel
def _finish(pictures, local, jobs, lanes, grid, hole, out):  # type: ignore[no-untyped-def]
    """Add the bands up, divide by the norm, fill holes with the linear blend, leave the padding out."""
    W = pictures.shape[2]
    B, height, width, C = out.shape
    for row in prange(B * height):
        b, y = row // height, row % height
        total = np.zeros(W * lanes, np.float32)
        for job in range(len(jobs)):
            n, top, bottom = jobs[job, 0], jobs[job, 3], jobs[job, 4]
            if n % B == b and top <= y < bottom:
                part_of_it = grid[jobs[job, 5] + (y - top) * W * lanes :]
                for k in range(W * lanes):
                    total[k] += part_of_it[k]
        left, right, made, s = pictures[b, y], pictures[b + B, y], out[b, y], local[b]
        if C == 3:  # said one by one, so that the loop becomes one over vectors
            for x in range(width):
                scale = _ONE / (total[4 * x + 3] + hole)
                made[x, 0] = (total[4 * x] + hole * (left[x, 0] + s * (right[x, 0] - left[x, 0]))) * scale
                made[x, 1] = (total[4 * x + 1] + hole * (left[x, 1] + s * (right[x, 1] - left[x, 1]))) * scale
                made[x, 2] = (total[4 * x + 2] + hole * (left[x, 2] + s * (right[x, 2] - left[x, 2]))) * scale
            continue
        for x in range(width):
            scale = _ONE / (total[lanes * x + C] + hole)
            for c in range(C):
                blend = left[x, c] + s * (right[x, c] - left[x, c])
                made[x, c] = (total[lanes * x + c] + hole * blend) * scale
