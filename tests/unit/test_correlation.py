"""The local correlation: where its window looks, and that its twins are one function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from svmv.backends import Backend
from svmv.correlation import correlate
from svmv.warp import warp
from tests.interpreted import INTERPRETED, needs_triton, passes_interpreted

TWINS: list[Backend] = ["numba", "triton"] if INTERPRETED else ["numba"]
EVERY: list[Backend] = ["torch", *TWINS]
few = settings(max_examples=3 if INTERPRETED else 12, deadline=None)


def features(seed: int, *shape: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two feature maps (B, C, H, W) and a motion of a few px, some of it leading outside."""
    B, _, H, W = shape
    draw = torch.Generator().manual_seed(seed)
    a, b = torch.randn(*shape, generator=draw), torch.randn(*shape, generator=draw)
    return a, b, torch.randn(B, 2, H, W, generator=draw) * 4


def gradients(a: Tensor, b: Tensor, flow: Tensor, *, radius: int, backend: Backend) -> list[Tensor]:
    """The correlation, and what flows back into both feature maps from a fixed upstream gradient."""
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    out = correlate(a, b, flow, radius=radius, backend=backend)
    torch.autograd.backward(out, torch.randn(out.shape, generator=torch.Generator().manual_seed(99)))
    assert a.grad is not None
    assert b.grad is not None
    return [out.detach(), a.grad, b.grad]


@pytest.mark.parametrize("backend", EVERY)
def test_the_window_is_ordered_rows_first(backend: Backend) -> None:
    a = torch.randn(1, 16, 9, 9, generator=torch.Generator().manual_seed(0))
    for dy, dx in ((0, 0), (-2, 1), (1, -2), (2, 2)):
        moved = a.roll((dy, dx), dims=(2, 3))  # what was at p is at p + (dx, dy)
        out = correlate(a, moved, torch.zeros(1, 2, 9, 9), radius=2, backend=backend)
        peak = (dy + 2) * 5 + dx + 2
        torch.testing.assert_close(out[0, peak, 3:6, 3:6], a[0, :, 3:6, 3:6].square().mean(0))


@pytest.mark.parametrize("backend", EVERY)
def test_the_window_follows_the_motion(backend: Backend) -> None:
    a, b, _ = features(1, 1, 8, 12, 14)
    still = correlate(a, b, torch.zeros(1, 2, 12, 14), radius=1, backend=backend)
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 12, 14)
    there = correlate(a, b.roll((-2, 3), dims=(2, 3)), flow, radius=1, backend=backend)
    torch.testing.assert_close(there[..., 4:-1, 1:-5], still[..., 4:-1, 1:-5])


@pytest.mark.parametrize("backend", EVERY)
def test_between_pixels_it_compares_with_interpolated_features(backend: Backend) -> None:
    a, b, flow = features(2, 2, 8, 16, 18)
    flow = flow.clamp(-2, 2)
    out = correlate(a, b, flow, radius=1, backend=backend)
    inner = (slice(4, -4), slice(4, -4))
    for index, (dy, dx) in enumerate((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
        seen = warp(b, flow + torch.tensor([float(dx), float(dy)]).view(1, 2, 1, 1))
        expected = (a * seen).mean(dim=1)
        torch.testing.assert_close(out[:, index][:, *inner], expected[:, *inner], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", TWINS)
@few
@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 9), st.integers(1, 9)),
    radius=st.integers(0, 3),
)
def test_twins_agree(backend: Backend, seed: int, shape: tuple[int, int, int, int], radius: int) -> None:
    tensors = features(seed, *shape)
    for got, expected in zip(
        gradients(*tensors, radius=radius, backend=backend),
        gradients(*tensors, radius=radius, backend="torch"),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", TWINS)
def test_twins_agree_at_the_sizes_of_the_network(backend: Backend) -> None:
    tensors = features(3, 2, 32, 7, 11)
    for got, expected in zip(
        gradients(*tensors, radius=3, backend=backend), gradients(*tensors, radius=3, backend="torch"), strict=True
    ):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", EVERY)
def test_channels_last_features_give_the_same(backend: Backend) -> None:
    a, b, flow = features(4, 1, 8, 5, 6)
    lasting_a, lasting_b = (x.contiguous(memory_format=torch.channels_last) for x in (a, b))
    out = correlate(lasting_a, lasting_b, flow, radius=2, backend=backend)
    torch.testing.assert_close(out, correlate(a, b, flow, radius=2, backend=backend))


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("wild", [float("nan"), -float("inf"), 2.0**31])
def test_wild_motion_reads_zero(backend: Backend, wild: float) -> None:
    a, b, flow = features(5, 1, 4, 6, 7)
    wildly = flow.clone()
    wildly[:, 0, ::2] = wild
    out, grad_a, grad_b = gradients(a, b, wildly, radius=2, backend=backend)
    expected = gradients(a, b, flow, radius=2, backend=backend)[0]
    assert out[:, :, ::2].abs().sum() == 0
    assert grad_a[:, :, ::2].abs().sum() == 0
    assert bool(grad_b.isfinite().all())
    torch.testing.assert_close(out[:, :, 1::2], expected[:, :, 1::2])


@pytest.mark.parametrize("backend", EVERY)
def test_the_motion_is_data(backend: Backend) -> None:
    a, b, flow = features(6, 1, 4, 5, 5)
    flow.requires_grad_()
    torch.autograd.backward(correlate(a.requires_grad_(), b, flow, radius=1, backend=backend).sum())
    assert flow.grad is None
    assert a.grad is not None


def test_the_definition_is_differentiated_right() -> None:
    a, b, flow = features(7, 1, 3, 4, 5)
    leaves = [x.double().requires_grad_() for x in (a, b)]
    assert torch.autograd.gradcheck(lambda x, y: correlate(x, y, flow, radius=1, backend="torch"), leaves)


def test_half_precision_features_give_float32() -> None:
    a, b, flow = features(8, 1, 8, 5, 6)
    out = correlate(a.bfloat16(), b.bfloat16(), flow, radius=1)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, correlate(a, b, flow, radius=1), atol=0.05, rtol=0.05)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    a, b, flow = features(9, 1, 4, 5, 6)
    with pytest.raises(ValueError, match=r"b\.shape"):
        correlate(a, b[:, :3], flow, radius=1)
    with pytest.raises(ValueError, match=r"flow\.shape"):
        correlate(a, b, flow[:, :1], radius=1)


@needs_triton
@pytest.mark.skipif(INTERPRETED, reason="the interpreter takes tensors on the CPU")
def test_the_triton_twin_refuses_tensors_on_the_cpu() -> None:
    with pytest.raises(ValueError, match="float32 on CUDA"):
        correlate(*features(10, 1, 4, 5, 6), radius=1, backend="triton")


@needs_triton
@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is the inner run")
def test_triton_kernels_pass_in_the_interpreter() -> None:
    passes_interpreted(__file__)
