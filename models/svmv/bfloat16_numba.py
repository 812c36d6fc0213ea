"""bfloat16 in numba's kernels, which know no such type: arrays hold its bits as uint16, arithmetic is float32.

bfloat16 is the upper half of a float32, so reading one is a shift, and loops over it are vectorised. Kernels call
`value` and `stored` on arrays of either kind; for float32 both are nothing.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload


def value(x: Any) -> Any:
    """A number read from an array, as float32; only for kernels."""
    raise NotImplementedError


def stored(x: Any, array: Any) -> Any:
    """A float32 as `array` holds its numbers, rounded to nearest, ties to even; only for kernels."""
    raise NotImplementedError


@overload(value, inline="always")
def _value(x):  # type: ignore[no-untyped-def]
    if x == types.uint16:
        return lambda x: np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)
    return lambda x: x


@overload(stored, inline="always")
def _stored(x, array):  # type: ignore[no-untyped-def]  # noqa: ARG001 (numba wants the names of what it stands for)
    if array.dtype != types.uint16:
        return lambda x, array: x  # noqa: ARG005

    def rounded(x, array):  # type: ignore[no-untyped-def]  # noqa: ARG001 (its type has decided)
        bits = np.uint32(np.float32(x).view(np.uint32))
        odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
        return np.uint16(np.uint32(bits + np.uint32(np.uint32(0x7FFF) + odd)) >> np.uint32(16))

    return rounded
