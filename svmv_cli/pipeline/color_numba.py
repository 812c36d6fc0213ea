"""The CPU's passes between planes and RGB, each one over memory. The definitions are in `color.py`.

A tap table says from which samples of a row a sample of another row is made: (n, taps) indices and shares.
"""

import numpy as np
import numpy.typing as npt
from numba import prange

from svmv.jit import kernel, part

Taps = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


def enlarging(size: int, *, halved: bool, cosited: bool) -> Taps:
    """Taps that make `size` samples of a plane's row, as `color._twice` does, or give back each of them."""
    at = np.arange(size)
    if not halved:
        return at[:, None], np.ones((size, 1), np.float32)
    if cosited:
        first, share = at // 2, np.where(at % 2, 0.5, 0.0)
    else:
        first, share = (at - 1) // 2, np.where(at % 2, 0.25, 0.75)
    index = np.clip(np.stack([first, first + 1], axis=1), 0, (size - 1) // 2)
    return index, np.stack([1 - share, share], axis=1).astype(np.float32)


def halving(size: int, *, halved: bool, cosited: bool) -> Taps:
    """Taps that make a plane's row of `size` samples, as `color._halve` does, or give back each of them."""
    if not halved:
        return enlarging(size, halved=False, cosited=False)
    even = np.arange(0, size, 2)
    if cosited or size == 1:
        return even[:, None], np.ones((len(even), 1), np.float32)
    index = np.clip(even[:, None] + np.arange(-1, 3), 0, size - 1)
    share = np.tile(np.array([-0.25, 0.75, 0.75, -0.25], np.float32), (len(even), 1))
    if size % 2:  # two more samples on the line through the last two
        index[-1], share[-1] = [size - 2, size - 1, size - 1, size - 1], [-0.5, 1.5, 0, 0]
    return index, share


@part
def _widened(plane, rows, row_shares, columns, column_shares, y, line, wide):  # type: ignore[no-untyped-def]
    """Row y of the picture as a plane gives it by taps; `line` is room for a row of the plane."""
    line[:] = 0
    for k in range(rows.shape[1]):
        source, share = plane[rows[y, k]], row_shares[y, k]
        for x in range(len(source)):
            line[x] += share * np.float32(source[x])
    if columns.shape[1] == 1:
        wide[:] = line
        return
    for x in range(len(wide)):
        wide[x] = column_shares[x, 0] * line[columns[x, 0]] + column_shares[x, 1] * line[columns[x, 1]]


@kernel
def mix_planes(planes, rows, row_shares, columns, column_shares, gains, offsets, picture):  # type: ignore[no-untyped-def]
    """Fill an (H, W, C) picture from planes: each brought to its size by the taps of `enlarging`, mixed by their gains.

    Args:
        planes: a tuple, of one dtype.
        rows: taps of each plane's rows: int64 indices, a tuple.
        row_shares: their float32 weights, a tuple.
        columns: taps of its columns, alike.
        column_shares: their weights.
        gains: (C, planes), float32.
        offsets: (C,), float32, what is added.
        picture: float32.
    """
    H, W, C = picture.shape
    P = len(planes)
    for y in prange(H):
        wide = np.empty((P, W), np.float32)
        for p in range(P):
            line = np.empty(planes[p].shape[1], np.float32)
            _widened(planes[p], rows[p], row_shares[p], columns[p], column_shares[p], y, line, wide[p])
        row = picture[y]
        if P == 3 and C == 3:  # said out, so that it becomes vectors
            first, second, third = wide[0], wide[1], wide[2]
            for x in range(W):
                a, b, c = first[x], second[x], third[x]
                row[x, 0] = offsets[0] + gains[0, 0] * a + gains[0, 1] * b + gains[0, 2] * c
                row[x, 1] = offsets[1] + gains[1, 0] * a + gains[1, 1] * b + gains[1, 2] * c
                row[x, 2] = offsets[2] + gains[2, 0] * a + gains[2, 1] * b + gains[2, 2] * c
        else:
            for x in range(W):
                for channel in range(C):
                    value = offsets[channel]
                    for p in range(P):
                        value += gains[channel, p] * wide[p, x]
                    row[x, channel] = value


@kernel
def take_plane(picture, gains, offset, rows, row_shares, columns, column_shares, top, plane):  # type: ignore[no-untyped-def]
    """Fill a plane from an (H, W, C) picture: channels mixed by their gains, brought to its size, rounded, clipped."""
    W, C = picture.shape[1:]
    for y in prange(plane.shape[0]):
        line = np.full(W, offset, np.float32)
        for k in range(rows.shape[1]):
            for x in range(W):
                mixed = np.float32(0)
                for c in range(C):
                    mixed += gains[c] * picture[rows[y, k], x, c]
                line[x] += row_shares[y, k] * mixed
        for x in range(plane.shape[1]):
            value = np.float32(0)
            for k in range(columns.shape[1]):
                value += column_shares[x, k] * line[columns[x, k]]
            plane[y, x] = int(min(max(np.rint(value), np.float32(0)), top))


@kernel
def agreement(left, right, limit, agree):  # type: ignore[no-untyped-def]
    """Where two pictures, (≥ H, ≥ W, C), differ by no more than `limit` in any channel; `agree` is (H, W)."""
    H, W = agree.shape
    C = left.shape[2]
    for y in prange(H):
        for x in range(W):
            change = np.float32(0)
            for c in range(C):
                change = max(change, abs(left[y, x, c] - right[y, x, c]))
            agree[y, x] = change <= limit


@kernel
def keep_still(left, right, t, agree, limit, picture):  # type: ignore[no-untyped-def]
    """Blend instead, wherever the pair agrees on 5 × 5 pixels and the picture lies within `limit` of the blend."""
    H, W, C = picture.shape
    for y in prange(H):
        columns = np.ones(W, np.bool_)
        for row in range(max(y - 2, 0), min(y + 3, H)):
            for x in range(W):
                columns[x] &= agree[row, x]
        for x in range(W):
            still = True
            for at in range(max(x - 2, 0), min(x + 3, W)):
                still &= columns[at]
            if not still:
                continue
            far = np.float32(0)
            for c in range(C):
                between = left[y, x, c] + t * (right[y, x, c] - left[y, x, c])
                far = max(far, abs(picture[y, x, c] - between))
            if far <= limit:
                for c in range(C):
                    picture[y, x, c] = left[y, x, c] + t * (right[y, x, c] - left[y, x, c])
