"""The motion volume of one window: per source pixel M trajectories and weights, for any t.

Everything is anchor-local: seen from I₁ time runs backwards, so one formula serves both directions.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svmv.config import SVMVConfig
from svmv.correlation import correlate
from svmv.features import Features, conv, unit
from svmv.shifts import settled
from svmv.volume import Level, SoftArgmax, double
from svmv.warp import warp

SAME = 0.5 / 255  # of a colour: what rounding to eight bits hides
_DISTRUST = 3.0  # training starts with a twentieth of the measured peak
_LOOSE = 5.0  # without evidence a place hardly stands still
# Where motion is less than a pixel, both pictures laid over each other are nearer to the one half way than what is
# splatted between pixels: off by u²/8 of the second derivative, against (u/4)(1 − u/2).
CALM = 0.5  # px at 1/2
_HELD = 220.0  # log weight of standing still gained per unit of `steadiness`
_STEEP = 3.0  # px, how far a gradient holds
_LOGIT_RANGE = 7.0  # weights between e^-7 and e^7: float32 sums stay exact enough, no member can switch others off
STILL_RANGE = (-12.0, 7.0)  # of the log weight of what stands still, which can be as good as nothing
STILL_COST = 40.0  # log weight that it loses per unit by which the two pictures differ at the pixel


@dataclass(frozen=True, slots=True)
class Motion:
    """What `analyze` returns and `synthesize` reads. Opaque outside this library.

    Fields are kept at 1/2 size: (2B, …, h, w), anchor I₀ of every window first, then anchor I₁; displacements in
    full-size pixels.
    """

    pictures: Tensor  # (2B, C, H, W), padded: I₀ of every window, then I₁
    velocity: Tensor  # (2B, M, 2, h, w): u at t=1 of each member
    acceleration: Tensor  # (2B, M, 2, h, w): coefficient of t²−t
    logit: Tensor  # (2B, M, h, w): log weight at t=½
    slope: Tensor  # (2B, M, h, w): its change with t
    sharpness: Tensor  # (2B, 1, h, w), 0 to 2: how much of the splat's softening is taken back before it
    still: Tensor  # (2B, 1, h, w): log weight of one more member, which stands still; see `synthesis.standing`
    levels: list[Level]  # coarsest first; training supervises them
    size: tuple[int, int]  # (H, W) before padding

    def trajectory(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets and log weights at anchor-local times.

        u(t) = v·t + a·(t²−t): zero at t=0, v at t=1, and a quadratic through the outer frame between
        (QVI, Xu et al. 2019, written so that the pair's own displacement stays exact).

        Args:
            t: (2B,), 0 at the anchor, 1 at the other frame.

        Returns:
            offsets (2B, M, 2, h, w) in full-size px, log weights (2B, M, h, w).
        """
        s = t.view(-1, 1, 1, 1, 1)
        offsets = self.velocity * s + self.acceleration * (s * s - s)
        logits = self.logit + self.slope * (t.view(-1, 1, 1, 1) - 0.5)
        return offsets, logits.clamp(-_LOGIT_RANGE, _LOGIT_RANGE)

    def finite(self) -> Tensor:
        """Whether all of it are numbers: (), bool, on its device, which is not waited for."""
        fields = (self.velocity, self.acceleration, self.logit, self.slope, self.sharpness, self.still)
        return torch.stack([field.isfinite().all() for field in fields]).all()

    def members(self) -> Tensor:
        """(2B, 6·M + 2, h, w), contiguous: per member velocity, acceleration, logit, slope; then sharpness, still."""
        each = [self.velocity, self.acceleration, self.logit.unsqueeze(2), self.slope.unsqueeze(2)]
        return torch.cat([torch.cat(each, dim=2).flatten(1, 2), self.sharpness, self.still], dim=1).contiguous()


class Ensemble(nn.Module):
    """1/4-size motion and 1/2-size detail → M trajectories and weights per pixel at 1/2 size."""

    def __init__(self, config: SVMVConfig) -> None:
        super().__init__()
        self.members = config.members
        self.lift = nn.Sequential(nn.Conv2d(config.hidden_channels, 4 * 16, 1), nn.PixelShuffle(2), nn.LeakyReLU(0.1))
        self.radius = config.detail_radius
        window = (2 * self.radius + 1) ** 2 + 2 if self.radius else 0
        self.peak = SoftArgmax(self.radius) if self.radius else None
        width = config.head_channels
        self.body = nn.Sequential(conv(16 + 2 * config.detail_channels + 3 + 4 + 1 + window, width), conv(width, width))
        # Per member: velocity (2), acceleration (2), logit, slope. For all: gate of the measured acceleration, Δv (2),
        # sharpness, standing still and, where there is one, trust in the peak.
        self.head = nn.Conv2d(width, 6 * config.members + 5 + (self.radius > 0), 3, 1, 1)
        nn.init.normal_(self.head.weight, std=1e-2)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.doubt = nn.Parameter(torch.tensor(10.0))  # log weight lost per unit of photometric error
        self.evidence = nn.Parameter(torch.tensor(160.0))  # `still` gained per unit that standing still explains better
        self.calm = nn.Parameter(torch.tensor(7.0))  # the same gained where there is no motion

    def forward(
        self,
        window: tuple[Features, Features, Features, Features],
        levels: list[Level],
        shifts: Tensor,
        *,
        size: tuple[int, int],
        spacing: Tensor,
    ) -> Motion:
        """Members for the pair (I₀, I₁).

        Args:
            window: features of I₋₁ I₀ I₁ I₂.
            levels: the pair's motion.
            shifts: as `common_shifts` gives them.
            size: the picture's own, before padding.
            spacing: as in `SVMV.decode`.
        """
        _, left, right, _ = window
        finest = settled(levels[-1], [frame.half for frame in window], shifts, spacing)
        flow = 2 * double(torch.cat([finest.near, finest.far], dim=1))  # px at 1/2
        near, far = flow[:, :2], flow[:, 2:]
        anchor_half, other_half = torch.cat([left.half, right.half]), torch.cat([right.half, left.half])
        detail, other = torch.cat([left.detail, right.detail]), torch.cat([right.detail, left.detail])
        carried = warp(torch.cat([other.float(), other_half], dim=1), near)
        error = anchor_half - carried[:, -3:]
        change = (anchor_half - other_half).abs().mean(dim=1, keepdim=True)
        lifted = self.lift(finest.hidden)
        parts = [lifted, detail, carried[:, :-3], error * 4, flow / 16, change * 4]
        if self.peak is not None:
            cost = correlate(unit(detail), unit(other), near, radius=self.radius)
            peak = self.peak(cost)
            parts += [cost, peak / self.radius]
        out = self.head(self.body(torch.cat([p.to(lifted.dtype) for p in parts], dim=1))).float()
        B, _, h, w = out.shape
        M = self.members
        member = out[:, : 6 * M].view(B, M, 6, h, w)
        gate = torch.sigmoid(out[:, 6 * M : 6 * M + 1] - 1)
        shared = near + out[:, 6 * M + 1 : 6 * M + 3]
        if self.peak is not None:
            shared = shared + torch.sigmoid(out[:, 6 * M + 5 :] - _DISTRUST) * peak
        rate = 1 / spacing.T.flatten()
        curve = agreed(gate * acceleration(near, far, rate), near, rate)
        mistake = error.abs().mean(dim=1, keepdim=True)
        moves = moving(left.half, right.half).repeat(2, 1, 1, 1)[:, None]
        # Captions stand still over whatever passes behind them, and the motion found is that of the larger surface.
        saved = F.avg_pool2d(mistake - change, 3, stride=1, padding=1, count_include_pad=False)
        calm = (1 - (near / CALM).square().sum(dim=1, keepdim=True)).clamp_min(0)
        pictures = torch.cat([left.picture, right.picture])
        velocity = 2 * (shared[:, None] + member[:, :, 0:2]) * moves  # px at 1/2 → px
        held = _HELD * steadiness(pictures, velocity.detach().mean(dim=1))
        return Motion(
            pictures=pictures,
            velocity=velocity,
            acceleration=2 * (curve[:, None] + member[:, :, 2:4]) * moves,
            logit=member[:, :, 4] - self.doubt * mistake,
            slope=member[:, :, 5],
            sharpness=2 * torch.sigmoid(out[:, 6 * M + 3 : 6 * M + 4]),
            still=out[:, 6 * M + 4 : 6 * M + 5] - _LOOSE + self.evidence * saved + self.calm * calm + held,
            levels=levels,
            size=size,
        )


def steadiness(pictures: Tensor, velocity: Tensor) -> Tensor:
    """By how much pixels change less from one picture to the other than their gradient would make them, moving so.

    What moves by u changes by about u·∇I. A letter's edge is steep; one that hardly changes does not move, not even by
    the fraction of a pixel that is found where what is behind it creeps, and that would soften it.

    Args:
        pictures: (2B, C ≥ 3, 2h, 2w), as in `Motion`.
        velocity: (2B, 2, h, w), px of the pictures.

    Returns:
        (2B, 1, h, w), ≥ 0, of a colour: means of four pixels, less for fast motion, as a gradient holds near by.
    """
    rgb = pictures[:, :3]
    padded = F.pad(rgb, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    u = F.interpolate(velocity / 2, scale_factor=2, mode="nearest")
    expected = (across * u[:, :1] + down * u[:, 1:]).abs().mean(dim=1, keepdim=True)
    change = (rgb - rgb.roll(len(rgb) // 2, 0)).abs().mean(dim=1, keepdim=True)
    near = (1 - (velocity / _STEEP).square().sum(dim=1, keepdim=True)).clamp_min(0)
    return F.avg_pool2d(expected - change, 2).clamp_min(0) * near


def moving(left: Tensor, right: Tensor) -> Tensor:
    """0 where two pictures, (B, 3, h, w), are the same on 5 × 5 pixels, else 1; (B, 1, h, w).

    There any motion is a guess, and a fraction of a pixel would soften captions and logos in the new pictures only.
    """
    change = (left - right).abs().amax(dim=1, keepdim=True)
    return (F.max_pool2d(change, 5, stride=1, padding=2) > SAME).float()


def acceleration(near: Tensor, far: Tensor, rate: Tensor) -> Tensor:
    """Coefficient a of u(t) = near·t + a·(t²−t), the parabola through the outer frame, the anchor and the other one.

    With the outer frame τ away from the anchor (the pair being 1 apart) u(−τ) = far gives a = r(near + r·far)/(1+r),
    r = 1/τ: half the sum of both motions for even spacing, nothing for an outer frame that is not there.

    Args:
        near: (N, 2, h, w), px, anchor → other frame of the pair.
        far: (N, 2, h, w), px, anchor → outer frame.
        rate: (N,), r; 0 where the outer frame is only a stand-in.
    """
    r = rate.view(-1, 1, 1, 1)
    return r * (near + r * far) / (1 + r)


def agreed(curve: Tensor, near: Tensor, rate: Tensor) -> Tensor:
    """What both anchors of a pair take for the acceleration of one and the same thing.

    Each measures it with an outer frame of its own. Their mean is the cubic through all four frames: it puts a thing in
    one place where two parabolas would put it in two, a blur that cost a thirtieth of the gradient energy.

    Args:
        curve: (2B, 2, h, w), each anchor's own, px: I₀ of every window first, then I₁. It is a second derivative, so
            reversing time does not change its sign.
        near: (2B, 2, h, w), px, anchor → other frame of the pair.
        rate: (2B,), as in `acceleration`; where one has no outer frame, what the other measured holds for both.
    """
    B = len(rate) // 2
    other = warp(curve.roll(B, 0), near)
    both = (rate > 0) & (rate.roll(B) > 0)
    return torch.where(both.view(-1, 1, 1, 1), 0.5, 1.0) * (curve + other)
