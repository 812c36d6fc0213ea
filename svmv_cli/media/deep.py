"""White in deep RGB and alpha: swscale, which only shifts bits, leaves it short of the top. Knows no files.

Of 16 bits it takes 65 280 = 255 · 256 for white, not 65 535, whether it makes RGB of YUV or YUV of RGB: 10-bit white
came back from 16-bit RGB as 943 instead of 940. Opaque alpha of 8 bits likewise becomes 65 280.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from svmv_cli.media.frame import PixelFormat, Plane


def scaled(planes: Sequence[Plane], layout: PixelFormat, whites: Sequence[tuple[int, int]]) -> tuple[Plane, ...]:
    """Planes whose samples are multiplied so that each one's old white becomes its new one.

    Args:
        planes: in the planar format `layout`.
        layout: their format.
        whites: per plane, the old and the new white.
    """
    top = 2**layout.depth - 1
    return tuple(
        plane if old == new else _times(plane, new, old, top) for plane, (old, new) in zip(planes, whites, strict=True)
    )


def whites_before(source: PixelFormat, target: PixelFormat, *, narrowed: bool) -> tuple[tuple[int, int], ...]:
    """Old and new white of each plane in front of swscale: deep RGB is lowered to what it takes for white.

    Args:
        source: what is converted.
        target: into what.
        narrowed: from full to limited range; for grey, too, that is done by shifts.
    """
    top = 2**source.depth - 1
    deep_gray = source.kind == "gray" and source.depth > 8
    lowered = (_is_deep_rgb(source) and not _is_deep_rgb(target)) or (deep_gray and narrowed and target.kind == "yuv")
    color = (top, 255 << source.depth - 8 if lowered else top)
    return (color,) * (source.planes - source.alpha) + ((top, top),) * source.alpha


def whites_after(source: PixelFormat, target: PixelFormat) -> tuple[tuple[int, int], ...]:
    """Old and new white of each plane behind swscale: deep RGB and alpha are raised to their top."""
    top = 2**target.depth - 1
    color = alpha = (top, top)
    if _is_deep_rgb(target) and (source.kind == "yuv" or source.depth < target.depth):
        color = (255 << target.depth - 8 if source.kind == "yuv" else _shifted(source, target), top)
    if target.alpha and source.alpha and source.depth < target.depth:
        alpha = (_shifted(source, target), top)
    return (color,) * (target.planes - target.alpha) + (alpha,) * target.alpha


def _is_deep_rgb(layout: PixelFormat) -> bool:
    return layout.kind == "gbr" and layout.depth > 8


def _shifted(source: PixelFormat, target: PixelFormat) -> int:
    """White of a shallower format as swscale widens it."""
    return ((1 << source.depth) - 1) << target.depth - source.depth


def _times(plane: Plane, above: int, below: int, top: int) -> Plane:
    # 65 535² and half a divisor still fit into 32 bits.
    wide = (plane.astype(np.uint32) * np.uint32(above) + np.uint32(below // 2)) // np.uint32(below)
    return cast(Plane, np.minimum(wide, top).astype(np.uint16))
