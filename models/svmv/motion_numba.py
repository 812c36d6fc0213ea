"""The CPU's passes of the ensemble head, each one over memory: compare, unfold. No gradients.

Arrays are channels-last unless said otherwise, contiguous, float32; what convolutions read or write is float32 or
bfloat16, as `bfloat16_numba` has it. N is twice the number B of windows, as in `volume_numba`. The definitions are in
`motion.py`.
"""

import numpy as np
from numba import prange

from svmv.bfloat16_numba import stored, value
from svmv.jit import inlined, kernel, part
from svmv.motion import _HELD, _LOOSE, _STEEP, CALM
from svmv.vectors_numba import copy_run, mix_four
from svmv.volume_numba import doubled, sigmoid
from svmv.window_numba import look

_ONE, _TWO, _THREE, _FOUR, _HALF, _16TH = (np.float32(k) for k in (1, 2, 3, 4, 1 / 2, 1 / 16))
_WARY, _PER_CALM = np.float32(_LOOSE), np.float32(1 / CALM)
_PER_STEEP, _HELD_OF_12 = np.float32(1 / _STEEP), np.float32(_HELD / 12)


@kernel
def compare(  # type: ignore[no-untyped-def]
    lifted, left, right, left_half, right_half, left_rows, right_rows, coarse, radius, sharpness, joined, known
):
    """What the ensemble head reads at 1/2: state, details, those where the motion leads, what differs there, motion.

    Then what differs at the same place.

    Args:
        lifted: (N, h/2, w/2, 4·K), the decoder's state; K channels for each of the four pixels it becomes.
        left: (B, h, w, D), details of I₀.
        right: of I₁.
        left_half: (B, h, w, 3), I₀ at 1/2, RGB.
        right_half: I₁ at 1/2.
        left_rows: (B, ≥ h, D, ≥ w), details of I₀ at unit mean square, as `match` has its features; not read without a
            window.
        right_rows: of I₁.
        coarse: (N, h/2, w/2, 4), motion at 1/4, near then far, px there.
        radius: r of the window in which details are correlated, px, at most 3; 0: none.
        sharpness: of the softmax of that correlation.
        joined: (N, h, w, ≥ K + 2·D + 8), out; with a window (2r+1)² + 2 more: the correlation, the peak over r, and
            room for a whole last row of `look`. Channels beyond that mean nothing and are finite.
        known: (N, h, w, 10), out: the difference, the motion and the peak in px at 1/2, what standing still saves of
            the mean absolute difference; exact where `joined` is not.
    """
    B, H, W, D = left.shape
    K = lifted.shape[3] // 4
    width, start = joined.shape[3], K + 2 * D + 8
    across = 2 * radius + 1
    reach = _ONE / np.float32(max(radius, 1))
    for row in prange(2 * B * H):
        n, y = row // H, row % H
        b = n % B
        own = left[b, y] if n < B else right[b, y]
        own_half = left_half[b, y] if n < B else right_half[b, y]
        other = right[b] if n < B else left[b]
        other_half = right_half[b] if n < B else left_half[b]
        out, state, exact = joined[n, y], lifted[n, y // 2], known[n, y]
        up, low, down = doubled(y, H // 2)
        upper, lower = coarse[n, up], coarse[n, low]
        flow = np.empty(4, np.float32)
        for x in range(W):
            place = K * (2 * (y % 2) + x % 2)
            copy_run(state, x // 2, place, K, out, x, 0)
            first, second, along = doubled(x, W // 2)
            for k in range(4):
                flow[k] = twice(upper, lower, first, second, along, down, k)
            x0, x1, y0, y1, wa, wb, wc, wd = around(np.float32(x) + flow[0], np.float32(y) + flow[1], W, H)
            copy_run(own, x, 0, D, out, x, K)
            mix_four(other[y0], other[y1], x0, x1, wa, wb, wc, wd, out, x, K + D)
            change = np.float32(0)
            for c in range(3):
                seen = other_half[y0, x0, c] * wa + other_half[y0, x1, c] * wb
                seen += other_half[y1, x0, c] * wc + other_half[y1, x1, c] * wd
                exact[x, c] = own_half[x, c] - seen
                out[x, K + 2 * D + c] = stored(exact[x, c] * _FOUR, out)
                change += abs(own_half[x, c] - other_half[y, x, c])
            change /= _THREE
            out[x, K + 2 * D + 7] = stored(change * _FOUR, out)
            exact[x, 9] = _mistake(exact[x]) - change
            for k in range(4):
                exact[x, 3 + k] = flow[k]
                out[x, K + 2 * D + 3 + k] = stored(flow[k] * _16TH, out)
            exact[x, 7] = exact[x, 8] = 0
            for c in range(start + (across * across + 2 if radius else 0), width):
                out[x, c] = 0
        if radius > 0:  # a loop of its own: what it reads is more than the first cache holds beside all that
            own_rows, other_rows = (left_rows[b], right_rows[b]) if n < B else (right_rows[b], left_rows[b])
            for x in range(W):
                ahead, aside = np.float32(x) + exact[x, 3], np.float32(y) + exact[x, 4]
                peak = look(own_rows[y], x, other_rows, ahead, aside, radius, sharpness, out, start, across)
                for k in range(2):
                    exact[x, 7 + k] = peak[k]
                    out[x, start + across * across + k] = stored(peak[k] * reach, out)


@inlined
def _border(position, size):  # type: ignore[no-untyped-def]
    """The two samples a position lies between and the share of the second, the ends repeated; NaN is the first."""
    position = position if position > 0 else np.float32(0)
    position = min(np.float32(position), np.float32(size - 1))
    whole = int(position)
    return whole, min(whole + 1, size - 1), position - np.float32(whole)


@inlined
def twice(upper, lower, first, second, along, down, k):  # type: ignore[no-untyped-def]
    """One number of a motion between four places of two rows, in pixels of twice the size."""
    top = upper[first, k] * (_ONE - along) + upper[second, k] * along
    bottom = lower[first, k] * (_ONE - along) + lower[second, k] * along
    return _TWO * (top * (_ONE - down) + bottom * down)


@inlined
def around(x, y, W, H):  # type: ignore[no-untyped-def]
    """Columns and rows of the four samples around a place, and their bilinear shares, row by row."""
    x0, x1, fx = _border(x, W)
    y0, y1, fy = _border(y, H)
    return x0, x1, y0, y1, (_ONE - fy) * (_ONE - fx), (_ONE - fy) * fx, fy * (_ONE - fx), fy * fx


@inlined
def _mistake(exact):  # type: ignore[no-untyped-def]
    """Mean absolute difference along the motion, of a pixel of `known`."""
    return (abs(exact[0]) + abs(exact[1]) + abs(exact[2])) / _THREE


@part
def mean_around(plane, y, reach):  # type: ignore[no-untyped-def]
    """For each pixel of row y of a plane, (h, w), the mean of what there is as far as so many px away on each side."""
    H, W = plane.shape
    first, end = max(y - reach, 0), min(y + reach + 1, H)
    column, mean = np.zeros(W, np.float32), np.empty(W, np.float32)
    for near in range(first, end):
        for x in range(W):
            column[x] += plane[near, x]
    for x in range(W):
        left, right = max(x - reach, 0), min(x + reach + 1, W)
        total = np.float32(0)
        for near in range(left, right):
            total += column[near]
        mean[x] = total / np.float32((end - first) * (right - left))
    return mean


@kernel
def moving(left, right, same, moves):  # type: ignore[no-untyped-def]
    """`motion.moving`: `moves`, (B, h, w), is 0 where both (B, h, w, 3) are the `same` on 5 × 5 pixels, else 1."""
    B, H, W, C = left.shape
    for row in prange(B * H):
        b, y = row // H, row % H
        seen = np.zeros(W + 4, np.float32)
        for near in range(max(y - 2, 0), min(y + 3, H)):
            for x in range(W):
                for c in range(C):
                    if abs(left[b, near, x, c] - right[b, near, x, c]) > same:
                        seen[x + 2] = _ONE
        for x in range(W):
            moves[b, y, x] = max(seen[x], seen[x + 1], seen[x + 2], seen[x + 3], seen[x + 4])


@kernel
def hold(left, right, channels, members):  # type: ignore[no-untyped-def]
    """What `motion.steadiness` adds to standing still.

    Args:
        left: (B, H, W·channels), rows of I₀.
        right: of I₁.
        channels: of a pixel, at least 3, RGB first.
        members: (N, 6·M + 2, H/2, W/2), as `unfold` gave them; the last plane is added to.
    """
    B, H, row_size = left.shape
    N, K, h, w = members.shape
    M, C = K // 6, channels
    for row in prange(N * h):
        n, y = row // h, row % h
        own, other = (left[n], right[n]) if n < B else (right[n - B], left[n - B])
        across, down = np.zeros(w, np.float32), np.zeros(w, np.float32)
        for m in range(M):
            for x in range(w):
                across[x] += members[n, 6 * m, y, x]
                down[x] += members[n, 6 * m + 1, y, x]
        along, below = np.empty(row_size, np.float32), np.empty(row_size, np.float32)  # of every number of the rows
        for x in range(w):
            across[x] /= np.float32(M)
            down[x] /= np.float32(M)
            for k in range(2 * C * x, 2 * C * (x + 1)):
                along[k], below[k] = _HALF * across[x], _HALF * down[x]
        excess = np.zeros(row_size, np.float32)
        for at in (2 * y, 2 * y + 1):
            over, under, here, there = own[max(at - 1, 0)], own[min(at + 1, H - 1)], own[at], other[at]
            for k in range(C, row_size - C):
                expected = (here[k + C] - here[k - C]) * along[k] + (under[k] - over[k]) * below[k]
                excess[k] += abs(expected) - abs(here[k] - there[k])
            for c in range(C):  # the border's pixels, whose neighbours outside are they themselves
                k = row_size - C + c
                first = (here[C + c] - here[c]) * along[c] + (under[c] - over[c]) * below[c]
                last = (here[k] - here[k - C]) * along[k] + (under[k] - over[k]) * below[k]
                excess[c] += abs(first) - abs(here[c] - there[c])
                excess[k] += abs(last) - abs(here[k] - there[k])
        for x in range(w):
            total = np.float32(0)
            for k in (2 * C * x, 2 * C * x + C):
                total += excess[k] + excess[k + 1] + excess[k + 2]
            far = _PER_STEEP * _PER_STEEP * (across[x] * across[x] + down[x] * down[x])
            near = max(_ONE - far, np.float32(0))
            members[n, K - 1, y, x] += _HELD_OF_12 * max(total, np.float32(0)) * near


@kernel
def bend(head, known, rate, curve):  # type: ignore[no-untyped-def]
    """Each anchor's own acceleration, as much of it as is let through.

    Args:
        head: (N, h, w, ≥ 6·M + 5), as `unfold` reads it.
        known: (N, h, w, 10), as `compare` gave it.
        rate: (N,), r of `motion.acceleration`.
        curve: (N, h, w, 2), out, px at 1/2.
    """
    N, H, W, K = head.shape
    gates = 6 * ((K - 5) // 6)
    for row in prange(N * H):
        n, y = row // H, row % H
        r = rate[n]
        share = r / (_ONE + r)
        for x in range(W):
            gate = share * sigmoid(value(head[n, y, x, gates]) - _ONE)
            for axis in range(2):
                curve[n, y, x, axis] = gate * (known[n, y, x, 3 + axis] + r * known[n, y, x, 5 + axis])


@kernel
def unfold(head, known, curve, moves, rate, doubt, evidence, calm, members):  # type: ignore[no-untyped-def]
    """The head's output → what `Motion` holds.

    Args:
        head: (N, h, w, 6·M + 5); one more where there is a peak to trust.
        known: (N, h, w, 10), as `compare` gave it.
        curve: (N, h, w, 2), as `bend` gave it; what both anchors agree on is taken, see `motion.agreed`.
        moves: (B, h, w), as `moving` gave it.
        rate: (N,), r of `motion.acceleration`.
        doubt: log weight lost per unit of photometric error.
        evidence: log weight of standing still gained per unit of it that this saves.
        calm: the same gained where nothing moves.
        members: (N, 6·M + 2, h, w), planar, out, as `Motion.members` has them.
    """
    N, H, W, K = head.shape
    M = members.shape[1] // 6
    for row in prange(N * H):
        n, y = row // H, row % H
        partner = (n + N // 2) % N
        half_or_all = _HALF if rate[n] > 0 and rate[partner] > 0 else _ONE
        out, read, moved = head[n, y], known[n, y], moves[n % len(moves), y]
        saved = mean_around(known[n, :, :, 9], y, 1)  # what standing still saves
        # Turned round first: every plane's row is then written in one run.
        said, base = np.empty((K, W), np.float32), np.empty((5, W), np.float32)
        for x in range(W):
            for k in range(K):
                said[k, x] = value(out[x, k])
        for x in range(W):
            base[4, x] = doubt * _mistake(read[x])
            trust = sigmoid(said[6 * M + 5, x] - _THREE) if K > 6 * M + 5 else np.float32(0)
            for axis in range(2):
                base[axis, x] = read[x, 3 + axis] + said[6 * M + 1 + axis, x] + trust * read[x, 7 + axis]
            x0, x1, y0, y1, wa, wb, wc, wd = around(np.float32(x) + read[x, 3], np.float32(y) + read[x, 4], W, H)
            for axis in range(2):
                other = curve[partner, y0, x0, axis] * wa + curve[partner, y0, x1, axis] * wb
                other += curve[partner, y1, x0, axis] * wc + curve[partner, y1, x1, axis] * wd
                base[2 + axis, x] = half_or_all * (curve[n, y, x, axis] + other)
        for m in range(M):
            for k in range(4):
                for x in range(W):
                    members[n, 6 * m + k, y, x] = _TWO * (base[k, x] + said[6 * m + k, x]) * moved[x]
            for x in range(W):
                members[n, 6 * m + 4, y, x] = said[6 * m + 4, x] - base[4, x]
                members[n, 6 * m + 5, y, x] = said[6 * m + 5, x]
        for x in range(W):
            members[n, 6 * M, y, x] = _TWO * sigmoid(said[6 * M + 3, x])
            across, along = _PER_CALM * read[x, 3], _PER_CALM * read[x, 4]
            rest = max(_ONE - (across * across + along * along), np.float32(0))
            members[n, 6 * M + 1, y, x] = said[6 * M + 4, x] - _WARY + evidence * saved[x] + calm * rest
