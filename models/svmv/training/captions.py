"""Writing over footage: captions that stand still, credits that pass, pages that scroll, in letters of no alphabet.

Real clips have none, and a network that never saw a letter carries it off with the background behind it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from svmv.training.data import Sample
from svmv.warp import pixel_grid

_LETTERS, _STROKES = 24, 5
_NOWHERE = 1e3  # where the strokes of a blank lie, in heights of a letter
# Shares of writing: pages, which leave nothing of the footage and scroll; of the rest what stands still and what passes
# along an axis. What then remains drifts anywhere.
_PAGES, _STILL, _PASSING = 0.12, 0.5, 0.35


@dataclass(frozen=True, slots=True)
class Writing:
    """Lines of letters on one place that moves evenly."""

    strokes: Tensor  # (1 + _LETTERS, _STROKES, 2, 2): letter, stroke, end, x and y; heights; the first is a blank
    text: Tensor  # (rows, columns), int64, letters
    origin: tuple[float, float]  # x, y of the first cell's corner at time 0, px
    velocity: tuple[float, float]  # px per unit of time
    height: float  # of a letter, px
    cell: tuple[float, float]  # px from letter to letter and from line to line
    pen: tuple[float, float]  # px: breadth of a stroke, breadth of the rim around it
    colours: tuple[Tensor, Tensor, Tensor]  # of strokes, rim and ground, each (3, 1, 1)
    opacity: tuple[float, float]  # of the letters with their rim, of the ground they stand on
    noise: float  # standard deviation where the writing is: what compression makes of it

    def over(self, pictures: Tensor, times: Tensor, rng: np.random.Generator) -> Tensor:
        """Pictures (T, 3, H, W) at the times (T,) with the writing on them."""
        T, _, H, W = pictures.shape
        grid = pixel_grid(H, W, pictures.device)
        x = grid[:, 0] - self.origin[0] - self.velocity[0] * times.view(-1, 1, 1)
        y = grid[:, 1] - self.origin[1] - self.velocity[1] * times.view(-1, 1, 1)
        (width, pitch), (rows, columns) = self.cell, self.text.shape
        column, row = (x / width).floor(), (y / pitch).floor()
        written = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        letter = self.text[row.long().clamp(0, rows - 1), column.long().clamp(0, columns - 1)] * written
        place = torch.stack([x - column * width, y - row * pitch], dim=-1) / self.height
        away = self.height * _distance(place, self.strokes[letter])
        half, rim = self.pen[0] / 2, self.pen[1]
        margin = self.height / 2
        ground = _inside(x, -margin, columns * width + margin) * _inside(y, -margin, rows * pitch + margin)
        layers = (
            (self.colours[2], ground * self.opacity[1]),
            (self.colours[1], (half + rim - away + 0.5).clamp(0, 1) * self.opacity[0] * (rim > 0)),
            (self.colours[0], (half - away + 0.5).clamp(0, 1) * self.opacity[0]),
        )
        seen = pictures
        for colour, share in layers:
            seen = torch.lerp(seen, colour.expand_as(seen), share[:, None])
        grain = torch.from_numpy(rng.standard_normal((T, 3, H, W), np.float32)).to(pictures.device)
        return (seen + self.noise * ground[:, None] * grain).clamp(0, 1)


def captioned(sample: Sample, rng: np.random.Generator, *, share: float) -> Sample:
    """The sample with writing over so large a share of its pictures, drawn one by one; the truth has it too."""

    def write(pictures: Tensor, times: Tensor) -> Tensor:
        return _draw(rng, pictures.shape[-1], pictures.device).over(pictures, times, rng)

    return sample.changed(rng, write, share=share)


def _draw(rng: np.random.Generator, crop: int, device: torch.device) -> Writing:
    """Some writing that is seen half way between I₀ and I₁."""
    height = float(np.exp(rng.uniform(np.log(7), np.log(32))))
    cell = height * rng.uniform(0.6, 0.85), height * rng.uniform(1.15, 1.6)
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(4, 28))
    page = rng.random() < _PAGES
    velocity = (0.0, float(rng.uniform(-0.2, 0.2)) * crop) if page else _velocity(rng, crop)
    passing = any(velocity) and rng.random() < 0.5  # credits and tickers fill the picture along their way
    if page or (passing and velocity[1]):
        rows = int(2 * crop / cell[1]) + 1
    elif passing:
        rows = 1
    if page or (passing and not velocity[1]):
        columns = int(2 * crop / cell[0]) + 1
    text = rng.integers(1, 1 + _LETTERS, (rows, columns)) * (rng.random((rows, columns)) < 0.85)
    text *= np.arange(columns) < columns * rng.uniform(0.3, 1.2, (rows, 1))  # few lines are full
    size = columns * cell[0], rows * cell[1]
    middle = rng.uniform(0.1, 0.9, 2) * crop  # of the block, half way
    inverse = page and rng.random() < 0.7
    fill, rim, ground = (torch.tensor(_colour(rng, (k == 0) != inverse), device=device).view(3, 1, 1) for k in range(3))
    thick = max(height * rng.uniform(0.06, 0.18), 1.0)
    return Writing(
        strokes=torch.from_numpy(_alphabet(rng)).to(device),
        text=torch.from_numpy(text).to(device),
        origin=(
            float(middle[0] - size[0] / 2 - velocity[0] / 2),
            float(middle[1] - size[1] / 2 - velocity[1] / 2),
        ),
        velocity=velocity,
        height=height,
        cell=cell,
        pen=(thick, float(rng.uniform(0.5, 2.0)) if rng.random() < 0.6 else 0.0),
        colours=(fill, rim, ground),
        opacity=(1.0 if rng.random() < 0.75 else float(rng.uniform(0.3, 1)), 1.0 if page else _ground(rng)),
        noise=float(rng.uniform(0, 3)) / 255,
    )


def _velocity(rng: np.random.Generator, crop: int) -> tuple[float, float]:
    kind = rng.random()
    speed = float(rng.uniform(-0.1, 0.1)) * crop
    if kind < _STILL:
        return 0.0, 0.0
    if kind < _STILL + _PASSING:
        return (speed, 0.0) if rng.random() < 0.5 else (0.0, speed)
    return speed, float(rng.uniform(-0.1, 0.1)) * crop


def _colour(rng: np.random.Generator, light: bool) -> list[float]:
    """Mostly light letters in a dark rim on a dark ground, or the other way round; the rest is anything."""
    if rng.random() < 0.6:
        grey = rng.uniform(0.8, 1) if light else rng.uniform(0, 0.2)
        return [float(grey)] * 3
    return [float(x) for x in rng.random(3)]


def _ground(rng: np.random.Generator) -> float:
    """Opacity of what the letters stand on: mostly nothing."""
    kind = rng.random()
    return 0.0 if kind < 0.6 else float(rng.uniform(0.3, 0.9)) if kind < 0.85 else 1.0


def _alphabet(rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """`Writing.strokes`: each letter a few lines between points of a lattice, more of them upright than aslant."""
    columns, lines = np.array([0.12, 0.3, 0.48]), np.array([0.15, 0.38, 0.62, 0.85])
    start = np.stack([rng.choice(columns, (_LETTERS, _STROKES)), rng.choice(lines, (_LETTERS, _STROKES))], axis=-1)
    end = np.stack([rng.choice(columns, (_LETTERS, _STROKES)), rng.choice(lines, (_LETTERS, _STROKES))], axis=-1)
    kind = rng.random((_LETTERS, _STROKES))
    end[..., 0] = np.where(kind < 0.4, start[..., 0], end[..., 0])
    end[..., 1] = np.where((kind >= 0.4) & (kind < 0.7), start[..., 1], end[..., 1])
    strokes = np.stack([start, end], axis=2)
    strokes[rng.random((_LETTERS, _STROKES)) < 0.35] = _NOWHERE  # not all have so many
    return np.concatenate([np.full((1, _STROKES, 2, 2), _NOWHERE), strokes]).astype(np.float32)


def _distance(points: Tensor, strokes: Tensor) -> Tensor:
    """(…,) from points (…, 2) to the nearest of their strokes (…, K, 2, 2)."""
    start, along = strokes[..., 0, :], strokes[..., 1, :] - strokes[..., 0, :]
    reach = points[..., None, :] - start
    share = ((reach * along).sum(dim=-1) / (along.square().sum(dim=-1) + 1e-6)).clamp(0, 1)
    nearest: Tensor = (reach - share[..., None] * along).norm(dim=-1).amin(dim=-1)
    return nearest


def _inside(x: Tensor, first: float, last: float) -> Tensor:
    """1 between two places, 0 outside, a pixel's ramp at both."""
    return (x - first + 0.5).clamp(0, 1) * (last - x + 0.5).clamp(0, 1)
