"""Pictures whose motion is known: layers cut from real frames on smooth paths, one hiding another.

Covers what the footage lacks: large motion, acceleration, rotation, zoom, sharp motion edges, exact t.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from svmv.training.data import Bytes, Sample, to_rgb, upload
from svmv.warp import pixel_grid

LAYERS = 3


@dataclass(frozen=True, slots=True)
class Truth:
    """True motion of a synthetic batch; anchor I₀ for all samples, then anchor I₁."""

    near: Tensor  # (2B, 2, H, W), px: u₀→₁, u₁→₀
    far: Tensor  # (2B, 2, H, W), px: u₀→₋₁, u₁→₂


@dataclass(frozen=True, slots=True)
class _Path:
    """Similarity motion of one layer per sample, each field (B, …): position, turn and zoom as functions of time."""

    centre: Tensor  # (B, 2), px
    velocity: Tensor  # (B, 2), px per unit of time
    acceleration: Tensor  # (B, 2), px
    spin: Tensor  # (B,), radians per unit of time
    zoom: Tensor  # (B,), log scale per unit of time

    def _pose(self, time: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        time = time.view(-1, 1)
        shift = self.velocity * time + self.acceleration * time * time / 2
        scale = torch.exp(self.zoom * time[:, 0])
        cos, sin = torch.cos(self.spin * time[:, 0]) * scale, torch.sin(self.spin * time[:, 0]) * scale
        return shift[:, :, None, None], cos.view(-1, 1, 1), sin.view(-1, 1, 1), (scale * scale).view(-1, 1, 1)

    def forward(self, points: Tensor, time: Tensor) -> Tensor:
        """Where material points (B, 2, H, W) are at `time` (B,)."""
        shift, cos, sin, _ = self._pose(time)
        d = points - self.centre[:, :, None, None]
        turned = torch.stack([cos * d[:, 0] - sin * d[:, 1], sin * d[:, 0] + cos * d[:, 1]], dim=1)
        return turned + self.centre[:, :, None, None] + shift

    def inverse(self, points: Tensor, time: Tensor) -> Tensor:
        """Which material points are seen at `points` at `time`."""
        shift, cos, sin, square = self._pose(time)
        d = points - self.centre[:, :, None, None] - shift
        turned = torch.stack([(cos * d[:, 0] + sin * d[:, 1]), (cos * d[:, 1] - sin * d[:, 0])], dim=1)
        return turned / square[:, None] + self.centre[:, :, None, None]


class SyntheticSource:
    """Batches of layered scenes textured from real crops."""

    def __init__(self, *, reach: float = 24.0) -> None:
        """`reach`: typical motion between window neighbours, px at a 256 px crop."""
        self._reach = reach

    def draw(
        self,
        rng: np.random.Generator,
        *,
        batch: int,
        crop: int,
        device: torch.device,
        textures: Sequence[Bytes] = (),
    ) -> tuple[Sample, Truth]:
        """One batch and its true motion.

        Args:
            rng: every choice comes from it.
            batch: samples.
            crop: side of a picture, px.
            device: where it is rendered.
            textures: for each of the LAYERS pictures as `RealSource.stills` gives them; noise when there are none.
        """
        seen = [to_rgb(upload(packed, device)) for packed in textures] or [
            _noise(rng, batch, crop, device) for _ in range(LAYERS)
        ]
        masks = [_blob(rng, batch, crop, device) for _ in range(LAYERS)]
        masks[0] = torch.ones_like(masks[0])
        paths = [self._path(rng, batch, crop, device, background=k == 0) for k in range(LAYERS)]
        t = torch.from_numpy(rng.uniform(0.1, 0.9, batch)).float().to(device)
        moments = [torch.full_like(t, m) for m in (-1.0, 0.0, 1.0, 2.0)]
        pictures = [_render(seen, masks, paths, moment)[0] for moment in [*moments, t]]
        owners = [_render(seen, masks, paths, moment)[1] for moment in moments[1:3]]
        near = torch.cat(
            [_flow(owners[0], paths, moments[1], moments[2]), _flow(owners[1], paths, moments[2], moments[1])]
        )
        far = torch.cat(
            [_flow(owners[0], paths, moments[1], moments[0]), _flow(owners[1], paths, moments[2], moments[3])]
        )
        return Sample(torch.stack(pictures[:4], dim=1), pictures[4], t, torch.ones(batch, 2, device=device)), Truth(
            near, far
        )

    def _path(
        self, rng: np.random.Generator, batch: int, crop: int, device: torch.device, *, background: bool
    ) -> _Path:
        reach = self._reach * crop / 256 * (0.5 if background else 1.0)

        def normal(*shape: int) -> Tensor:
            return torch.from_numpy(rng.standard_normal(shape)).float().to(device)

        # Speeds over two orders of magnitude: most real motion is small, the hard part is large.
        speed = reach * torch.from_numpy(rng.uniform(0, 1, (batch, 1)) ** 2 * 2).float().to(device)
        heading = torch.from_numpy(rng.uniform(0, 2 * math.pi, (batch, 1))).float().to(device)
        velocity = speed * torch.cat([heading.cos(), heading.sin()], dim=1)
        return _Path(
            centre=crop / 2 + normal(batch, 2) * crop / 8,
            velocity=velocity,
            acceleration=normal(batch, 2) * speed * 0.2,
            spin=normal(batch) * 0.06,
            zoom=normal(batch) * 0.04,
        )


def _noise(rng: np.random.Generator, batch: int, crop: int, device: torch.device) -> Tensor:
    """(B, 3, H, W) texture of several sizes, for want of footage."""
    texture = torch.zeros(batch, 3, crop, crop, device=device)
    for cell in (crop // 2, crop // 8, crop // 32):
        noise = torch.from_numpy(rng.random((batch, 3, cell, cell), np.float32)).to(device)
        texture += F.interpolate(noise, size=(crop, crop), mode="bicubic") / 3
    return texture.clamp(0, 1)


def _blob(rng: np.random.Generator, batch: int, crop: int, device: torch.device) -> Tensor:
    """(B, 1, H, W) soft-edged random shapes, about a fifth of the picture."""
    cells = int(rng.integers(3, 9))
    noise = torch.from_numpy(rng.standard_normal((batch, 1, cells, cells))).float().to(device)
    field = F.interpolate(noise, size=(crop, crop), mode="bicubic", align_corners=True)
    edge = 2 * crop / cells / 2
    return ((field - 0.6) * edge + 0.5).clamp(0, 1)


def _render(textures: list[Tensor], masks: list[Tensor], paths: list[_Path], moment: Tensor) -> tuple[Tensor, Tensor]:
    """The picture at a moment, and which layer each pixel shows (B, 1, H, W)."""
    B, _, H, W = textures[0].shape
    grid = pixel_grid(H, W, moment.device).expand(B, -1, -1, -1)
    picture = torch.zeros_like(textures[0])
    owner = torch.zeros(B, 1, H, W, device=moment.device)
    for index, (texture, mask, path) in enumerate(zip(textures, masks, paths, strict=True)):
        where = path.inverse(grid, moment)
        sampler = (where * (2 / torch.tensor([W - 1.0, H - 1.0], device=where.device)).view(1, 2, 1, 1) - 1).permute(
            0, 2, 3, 1
        )
        seen = F.grid_sample(texture, sampler, padding_mode="reflection", align_corners=True)
        alpha = F.grid_sample(mask, sampler, padding_mode="border" if index == 0 else "zeros", align_corners=True)
        picture = picture + alpha * (seen - picture)
        owner = torch.where(alpha > 0.5, float(index), owner)
    return picture, owner


def _flow(owner: Tensor, paths: list[_Path], start: Tensor, end: Tensor) -> Tensor:
    """(B, 2, H, W) displacement of what is seen at `start` until `end`."""
    B, _, H, W = owner.shape
    grid = pixel_grid(H, W, owner.device).expand(B, -1, -1, -1)
    flow = torch.zeros_like(grid)
    for index, path in enumerate(paths):
        moved = path.forward(path.inverse(grid, start), end) - grid
        flow = torch.where(owner == index, moved, flow)
    return flow
