"""The CPU's passes of the pyramidal decoder, each one over memory: match, gather, update. No gradients.

Arrays are channels-last, (N, h, w, C), contiguous, float32; what convolutions read or write is float32 or bfloat16, as
`bfloat16_numba` has it. N is twice the number B of windows: anchor I₀ of every
window first, then anchor I₁, as in `volume.Level`. The definitions are in `volume.py`.
"""

import numpy as np
from numba import prange

from svmv.bfloat16_numba import stored, value
from svmv.correlation_numba import _corner
from svmv.jit import inlined, kernel, part
from svmv.vectors_numba import eight_rows, six_rows

_QUARTER, _ONE, _TWO, _EIGHTH = np.float32(0.25), np.float32(1), np.float32(2), np.float32(1 / 8)
_64TH, _HALF, _6TH, _24TH, _120TH = (np.float32(1 / k) for k in (64, 2, 6, 24, 120))
_LEAST = np.float32(-24)  # e^-24 adds nothing to a sum that holds e^0
_NEVER = np.float32(-1e30)


@inlined
def exponential(x):  # type: ignore[no-untyped-def]
    """e^x for |x| ≤ 24, to 1e-5 of itself; loops over it are vectorised: (e^(x/64))^64 by Taylor and six squarings."""
    y = x * _64TH
    e = _ONE + y * (_ONE + y * (_HALF + y * (_6TH + y * (_24TH + y * _120TH))))
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    return e * e


@inlined
def doubled(at, size):  # type: ignore[no-untyped-def]
    """Where sample `at` of a doubled row comes from: two samples of the row, and the share of the second.

    Bilinear, `align_corners=False`, the ends repeated.
    """
    first = (at - 1) // 2
    share = np.float32(0.75) if at % 2 == 0 else _QUARTER
    return min(max(first, 0), size - 1), min(first + 1, size - 1), share


@inlined
def source(at, size, above):  # type: ignore[no-untyped-def]
    """As `doubled`, of a row of `above` samples; where that is as long already, the sample itself."""
    if above == size:
        return at, at, np.float32(0)
    return doubled(at, above)


@inlined
def sigmoid(x):  # type: ignore[no-untyped-def]
    """1 / (1 + e^-x)."""
    return _ONE / (_ONE + np.float32(np.exp(-x)))


@kernel
def match(left, right, before, after, above, radius, sharpness, flow, cost, peaks):  # type: ignore[no-untyped-def]
    """Correlation along the motion of the level above, and where in its window each pixel matches best.

    Args:
        left: (B, h, C, w), features of I₀, a row of each channel after the other: neighbours are read at once.
        right: of I₁.
        before: of I₋₁.
        after: of I₂.
        above: (N, ⌈h/2⌉, ⌈w/2⌉, 4), motion of the level above, near then far, px there; of one pixel: everywhere the
            same; or (N, h, w, 4), motion at this level that is to be refined.
        radius: r, px.
        sharpness: of the softmax.
        flow: (N, h, w, 4), out: `above`, brought to this level, px.
        cost: (N, h, w, 2·(2r+1)·(2r+2)), out: correlation along near, then along far; the last of each 2r+2 means
            nothing and is finite, so that all are computed in runs of whole vectors.
        peaks: (N, h, w, 4), out: means of the displacement under the softmax, px.
    """
    B, H, C, W = left.shape
    side = 2 * radius + 2
    window = (side - 1) * side
    longer = _ONE if above.shape[1] == H else _TWO
    nothing = np.zeros((C, W), np.float32)
    for row in prange(2 * B * H):
        n, y = row // H, row % H
        b = n % B
        own = left[b, y] if n < B else right[b, y]
        near = right[b] if n < B else left[b]
        outer = before[b] if n < B else after[b]
        line, motion, peak = cost[n, y], flow[n, y], peaks[n, y]
        mine = np.empty(C, np.float32)
        dots, between, found, shares, columns, rows, unseen = looking(radius, side)
        upper, lower, down = source(y, H, above.shape[1])
        for x in range(W):
            first, second, along = source(x, W, above.shape[2])
            for k in range(4):
                top = above[n, upper, first, k] * (_ONE - along) + above[n, upper, second, k] * along
                bottom = above[n, lower, first, k] * (_ONE - along) + above[n, lower, second, k] * along
                motion[x, k] = longer * (top * (_ONE - down) + bottom * down)
        scale = np.float32(1.0 / C)
        for far in range(2):  # one picture after the other: a row of windows in both is more than the first cache holds
            for x in range(W):
                for c in range(C):
                    mine[c] = own[c, x] * scale
                ahead, aside = np.float32(x) + motion[x, 2 * far], np.float32(y) + motion[x, 2 * far + 1]
                across, along = look(
                    mine,
                    outer if far else near,
                    nothing,
                    ahead,
                    aside,
                    radius,
                    side,
                    sharpness,
                    dots,
                    between,
                    found,
                    shares,
                    columns,
                    rows,
                    unseen,
                )
                for k in range(window):
                    line[x, far * window + k] = stored(found[k], line)
                peak[x, 2 * far], peak[x, 2 * far + 1] = across, along


@inlined
def looking(radius, pitch):  # type: ignore[no-untyped-def]
    """Room for `look`, and what it knows of its window, whose rows lie `pitch` ≥ 2r+2 numbers apart."""
    side = 2 * radius + 2
    window = (side - 1) * pitch
    dots, between = np.zeros(side * pitch + 1, np.float32), np.empty(side * pitch, np.float32)
    found, shares = np.empty(window, np.float32), np.empty(window, np.float32)
    columns, rows, unseen = np.empty(window, np.float32), np.empty(window, np.float32), np.empty(window, np.float32)
    for k in range(window):
        columns[k], rows[k] = np.float32(k % pitch - radius), np.float32(k // pitch - radius)
        unseen[k] = _NEVER if k % pitch >= side - 1 else np.float32(0)
    return dots, between, found, shares, columns, rows, unseen


@inlined
def look(  # type: ignore[no-untyped-def]
    mine, other, nothing, x, y, radius, pitch, sharpness, dots, between, found, shares, columns, rows, unseen
):
    """Correlate one pixel with the window around a place, and find the mean displacement under the softmax, px.

    Args:
        mine: (C,), the pixel's features over C.
        other: (h, C, w), features of the other picture.
        nothing: (C, w), zeros.
        x: of the place, px.
        y: of the place.
        radius: r, px.
        pitch: from row to row of the window.
        sharpness: of the softmax.
        dots: as `looking` made it, and so all that follow.
        between: room.
        found: the correlation, out: 2r+1 of each `pitch` numbers.
        shares: room.
        columns: displacements across.
        rows: displacements down.
        unseen: what keeps numbers between two rows of the window out of the softmax.
    """
    side = 2 * radius + 2
    window = (side - 1) * pitch
    x0, fx = _corner(x, other.shape[2], side)
    y0, fy = _corner(y, other.shape[0], side)
    left, top = x0 - radius, y0 - radius
    if pitch == 8 and side == 8 and left >= 0 and left + 8 <= other.shape[2]:
        eight_rows(mine, other, nothing, top, left, dots)
    elif pitch == 8 and side == 6 and left >= 0 and left + 8 <= other.shape[2]:
        six_rows(mine, other, nothing, top, left, dots)
    else:
        _products(mine, other, left, top, side, pitch, dots)
    for k in range(side * pitch):
        between[k] = dots[k] + (dots[k + 1] - dots[k]) * fx
    for k in range(window):
        found[k] = between[k] + (between[k + pitch] - between[k]) * fy
        shares[k] = found[k] + unseen[k]
    best = _largest(shares)
    total, across, along = np.float32(0), np.float32(0), np.float32(0)
    for k in range(window):
        shares[k] = exponential(max((found[k] + unseen[k] - best) * sharpness, _LEAST))
    for k in range(window):
        total += shares[k]
        across += shares[k] * columns[k]
        along += shares[k] * rows[k]
    return across / total, along / total


@part
def _largest(numbers):  # type: ignore[no-untyped-def]
    """The largest of some numbers, which it overwrites: halves are compared as vectors, a running maximum is not."""
    count = len(numbers)
    while count > 1:
        half = (count + 1) // 2
        for k in range(count - half):
            numbers[k] = numbers[k] if numbers[k] > numbers[k + half] else numbers[k + half]
        count = half
    return numbers[0]


@part
def _products(mine, other, x0, y0, side, pitch, dots):  # type: ignore[no-untyped-def]
    """A pixel's products with a square of pixels of the other picture, (h, C, w), zero outside it, row by row."""
    H, C, W = other.shape
    for i in range(side):
        for j in range(side):
            dot = np.float32(0)
            if 0 <= y0 + i < H and 0 <= x0 + j < W:
                for k in range(C):
                    dot += mine[k] * other[y0 + i, k, x0 + j]
            dots[i * pitch + j] = dot


@kernel
def gather(left, right, flow, peaks, above, radius, start, joined):  # type: ignore[no-untyped-def]
    """What the decoder reads beside the correlation, written to the channels from `start` on of `joined`.

    Args:
        left: (B, h, w, D), context of I₀.
        right: of I₁.
        flow: (N, h, w, 4), motion as `match` left it, px.
        peaks: (N, h, w, 4), as `match` gave them, px.
        above: (N, ⌈h/2⌉, ⌈w/2⌉, S), the level above's state; of one pixel: everywhere the same; or (N, h, w, S).
        radius: of the correlation, px.
        start: first channel.
        joined: (N, h, w, start + D + 8 + S), out: context, flow/8, peaks/radius, the state brought to this level.
    """
    B, H, W, D = left.shape
    S = above.shape[3]
    reach = _ONE / np.float32(radius)
    for row in prange(2 * B * H):
        n, y = row // H, row % H
        context = left[n, y] if n < B else right[n - B, y]
        out = joined[n, y]
        up, low, down = source(y, H, above.shape[1])
        upper, lower = above[n, up], above[n, low]
        for x in range(W):
            for c in range(D):
                out[x, start + c] = stored(value(context[x, c]), out)
            for k in range(4):
                out[x, start + D + k] = stored(flow[n, y, x, k] * _EIGHTH, out)
                out[x, start + D + 4 + k] = stored(peaks[n, y, x, k] * reach, out)
            a, b, along = source(x, W, above.shape[2])
            wa, wb = (_ONE - down) * (_ONE - along), (_ONE - down) * along
            wc, wd = down * (_ONE - along), down * along
            for k in range(S):
                state = value(upper[a, k]) * wa + value(upper[b, k]) * wb
                state += value(lower[a, k]) * wc + value(lower[b, k]) * wd
                out[x, start + D + 8 + k] = stored(state, out)


@kernel
def update(decoded, peaks, flow):  # type: ignore[no-untyped-def]
    """`flow` moves by what was decoded (channels 0 to 3) and by as much of each peak as is trusted (4, 5)."""
    N, H, W, _ = flow.shape
    for row in prange(N * H):
        n, y = row // H, row % H
        for x in range(W):
            for k in range(4):
                trust = sigmoid(value(decoded[n, y, x, 4 + k // 2]))
                flow[n, y, x, k] += trust * peaks[n, y, x, k] + value(decoded[n, y, x, k])
