"""How near a predicted picture is to the true one, in figures. Knows no clips, no files.

Pictures are (B, 3, H, W), RGB in [0, 1]; every figure first rounds both to 8 bits, as they would be shown,
and is returned per picture, (B,) float32. Different figures see different faults: PSNR and SSIM the single
picture, `temporal_psnr` flicker, `sharpness` the blur that the first two hardly punish.
"""

from typing import NamedTuple

import torch
from torch import Tensor

PEAK = 255.0
PSNR_CEILING = (
    80.0  # dB, of equal pictures: where ST-MFNet's tables (Danier et al. 2022) end, so that means stay finite
)
_RADIUS = 5  # px: an 11 × 11 window
_SIGMA = 1.5  # px
_C1, _C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
_FLAT = 1e-3  # (8-bit codes)²: gradient energy below which a picture is flat


class Similarity(NamedTuple):
    """Both forms of SSIM, each (B,)."""

    planar: Tensor
    volumetric: Tensor


def quantize(pictures: Tensor) -> Tensor:
    """[0, 1] to whole 8-bit code values, as float32; what lies outside is clipped."""
    return (pictures.float().clamp(0, 1) * PEAK).round()


def psnr(predicted: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio over all pixels and channels, dB, at most `PSNR_CEILING`."""
    _check(predicted, truth)
    return _decibel(quantize(predicted) - quantize(truth))


def temporal_psnr(predicted: Tensor, truth: Tensor, *, predicted_before: Tensor, truth_before: Tensor) -> Tensor:
    """PSNR of the change since another picture, dB, at most `PSNR_CEILING`.

    An error that stays (a shifted edge) cancels, one that comes and goes (flicker) counts double.

    Args:
        predicted: (B, 3, H, W).
        truth: (B, 3, H, W).
        predicted_before: the prediction that is shown before `predicted`.
        truth_before: the true picture at its time.
    """
    _check(predicted, truth)
    _check(predicted_before, truth_before)
    change = quantize(predicted) - quantize(predicted_before)
    return _decibel(change - (quantize(truth) - quantize(truth_before)))


def sharpness(predicted: Tensor, truth: Tensor) -> Tensor:
    """Gradient energy of the prediction over the truth's: below 1 is blurred, above 1 noisy or ringing.

    The energy is the mean square of forward differences, across and down, on 8-bit code values.
    """
    _check(predicted, truth)
    return (_gradient_energy(quantize(predicted)) + _FLAT) / (_gradient_energy(quantize(truth)) + _FLAT)


def ssim(predicted: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004): 11 × 11 gaussian of σ 1.5, per channel.

    Only windows that lie inside the picture count.

    Raises:
        ValueError: the pictures are smaller than the window.
    """
    return similarity(predicted, truth).planar


def ssim_3d(predicted: Tensor, truth: Tensor) -> Tensor:
    """The variant in the tables of CAIN, ST-MFNet and others who took their script: reads higher than `ssim`.

    The three channels are taken for a volume, filtered with an 11 × 11 × 11 gaussian whose borders, above and
    below the channels too, repeat the edge. Compare it only with figures computed the same way.

    Raises:
        ValueError: the pictures are smaller than the window.
    """
    return similarity(predicted, truth).volumetric


def similarity(predicted: Tensor, truth: Tensor) -> Similarity:
    """`ssim` and `ssim_3d` for little more than the price of one; see there."""
    _check(predicted, truth)
    if min(predicted.shape[2:]) <= 2 * _RADIUS:
        raise ValueError(f"SSIM needs pictures of at least 11 x 11 px, got {tuple(predicted.shape[2:])}")
    x, y = quantize(predicted), quantize(truth)
    moments = _blur(torch.stack([x, y, x * x, y * y, x * y]))  # (5, B, 3, H, W), borders repeated
    inside = moments[..., _RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
    across = torch.einsum("kl,mblhw->mbkhw", _band(3, x.device), moments)
    return Similarity(_ssim_map(inside).mean((1, 2, 3)), _ssim_map(across).mean((1, 2, 3)))


def _ssim_map(moments: Tensor) -> Tensor:
    """Windowed means (5, …) of x, y, x², y², xy → similarity of each window."""
    mx, my, xx, yy, xy = moments.unbind()
    both = mx * my
    squares = mx * mx + my * my
    return (2 * both + _C1) * (2 * (xy - both) + _C2) / ((squares + _C1) * (xx + yy - squares + _C2))


def _window(device: torch.device) -> Tensor:
    """(11,), sums to 1."""
    place = torch.arange(-_RADIUS, _RADIUS + 1, dtype=torch.float32, device=device)
    weights = torch.exp(-place.square() / (2 * _SIGMA**2))
    return weights / weights.sum()


def _band(length: int, device: torch.device) -> Tensor:
    """(length, length): the window as a matrix that blurs a line of samples, its end samples repeated."""
    window = _window(device)
    row = torch.arange(length, device=device)[:, None].expand(-1, len(window))
    column = (row + torch.arange(-_RADIUS, _RADIUS + 1, device=device)).clamp(0, length - 1)
    band = torch.zeros(length, length, device=device)
    return band.index_put_((row, column), window.expand(length, -1), accumulate=True)


def _blur(maps: Tensor) -> Tensor:
    """Gaussian means of (…, H, W), borders repeated; matrix products beat one-channel convolutions."""
    H, W = maps.shape[-2:]
    return _band(H, maps.device) @ maps @ _band(W, maps.device).T


def _gradient_energy(pictures: Tensor) -> Tensor:
    energy = pictures.new_zeros(pictures.shape[0])
    for axis in (2, 3):
        if pictures.shape[axis] > 1:
            energy = energy + pictures.diff(dim=axis).square().mean((1, 2, 3))
    return energy


def _decibel(error: Tensor) -> Tensor:
    mean = error.square().mean((1, 2, 3))
    return (10 * torch.log10(PEAK**2 / mean)).clamp(max=PSNR_CEILING)


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim != 4 or a.shape[1] != 3 or a.shape != b.shape:
        raise ValueError(f"pictures must be (B, 3, H, W) and alike, got {tuple(a.shape)} and {tuple(b.shape)}")
