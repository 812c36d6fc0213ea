"""Parts of frames: read as RGB, written as planes, so that no big picture is ever whole in RGB. Knows no network."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, cast

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from svmv_cli.media.frame import Frame, Plane
from svmv_cli.pipeline.color import Converter, premultiplied, straight

_RIM = 8  # px around what is written: the taps of chroma need two, and parts begin on whole chroma samples


class Box(Protocol):
    """A part of a picture, px, half-open; `svmv.Box` is one."""

    @property
    def top(self) -> int: ...  # noqa: D102
    @property
    def left(self) -> int: ...  # noqa: D102
    @property
    def bottom(self) -> int: ...  # noqa: D102
    @property
    def right(self) -> int: ...  # noqa: D102


def read(converter: Converter, frame: Frame, box: Box) -> Tensor:
    """(1, C, h, w) of a frame, as the network takes it; beyond the frame its last row and column go on.

    Chroma at the rim of a part is made of the part's own samples only.

    Args:
        converter: of whole frames.
        frame: a whole frame.
        box: begins at even rows and columns inside the frame.
    """
    bottom, right = min(box.bottom, converter.height), min(box.right, converter.width)
    taken = zip(frame.planes, _slices(converter, box.top, box.left, bottom, right), strict=True)
    planes = tuple(cast(Plane, np.ascontiguousarray(plane[where])) for plane, where in taken)
    part = converter.part(height=bottom - box.top, width=right - box.left)
    picture = part.to_rgb(replace(frame, planes=planes))
    if converter.format.alpha:
        picture = premultiplied(picture)
    beyond = (0, box.right - right, 0, box.bottom - bottom)
    return F.pad(picture, beyond, mode="replicate") if any(beyond) else picture


def write(converter: Converter, planes: Sequence[Plane], picture: Tensor, *, core: Box, outer: Box) -> None:
    """Fill a part of whole planes.

    Args:
        converter: of whole frames.
        planes: of a whole frame.
        picture: (C, h, w), what `outer` holds of the frame.
        core: what is to be filled; begins at even rows and columns, and ends there or with the frame.
        outer: around it.
    """
    top, left = max(core.top - _RIM, outer.top), max(core.left - _RIM, outer.left)
    bottom = min(core.bottom + _RIM, outer.bottom, converter.height)
    right = min(core.right + _RIM, outer.right, converter.width)
    shown = picture[:, top - outer.top : bottom - outer.top, left - outer.left : right - outer.left]
    if converter.format.alpha:
        shown = straight(shown[None])[0]
    made = converter.part(height=bottom - top, width=right - left).to_planes(shown)
    targets = _slices(converter, core.top, core.left, core.bottom, core.right)
    sources = _slices(converter, core.top - top, core.left - left, core.bottom - top, core.right - left)
    for plane, new, target, source in zip(planes, made, targets, sources, strict=True):
        plane[target] = new[source]


def _slices(converter: Converter, top: int, left: int, bottom: int, right: int) -> list[tuple[slice, slice]]:
    """Of each plane."""
    form = converter.format
    return [form.slices(k, top=top, left=left, bottom=bottom, right=right) for k in range(form.planes)]
