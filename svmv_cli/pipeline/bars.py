"""Black bars around a film: the network sees only what lies between them. Knows no tensors.

A bar is no place that things move to. What the network makes of its edge is worse than what it makes of the edge of a
picture, and a wide film in a 16:9 file is a quarter of black rows that would be paid for like all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.pipeline.recent import Recent
from svmv_cli.pipeline.windows import Interpolator, Window

# What compression leaves of black, and nobody sees, in codes of 8 bits: at one place, and on the average of a line.
_ANYWHERE, _MEAN = 8, 1
_LINES = 16  # rows or columns looked at in one go: most films have no bars, and the first ones tell
_SMALLEST = 64  # px: a window that shows less is nearly dark, and worked on whole


@dataclass(frozen=True, slots=True)
class Area:
    """What bars leave of a picture, px, half-open, on whole chroma samples."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def of(cls, frame: Frame, black: Sequence[float]) -> "Area":
        """What of a frame is not black; with nothing in it where all is.

        Args:
            frame: the frame.
            black: code value of black in each of its planes.
        """
        form, height, width = frame.format, frame.height, frame.width
        scale = 1 << (form.depth - 8)
        edges = []
        for index, (plane, code) in enumerate(zip(frame.planes, black, strict=True)):
            down, across = form.shifts(index)
            lines = (plane, down), (plane.T, across), (plane[::-1], down), (plane.T[::-1], across)
            edges.append([_leading(some, code, scale) << shift for some, shift in lines])
        top, left, bottom, right = (min(side) for side in zip(*edges, strict=True))
        down, across = 1 << form.shift_y, 1 << form.shift_x
        return cls(
            top // down * down,
            left // across * across,
            min(-(-max(height - bottom, 0) // down) * down, height),
            min(-(-max(width - right, 0) // across) * across, width),
        )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    def around(self, other: "Area") -> "Area":
        """The smallest area that holds both."""
        return Area(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def part(self, frame: Frame) -> Frame:
        """What of a frame lies in it."""
        if self.size == (frame.height, frame.width):
            return frame
        taken = (plane[self.slices(frame.format, index)] for index, plane in enumerate(frame.planes))
        return replace(frame, planes=tuple(cast(Plane, np.ascontiguousarray(plane)) for plane in taken))

    def slices(self, form: PixelFormat, index: int) -> tuple[slice, slice]:
        """Rows and columns of plane `index`."""
        return form.slices(index, top=self.top, left=self.left, bottom=self.bottom, right=self.right)


class Fitting(Interpolator, Protocol):
    """An interpolator that can be set to pictures of another size."""

    def fit(self, *, height: int, width: int) -> None:
        """From now on pictures have this size, px."""
        ...


class WithoutBars:
    """Interpolates what lies between the bars of a segment's pictures; the bars stay those of the left one.

    What has once been shown in a segment is worked on to its end: an area that changed with every dark picture would
    have each one encoded anew.
    """

    def __init__(self, inner: Fitting, black: Sequence[float]) -> None:
        """`black`: code value of black in each plane."""
        self.inner = inner
        self._black = black
        self._shown: Area | None = None  # in this segment
        # What is seen of a frame is one object every time, by which the interpolator knows it again.
        self._parts: Recent[Frame] = Recent()

    @property
    def name(self) -> str:
        """See `Interpolator`."""
        return self.inner.name

    @property
    def weights(self) -> str:
        """See `Interpolator`."""
        return self.inner.weights

    @property
    def device(self) -> str:
        """See `Interpolator`."""
        return self.inner.device

    @property
    def precision(self) -> str:
        """See `Interpolator`."""
        return self.inner.precision

    def begin(self) -> None:
        """See `Interpolator`."""
        self._shown = None
        self._parts.clear()
        self.inner.begin()

    def close(self) -> None:
        """See `Interpolator`."""
        self.begin()
        self.inner.close()

    def between(
        self, windows: Sequence[Window], phases: Sequence[tuple[Fraction, ...]]
    ) -> list[list[tuple[Plane, ...]]]:
        """See `Interpolator`."""
        area = self._area(windows)
        height, width = area.size
        self.inner.fit(height=height, width=width)
        parts = [Window(*(self._parts.of(frame, area.part) for frame in window.frames)) for window in windows]
        rows = self.inner.between(parts, phases)
        return [[_filled(w.left, area, planes) for planes in row] for w, row in zip(windows, rows, strict=True)]

    def _area(self, windows: Sequence[Window]) -> Area:
        first = windows[0].left
        whole = Area(0, 0, first.height, first.width)
        if first.format.alpha or self._shown == whole:  # under transparency black is no sign of nothing
            return whole
        before = self._shown
        for frame in {id(frame): frame for window in windows for frame in window.frames}.values():
            if frame not in self._parts:
                area = Area.of(frame, self._black)
                self._shown = area if self._shown is None else self._shown.around(area)
        assert self._shown is not None
        if self._shown != before:
            self._parts.clear()
        return self._shown if min(self._shown.size) >= min(_SMALLEST, *whole.size) else whole


def _filled(frame: Frame, area: Area, part: tuple[Plane, ...]) -> tuple[Plane, ...]:
    """A frame's planes with a part of them exchanged."""
    if area.size == (frame.height, frame.width):
        return part
    planes = tuple(plane.copy() for plane in frame.planes)
    for index, (plane, new) in enumerate(zip(planes, part, strict=True)):
        plane[area.slices(frame.format, index)] = new
    return planes


def _leading(lines: npt.NDArray[np.integer], black: float, scale: int) -> int:
    """How many of the first rows are black; `scale`: codes of their depth that are one of 8 bits."""
    for first in range(0, len(lines), _LINES):
        away = np.abs(lines[first : first + _LINES].astype(np.int32) - round(black))
        lit = (away.max(axis=1) > _ANYWHERE * scale) | (away.mean(axis=1) > _MEAN * scale)
        if lit.any():
            return first + int(lit.argmax())
    return len(lines)
