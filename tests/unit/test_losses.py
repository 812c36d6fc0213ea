"""The losses' formulas on cases worked out by hand, and gradients that stay finite where pictures are flat."""

import math

import pytest
import torch
from torch import Tensor

from svmv import SVMV, SVMVConfig
from svmv.training.data import Sample
from svmv.training.losses import (
    charbonnier,
    decibel,
    dullness,
    endpoint,
    laplacian,
    level_reprojection,
    spatial_variance,
    temporal_variance,
    variance_aware,
)
from svmv.training.synthetic import Truth
from svmv.volume import Level

SMALL = SVMVConfig(feature_channels=16, match_channels=8, hidden_channels=16, half_channels=8, head_channels=8)
STILL = torch.zeros(1, 2, 16, 16)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def levels_of(near: Tensor, far: Tensor) -> list[Level]:
    """Three levels that say the same constant motion (2B, 2, 1, 1), px, of a 64×64 picture."""
    return [
        Level(near.expand(-1, 2, n, n) * n / 64, far.expand(-1, 2, n, n) * n / 64, near.new_zeros(2, 1, n, n))
        for n in (4, 8, 16)
    ]


def sliding(dx: int, *, t: float = 0.5) -> Sample:
    """A window of noise that moves by (dx, 0) px per frame."""
    scene = torch.nn.functional.interpolate(noise(1, 1, 3, 16, 64), scale_factor=4, mode="bicubic").clamp(0, 1)
    left = [round(96 - dx * moment) for moment in (-1, 0, 1, 2, t)]
    pictures = [scene[:, :, :, x : x + 64] for x in left]
    return Sample(torch.stack(pictures[:4], dim=1), pictures[4], torch.tensor([t]), torch.ones(1, 2))


def test_charbonnier_is_a_distance_that_is_smooth_at_zero() -> None:
    difference = torch.tensor([0.0, 3e-3, -4.0], requires_grad=True)
    distance = charbonnier(difference, 4e-3)
    torch.testing.assert_close(distance.detach(), torch.tensor([0.0, 1e-3, 4.0 - 4e-3]), atol=1e-5, rtol=0)
    torch.autograd.backward(distance.sum())
    assert difference.grad is not None
    torch.testing.assert_close(difference.grad, torch.tensor([0.0, 0.6, -1.0]), atol=1e-4, rtol=0)


def test_decibel_is_psnr_averaged_over_samples_up_to_its_floor() -> None:
    target = noise(4, 2, 3, 8, 8)
    off = target + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
    assert -10 * float(decibel(off, target, floor=0.0)) == pytest.approx((20 + 40) / 2, abs=1e-3)
    assert -10 * float(decibel(target, target, floor=1e-5)) == pytest.approx(50)


def test_dullness_is_the_gradient_energy_that_is_missing() -> None:
    target = noise(5, 2, 3, 24, 24)
    grey = target.mean(dim=(2, 3), keepdim=True)
    assert float(dullness(target, target)) == 0
    assert float(dullness(grey + 2 * (target - grey), target)) == 0  # too sharp is not dull
    half = torch.stack([target[0], (grey + 0.5 * (target - grey))[1]])  # a quarter of the energy in one of two samples
    assert float(dullness(half, target)) == pytest.approx(0.75 / 2, abs=1e-3)


def test_laplacian_feels_a_shift_of_level_in_the_coarsest_band_only() -> None:
    picture = noise(2, 1, 3, 32, 32)
    assert float(laplacian(picture + 0.1, picture)) == pytest.approx(float(charbonnier(torch.tensor(0.1))), rel=1e-3)


def test_spatial_over_ensemble_variance_by_hand() -> None:
    epsilon, width = 0.25, 8
    ramp = torch.zeros(1, 3, 2, 5, width)
    ramp[:, :, 0] = torch.arange(float(width))
    # x = column: the variance of (−1, 0, 1) is 2/3 inside and that of two neighbours ¼ at both ends.
    spatial = [0.25, *[2 / 3] * (width - 2), 0.25]
    expected = sum((v + epsilon) / epsilon for v in spatial) / width
    assert float(spatial_variance(ramp, epsilon)) == pytest.approx(expected, rel=1e-4)
    fan = torch.zeros(1, 2, 2, 5, width)
    fan[:, 0, 1], fan[:, 1, 1] = -3.0, 3.0  # two members 6 px apart: ensemble variance 9
    assert float(spatial_variance(fan, epsilon)) == pytest.approx(epsilon / (9 + epsilon), rel=1e-4)


def test_temporal_variance_chooses_pixel_by_pixel() -> None:
    anchor = noise(3, 1, 3, 16, 16) * 0.5 + 0.5
    other, target = anchor.clone(), anchor.clone()
    other[..., :8], target[..., 8:] = 0, 0  # each half is hidden in one of the two
    either = float(temporal_variance(anchor, other, target, STILL, STILL))
    one = float(temporal_variance(anchor, other, other, STILL, STILL))
    assert one > 0.3
    assert either < 0.1 * one  # what is left is the pattern's window at the seam


def test_temporal_variance_follows_the_motion() -> None:
    sample = sliding(8)
    anchor, other, target = sample.window[:, 1], sample.window[:, 2], sample.target
    motion = torch.tensor([8.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 64, 64)
    right = float(temporal_variance(anchor, other, target, motion, motion / 2))
    wrong = float(temporal_variance(anchor, other, target, -motion, -motion / 2))
    assert right < 0.15 * wrong


def test_endpoint_is_measured_in_each_levels_own_pixels() -> None:
    near = torch.tensor([[8.0, -4.0], [-8.0, 4.0]]).view(2, 2, 1, 1)
    truth = Truth(near.expand(2, 2, 64, 64), -near.expand(2, 2, 64, 64))
    assert float(endpoint(levels_of(near, -near), truth)) == pytest.approx(2 * 0.01, abs=1e-4)  # √1e-4 each
    # 16 px off is 1, 2 and 4 px off at 1/16, 1/8 and 1/4.
    off = near + torch.tensor([16.0, 0.0]).view(1, 2, 1, 1)
    expected = sum(math.hypot(cells, 0.01) for cells in (1, 2, 4)) / 3 + 0.01
    assert float(endpoint(levels_of(off, -near), truth)) == pytest.approx(expected, rel=1e-3)


def test_reprojection_at_levels_prefers_the_true_motion() -> None:
    sample = sliding(8)
    near = torch.tensor([[8.0, 0.0], [-8.0, 0.0]]).view(2, 2, 1, 1)
    true = float(level_reprojection(levels_of(near, -near), sample))
    still = float(level_reprojection(levels_of(0 * near, 0 * near), sample))
    wrong = float(level_reprojection(levels_of(-near, near), sample))
    assert true < 0.5 * still < wrong


def hard_cases() -> Sample:
    """One batch: black, white, a still, a slide, and a slide whose pair has no neighbours."""
    slide = sliding(6)
    flat = [torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64), slide.target]
    windows = [picture[:, None].repeat(1, 4, 1, 1, 1) for picture in flat]
    spacing = torch.ones(5, 2)
    spacing[4] = torch.inf
    return Sample(
        torch.cat([*windows, slide.window, slide.window]),
        torch.cat([*flat, slide.target, slide.target]),
        torch.full((5,), 0.5),
        spacing,
    )


def test_gradients_are_finite() -> None:
    torch.manual_seed(0)
    network, sample = SVMV(SMALL), hard_cases()
    motion = network.analyze(sample.window, sample.spacing, refinements=1)
    made = network.synthesize(motion, sample.t[:, None])[:, 0]
    truth = Truth(torch.zeros(10, 2, 64, 64), torch.zeros(10, 2, 64, 64))
    sv, tv = variance_aware(motion, sample, 0.25)
    picture_loss = laplacian(made, sample.target) + charbonnier(made - sample.target).mean()
    loss = picture_loss + sv + tv + endpoint(motion.levels, truth) + level_reprojection(motion.levels, sample)
    torch.autograd.backward(loss)
    assert bool(loss.isfinite())
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
