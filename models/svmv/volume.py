"""Features of a window → its motion, coarse to fine, by one decoder shared by all levels and both directions."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svmv.config import SVMVConfig
from svmv.correlation import correlate
from svmv.features import Features, conv
from svmv.warp import pixel_grid


@dataclass(frozen=True, slots=True)
class Level:
    """Motion at one pyramid level, in that level's pixels. Batch: anchor I₀ for all windows, then anchor I₁."""

    near: Tensor  # (2B, 2, h, w), float32: anchor → the other frame of the pair (u₀→₁, u₁→₀)
    far: Tensor  # (2B, 2, h, w), float32: anchor → its outer neighbour (u₀→₋₁, u₁→₂)
    hidden: Tensor  # (2B, hidden_channels, h, w)


class SoftArgmax(nn.Module):
    """Where in its window a pixel matches best: the mean displacement under a softmax of the correlation.

    It gives a usable motion with untrained features, so training starts from block matching instead of noise.
    """

    offsets: Tensor

    def __init__(self, radius: int) -> None:
        super().__init__()
        self.log_sharpness = nn.Parameter(torch.tensor(2.3))
        window = pixel_grid(2 * radius + 1, 2 * radius + 1, torch.device("cpu")) - radius
        self.register_buffer("offsets", window.flatten(2)[0].contiguous(), persistent=False)  # (2, K)

    def forward(self, cost: Tensor) -> Tensor:
        """(B, K, h, w) → (B, 2, h, w), px."""
        share = torch.softmax(cost * self.log_sharpness.exp(), dim=1)
        return torch.einsum("bkhw,dk->bdhw", share, self.offsets)


class MotionVolume(nn.Module):
    """The pyramidal decoder. Reversing the window swaps the two halves of its batch: the symmetry is built in."""

    def __init__(self, config: SVMVConfig) -> None:
        super().__init__()
        self.config = config
        window = (2 * config.radius + 1) ** 2
        hidden = config.hidden_channels
        self.peak = SoftArgmax(config.radius)
        self.squeeze = nn.Sequential(nn.Conv2d(2 * window, 48, 1), nn.LeakyReLU(0.1))
        self.body = nn.Sequential(
            conv(48 + config.context_channels + 8 + hidden, hidden),
            conv(hidden, hidden),
            conv(hidden, hidden),
        )
        self.head = nn.Conv2d(hidden, 6, 3, 1, 1)
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(
        self, window: tuple[Features, Features, Features, Features], *, refinements: int | None = None
    ) -> list[Level]:
        """Decode the window (I₋₁ I₀ I₁ I₂), coarsest level first.

        Args:
            window: features of the four frames.
            refinements: further passes at the finest level; the configuration's when None. The list then ends with
                one entry per pass.
        """
        before, left, right, after = window
        passes = 1 + (self.config.refinements if refinements is None else refinements)
        levels: list[Level] = []
        for level in reversed(range(len(left.match))):
            anchor = torch.cat([left.match[level], right.match[level]])
            near = torch.cat([right.match[level], left.match[level]])
            far = torch.cat([before.match[level], after.match[level]])
            context = torch.cat([left.context[level], right.context[level]])
            guess = enlarged(levels[-1]) if levels else self._blank(anchor, context)
            for _ in range(passes if level == 0 else 1):
                guess = self._improve(guess, anchor, near, far, context)
                levels.append(guess)
        return levels

    def _blank(self, anchor: Tensor, context: Tensor) -> Level:
        B, _, h, w = anchor.shape
        still = anchor.new_zeros(B, 2, h, w)
        return Level(still, still, context.new_zeros(B, self.config.hidden_channels, h, w))

    def _improve(self, guess: Level, anchor: Tensor, near: Tensor, far: Tensor, context: Tensor) -> Level:
        """One pass of the decoder: look around where the guess points, and correct it."""
        radius = self.config.radius
        flow, hidden = torch.cat([guess.near, guess.far], dim=1), guess.hidden
        cost_near = correlate(anchor, near, guess.near, radius=radius)
        cost_far = correlate(anchor, far, guess.far, radius=radius)
        peaks = torch.cat([self.peak(cost_near), self.peak(cost_far)], dim=1)
        cost = self.squeeze(torch.cat([cost_near, cost_far], dim=1))
        known = torch.cat([flow / 8, peaks / radius], dim=1).to(cost.dtype)
        hidden = self.body(torch.cat([cost, context, known, hidden], dim=1))
        out = self.head(hidden).float()
        trust = torch.sigmoid(out[:, 4:]).repeat_interleave(2, dim=1)  # of each peak
        flow = flow + trust * peaks + out[:, :4]
        return Level(flow[:, :2], flow[:, 2:], hidden)


def enlarged(level: Level) -> Level:
    """The same motion at the next finer level, in its pixels."""
    flow = 2 * double(torch.cat([level.near, level.far], dim=1))
    return Level(flow[:, :2], flow[:, 2:], double(level.hidden))


def double(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
