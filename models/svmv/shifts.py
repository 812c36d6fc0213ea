"""Shifts that large parts of a pair have in common, and the places where one of them explains more than the motion.

A pyramid sees lines of text as stripes and takes one line for the next; pages, credits and tickers that move by more
than a letter are lost to it. Phase correlation sees all of them at once: what moves as one gives a peak, however
alike its parts are (Kuglin and Hines 1975; with a choice for each place, as television standards are converted,
Thomas 1987).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from svmv.volume import Level, double
from svmv.warp import warp

COUNT = 4
CLEAR = 0.07  # least height of a peak, 1 for a picture that is the other one shifted; chance makes 0.05
_BANDS, _OF_EACH = 4, 2  # parts of a picture that are looked at by themselves, for tickers, and shifts taken of each
_LESS = 0.3  # of a peak's height in such a part: chance makes twice as much there, lines that are alike still more
_SLOPE, _SAME = 3.0, 1.0  # px at 1/2; nearer than that places belong to one peak, and two shifts are one
_HIGHEST = 64  # places that are looked at for peaks
AROUND = 5  # places at 1/4 on each side that are judged together
SHARE, GAIN = 0.4, 2 / 255  # a shift must leave less than this share of a place's error, and save at least so much


def common_shifts(left: Tensor, right: Tensor) -> Tensor:
    """The shifts from one picture to the other that much of them has in common.

    Args:
        left: (B, C, h, w), I₀ at 1/2; h is a multiple of four.
        right: I₁.

    Returns:
        (B, COUNT, 3), float32: across and down, px at 1/2, and how clear each is; see `CLEAR`.
    """
    B, _, h, w = left.shape
    pair = torch.stack([left.float().mean(dim=1), right.float().mean(dim=1)])
    found = _peaks(_correlation(pair), COUNT)
    bands = _peaks(_correlation(pair.view(2, B * _BANDS, h // _BANDS, w)), _OF_EACH)
    bands[..., 2] *= _LESS
    return _clearest(torch.cat([found, bands.view(B, -1, 3)], dim=1), COUNT, apart=_SAME)


def _correlation(pair: Tensor) -> Tensor:
    """(2, B, h, w) → (B, h, w): how well the first picture moved by (y, x) is the second, by phases alone."""
    h, w = pair.shape[2:]
    # Not zero at the rim, or nothing would be left of the smallest pictures.
    down, across = (torch.hann_window(n + 2, periodic=False, device=pair.device)[1:-1].sqrt() for n in (h, w))
    centred = pair - pair.mean(dim=(-1, -2), keepdim=True)
    spectra: Tensor = torch.fft.rfft2(centred * down[:, None] * across)
    cross = spectra[1] * spectra[0].conj()
    size = cross.abs()
    # What is far below the mean is noise, and all that is left where a picture is even.
    whitened = cross / (size + 1e-3 * size.mean(dim=(-1, -2), keepdim=True) + 1e-9)
    surface: Tensor = torch.fft.irfft2(whitened, s=(h, w))
    return surface


def _peaks(surface: Tensor, count: int) -> Tensor:
    """The highest peaks of surfaces, (B, h, w), whose sides meet: (B, count, 3), across, down, height."""
    h, w = surface.shape[1:]
    heights, index = surface.flatten(1).topk(min(_HIGHEST, h * w), dim=1)
    places = torch.stack([_signed(index % w, w), _signed(index // w, h), heights], dim=2)
    x, y, heights = _clearest(places, count, apart=_SLOPE).unbind(dim=2)
    near = torch.arange(-1, 2, device=surface.device)

    def at(row: Tensor, column: Tensor) -> Tensor:
        where = (row.long() % h * w + column.long() % w).flatten(1)
        return surface.flatten(1).gather(1, where).view(-1, count, 3)

    dx = _between(at(y[..., None], x[..., None] + near))
    dy = _between(at(y[..., None] + near, x[..., None]))
    return torch.stack([x + dx, y + dy, heights], dim=2)


def _clearest(shifts: Tensor, count: int, *, apart: float) -> Tensor:
    """The clearest of shifts, (B, K, 3), without those beside a clearer one: (B, count, 3)."""
    place, clear = shifts[..., :2], shifts[..., 2]
    beside = (place[:, :, None] - place[:, None]).norm(dim=3) < apart
    clearer = clear[:, :, None] < clear[:, None]
    clear = torch.where((beside & clearer).any(dim=2), -1.0, clear)
    heights, index = clear.topk(count, dim=1)
    return torch.cat([place.gather(1, index[..., None].expand(-1, -1, 2)), heights[..., None]], dim=2)


def _between(line: Tensor) -> Tensor:
    """Where the peak of three samples lies, −½ to ½, from the larger one beside it (Foroosh et al. 2002)."""
    before, peak, after = line.unbind(dim=-1)
    more = torch.maximum(before, after).clamp_min(0)
    share = more / (more + peak).clamp_min(1e-9)
    return torch.where(after > before, share, -share)


def _signed(index: Tensor, size: int) -> Tensor:
    """A place on a circle as a distance from its start."""
    return torch.where(index > size // 2, index - size, index).float()


def settled(level: Level, halves: Sequence[Tensor], shifts: Tensor, spacing: Tensor) -> Level:
    """The motion, replaced by one of the shifts, at even pace, wherever that explains the pictures far better.

    What is hidden in the other picture of the pair is found again in the outer one, by a shift as by the motion. What
    the decoder knows there, of a motion that was wrong, is forgotten.

    Args:
        level: at 1/4, of B windows.
        halves: I₋₁ I₀ I₁ I₂ at 1/2, each (B, 3, h, w).
        shifts: (B, COUNT, 3), as `common_shifts` gives them.
        spacing: (B, 2), as in `SVMV.decode`.
    """
    with torch.no_grad():
        near, far, better = _chosen(level, halves, shifts, spacing)
    hidden = level.hidden.masked_fill(better, 0)
    return Level(torch.where(better, near, level.near), torch.where(better, far, level.far), hidden)


def _chosen(level: Level, halves: Sequence[Tensor], shifts: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each place the best shift as its motion, near and far, and whether it is better than what there is."""
    before, left, right, after = halves
    anchor, other, outer = torch.cat([left, right]), torch.cat([right, left]), torch.cat([before, after])
    ways = torch.cat([shifts[..., :2], -shifts[..., :2]])  # (N, COUNT, 2)
    clear = (shifts[..., 2] > CLEAR).repeat(2, 1)[:, :, None, None]
    pace = spacing.T.flatten().view(-1, 1, 1, 1)
    there = ~pace.isinf()  # where a shot ends the pair's own frame stands in
    pace = torch.where(there, pace, 0.0)
    left_over = torch.minimum(
        torch.where(clear, _error(anchor, other, ways), torch.inf),
        torch.where(clear & there, _error(anchor, outer, -pace[..., 0] * ways), torch.inf),
    )
    least, which = left_over.min(dim=1, keepdim=True)
    own = torch.minimum(
        _around((anchor - warp(other, 2 * double(level.near))).abs()[:, None]),
        torch.where(there, _around((anchor - warp(outer, 2 * double(level.far))).abs()[:, None]), torch.inf),
    )
    better = least < torch.minimum(SHARE * own, own - GAIN)
    shift = ways.gather(1, which.flatten(1)[..., None].expand(-1, -1, 2)).transpose(1, 2).view_as(level.near) / 2
    return shift, -pace * shift, better


def _error(anchor: Tensor, other: Tensor, ways: Tensor) -> Tensor:
    """(N, COUNT, h/2, w/2): how far another picture differs around each place if all moves by one of the ways."""
    N, C, h, w = anchor.shape
    everywhere = ways.flatten(0, 1)[:, :, None, None].expand(-1, -1, h, w)
    moved = warp(other.repeat_interleave(COUNT, dim=0), everywhere).view(N, COUNT, C, h, w)
    return _around((anchor[:, None] - moved).abs())


def _around(difference: Tensor) -> Tensor:
    """Means of (N, K, C, h, w) around each place of half the size: (N, K, h/2, w/2)."""
    small = F.avg_pool2d(difference.mean(dim=2), 2)
    return F.avg_pool2d(small, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False)
