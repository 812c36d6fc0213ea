"""One picture with its time, as planes. Knows no PyAV."""

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_YUV = re.compile(r"yuv(?P<alpha>a?)(?P<j>j?)(?P<sub>420|422|440|444)p(?P<depth>9|10|12|14|16)?(le)?$")
_GBR = re.compile(r"gbr(?P<alpha>a?)p(?P<depth>9|10|12|14|16)?(le)?$")
_GRAY = re.compile(r"gray(?P<depth>9|10|12|14|16)?(le)?$")
_SHIFTS = {"420": (1, 1), "422": (1, 0), "440": (0, 1), "444": (0, 0)}


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """A planar pixel format, named as FFmpeg names it."""

    name: str  # e.g. "yuv420p10le"
    kind: str  # "yuv", "gbr" or "gray"
    depth: int  # bits per sample
    shift_x: int  # log2 of the horizontal chroma subsampling
    shift_y: int  # log2 of the vertical chroma subsampling
    alpha: bool

    @classmethod
    def parse(cls, name: str) -> "PixelFormat":
        """Read an FFmpeg name.

        Raises:
            ValueError: the format is packed, semi-planar, big-endian or otherwise not one we work in.
        """
        if m := _YUV.match(name):
            sx, sy = _SHIFTS[m["sub"]]
            return cls(name, "yuv", int(m["depth"] or 8), sx, sy, bool(m["alpha"]))
        if m := _GBR.match(name):
            return cls(name, "gbr", int(m["depth"] or 8), 0, 0, bool(m["alpha"]))
        if m := _GRAY.match(name):
            return cls(name, "gray", int(m["depth"] or 8), 0, 0, False)
        raise ValueError(f"not a planar working format: {name!r}")

    @property
    def opaque(self) -> "PixelFormat":
        """The same without alpha."""
        return PixelFormat.parse(self.name.replace("yuva", "yuv").replace("gbrap", "gbrp"))

    @property
    def planes(self) -> int:
        """Number of planes: luma/G first, then U/B, V/R, alpha last."""
        return (1 if self.kind == "gray" else 3) + self.alpha

    def plane_shape(self, index: int, width: int, height: int) -> tuple[int, int]:
        """(rows, columns) of plane `index` in a picture of `width` × `height` px (chroma sizes round up)."""
        down, across = self.shifts(index)
        return -(-height >> down), -(-width >> across)

    def shifts(self, index: int) -> tuple[int, int]:
        """Log2 of the subsampling of plane `index`, down and across."""
        return (self.shift_y, self.shift_x) if self.kind == "yuv" and index in (1, 2) else (0, 0)

    def slices(self, index: int, *, top: int, left: int, bottom: int, right: int) -> tuple[slice, slice]:
        """Rows and columns of plane `index` that hold a part of the picture, px, half-open."""
        down, across = self.shifts(index)
        return slice(top >> down, -(-bottom >> down)), slice(left >> across, -(-right >> across))

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Sample type: uint8 up to 8 bits, native-endian uint16 above."""
        return np.uint8 if self.depth <= 8 else np.uint16


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture. Its planes are contiguous, own their memory and are never written to."""

    time: Fraction  # s, presentation time on the source's (or, when made, the output's) clock
    duration: Fraction  # s, until the next picture; the best that is known for the last one
    format: PixelFormat
    planes: tuple[Plane, ...]  # each (rows, columns)
    damaged: int = 0  # faults met in the source since the frame before
    late: int = 0  # frames left out since the frame before, because their time had passed

    @property
    def width(self) -> int:
        """Columns of the first plane, px."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Rows of the first plane, px."""
        return int(self.planes[0].shape[0])

    def __repr__(self) -> str:
        return f"Frame({self.format.name} {self.width}x{self.height} at {float(self.time):.4f} s)"
