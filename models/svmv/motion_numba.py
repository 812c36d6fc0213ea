"""The CPU's passes of the ensemble head, each one over memory: compare, unfold. No gradients.

Arrays are channels-last unless said otherwise, float32, contiguous; N is twice the number B of windows, as in
`volume_numba`. The definitions are in `motion.py`.
"""

import numpy as np
from numba import prange

from svmv.jit import inlined, kernel
from svmv.volume_numba import doubled, sigmoid

_ONE, _TWO, _FOUR, _16TH, _16 = (np.float32(k) for k in (1, 2, 4, 1 / 16, 16))


@kernel
def compare(lifted, left, right, left_half, right_half, coarse, joined):  # type: ignore[no-untyped-def]
    """What the ensemble head reads at 1/2: state, details, details where the motion leads, what differs there, motion.

    Args:
        lifted: (N, h/2, w/2, 4·K), the decoder's state; K channels for each of the four pixels it becomes.
        left: (B, h, w, D), details of I₀.
        right: of I₁.
        left_half: (B, h, w, 3), I₀ at 1/2, RGB.
        right_half: I₁ at 1/2.
        coarse: (N, h/2, w/2, 4), motion at 1/4, near then far, px there.
        joined: (N, h, w, ≥ K + 2·D + 7), out; channels beyond that are zero.
    """
    B, H, W, D = left.shape
    K = lifted.shape[3] // 4
    width = joined.shape[3]
    for row in prange(2 * B * H):
        n, y = row // H, row % H
        b = n % B
        own = left[b, y] if n < B else right[b, y]
        own_half = left_half[b, y] if n < B else right_half[b, y]
        other = right[b] if n < B else left[b]
        other_half = right_half[b] if n < B else left_half[b]
        out, state = joined[n, y], lifted[n, y // 2]
        up, low, down = doubled(y, H // 2)
        upper, lower = coarse[n, up], coarse[n, low]
        flow = np.empty(4, np.float32)
        for x in range(W):
            place = K * (2 * (y % 2) + x % 2)
            for c in range(K):
                out[x, c] = state[x // 2, place + c]
            first, second, along = doubled(x, W // 2)
            for k in range(4):
                top = upper[first, k] * (_ONE - along) + upper[second, k] * along
                bottom = lower[first, k] * (_ONE - along) + lower[second, k] * along
                flow[k] = _TWO * (top * (_ONE - down) + bottom * down)
            x0, x1, fx = _border(np.float32(x) + flow[0], W)
            y0, y1, fy = _border(np.float32(y) + flow[1], H)
            wa, wb, wc, wd = (_ONE - fy) * (_ONE - fx), (_ONE - fy) * fx, fy * (_ONE - fx), fy * fx
            for c in range(D):
                seen = other[y0, x0, c] * wa + other[y0, x1, c] * wb + other[y1, x0, c] * wc + other[y1, x1, c] * wd
                out[x, K + c] = own[x, c]
                out[x, K + D + c] = seen
            for c in range(3):
                seen = other_half[y0, x0, c] * wa + other_half[y0, x1, c] * wb
                seen += other_half[y1, x0, c] * wc + other_half[y1, x1, c] * wd
                out[x, K + 2 * D + c] = (own_half[x, c] - seen) * _FOUR
            for k in range(4):
                out[x, K + 2 * D + 3 + k] = flow[k] * _16TH
            for c in range(K + 2 * D + 7, width):
                out[x, c] = 0


@inlined
def _border(position, size):  # type: ignore[no-untyped-def]
    """The two samples a position lies between and the share of the second, the ends repeated; NaN is the first."""
    position = position if position > 0 else np.float32(0)
    position = min(np.float32(position), np.float32(size - 1))
    whole = int(position)
    return whole, min(whole + 1, size - 1), position - np.float32(whole)


@kernel
def unfold(head, joined, start, rate, doubt, members):  # type: ignore[no-untyped-def]
    """The head's output → what `Motion` holds.

    Args:
        head: (N, h, w, 6·M + 4).
        joined: as `compare` gave it: from `start` on the difference times 4 (3 channels), motion/16 (4).
        start: a channel.
        rate: (N,), r = 1/τ of `motion.acceleration`.
        doubt: log weight lost per unit of photometric error.
        members: (N, 6·M + 1, h, w), planar, out; per member velocity, acceleration, logit, slope; then sharpness.
    """
    N, H, W, _ = head.shape
    M = (members.shape[1] - 1) // 6
    for row in prange(N * H):
        n, y = row // H, row % H
        r = rate[n]
        share = r / (_ONE + r)
        out, read = head[n, y], joined[n, y]
        for x in range(W):
            error = abs(read[x, start]) + abs(read[x, start + 1]) + abs(read[x, start + 2])
            mistake = error / np.float32(12)
            gate = sigmoid(out[x, 6 * M] - _ONE)
            for axis in range(2):
                near, far = read[x, start + 3 + axis] * _16, read[x, start + 5 + axis] * _16
                shared = near + out[x, 6 * M + 1 + axis]
                curve = gate * share * (near + r * far)
                for m in range(M):
                    members[n, 6 * m + axis, y, x] = _TWO * (shared + out[x, 6 * m + axis])
                    members[n, 6 * m + 2 + axis, y, x] = _TWO * (curve + out[x, 6 * m + 2 + axis])
            for m in range(M):
                members[n, 6 * m + 4, y, x] = out[x, 6 * m + 4] - doubt * mistake
                members[n, 6 * m + 5, y, x] = out[x, 6 * m + 5]
            members[n, 6 * M, y, x] = _TWO * sigmoid(out[x, 6 * M + 3])
