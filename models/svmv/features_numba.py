"""The CPU's passes of the encoder, each one over memory: pad, scale, halve, split. No gradients.

Arrays are channels-last, (B, H, W, C), contiguous, float32; what convolutions read or write is float32 or bfloat16, as
`bfloat16_numba` has it. The definitions are in `features.py` and `model.py`.
"""

import numpy as np
from numba import prange

from svmv.bfloat16_numba import stored, value
from svmv.jit import kernel

_MIDDLE, _GAIN, _QUARTER, _TINY = np.float32(0.45), np.float32(4), np.float32(0.25), np.float32(1e-4)


@kernel
def pad(picture, padded, scaled):  # type: ignore[no-untyped-def]
    """`padded` = `picture`, its last row and column repeated; `scaled` = its RGB as the first convolution reads it."""
    B, H, W, C = picture.shape
    rows, columns = padded.shape[1:3]
    for row in prange(B * rows):
        b, y = row // rows, row % rows
        for x in range(columns):
            for c in range(C):
                number = picture[b, min(y, H - 1), min(x, W - 1), c]
                padded[b, y, x, c] = number
                if c < 3:
                    scaled[b, y, x, c] = (number - _MIDDLE) * _GAIN


@kernel
def halve(picture, half):  # type: ignore[no-untyped-def]
    """`half` = means of 2 × 2 pixels; beyond the picture its last row and column go on."""
    B, H, W, C = half.shape
    bottom, right = picture.shape[1] - 1, picture.shape[2] - 1
    for row in prange(B * H):
        b, y = row // H, row % H
        above, below = picture[b, min(2 * y, bottom)], picture[b, min(2 * y + 1, bottom)]
        for x in range(W):
            first, second = min(2 * x, right), min(2 * x + 1, right)
            for c in range(C):
                upper, lower = above[first, c] + above[second, c], below[first, c] + below[second, c]
                half[b, y, x, c] = (upper + lower) * _QUARTER


@kernel
def split(features, match, context):  # type: ignore[no-untyped-def]
    """The first channels of `features`, brought to unit mean square, become `match`, the others `context`.

    `match` is (B, H, C, W), as `volume_numba.match` reads it.
    """
    B, H, W, _ = features.shape
    C, D = match.shape[2], context.shape[3]
    for row in prange(B * H):
        b, y = row // H, row % H
        for x in range(W):
            total = np.float32(0)
            for c in range(C):
                total += value(features[b, y, x, c]) * value(features[b, y, x, c])
            scale = np.float32(1) / np.sqrt(total / np.float32(C) + _TINY)
            for c in range(C):
                match[b, y, c, x] = value(features[b, y, x, c]) * scale
            for c in range(D):
                context[b, y, x, c] = stored(value(features[b, y, x, C + c]), context)
