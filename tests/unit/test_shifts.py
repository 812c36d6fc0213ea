"""Shifts that pictures have in common are found, and taken where they explain more than the motion does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.overlays import covered, page
from svmv import load
from svmv.arrays import channels_last
from svmv.metrics import psnr
from svmv.shifts import CLEAR, COUNT, common_shifts, settled
from svmv.shifts_numba import settle
from svmv.volume import Level

EVEN = torch.ones(1, 2)


def noise(seed: int, height: int = 64, width: int = 96) -> Tensor:
    """(1, 3, h, w), somewhat smooth."""
    grain = torch.rand(1, 3, height + 2, width + 2, generator=torch.Generator().manual_seed(seed))
    return F.avg_pool2d(grain, 3, stride=1)


def moved(picture: Tensor, x: int, y: int) -> Tensor:
    """What leaves on one side comes back on the other."""
    return picture.roll((y, x), dims=(2, 3))


def resting(picture: Tensor, hidden: int = 3) -> Level:
    """No motion at all, at 1/4 of a picture that is here at 1/2."""
    h, w = picture.shape[2] // 2, picture.shape[3] // 2
    return Level(torch.zeros(2, 2, h, w), torch.zeros(2, 2, h, w), torch.ones(2, hidden, h, w))


def ends(left: Tensor, right: Tensor) -> list[Tensor]:
    """A window whose outer pictures say nothing."""
    return [noise(98), left, right, noise(99)]


@pytest.mark.parametrize("shift", [(0, 0), (7, -5), (-12, 9)])
def test_a_shift_is_found(shift: tuple[int, int]) -> None:
    found = common_shifts(noise(0), moved(noise(0), *shift))[0]
    assert found.shape == (COUNT, 3)
    assert float(found[0, 2]) > 0.5
    assert found[0, :2].tolist() == pytest.approx(shift, abs=0.1)
    assert bool((found[1:, 2] < CLEAR).all())


def test_a_shift_between_pixels_is_found() -> None:
    large = F.interpolate(noise(0, 128, 192), scale_factor=2, mode="bicubic")
    one, other = (F.avg_pool2d(moved(large, x, y), 4) for x, y in ((0, 0), (10, -7)))
    assert common_shifts(one, other)[0, 0, :2].tolist() == pytest.approx((2.5, -1.75), abs=0.2)


def test_a_strip_that_goes_its_own_way_is_found() -> None:
    still, strip = noise(0, 96, 128), noise(1, 12, 128)
    one, other = still.clone(), still.clone()
    one[:, :, 80:92], other[:, :, 80:92] = strip, moved(strip, -9, 0)
    found = common_shifts(one, other)[0]
    clear = {(round(x), round(y)) for x, y, height in found.tolist() if height > CLEAR}
    assert clear == {(0, 0), (-9, 0)}


@pytest.mark.parametrize("pair", [(torch.full((1, 3, 64, 96), 0.5),) * 2, (noise(0), noise(1))])
def test_where_nothing_is_in_common_nothing_is_clear(pair: tuple[Tensor, Tensor]) -> None:
    found = common_shifts(*pair)
    assert bool(found.isfinite().all())
    assert bool((found[..., 2] < CLEAR).all())


def test_windows_of_a_batch_are_looked_at_by_themselves() -> None:
    ways = [(3, 1), (-6, 4)]
    left = torch.cat([noise(0), noise(1)])
    right = torch.cat([moved(noise(k), *way) for k, way in enumerate(ways)])
    assert common_shifts(left, right)[:, 0, :2].round().int().tolist() == [list(way) for way in ways]


@pytest.mark.parametrize(("spacing", "pace"), [((1.0, 2.0), (1.0, 2.0)), ((torch.inf, 0.5), (0.0, 0.5))])
def test_a_shift_takes_the_place_of_a_motion_that_is_wrong(
    spacing: tuple[float, float], pace: tuple[float, float]
) -> None:
    left, right = noise(0), moved(noise(0), 8, -4)
    level = settled(resting(left), ends(left, right), common_shifts(left, right), torch.tensor([spacing]))
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    way = torch.tensor([[4.0, -2.0], [-4.0, 2.0]])[:, :, None, None]
    torch.testing.assert_close(level.near[inside], way.expand_as(level.near[inside]), atol=0.05, rtol=0)
    far = -way * torch.tensor(pace).view(2, 1, 1, 1)
    torch.testing.assert_close(level.far[inside], far.expand_as(level.far[inside]), atol=0.1, rtol=0)
    assert bool((level.hidden[inside] == 0).all())  # it was of the motion before


def test_a_motion_that_is_right_stays() -> None:
    left = noise(0)
    right = torch.cat([left[:, :, :32], moved(left, 8, 0)[:, :, 32:]], dim=2)  # the upper half stands still
    level = settled(resting(left), ends(left, right), common_shifts(left, right), EVEN)
    assert bool((level.near[:, :, :12] == 0).all())
    assert bool((level.hidden[:, :, :12] == 1).all())
    assert float((level.near[0, 0, 20:, 8:-8] - 4).abs().max()) < 0.05


def test_what_is_hidden_in_the_pair_is_found_in_the_outer_picture() -> None:
    views = [moved(noise(0), 8 * k, 0) for k in (-1, 0, 1, 2)]
    views[2][:, :, 20:40] = 0.5  # over the middle of I₁
    shifts = common_shifts(views[1], views[2])
    for spacing, found in ((1.0, True), (torch.inf, False)):
        level = settled(resting(views[1]), views, shifts, torch.tensor([[spacing, 1.0]]))
        way = level.near[0, :, 14:16, 12:-12]  # of I₀
        assert bool(((way - torch.tensor([4.0, 0.0])[:, None, None]).abs().amax(dim=0) < 0.1).all()) == found


def test_what_the_motion_finds_in_the_outer_picture_stays() -> None:
    left, right = noise(0), moved(noise(0), 8, 0)
    views = [moved(left, 3, 0), left, right, noise(99)]  # I₀'s motion to I₋₁ is known, and not the shift's
    level = replace(resting(left), far=torch.tensor([1.5, 0.0]).view(1, 2, 1, 1).expand(2, 2, 32, 48))
    settled_level = settled(level, views, common_shifts(left, right), EVEN)
    assert bool((settled_level.near[0, :, 4:-4, 8:-8] == 0).all())
    assert float((settled_level.near[1, 0, 4:-4, 8:-8] + 4).abs().max()) < 0.05


def test_a_shift_that_is_not_clear_is_not_taken() -> None:
    left, right = noise(0), moved(noise(0), 8, -4)
    shifts = common_shifts(left, right)
    shifts[..., 2] = CLEAR / 2
    level = settled(resting(left), ends(left, right), shifts, EVEN)
    assert bool((level.near == 0).all())


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("codes", "taken"), [(1.2, False), (3.5, True)])
def test_a_shift_that_saves_next_to_nothing_is_not_taken(codes: float, taken: bool, compiled: bool) -> None:
    """A page so faint that it is noise: the motion leaves an error of so many codes, the shift none."""
    left, right = noise(0), moved(noise(0), 8, -4)
    faint = codes / 255 / float((left - right).abs().mean())
    left, right = (0.5 + faint * (picture - 0.5) for picture in (left, right))
    level, shifts, halves = resting(left), common_shifts(left, right), ends(left, right)
    assert float(shifts[0, 0, 2]) > CLEAR
    if compiled:
        found = np.zeros((2, 32, 48, 4), np.float32)
        hidden = channels_last(level.hidden).copy()
        settle([channels_last(half) for half in halves], shifts.numpy(), np.ones(2, np.float32), found, hidden)
        near = torch.from_numpy(found).permute(0, 3, 1, 2)[:, :2]
    else:
        near = settled(level, halves, shifts, EVEN).near
    moving = near.abs().amax(dim=1)[:, 8:-8, 8:-8] > 0
    assert bool((moving == taken).all())


@pytest.mark.parametrize("seed", range(3))
def test_the_compiled_form_equals_the_definition(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    left = torch.cat([noise(seed), noise(seed + 9)])
    right = torch.cat([moved(noise(seed), 9 - 7 * seed, 3), noise(seed + 5)])
    right[:, :, :20] = left[:, :, :20]
    shifts = torch.cat([common_shifts(left[k : k + 1], right[k : k + 1]) for k in range(2)])
    shifts[0, 1] = torch.tensor([-70.25, 40.5, 0.5])  # leads out of the picture
    shifts[1, :2] = torch.tensor([[2.5, -1.25, 0.3], [-0.5, 0.75, 0.01]])
    level = Level(*(3 * torch.randn(4, 2, 32, 48, generator=generator) for _ in range(2)), torch.ones(4, 5, 32, 48))
    spacing = torch.tensor([[1.0, 2.0], [torch.inf, 0.5]])
    before, after = (torch.cat([moved(noise(seed), -5 * k, 3), noise(seed + 9 + k)]) for k in (-1, 2))
    expected = settled(level, [before, left, right, after], shifts, spacing)
    motion = channels_last(torch.cat([level.near, level.far], dim=1)).copy()
    pace = np.array([1.0, np.inf, 2.0, 0.5], np.float32)
    hidden = channels_last(level.hidden).copy()
    halves = [channels_last(half) for half in (before, left, right, after)]
    settle(halves, shifts.numpy(), pace, motion, hidden)
    assert bool((expected.near != level.near).any())
    np.testing.assert_allclose(motion, channels_last(torch.cat([expected.near, expected.far], dim=1)), atol=1e-4)
    np.testing.assert_array_equal(hidden, channels_last(expected.hidden))


@torch.no_grad()
def test_a_page_that_scrolls_by_lines_is_read() -> None:
    """The network by itself takes one line for the next."""
    clip, _ = covered(np.zeros((7, 3, 288, 512), np.uint8), page, 3)
    frames = torch.from_numpy(clip[::2]).float() / 255
    network = load("base")
    made = network(frames[None], torch.tensor([[0.5]]))[:, 0]
    assert float(psnr(made, torch.from_numpy(clip[3:4]).float() / 255)) > 22
