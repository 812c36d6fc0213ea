"""The CPU's passes of the pyramidal decoder, each one over memory: match, gather, update. No gradients.

Arrays are channels-last, (N, h, w, C), contiguous, float32; what convolutions read or write is float32 or bfloat16, as
`bfloat16_numba` has it. N is twice the number B of windows: anchor I₀ of every
window first, then anchor I₁, as in `volume.Level`. The definitions are in `volume.py`.
"""

import numpy as np
from numba import prange

from svmv.bfloat16_numba import stored, value
from svmv.jit import inlined, kernel
from svmv.vectors_numba import LANES, copy_run, mix_four
from svmv.window_numba import look

_QUARTER, _ONE, _TWO, _EIGHTH = np.float32(0.25), np.float32(1), np.float32(2), np.float32(1 / 8)


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
        left: (B, ≥ h, C, ≥ w), features of I₀, a row of each channel after the other: neighbours are read at once.
            No side is shorter than `LANES`; what lies beyond h and w is zero.
        right: of I₁.
        before: of I₋₁.
        after: of I₂.
        above: (N, ⌈h/2⌉, ⌈w/2⌉, 4), motion of the level above, near then far, px there; of one pixel: everywhere the
            same; or (N, h, w, 4), motion at this level that is to be refined.
        radius: r, px, as `look` knows it.
        sharpness: of the softmax.
        flow: (N, h, w, 4), out: `above`, brought to this level, px.
        cost: (N, h, w, 2·(2r+1)·LANES), out: correlation along near, then along far; what follows the first 2r+1
            numbers of each row of a window means nothing and is finite.
        peaks: (N, h, w, 4), out: means of the displacement under the softmax, px.
    """
    B, H, W = len(left), flow.shape[1], flow.shape[2]
    window = (2 * radius + 1) * LANES
    longer = _ONE if above.shape[1] == H else _TWO
    for row in prange(2 * B * H):
        n, y = row // H, row % H
        b = n % B
        own = left[b, y] if n < B else right[b, y]
        near = right[b] if n < B else left[b]
        outer = before[b] if n < B else after[b]
        line, motion, peak = cost[n, y], flow[n, y], peaks[n, y]
        upper, lower, down = source(y, H, above.shape[1])
        for x in range(W):
            first, second, along = source(x, W, above.shape[2])
            for k in range(4):
                top = above[n, upper, first, k] * (_ONE - along) + above[n, upper, second, k] * along
                bottom = above[n, lower, first, k] * (_ONE - along) + above[n, lower, second, k] * along
                motion[x, k] = longer * (top * (_ONE - down) + bottom * down)
        for far in range(2):  # one picture after the other: a row of windows in both is more than the first cache holds
            other = outer if far else near
            for x in range(W):
                ahead, aside = np.float32(x) + motion[x, 2 * far], np.float32(y) + motion[x, 2 * far + 1]
                across, along = look(own, x, other, ahead, aside, radius, sharpness, line, far * window, LANES)
                peak[x, 2 * far], peak[x, 2 * far + 1] = across, along


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
    reach = _ONE / np.float32(radius)
    for row in prange(2 * B * H):
        n, y = row // H, row % H
        context = left[n, y] if n < B else right[n - B, y]
        out = joined[n, y]
        up, low, down = source(y, H, above.shape[1])
        upper, lower = above[n, up], above[n, low]
        for x in range(W):
            copy_run(context, x, 0, D, out, x, start)
            for k in range(4):
                out[x, start + D + k] = stored(flow[n, y, x, k] * _EIGHTH, out)
                out[x, start + D + 4 + k] = stored(peaks[n, y, x, k] * reach, out)
            a, b, along = source(x, W, above.shape[2])
            wa, wb = (_ONE - down) * (_ONE - along), (_ONE - down) * along
            wc, wd = down * (_ONE - along), down * along
            mix_four(upper, lower, a, b, wa, wb, wc, wd, out, x, start + D + 8)


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
