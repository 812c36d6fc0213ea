"""Rows of a motion volume at a time and at full size: what their pixels carry and what it weighs. On the CPU.

Arrays are float32. M members; `fine` is (3·M + 2, W): columns, rows and weights of the members, px, then sharpness and
what stands still. The definitions are in `synthesis.py`.
"""

import numpy as np

from svmv.jit import inlined, part
from svmv.motion import _LOGIT_RANGE, STILL_COST, STILL_RANGE

_QUARTER, _HALF, _ROOM, _ONE, _TWO = (np.float32(k) for k in (0.25, 0.5, 0.75, 1, 2))
_THIRD, _64TH, _6TH, _24TH, _120TH = (np.float32(1 / k) for k in (3, 64, 6, 24, 120))
_LIMIT = np.float32(_LOGIT_RANGE)
_COST, _LEAST, _MOST = (np.float32(k) for k in (STILL_COST, *STILL_RANGE))


@part
def at_time(members, s, out):  # type: ignore[no-untyped-def]
    """A row of the volume at a local time: M columns, M rows, M log weights; see `Motion.trajectory`.

    Then sharpness, and the log weight of what stands still.
    """
    K, w = members.shape
    M = K // 6
    bend = s * s - s
    for m in range(M):
        for x in range(w):
            out[m, x] = members[6 * m, x] * s + members[6 * m + 2, x] * bend
            out[M + m, x] = members[6 * m + 1, x] * s + members[6 * m + 3, x] * bend
            logit = members[6 * m + 4, x] + members[6 * m + 5, x] * (s - _HALF)
            out[2 * M + m, x] = min(max(logit, -_LIMIT), _LIMIT)
    for x in range(w):
        out[3 * M, x] = members[6 * M, x]
        out[3 * M + 1, x] = members[6 * M + 1, x]


@part
def enlarged(upper, lower, down, fine):  # type: ignore[no-untyped-def]
    """One row at full size between two at half size, bilinear; log weights become weights."""
    K, w = upper.shape
    M = K // 3
    row = np.empty(w, np.float32)
    for k in range(K):
        for x in range(w):
            row[x] = upper[k, x] + (lower[k, x] - upper[k, x]) * down
        out = fine[k]
        out[0], out[2 * w - 1] = row[0], row[w - 1]
        for x in range(1, w):
            out[2 * x - 1] = row[x - 1] * _ROOM + row[x] * _QUARTER
            out[2 * x] = row[x - 1] * _QUARTER + row[x] * _ROOM
    for k in range(2 * M, 3 * M):
        for x in range(2 * w):
            fine[k, x] = _exponential(fine[k, x])


@inlined
def _exponential(x):  # type: ignore[no-untyped-def]
    """e^x for |x| ≤ 12, to 1e-5 of itself; loops over it are vectorised: (e^(x/64))^64 by Taylor and six squarings."""
    y = x * _64TH
    e = _ONE + y * (_ONE + y * (_HALF + y * (_6TH + y * (_24TH + y * _120TH))))
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    return e * e


@part
def standing(fine, M, own, other, scale, target):  # type: ignore[no-untyped-def]
    """What stands still of a row, into the same row of the grid; what that weighs the members lose.

    See `synthesis.standing`. `own` and `other` are the row in the anchor and in the pair's other picture, (W, C).
    """
    W, C = own.shape
    lanes = len(target) // W
    stays = fine[3 * M + 1]
    for x in range(W):
        change = abs(own[x, 0] - other[x, 0]) + abs(own[x, 1] - other[x, 1]) + abs(own[x, 2] - other[x, 2])
        stays[x] = _exponential(min(max(stays[x] - _COST * _THIRD * change, _LEAST), _MOST))
    if C == 3:  # said one by one, so that the loop becomes one over vectors
        for x in range(W):
            share = stays[x] * scale
            target[4 * x] += share * own[x, 0]
            target[4 * x + 1] += share * own[x, 1]
            target[4 * x + 2] += share * own[x, 2]
            target[4 * x + 3] += share
    else:
        for x in range(W):
            share = stays[x] * scale
            for c in range(C):
                target[lanes * x + c] += share * own[x, c]
            target[lanes * x + C] += share
    for x in range(W):
        stays[x] = _ONE / (_ONE + stays[x])
    for m in range(2 * M, 3 * M):
        for x in range(W):
            fine[m, x] *= stays[x]


@part
def softening(fine, M, soft):  # type: ignore[no-untyped-def]
    """½·f(1−f)·sharpness across and down, the members' mean by weight; see `synthesis.sharpened`."""
    W = fine.shape[1]
    soft[:] = 0
    for m in range(M):
        for x in range(W):
            fx = fine[m, x] - np.floor(fine[m, x])
            fy = fine[M + m, x] - np.floor(fine[M + m, x])
            weight = fine[2 * M + m, x]
            soft[0, x] += weight * fx * (_ONE - fx)
            soft[1, x] += weight * fy * (_ONE - fy)
            soft[2, x] += weight
    for x in range(W):
        scale = _HALF * fine[3 * M, x] / soft[2, x]
        soft[0, x] *= scale
        soft[1, x] *= scale


@part
def sharpened(above, own, below, soft, C, carried):  # type: ignore[no-untyped-def]
    """What the pixels of a row carry; the norm's one behind it."""
    W = own.shape[0]
    if C == 3:  # said one by one, so that the loop becomes one over vectors
        for x in range(1, W - 1):
            a, b = soft[0, x], soft[1, x]
            carried[x, 0] = _sharp(own[x - 1, 0], own[x, 0], own[x + 1, 0], above[x, 0], below[x, 0], a, b)
            carried[x, 1] = _sharp(own[x - 1, 1], own[x, 1], own[x + 1, 1], above[x, 1], below[x, 1], a, b)
            carried[x, 2] = _sharp(own[x - 1, 2], own[x, 2], own[x + 1, 2], above[x, 2], below[x, 2], a, b)
            carried[x, 3] = _ONE
    for x in range(0, W, W - 1 if C == 3 else 1):
        left, right = max(x - 1, 0), min(x + 1, W - 1)
        for c in range(C):
            carried[x, c] = _sharp(
                own[left, c], own[x, c], own[right, c], above[x, c], below[x, c], soft[0, x], soft[1, x]
            )
        carried[x, C] = _ONE


@inlined
def _sharp(left, own, right, above, below, across, down):  # type: ignore[no-untyped-def]
    return own - across * (left + right - _TWO * own) - down * (above + below - _TWO * own)
