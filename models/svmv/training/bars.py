"""Edges that stand still around footage: the bars of wide and upright films, windows and pictures in pictures.

What moves goes behind such an edge and comes out of it. Footage without bars shows neither.
"""

import numpy as np
import torch
from torch import Tensor

from svmv.training.data import Sample

_BLACK = 0.7  # share of bars that are; others have any colour
_ALL_SIDES = 0.25  # share of frames around the whole picture; the rest are bars on two opposite sides, or on one


def barred(sample: Sample, rng: np.random.Generator, *, share: float) -> Sample:
    """The sample with still edges in so large a share of its pictures, drawn one by one; the truth has them too."""

    def bar(pictures: Tensor, _: Tensor) -> Tensor:
        seen = _opening(rng, pictures.shape[-1]).to(pictures.device)
        black = rng.random() < _BLACK
        colour = np.full(3, rng.uniform(0, 0.03)) if black else rng.random(3)
        bars = torch.from_numpy(colour.astype(np.float32)).to(pictures.device).view(3, 1, 1)
        return torch.lerp(bars.expand_as(pictures), pictures, seen)

    return sample.changed(rng, bar, share=share)


def _opening(rng: np.random.Generator, size: int) -> Tensor:
    """(size, size): 1 where the footage is seen, 0 behind the bars, a pixel's ramp between where the edge is soft."""
    edges = rng.uniform(-0.15, 0.4, (2, 2)) * size  # of columns and rows, breadth of the first and the last bar
    if rng.random() >= _ALL_SIDES:
        edges[rng.integers(2)] = -1.0
    if rng.random() < 0.7:
        edges = edges.round()
    place = np.arange(size) + 0.5
    column, row = (
        np.clip(place - first + 0.5, 0, 1) * np.clip(size - last - place + 0.5, 0, 1) for first, last in edges
    )
    return torch.from_numpy((row[:, None] * column[None, :]).astype(np.float32))
