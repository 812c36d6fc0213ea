"""The protocol: keep every n-th picture of a clip, predict the others, compare. Knows no files.

Clips are uint8 (N, 3, H, W), RGB. All methods see the same kept pictures and are held to the same truth.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf, isnan, nan
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from svmv.features import Features
from svmv.inference import Network
from svmv.metrics import psnr, sharpness, similarity, temporal_psnr

Clip = npt.NDArray[np.uint8]

# Upper ends of the motion groups, px between kept pictures: the median over a clip's gaps of the flow's 95th
# percentile. Meant for pictures of some 300 to 500 lines.
GROUPS = {"easy": 4.0, "medium": 10.0, "hard": 25.0, "extreme": float("inf")}


@dataclass(frozen=True, slots=True)
class Gap:
    """Two kept neighbours and what was dropped between them."""

    left: int  # index among the kept pictures; the right one is left + 1
    window: tuple[int, int, int, int]  # I₋₁ I₀ I₁ I₂ among the kept; the clip's ends repeat
    dropped: tuple[int, ...]  # indices in the clip
    times: tuple[float, ...]  # of the dropped, in (0, 1) from left to right


def split(frames: int, step: int, *, every: int = 1) -> list[Gap]:
    """The gaps of a clip of which every `step`-th picture is kept, from the first on.

    Args:
        frames: length of the clip; what lies behind its last kept picture is left out.
        step: 2, 4, 8 … for the protocols 2x, 4x, 8x.
        every: take only each `every`-th gap, for quick checks.
    """
    if step < 2 or every < 1:
        raise ValueError(f"need step ≥ 2 and every ≥ 1, got {step = }, {every = }")
    kept = (frames - 1) // step + 1
    times = tuple(k / step for k in range(1, step))
    return [
        Gap(
            left,
            (max(left - 1, 0), left, left + 1, min(left + 2, kept - 1)),
            tuple(left * step + k for k in range(1, step)),
            times,
        )
        for left in range(0, kept - 1, every)
    ]


class Method(Protocol):
    """Something that predicts pictures."""

    @property
    def name(self) -> str:
        """As it stands in tables."""

    def predict(self, kept: Clip, gaps: Sequence[Gap]) -> Iterator[Tensor]:
        """For each gap the pictures at its times, (T, 3, H, W), RGB in [0, 1], on any device.

        One generator per clip, so what neighbouring gaps share is worked out once.
        """


class MotionMeter(Protocol):
    """Something that measures how far things move between two pictures."""

    def reach(self, kept: Clip, left: int, right: int) -> float:
        """95th percentile of the displacement from kept picture `left` to `right`, px."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured of a picture, or the mean of that over several."""

    psnr: float  # dB
    ssim: float
    ssim_3d: float
    temporal: float  # dB; nan where no predicted picture precedes within step pictures
    sharpness: float  # gradient energy over the truth's

    @classmethod
    def mean(cls, many: Sequence["Figures"]) -> "Figures":
        """Means of each figure, the temporal one of those that have it; nan where a picture was no number."""
        columns = {field.name: [getattr(one, field.name) for one in many] for field in fields(cls)}
        columns["temporal"] = [value for value in columns["temporal"] if not isnan(value)]
        return cls(**{name: sum(column) / len(column) if column else nan for name, column in columns.items()})


@dataclass(frozen=True, slots=True)
class ClipScores:
    """Figures of one clip."""

    name: str
    step: int
    dropped: tuple[int, ...]  # indices in the clip of the pictures predicted
    frames: Mapping[str, tuple[Figures, ...]]  # by method, one per dropped picture
    motion: float = nan  # px; nan: not measured

    @property
    def group(self) -> str:
        """Name of the motion group; "unmeasured" without a motion meter."""
        return next((name for name, end in GROUPS.items() if self.motion < end), "unmeasured")

    def mean(self, method: str) -> Figures:
        """Of a method over the clip's predicted pictures."""
        return Figures.mean(self.frames[method])


@dataclass(frozen=True, slots=True)
class Prediction:
    """One dropped picture with what every method made of it; shown to `watch` of `evaluate_clip`."""

    clip: str
    frame: int  # index in the clip
    truth: Tensor  # (1, 3, H, W) in [0, 1]
    made: Mapping[str, Tensor]  # by method, (1, 3, H, W)
    figures: Mapping[str, Figures]


def evaluate_clip(
    name: str,
    clip: Clip,
    methods: Sequence[Method],
    *,
    step: int,
    every: int = 1,
    device: torch.device | None = None,
    meter: MotionMeter | None = None,
    watch: Callable[[Prediction], None] = lambda _: None,
) -> ClipScores:
    """Run all methods over one clip, side by side, holding no more than a gap's pictures.

    Args:
        name: of the clip, for the records.
        clip: uint8 (N, 3, H, W), RGB.
        methods: with names of their own.
        step: keep every `step`-th picture.
        every: take only each `every`-th gap.
        device: where figures are computed; the CPU when None.
        meter: measures the clip's motion.
        watch: is shown every predicted picture.

    Raises:
        ValueError: the clip holds no gap, or is smaller than 11 × 11 px.
    """
    gaps = split(len(clip), step, every=every)
    if not gaps:
        raise ValueError(f"{name}: {len(clip)} pictures are too few for {step}x, which needs {step + 1}")
    device = device or torch.device("cpu")
    kept = np.ascontiguousarray(clip[::step])
    judges = {method.name: _Judge(step) for method in methods}
    reaches = []
    for gap, *made in zip(gaps, *(method.predict(kept, gaps) for method in methods), strict=True):
        for k, frame in enumerate(gap.dropped):
            truth = torch.from_numpy(clip[frame : frame + 1]).to(device).float() / 255
            pictures = {m.name: many[k : k + 1].to(device) for m, many in zip(methods, made, strict=True)}
            figures = {key: judges[key].judge(frame, picture, truth) for key, picture in pictures.items()}
            watch(Prediction(name, frame, truth, pictures, figures))
        if meter is not None:
            reaches.append(meter.reach(kept, gap.left, gap.left + 1))
    return ClipScores(
        name,
        step,
        tuple(frame for gap in gaps for frame in gap.dropped),
        {key: tuple(judge.figures) for key, judge in judges.items()},
        float(np.median(reaches)) if reaches else nan,
    )


def overall(clips: Sequence[ClipScores]) -> dict[str, Figures]:
    """Figures by method: means over clips, so that long ones do not outweigh the others."""
    methods = clips[0].frames if clips else {}
    return {method: Figures.mean([clip.mean(method) for clip in clips]) for method in methods}


def by_group(clips: Sequence[ClipScores]) -> dict[str, list[ClipScores]]:
    """Clips by motion group, easy ones first; groups without clips are left out."""
    sorted_out = {group: [clip for clip in clips if clip.group == group] for group in (*GROUPS, "unmeasured")}
    return {group: members for group, members in sorted_out.items() if members}


class _Judge:
    """Measures one method's pictures in order; remembers the one before.

    The picture before is the *predicted* one before, not the kept one: at 2x every prediction follows a kept
    picture, and the change since that would tell the PSNR over again.
    """

    def __init__(self, step: int) -> None:
        self.figures: list[Figures] = []
        self._step = step
        self._before: tuple[int, Tensor, Tensor] | None = None

    def judge(self, frame: int, predicted: Tensor, truth: Tensor) -> Figures:
        planar, volumetric = similarity(predicted, truth)
        figures = Figures(
            float(psnr(predicted, truth)),
            float(planar),
            float(volumetric),
            self._temporal(frame, predicted, truth),
            float(sharpness(predicted, truth)),
        )
        self._before = (frame, predicted, truth)
        self.figures.append(figures)
        return figures

    def _temporal(self, frame: int, predicted: Tensor, truth: Tensor) -> float:
        if self._before is None or frame - self._before[0] > self._step:
            return nan
        _, before, truth_before = self._before
        return float(temporal_psnr(predicted, truth, predicted_before=before, truth_before=truth_before))


class Ours:
    """SVMV as a method; each kept picture is encoded once."""

    def __init__(self, network: Network, device: torch.device, *, name: str = "svmv") -> None:
        """`network`: ready to run, on `device`."""
        self.name = name
        self._network, self._device = network, device

    def predict(self, kept: Clip, gaps: Sequence[Gap]) -> Iterator[Tensor]:
        """See `Method`."""
        encoded: deque[tuple[int, Features]] = deque(maxlen=4)
        for gap in gaps:
            for index in sorted(set(gap.window) - {known for known, _ in encoded}):
                encoded.append((index, self._encode(kept[index])))
            yield self._between(dict(encoded), gap, kept.shape[2:])

    @torch.inference_mode()
    def _encode(self, picture: Clip) -> Features:
        return self._network.encode(torch.from_numpy(picture).to(self._device)[None].float() / 255)

    @torch.inference_mode()
    def _between(self, encoded: dict[int, Features], gap: Gap, size: tuple[int, ...]) -> Tensor:
        before, left, right, after = (encoded[index] for index in gap.window)
        ends = gap.window[0] == gap.left, gap.window[3] == gap.left + 1
        spacing = torch.tensor([[inf if end else 1.0 for end in ends]], device=self._device)
        motion = self._network.decode((before, left, right, after), size=(size[0], size[1]), spacing=spacing)
        times = torch.tensor([gap.times], dtype=torch.float32, device=self._device)
        return self._network.synthesize(motion, times)[0]
