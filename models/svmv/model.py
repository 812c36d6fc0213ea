"""The network, assembled: frames → features → motion → pictures."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from svmv.backends import Backend
from svmv.config import SVMVConfig
from svmv.features import Encoder, Features, padded
from svmv.motion import Ensemble, Motion
from svmv.shifts import common_shifts
from svmv.synthesis import synthesize
from svmv.volume import MotionVolume

Window = tuple[Features, Features, Features, Features]


class SVMV(nn.Module):
    """Spatiotemporal variance-supervised motion volume: several motions per pixel, found from four frames.

    `analyze` costs the network and does not depend on t; `synthesize` costs one splat per t. `encode` and
    `decode` are the two halves of `analyze`, for callers whose window slides: each frame is encoded once.
    """

    def __init__(self, config: SVMVConfig | None = None) -> None:
        super().__init__()
        self.config = config or SVMVConfig()
        self.encoder = Encoder(self.config)
        self.volume = MotionVolume(self.config)
        self.ensemble = Ensemble(self.config)

    def analyze(self, frames: Tensor, spacing: Tensor | None = None, *, refinements: int | None = None) -> Motion:
        """Motion of the window.

        Args:
            frames: (B, 4, C ≥ 3, H, W), RGB in [0, 1] first: I₋₁ I₀ I₁ I₂. Any size ≥ 1; padded inside. Further
                channels (alpha) move with the picture and have no say in its motion.
            spacing: as in `decode`.
            refinements: as in `decode`.
        """
        assert frames.ndim == 5 and frames.shape[1] == 4 and frames.shape[2] >= 3, f"got {frames.shape = }"
        B = frames.shape[0]
        every = self.encode(frames.transpose(0, 1).flatten(0, 1))
        before, left, right, after = (pick(every, slice(k * B, (k + 1) * B)) for k in range(4))
        size = (frames.shape[3], frames.shape[4])
        return self.decode((before, left, right, after), size=size, spacing=spacing, refinements=refinements)

    def encode(self, frames: Tensor) -> Features:
        """Features of (B, C ≥ 3, H, W) frames, RGB in [0, 1] first."""
        features: Features = self.encoder(padded(frames.float()), self.config.levels(*frames.shape[2:]))
        return features

    def decode(
        self,
        window: Window,
        *,
        size: tuple[int, int],
        spacing: Tensor | None = None,
        refinements: int | None = None,
    ) -> Motion:
        """Motion of a window of encoded frames.

        Args:
            window: features of I₋₁ I₀ I₁ I₂.
            size: (H, W) of the frames as they were given to `encode`.
            spacing: (B, 2), how far I₋₁ lies before I₀ and I₂ after I₁, the pair being 1 apart; inf where a shot
                ends and the pair's own frame stands in. Even spacing when left out.
            refinements: further passes at the finest level, for speed against quality; the configuration's when None.
        """
        left, right = window[1], window[2]
        if spacing is None:
            spacing = left.picture.new_ones(left.picture.shape[0], 2)
        levels, shifts = self.volume(window, refinements=refinements), common_shifts(left.half, right.half)
        motion: Motion = self.ensemble(window, levels, shifts, size=size, spacing=spacing)
        return motion

    def synthesize(self, motion: Motion, t: Tensor, *, backend: Backend = "auto") -> Tensor:
        """Pictures (B, T, C, H, W) at the times t (B, T) in [0, 1]; see `svmv.synthesis.synthesize`."""
        assert t.ndim == 2 and 2 * t.shape[0] == motion.pictures.shape[0], f"got {t.shape = }"
        return synthesize(motion, t, backend=backend)

    def forward(self, frames: Tensor, t: Tensor) -> Tensor:
        """`analyze`, then `synthesize`."""
        return self.synthesize(self.analyze(frames), t)


def stack(features: Sequence[Features]) -> Features:
    """One batch of several encoded frames of the same size."""
    if len(features) == 1:
        return features[0]
    return Features(
        torch.cat([f.picture for f in features]),
        torch.cat([f.half for f in features]),
        torch.cat([f.detail for f in features]),
        [torch.cat(level) for level in zip(*(f.match for f in features), strict=True)],
        [torch.cat(level) for level in zip(*(f.context for f in features), strict=True)],
    )


def pick(features: Features, rows: slice) -> Features:
    """Some frames of a batch of encoded frames."""
    return Features(
        features.picture[rows],
        features.half[rows],
        features.detail[rows],
        [level[rows] for level in features.match],
        [level[rows] for level in features.context],
    )
