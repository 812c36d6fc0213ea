"""What SVMV is measured against, from repetition to the best that runs without weights. Knows no files.

OpenCV is imported when `DisFlow` is made. FFmpeg's rival is not here: it needs PyAV.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from svmv.splat import splat
from svmv.training.evaluation import Clip, Gap
from svmv.warp import warp

Flow = npt.NDArray[np.float32]

_REMEMBERED = 8  # flows: the six of a window, and two that the next one brings
_DOUBT = 30.0  # log weight a pixel loses per unit of photometric error (a full black-white step is 1)
_TRUST = 12.0  # how fast the measured acceleration fades with the error of the flows it comes from
_HOLE = 1e-3  # weight of the filling; decides only where next to nothing lands


class Repeat:
    """The earlier picture again: what a player without interpolation shows."""

    name = "repeat"

    def predict(self, kept: Clip, gaps: Sequence[Gap]) -> Iterator[Tensor]:
        """See `Method`."""
        for gap in gaps:
            yield _picture(kept, gap.left).expand(len(gap.times), -1, -1, -1)


class Linear:
    """Both neighbours, blended by time."""

    name = "linear"

    def predict(self, kept: Clip, gaps: Sequence[Gap]) -> Iterator[Tensor]:
        """See `Method`."""
        for gap in gaps:
            t = torch.tensor(gap.times).view(-1, 1, 1, 1)
            yield torch.lerp(_picture(kept, gap.left), _picture(kept, gap.left + 1), t)


class DisFlow:
    """OpenCV's dense inverse search (Kroeger et al. 2016), preset medium, on luma; remembers the latest flows.

    Shared by all who need flow in a run, so that each pair is searched once.

    Raises:
        ImportError: OpenCV is not installed.
    """

    def __init__(self) -> None:
        import cv2

        self._cv2: Any = cv2  # its stubs lack DIS
        self._search = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        # Keyed with the clip's id; the entry keeps the clip alive, so an id is never met twice.
        self._known: OrderedDict[tuple[int, int, int], tuple[Clip, Flow]] = OrderedDict()

    def between(self, kept: Clip, start: int, end: int) -> Tensor:
        """Flow from picture `start` to `end`, (1, 2, H, W), px, x then y; 0 when they are the same one."""
        key = (id(kept), start, end)
        if key not in self._known:
            self._known[key] = (kept, self._measure(kept, start, end))
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return torch.from_numpy(self._known[key][1]).permute(2, 0, 1)[None]

    def reach(self, kept: Clip, left: int, right: int) -> float:
        """See `MotionMeter`."""
        return float(np.percentile(self.between(kept, left, right).norm(dim=1).numpy(), 95))

    def _measure(self, kept: Clip, start: int, end: int) -> Flow:
        if start == end:
            return np.zeros((*kept.shape[2:], 2), np.float32)
        flow: Flow = self._search.calc(self._luma(kept[start]), self._luma(kept[end]), None)
        return flow

    def _luma(self, picture: Clip) -> Clip:
        luma: Clip = self._cv2.cvtColor(np.ascontiguousarray(picture.transpose(1, 2, 0)), self._cv2.COLOR_RGB2GRAY)
        return luma


class DisWarp:
    """DIS flow and backward warping of both neighbours, blended by time."""

    name = "dis"

    def __init__(self, flow: DisFlow) -> None:
        self._flow = flow

    def predict(self, kept: Clip, gaps: Sequence[Gap]) -> Iterator[Tensor]:
        """See `Method`."""
        for gap in gaps:
            pair = _Pair(kept, gap, self._flow)
            yield torch.cat([pair.warped(t) for t in gap.times])


class DisSplat:
    """DIS flow, quadratic motion from four pictures, softmax splatting of both neighbours, holes filled.

    The strongest we know that runs without weights. Splatting after Niklaus & Liu 2020, the quadratic after QVI
    (Xu et al. 2019); the acceleration counts only where its flows explain the outer picture as well.
    """

    name = "dis-splat"

    def __init__(self, flow: DisFlow) -> None:
        self._flow = flow

    def predict(self, kept: Clip, gaps: Sequence[Gap]) -> Iterator[Tensor]:
        """See `Method`."""
        for gap in gaps:
            pair = _Pair(kept, gap, self._flow)
            yield torch.cat([pair.splatted(t) for t in gap.times])


class _Pair:
    """The two pictures of a gap with all that does not depend on the time between them."""

    def __init__(self, kept: Clip, gap: Gap, flow: DisFlow) -> None:
        before, left, right, after = gap.window
        self._left, self._right = _picture(kept, left), _picture(kept, right)
        self._forth, self._back = flow.between(kept, left, right), flow.between(kept, right, left)
        self._sides = (
            _Side(self._left, self._forth, self._right, flow.between(kept, left, before), _picture(kept, before)),
            _Side(self._right, self._back, self._left, flow.between(kept, right, after), _picture(kept, after)),
        )

    def warped(self, t: float) -> Tensor:
        """(1, 3, H, W): each pixel of the new picture takes the flow that starts where it is itself."""
        return torch.lerp(warp(self._left, t * self._back), warp(self._right, (1 - t) * self._forth), t)

    def splatted(self, t: float) -> Tensor:
        """(1, 3, H, W)."""
        left, right = self._sides
        total, norm = left.splatted(t)
        more, norm_more = right.splatted(1 - t)
        total, norm = total + more, norm + norm_more
        return (total + _HOLE * self.warped(t)) / (norm + _HOLE)


class _Side:
    """One neighbour, on its way to the other: u(s) = v·s + a·(s² − s) for s from 0 here to 1 there."""

    def __init__(self, picture: Tensor, flow: Tensor, other: Tensor, outward: Tensor, outer: Tensor) -> None:
        self._picture, self._velocity = picture, flow
        mistake = _mistake(picture, other, flow)
        self._weight = (-_DOUBT * mistake).exp()
        # At the ends of a clip the outer picture is this one again, and says nothing about acceleration.
        known = float(outer is not picture and not torch.equal(outer, picture))
        trust = known * (-_TRUST * (mistake + _mistake(picture, outer, outward))).exp()
        self._acceleration = trust * (flow + outward) / 2

    def splatted(self, s: float) -> tuple[Tensor, Tensor]:
        """Sum and norm at the time s, weighted by nearness and by how well the flow explains the other picture."""
        offsets = self._velocity * s + self._acceleration * (s * s - s)
        return splat(self._picture, offsets[:, None], (1 - s) * self._weight)


def _mistake(picture: Tensor, other: Tensor, flow: Tensor) -> Tensor:
    """(1, 1, H, W) mean absolute difference between a picture and the other where the flow leads."""
    return (picture - warp(other, flow)).abs().mean(dim=1, keepdim=True)


def _picture(kept: Clip, index: int) -> Tensor:
    """(1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(kept[index]).float()[None] / 255
