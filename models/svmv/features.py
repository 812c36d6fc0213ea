"""One frame → its features, at every pyramid level, once per frame. Knows no other frame."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from svmv.config import SVMVConfig

CELL = 8  # px: pictures are padded to multiples of it, so that the two finest levels halve exactly


@dataclass(frozen=True, slots=True)
class Features:
    """What a frame is reduced to; lists run from fine (1/4) to coarse. Cached while the window slides."""

    picture: Tensor  # (B, C, H, W), padded to multiples of CELL; RGB first, then what is only carried (alpha)
    half: Tensor  # (B, 3, H/2, W/2), the picture's average
    detail: Tensor  # (B, detail_channels, H/2, W/2)
    match: list[Tensor]  # (B, match_channels, ⌈H/4·2^-l⌉, ⌈W/4·2^-l⌉), unit mean square
    context: list[Tensor]  # (B, context_channels, same sizes)


def conv(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """3×3 convolution and its activation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(0.1))


def unit(features: Tensor) -> Tensor:
    """(B, C, h, w), float32, brought to unit mean square over C: what `correlate` is given."""
    exact = features.float()
    return exact * (exact.square().mean(dim=1, keepdim=True) + 1e-4).rsqrt()


def padded(picture: Tensor) -> Tensor:
    """(B, C, H, W), its last row and column repeated until both sides are multiples of `CELL`."""
    H, W = picture.shape[2:]
    rows, columns = padded_size(H, W)
    return picture if (rows, columns) == (H, W) else F.pad(picture, (0, columns - W, 0, rows - H), mode="replicate")


def padded_size(height: int, width: int) -> tuple[int, int]:
    """The next multiples of `CELL`."""
    return height + -height % CELL, width + -width % CELL


class Encoder(nn.Module):
    """The same small network applied to the picture at every scale.

    An image pyramid (as in UPR-Net, Jin et al. 2023) instead of a feature pyramid: a motion of 2v seen at half size
    is the same problem as v, so one set of weights serves all levels, and more of them than were trained.
    """

    def __init__(self, config: SVMVConfig) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, config.half_channels, stride=2), conv(config.half_channels, config.half_channels)
        )
        self.trunk = nn.Sequential(
            conv(config.half_channels, config.feature_channels, stride=2),
            conv(config.feature_channels, config.feature_channels),
            nn.Conv2d(config.feature_channels, config.feature_channels, 3, 1, 1),
        )
        self.detail = nn.Conv2d(config.half_channels, config.detail_channels, 1)
        self.match = nn.Conv2d(config.feature_channels, config.match_channels, 1)
        self.context = nn.Conv2d(config.feature_channels, config.context_channels, 1)

    def forward(self, picture: Tensor, levels: int) -> Features:
        """Encode (B, C ≥ 3, H, W) in [0, 1], RGB first; H and W are multiples of 4."""
        rgb = picture[:, :3]
        match, context, scaled, detail = [], [], rgb, None
        for level in range(levels):
            if level:
                scaled = F.avg_pool2d(padded(scaled), 2)
            stem = self.stem((scaled - 0.45) * 4)
            if detail is None:
                detail = self.detail(stem)
            trunk = self.trunk(stem)
            match.append(unit(self.match(trunk)))
            context.append(self.context(trunk))
        assert detail is not None, "levels ≥ 1"
        return Features(picture, F.avg_pool2d(rgb, 2), detail, match, context)
