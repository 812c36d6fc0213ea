"""What a prediction is judged by: the picture, the motion where it is known, and the variance-aware loss L_BV."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from svmv.motion import Motion, acceleration
from svmv.training.data import Sample
from svmv.training.synthetic import Truth
from svmv.volume import Level, double
from svmv.warp import warp


def charbonnier(difference: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Elementwise √(d² + ε²) − ε: |d|, smooth at zero."""
    return (difference.square() + epsilon * epsilon).sqrt() - epsilon


def laplacian(predicted: Tensor, target: Tensor, levels: int = 4) -> Tensor:
    """Mean Charbonnier distance of (B, 3, H, W) pictures, band by band, coarse bands counting as much as fine ones."""
    loss, difference = predicted.new_zeros(()), predicted - target
    for _ in range(levels):
        coarse = F.avg_pool2d(difference, 2)
        loss = loss + charbonnier(difference - double(coarse)).mean()
        difference = coarse
    return loss + charbonnier(difference).mean()


def decibel(predicted: Tensor, target: Tensor, floor: float = 1e-5) -> Tensor:
    """Mean over samples of log₁₀ of the squared error: −PSNR/10, which is what the protocol averages.

    An absolute error sees little but the hard samples; here each counts by how much better it could get.

    Args:
        predicted: (B, 3, H, W).
        target: the same.
        floor: squared error below which a sample is as good as perfect (50 dB).
    """
    return ((predicted - target).square().mean(dim=(1, 2, 3)) + floor).log10().mean()


def dullness(predicted: Tensor, target: Tensor, floor: float = 1e-5) -> Tensor:
    """Mean over samples of the share of the target's gradient energy that the prediction lacks, 0 for one as sharp.

    The best guess by squared error is the mean of all likely pictures, which is softer than any of them. This asks for
    a sharper one that costs little of the other losses, `svmv.metrics.sharpness` being what it is judged by.

    Args:
        predicted: (B, 3, H, W).
        target: the same.
        floor: gradient energy, in squares of [0, 1], beside which noise of a code does not count.
    """
    return (1 - (_energy(predicted) + floor) / (_energy(target) + floor)).clamp_min(0).mean()


def _energy(pictures: Tensor) -> Tensor:
    across, down = (pictures.diff(dim=axis).square().mean(dim=(1, 2, 3)) for axis in (-1, -2))
    return across + down


def reprojection(a: Tensor, b: Tensor) -> Tensor:
    """L_PE: (B, 1, H, W) photometric error of two pictures, colour plus locally normalised brightness.

    The second term compares pattern, not level, so shading and exposure changes do not read as motion.
    """
    colour = charbonnier(a - b).mean(dim=1, keepdim=True)
    pattern = charbonnier(_pattern(a) - _pattern(b), 1e-2)
    return colour + 0.1 * pattern


def _pattern(x: Tensor) -> Tensor:
    grey = x.mean(dim=1, keepdim=True)
    padded = F.pad(grey, (2, 2, 2, 2), mode="replicate")
    mean = F.avg_pool2d(padded, 5, 1)
    variance = F.avg_pool2d(padded.square(), 5, 1) - mean.square()
    return (grey - mean) * (variance.clamp_min(0) + 1e-4).rsqrt()


def temporal_variance(anchor: Tensor, other: Tensor, target: Tensor, to_other: Tensor, to_target: Tensor) -> Tensor:
    """L_tv[q_i] = min{ L_PE(I_i[q_i], I_j[q_i + u_{i→j}]), L_PE(I_i[q_i], I_t[q_i + u_{i→t}]) }, mean over q.

    The min forgives a pixel that is hidden in one of the two (source document, "temporal variance enhance loss").

    Args:
        anchor: I_i, (B, 3, H, W).
        other: I_j.
        target: I_t.
        to_other: u_{i→j}, (B, 2, H, W), px.
        to_target: u_{i→t}.
    """
    first = reprojection(anchor, warp(other, to_other))
    second = reprojection(anchor, warp(target, to_target))
    return torch.minimum(first, second).mean()


def spatial_variance(offsets: Tensor, epsilon: float) -> Tensor:
    """L_sv[q_i] = V_s(u_{i→t}[q_i]) / V_e(u_{i→t}[q_i]), mean over q: smooth in space, diverse in the ensemble.

    ε (px²) is added to both, which keeps the ratio finite where all members agree and makes it 1, not 0/0, where
    nothing varies at all.

    Args:
        offsets: u_{i→t}, (B, M, 2, H, W), px.
        epsilon: ε, px².
    """
    spatial, ensemble = variances(offsets)
    return ((spatial + epsilon) / (ensemble + epsilon)).mean()


def variances(offsets: Tensor) -> tuple[Tensor, Tensor]:
    """V_s and V_e of the source document, each (B, H, W), px², summed over x and y.

    V_s is the variance of each member's offsets over a 3×3 neighbourhood, averaged over members; V_e the variance over
    members at the pixel.

    Args:
        offsets: u_{i→t}, (B, M, 2, H, W), px.
    """
    B, M, _, H, W = offsets.shape
    flat = offsets.reshape(B, 2 * M, H, W)
    mean = F.avg_pool2d(flat, 3, 1, 1, count_include_pad=False)
    local = (F.avg_pool2d(flat.square(), 3, 1, 1, count_include_pad=False) - mean.square()).clamp_min(0)
    spatial = local.view(B, M, 2, H, W).sum(dim=2).mean(dim=1)
    return spatial, offsets.var(dim=1, unbiased=False).sum(dim=1)


def endpoint(levels: list[Level], truth: Truth) -> Tensor:
    """Mean end-point error against the true motion, every level in its own pixels, averaged over levels."""
    return _over_levels(
        levels,
        lambda level, cell: (
            _epe(level.near, F.avg_pool2d(truth.near, cell) / cell)
            + _epe(level.far, F.avg_pool2d(truth.far, cell) / cell)
        ),
    )


def _epe(estimate: Tensor, truth: Tensor) -> Tensor:
    return ((estimate - truth).square().sum(dim=1) + 1e-4).sqrt().mean()


def level_reprojection(levels: list[Level], sample: Sample) -> Tensor:
    """L_tv of the pair's motion and L_PE of the outer motion at every pyramid level, averaged over levels."""
    window, t = sample.window, torch.cat([sample.t, 1 - sample.t]).view(-1, 1, 1, 1)
    spacing = sample.spacing.T.flatten()
    anchor = torch.cat([window[:, 1], window[:, 2]])
    other = torch.cat([window[:, 2], window[:, 1]])
    outer = torch.cat([window[:, 0], window[:, 3]])
    target = torch.cat([sample.target, sample.target])

    def at(level: Level, cell: int) -> Tensor:
        a, o, f, g = (F.avg_pool2d(x, cell) for x in (anchor, other, outer, target))
        curve = acceleration(level.near, level.far, 1 / spacing)
        to_target = level.near * t + curve * (t * t - t)
        pair = temporal_variance(a, o, g, level.near, to_target)
        outward = reprojection(a, warp(f, level.far)).mean()
        return pair + 0.5 * outward + 0.01 * _rough(level.near, a)

    return _over_levels(levels, at)


def _rough(flow: Tensor, picture: Tensor) -> Tensor:
    """Edge-aware first-order roughness: keeps photometric motion sane where there is no texture."""
    loss = flow.new_zeros(())
    for axis in (-1, -2):
        edge = torch.exp(-20 * torch.diff(picture, dim=axis).abs().mean(dim=1, keepdim=True))
        loss = loss + (edge * torch.diff(flow, dim=axis).abs()).mean()
    return loss


def _over_levels(levels: list[Level], measure: Callable[[Level, int], Tensor]) -> Tensor:
    """Mean of measure(level, cell) with cell = how many full-size px one level pixel spans."""
    finest = levels[-1].near.shape[-1]
    terms = [measure(level, 4 * (finest // level.near.shape[-1])) for level in levels]
    return torch.stack(terms).mean()


def variance_aware(motion: Motion, sample: Sample, epsilon: float) -> tuple[Tensor, Tensor]:
    """(L_sv, L_tv) of the ensemble at 1/2 size, where the motion volume lives; L_BV is their sum.

    L_tv of one member, drawn anew each time, stands for the mean over members: the same gradient on average at a
    fraction of the cost.
    """
    window = sample.window
    anchor = F.avg_pool2d(torch.cat([window[:, 1], window[:, 2]]), 2)
    other = F.avg_pool2d(torch.cat([window[:, 2], window[:, 1]]), 2)
    target = F.avg_pool2d(torch.cat([sample.target, sample.target]), 2)
    local = torch.cat([sample.t, 1 - sample.t])
    offsets, _ = motion.trajectory(local)
    m = int(torch.randint(offsets.shape[1], ()))
    temporal = temporal_variance(anchor, other, target, motion.velocity[:, m] / 2, offsets[:, m] / 2)
    return spatial_variance(offsets, epsilon), temporal
