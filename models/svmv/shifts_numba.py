"""The CPU's form of `shifts.settled`, passes over memory. Arrays are channels-last, contiguous, float32.

N is twice the number B of windows, as in `volume_numba`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from svmv.jit import kernel
from svmv.motion_numba import around, mean_around, twice
from svmv.shifts import AROUND, CLEAR, GAIN, SHARE
from svmv.volume_numba import doubled

Array = npt.NDArray[np.float32]

_HALF, _12TH = (np.float32(k) for k in (1 / 2, 1 / 12))
_REACH, _SHARE, _GAIN = AROUND // 2, np.float32(SHARE), np.float32(GAIN)


def settle(halves: Sequence[Array], shifts: Array, pace: Array, motion: Array, hidden: npt.NDArray[Any]) -> None:
    """See `shifts.settled`.

    Args:
        halves: I₋₁ I₀ I₁ I₂ at 1/2, each (B, h, w, 3).
        shifts: (B, COUNT, 3), as `common_shifts` gives them.
        pace: (N,), how far each anchor's outer frame is; inf where there is none.
        motion: (N, h/2, w/2, 4), at 1/4, near then far, px there; in and out.
        hidden: (N, h/2, w/2, K), what the decoder knows, float32 or the bits of bfloat16; in and out.
    """
    before, left, right, after = halves
    error, least = np.empty(motion.shape[:3], np.float32), np.full(motion.shape[:3], np.float32(np.inf))
    there = ~np.isinf(pace)
    pace = np.where(there, pace, np.float32(0))
    wanted = np.ones(motion.shape[:2], np.bool_)
    for first, second, field, seen in ((right, left, 0, np.ones_like(there)), (before, after, 2, there)):
        _along(left, right, first, second, motion, field, seen, wanted, error)
        _bound(error, seen, least)
        if not (least > 0).any():
            return
        wanted = _wanted(least)
    for k in range(shifts.shape[1]):
        ways = np.concatenate([shifts[:, k, :2], -shifts[:, k, :2]])
        clear = np.tile(shifts[:, k, 2] > CLEAR, 2)
        for first, second, moved, seen in (
            (right, left, ways, clear),
            (before, after, -pace[:, None] * ways, clear & there),
        ):
            if seen.any():
                _shifted(left, right, first, second, moved, seen, wanted, error)
                _choose(error, ways, seen, pace, least, motion, hidden)


def _wanted(least: Array) -> npt.NDArray[np.bool_]:
    """(N, h/2): rows whose errors can matter to some place."""
    rows = (least > 0).any(axis=2)
    near = np.pad(rows, ((0, 0), (_REACH, _REACH)))
    wanted = near[:, : rows.shape[1]]
    for away in range(1, AROUND):
        wanted = wanted | near[:, away : away + rows.shape[1]]
    return wanted


@kernel
def _along(left, right, first, second, motion, field, seen, wanted, error):  # type: ignore[no-untyped-def]
    """Mean absolute difference along the motion, of the four pixels at 1/2 of each at 1/4.

    To the `first` picture from I₀ and to the `second` from I₁, by the motion's numbers `field` and the next, only where
    that is `seen`, (N,), and at the rows that are `wanted`, (N, h/2).
    """
    B, H, W, C = left.shape
    for row in prange(B * H):  # N · H/2
        n, y = row // (H // 2), row % (H // 2)
        if not (wanted[n, y] and seen[n]):
            continue
        own, other = (left[n], first[n]) if n < B else (right[n - B], second[n - B])
        error[n, y] = 0
        for j in range(2):
            up, low, down = doubled(2 * y + j, H // 2)
            upper, lower = motion[n, up], motion[n, low]
            here = own[2 * y + j]
            for x in range(W):
                start, end, along = doubled(x, W // 2)
                across = twice(upper, lower, start, end, along, down, field)
                aside = twice(upper, lower, start, end, along, down, field + 1)
                x0, x1, y0, y1, wa, wb, wc, wd = around(np.float32(x) + across, np.float32(2 * y + j) + aside, W, H)
                for c in range(C):
                    found = (
                        other[y0, x0, c] * wa + other[y0, x1, c] * wb + other[y1, x0, c] * wc + other[y1, x1, c] * wd
                    )
                    error[n, y, x // 2] += _12TH * abs(here[x, c] - found)


@kernel
def _bound(error, seen, least):  # type: ignore[no-untyped-def]
    """What a shift's error must stay below, around each place; where it is below zero, no shift can."""
    N, H, W = error.shape
    for row in prange(N * H):
        n, y = row // H, row % H
        if not (seen[n] and (least[n, y] > 0).any()):
            continue
        mean = mean_around(error[n], y, _REACH)
        for x in range(W):
            least[n, y, x] = min(least[n, y, x], _SHARE * mean[x], mean[x] - _GAIN)


@kernel
def _shifted(left, right, first, second, ways, seen, wanted, error):  # type: ignore[no-untyped-def]
    """`_along` for one motion everywhere, (N, 2)."""
    B, H, W, C = left.shape
    for row in prange(B * H):  # N · H/2
        n, y = row // (H // 2), row % (H // 2)
        if not (wanted[n, y] and seen[n]):
            continue
        own, other = (left[n], first[n]) if n < B else (right[n - B], second[n - B])
        across, aside = ways[n, 0], ways[n, 1]
        whole = int(np.floor(across))
        share = across - np.float32(whole)
        line, total = np.empty((W + 1) * C, np.float32), np.zeros(W * C, np.float32)
        for j in range(2):
            place = min(max(np.float32(2 * y + j) + aside, np.float32(0)), np.float32(H - 1))
            y0 = int(place)
            upper, lower, down = other[y0], other[min(y0 + 1, H - 1)], place - np.float32(y0)
            for x in range(W + 1):
                at = min(max(x + whole, 0), W - 1)
                for c in range(C):
                    line[C * x + c] = upper[at, c] + (lower[at, c] - upper[at, c]) * down
            here = own[2 * y + j].ravel()
            for k in range(W * C):
                total[k] += abs(here[k] - line[k] - (line[k + C] - line[k]) * share)
        for x in range(W // 2):
            four = np.float32(0)
            for k in range(2 * C * x, 2 * C * (x + 1)):
                four += total[k]
            error[n, y, x] = _12TH * four


@kernel
def _choose(error, ways, seen, pace, least, motion, hidden):  # type: ignore[no-untyped-def]
    """Take a motion, (N, 2), px at 1/2, where its error around a place is the least so far."""
    N, H, W = error.shape
    for row in prange(N * H):
        n, y = row // H, row % H
        if not (seen[n] and (least[n, y] > 0).any()):
            continue
        mean = mean_around(error[n], y, _REACH)
        across, aside = _HALF * ways[n, 0], _HALF * ways[n, 1]
        for x in range(W):
            if mean[x] < least[n, y, x]:
                least[n, y, x] = mean[x]
                motion[n, y, x, 0], motion[n, y, x, 1] = across, aside
                motion[n, y, x, 2], motion[n, y, x, 3] = -pace[n] * across, -pace[n] * aside
                hidden[n, y, x] = 0
