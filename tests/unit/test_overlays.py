"""Writing and bars over training footage: they move as they say, through the window and the target alike."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from svmv.training.bars import barred
from svmv.training.captions import Writing, _draw, captioned
from svmv.training.data import Sample

MOMENTS = torch.tensor([-1.0, 0.0, 1.0, 2.0, 0.5])


def writing(seed: int, velocity: tuple[float, float], crop: int = 96) -> Writing:
    drawn = _draw(np.random.default_rng(seed), crop, torch.device("cpu"))
    return replace(drawn, velocity=velocity, origin=(0.0, 0.0), noise=0.0, opacity=(1.0, 0.0))


def footage(batch: int, crop: int = 64) -> Sample:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(batch, 5, 3, crop, crop, generator=generator)
    return Sample(pictures[:, :4], pictures[:, 4], torch.linspace(0.2, 0.8, batch), torch.ones(batch, 2))


@pytest.mark.parametrize("seed", range(4))
def test_what_stands_still_is_the_same_at_all_times(seed: int) -> None:
    over = writing(seed, (0.0, 0.0)).over(torch.zeros(5, 3, 96, 96), MOMENTS, np.random.default_rng(0))
    assert float(over.amax()) > 0
    assert bool((over == over[:1]).all())


@pytest.mark.parametrize("seed", range(4))
def test_what_passes_is_where_its_velocity_takes_it(seed: int) -> None:
    over = writing(seed, (6.0, -4.0)).over(torch.zeros(5, 3, 96, 96), MOMENTS, np.random.default_rng(0))
    for moment, picture in zip(MOMENTS.tolist(), over, strict=True):
        x, y = round(6 * moment), round(-4 * moment)
        moved = over[1].roll((y, x), dims=(1, 2))
        inside = (slice(None), slice(12, -12), slice(12, -12))
        torch.testing.assert_close(picture[inside], moved[inside], atol=1e-4, rtol=0)


@pytest.mark.parametrize("change", [captioned, barred])
def test_share_says_how_many_are_changed_and_the_truth_is_too(change: Callable[..., Sample]) -> None:
    sample = footage(40)
    assert torch.equal(change(sample, np.random.default_rng(1), share=0.0).window, sample.window)
    some = change(sample, np.random.default_rng(1), share=0.5)
    changed = (some.window != sample.window).flatten(1).any(dim=1)
    assert 10 < int(changed.sum()) < 30
    assert torch.equal((some.target != sample.target).flatten(1).any(dim=1), changed)
    assert bool(((some.window >= 0) & (some.window <= 1)).all())


@pytest.mark.parametrize("change", [captioned, barred])
def test_the_same_seed_changes_the_same(change: Callable[..., Sample]) -> None:
    one, other = (change(footage(6), np.random.default_rng(7), share=1.0) for _ in range(2))
    assert torch.equal(one.window, other.window)
    assert torch.equal(one.target, other.target)


def test_bars_stand_still_and_hide_what_is_behind_them() -> None:
    sample = footage(30)
    barred_ = barred(sample, np.random.default_rng(2), share=1.0)
    pictures = torch.cat([barred_.window, barred_.target[:, None]], dim=1)
    hidden = (pictures == pictures[:, :1]).all(dim=(1, 2))  # (30, H, W): noise is the same at no two times
    assert int(hidden.flatten(1).any(dim=1).sum()) > 20
    for shape, picture in zip(hidden, pictures, strict=True):
        rows, columns = shape.all(dim=1), shape.all(dim=0)
        assert torch.equal(shape, rows[:, None] | columns[None, :])
        if shape.any():
            assert len(picture[0][:, shape].unique(dim=1).T) == 1  # of one colour
