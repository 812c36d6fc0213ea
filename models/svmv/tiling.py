"""Pictures too big for the memory there is: the same motion, the same pictures, a tile at a time.

Only the finest level, the ensemble and the synthesis cost memory per pixel that matters, and only they are tiled.
All coarser levels are, by the construction of the encoder, those of the picture at half size, and are decoded whole.
So every tile refines one and the same motion, and what it needs around itself is known: as far as things move.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from svmv.features import CELL, Features, padded_size
from svmv.inference import Network
from svmv.motion import Motion
from svmv.shifts import common_shifts
from svmv.volume import double

_HALO = 64  # px around a tile beside motion: what the convolutions of one level see, with some to spare
_HALO_MORE = 32  # px for each refinement
_NEARLY_ALL = 0.999  # share of a tile's motions that must fit


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, px, half-open."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    def within(self, outer: "Box") -> "Box":
        """This box seen from another one's corner."""
        return Box(self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left)

    def times(self, factor: int) -> "Box":
        """The same part of a picture so many times as large."""
        return Box(factor * self.top, factor * self.left, factor * self.bottom, factor * self.right)

    def of(self, picture: Tensor) -> Tensor:
        """The part of a (…, H, W) picture."""
        return picture[..., self.top : self.bottom, self.left : self.right]


class Read(Protocol):
    """Gives a part of a frame, (1, C, h, w) float32 in [0, 1]; beyond the frame its last row and column go on."""

    def __call__(self, box: Box) -> Tensor:
        """The part."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile's motion. Its pictures hold `outer`; only `core` is to be used of them."""

    core: Box
    outer: Box
    motion: Motion


def coarse(network: Network, read: Read, size: tuple[int, int], *, rows: int, shrink: int = 1) -> Features:
    """What the levels above the finest one see of a frame; kept in place of its features while the window slides.

    Its `half` is grey: what `common_shifts` reads.

    Args:
        network: the network.
        read: the frame.
        size: (H, W) of the frame.
        rows: of the frame at 1/`shrink` that are read at a time.
        shrink: motion is found in frames of 1/`shrink` of the size: 1, 2, 4 …
    """
    small = smaller(size, shrink)
    # A picture so small that it has one level alone is given a second one: tiles refine something.
    whole, levels = _padded(small), max(network.config.levels(*small), 2)
    step = max(rows // (2 * CELL), 1) * 2 * CELL
    strips = [Box(top, 0, min(top + step, whole.bottom), whole.right) for top in range(0, whole.bottom, step)]
    half = torch.cat([F.avg_pool2d(read(strip.times(shrink))[:, :3], 2 * shrink) for strip in strips], dim=2)
    features = network.encode_exactly(half, levels - 1)
    nothing = half.new_empty(len(half), 0, 0, 0)  # the decoder reads only what is matched and the context
    return replace(features, picture=nothing, half=half.mean(dim=1, keepdim=True), detail=nothing)


def refine(
    network: Network,
    reads: Sequence[Read],
    window: tuple[Features, Features, Features, Features],
    *,
    size: tuple[int, int],
    spacing: Tensor,
    side: int,
    shrink: int = 1,
) -> Iterator[Tile]:
    """The motion of one window, tile by tile.

    Args:
        network: the network.
        reads: I₋₁ I₀ I₁ I₂.
        window: their coarse features.
        size: (H, W) of the frames.
        spacing: as in `SVMV.decode`, (1, 2).
        side: of a tile with all that it needs around it, px of the frames the motion is found in. At least half of it
            is the tile's own; motion that would need more than a quarter on each side is cut off at the rim.
        shrink: as in `coarse`. The tiles and their motion are those of the frames themselves.

    Raises:
        OverflowError: the network's arithmetic was not wide enough for the motion to be a number.
    """
    small = smaller(size, shrink)
    whole = _padded(small)
    above, shifts = network.decode_coarse(window), common_shifts(window[1].half, window[2].half)
    near, far = (CELL * field.norm(dim=1).amax(dim=0) for field in (above.near, above.far))
    halo = _HALO + _HALO_MORE * network.config.refinements
    usual = min(_needed(Box(0, 0, *small), near, far) + halo, side // 4)
    for core in _cores(small, step=max(side - 2 * usual, CELL) // CELL * CELL):
        margin = min(_needed(core, near, far) + halo, side // 4)
        outer = _aligned(core, margin, whole)
        wide = outer.times(shrink)
        pictures = [read(wide) for read in reads]
        parts = [network.encode_exactly(_pooled(picture, shrink), 1) for picture in pictures]
        seen = Box(outer.top // CELL, outer.left // CELL, outer.bottom // CELL, outer.right // CELL)
        part = replace(above, near=seen.of(above.near), far=seen.of(above.far), hidden=seen.of(above.hidden))
        motion = network.decode_finest(
            (parts[0], parts[1], parts[2], parts[3]), part, shifts, size=_inside(outer, small).size, spacing=spacing
        )
        if shrink > 1:
            motion = enlarged(motion, torch.cat(pictures[1:3]), _inside(wide, size).size)
        yield Tile(_inside(core.times(shrink), size), wide, motion)


def encode_smaller(network: Network, picture: Tensor, shrink: int) -> Features:
    """Features of a frame at 1/`shrink` of its size, with the frame itself as their picture: see `enlarged`.

    Args:
        network: the network.
        picture: (B, C, H, W), float32 in [0, 1].
        shrink: 1, 2, 4 …
    """
    if shrink == 1:
        return network.encode(picture)
    H, W = picture.shape[2:]
    features = network.encode(_pooled(F.pad(picture, (0, -W % shrink, 0, -H % shrink), mode="replicate"), shrink))
    rows, columns = (shrink * length for length in features.picture.shape[2:])
    return replace(features, picture=F.pad(picture, (0, columns - W, 0, rows - H), mode="replicate"))


def enlarged(motion: Motion, pictures: Tensor, size: tuple[int, int]) -> Motion:
    """A motion that was found in smaller pictures, for the pictures themselves.

    Args:
        motion: of pictures 1/k as large, k a power of two.
        pictures: (2B, C, H, W), k times as large as the padded ones the motion was found in.
        size: of the pictures, without the padding.
    """
    velocity, acceleration = motion.velocity, motion.acceleration
    others: tuple[Tensor, ...] = (motion.logit, motion.slope, motion.sharpness, motion.still)
    N, M, _, h, w = velocity.shape
    while 2 * h < pictures.shape[2]:
        velocity, acceleration = 2 * velocity, 2 * acceleration
        each = [velocity.flatten(1, 2), acceleration.flatten(1, 2), *others]
        h, w = 2 * h, 2 * w
        doubled = torch.split(double(torch.cat(each, dim=1)), [field.shape[1] for field in each], dim=1)
        velocity, acceleration = (field.reshape(N, M, 2, h, w) for field in doubled[:2])
        others = doubled[2:]
    logit, slope, sharpness, still = others
    return Motion(pictures, velocity, acceleration, logit, slope, sharpness, still, motion.levels, size)


def smaller(size: tuple[int, int], shrink: int) -> tuple[int, int]:
    """(H, W) of frames at 1/`shrink` of a size."""
    return -(-size[0] // shrink), -(-size[1] // shrink)


def _pooled(picture: Tensor, shrink: int) -> Tensor:
    return picture if shrink == 1 else F.avg_pool2d(picture, shrink)


def _inside(box: Box, size: tuple[int, int]) -> Box:
    """What of a box lies inside frames of a size; its corner does."""
    return Box(box.top, box.left, min(box.bottom, size[0]), min(box.right, size[1]))


def _padded(size: tuple[int, int]) -> Box:
    """The frame as the network pads it."""
    return Box(0, 0, *padded_size(*size))


def _cores(size: tuple[int, int], *, step: int) -> list[Box]:
    rows, columns = range(0, size[0], step), range(0, size[1], step)
    return [Box(y, x, min(y + step, size[0]), min(x + step, size[1])) for y in rows for x in columns]


def _needed(core: Box, near: Tensor, far: Tensor) -> int:
    """Px around a tile that motion makes it need: pixels come from as far as things move, and seek as far again."""
    box = Box(core.top // CELL, core.left // CELL, -(-core.bottom // CELL), -(-core.right // CELL))
    reach = sum(_most(box.of(field)) for field in (near, torch.maximum(near, far)))
    if not math.isfinite(reach):
        raise OverflowError("the motion is no number")
    return math.ceil(reach)


def _most(lengths: Tensor) -> float:
    count = lengths.numel()
    return float(lengths.flatten().sort().values[max(int(count * _NEARLY_ALL), 1) - 1])  # MPS knows no kthvalue


def _aligned(core: Box, margin: int, whole: Box) -> Box:
    """The core and its margin, on the grid of the level above, inside the padded frame."""
    grid = CELL
    return Box(
        max(core.top - margin, 0) // grid * grid,
        max(core.left - margin, 0) // grid * grid,
        min(-(-(core.bottom + margin) // grid) * grid, whole.bottom),
        min(-(-(core.right + margin) // grid) * grid, whole.right),
    )
