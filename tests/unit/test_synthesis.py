"""From a motion volume to pictures: the fused twins are the definition, whatever the volume holds."""

from functools import partial

import pytest
import torch
from torch import Tensor

from svmv import Motion, correlation, splat, synthesis
from svmv.backends import Backend, Trial
from svmv.synthesis import synthesize
from svmv.synthesis_numba import synthesize_numba
from tests.interpreted import INTERPRETED, needs_triton, passes_interpreted

TWINS: list[Backend] = ["numba", "triton"] if INTERPRETED else ["numba"]


def volume(seed: int, *, B: int = 2, M: int = 3, C: int = 3, h: int = 20, w: int = 24, reach: float = 6) -> Motion:
    """A wild motion volume."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(2 * B, *shape, h, w, generator=generator)

    return Motion(
        pictures=torch.rand(2 * B, C, 2 * h, 2 * w, generator=generator),
        velocity=draw(M, 2) * reach,
        acceleration=draw(M, 2) * reach / 2,
        logit=draw(M) * 4,
        slope=draw(M) * 3,
        sharpness=draw(1).abs(),
        still=draw(1) * 12,
        levels=[],
        size=(2 * h - 3, 2 * w - 1),
    )


def fused(motion: Motion, t: Tensor, twin: str) -> Tensor:
    if twin == "numba":
        return synthesize_numba(motion, t, hole=1e-4)
    from svmv.synthesis_triton import synthesize_triton

    return synthesize_triton(motion, t, hole=1e-4)


equal = partial(torch.testing.assert_close, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize(("channels", "reach"), [(3, 0.7), (3, 30.0), (4, 6.0)])
def test_the_fused_synthesis_equals_its_definition(channels: int, reach: float, twin: str) -> None:
    motion = volume(channels, C=channels, reach=reach)
    t = torch.tensor([[0.0, 0.3, 1.0], [0.5, 0.77, 0.1]])
    equal(fused(motion, t, twin), synthesize(motion, t, backend="torch"))


@torch.no_grad()
@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("trial", [splat.trial, correlation.trial, synthesis.trial])
def test_kernels_pass_the_trial_that_users_machines_put_them_to(trial: Trial, twin: Backend) -> None:
    here = torch.device("cpu")
    equal(trial(here, twin), trial(here, "torch"))


@torch.no_grad()
def test_on_the_cpu_the_fused_synthesis_is_what_runs() -> None:
    motion, t = volume(1), torch.tensor([[0.25], [0.5]])
    assert torch.equal(synthesize(motion, t), synthesize_numba(motion, t, hole=1e-4))


@torch.no_grad()
@pytest.mark.parametrize("threads", [1, 5])
def test_any_number_of_threads_gives_the_same_picture(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    motion, t = volume(3, B=1, h=64, reach=4), torch.tensor([[0.4]])
    expected = synthesize(motion, t, backend="torch")
    monkeypatch.setattr("numba.get_num_threads", lambda: threads)
    equal(synthesize_numba(motion, t, hole=1e-4), expected)


@torch.no_grad()
@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("wild", [float("nan"), float("inf"), -float("inf"), 1e30, -3e9])
def test_wild_motion_lands_nowhere_and_writes_nowhere(wild: float, twin: str) -> None:
    motion, t = volume(4, B=1, h=30, reach=0.5), torch.tensor([[0.5]])
    motion.velocity[:, 1, :, :3, :3] = wild  # a corner: what is carried from there is not defined if this is NaN
    away = (..., slice(20, None), slice(None))
    equal(fused(motion, t, twin)[away], synthesize(motion, t, backend="torch")[away])


def test_gradients_are_still_to_be_had() -> None:
    motion = volume(5, B=1)
    motion.velocity.requires_grad_()
    torch.autograd.backward(synthesize(motion, torch.tensor([[0.5]])).sum())
    assert motion.velocity.grad is not None


@needs_triton
@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is the inner run")
def test_triton_kernels_pass_in_the_interpreter() -> None:
    passes_interpreted(__file__)
