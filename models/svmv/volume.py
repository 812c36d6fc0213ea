"""Features of a window → its motion, coarse to fine, by decoders shared by both directions."""

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
        with torch.autocast(share.device.type, enabled=False):  # these are coordinates
            return torch.einsum("bkhw,dk->bdhw", share.to(self.offsets.dtype), self.offsets)


class Decoder(nn.Module):
    """One pass: look around where a motion estimate points, and correct it."""

    def __init__(self, config: SVMVConfig) -> None:
        super().__init__()
        self.radius = config.radius
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

    def forward(self, guess: Level, anchor: Tensor, near: Tensor, far: Tensor, context: Tensor) -> Level:
        """A better motion than `guess`, from what is matched of the anchor, its pair and its outer neighbour."""
        flow, hidden = torch.cat([guess.near, guess.far], dim=1), guess.hidden
        cost_near = correlate(anchor, near, guess.near, radius=self.radius)
        cost_far = correlate(anchor, far, guess.far, radius=self.radius)
        peaks = torch.cat([self.peak(cost_near), self.peak(cost_far)], dim=1)
        cost = self.squeeze(torch.cat([cost_near, cost_far], dim=1))
        known = torch.cat([flow / 8, peaks / self.radius], dim=1).to(cost.dtype)
        hidden = self.body(torch.cat([cost, context, known, hidden], dim=1))
        out = self.head(hidden).float()
        trust = torch.sigmoid(out[:, 4:]).repeat_interleave(2, dim=1)  # of each peak
        flow = flow + trust * peaks + out[:, :4]
        return Level(flow[:, :2], flow[:, 2:], hidden)


class MotionVolume(nn.Module):
    """The pyramid of decoders: one for all coarse levels, one for the finest, one for further passes there.

    They cost no more than a single one would: what differs between them is how far off a guess is. Both directions
    use the same, and reversing the window swaps the two halves of the batch: the symmetry is built in.
    """

    def __init__(self, config: SVMVConfig) -> None:
        super().__init__()
        self.config = config
        self.coarse, self.fine, self.refining = Decoder(config), Decoder(config), Decoder(config)

    def forward(
        self, window: tuple[Features, Features, Features, Features], *, refinements: int | None = None
    ) -> list[Level]:
        """Decode the window (I₋₁ I₀ I₁ I₂), coarsest level first.

        Args:
            window: features of the four frames.
            refinements: further passes at the finest level; the configuration's when None. The list then ends with
                one entry per pass.
        """
        levels = self.coarser(window, down_to=1)
        return levels + self.finest(window, self._guess(window, 0, levels), refinements)

    def coarser(self, window: tuple[Features, Features, Features, Features], *, down_to: int) -> list[Level]:
        """The levels above the finest one, coarsest first, down to one of the window's own levels."""
        levels: list[Level] = []
        for level in reversed(range(down_to, len(window[0].match))):
            levels.append(self.coarse(self._guess(window, level, levels), *matched(window, level)))
        return levels

    def finest(
        self,
        window: tuple[Features, Features, Features, Features],
        guess: Level,
        refinements: int | None = None,
    ) -> list[Level]:
        """The passes at the finest level, from a guess at its size; arguments as in `forward`."""
        parts = matched(window, 0)
        levels = [self.fine(guess, *parts)]
        for _ in range(self.config.refinements if refinements is None else refinements):
            levels.append(self.refining(levels[-1], *parts))
        return levels

    def _guess(self, window: tuple[Features, Features, Features, Features], level: int, above: list[Level]) -> Level:
        anchor, context = window[1].match[level], window[1].context[level]
        B, _, h, w = anchor.shape
        if above:
            return enlarged(above[-1], h, w)
        still = anchor.new_zeros(2 * B, 2, h, w)
        return Level(still, still, context.new_zeros(2 * B, self.config.hidden_channels, h, w))


def matched(window: tuple[Features, Features, Features, Features], level: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a decoder reads of one level: anchors, the other frames of the pair, outer neighbours, contexts."""
    before, left, right, after = window
    return (
        torch.cat([left.match[level], right.match[level]]),
        torch.cat([right.match[level], left.match[level]]),
        torch.cat([before.match[level], after.match[level]]),
        torch.cat([left.context[level], right.context[level]]),
    )


def enlarged(level: Level, height: int, width: int) -> Level:
    """The same motion at the next finer level, in its pixels; that one may be a pixel short of twice the size."""
    inside = (..., slice(height), slice(width))
    flow = 2 * double(torch.cat([level.near, level.far], dim=1))[inside]
    return Level(flow[:, :2], flow[:, 2:], double(level.hidden)[inside])


def double(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
