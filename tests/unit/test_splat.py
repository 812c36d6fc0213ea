"""The splat: what it conserves, and that its twins are one function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from svmv.backends import Backend
from svmv.splat import splat
from tests.interpreted import INTERPRETED, needs_triton, passes_interpreted

TWINS: list[Backend] = ["numba", "triton"] if INTERPRETED else ["numba"]
EVERY: list[Backend] = ["torch", *TWINS]
Problem = tuple[Tensor, Tensor, Tensor]

seeds = st.integers(0, 2**31)
sizes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 9), st.integers(1, 11))
few = settings(max_examples=3 if INTERPRETED else 15, deadline=None)


def problem(seed: int, size: tuple[int, int, int, int, int], *, reach: float = 4.0) -> Problem:
    """Random values, offsets and weights of size (B, C, M, H, W); some land outside, none at a whole position."""
    B, C, M, H, W = size
    draw = torch.Generator().manual_seed(seed)
    offsets = (torch.rand(B, M, 2, H, W, generator=draw) - 0.5) * 2 * reach
    fraction = 0.02 + 0.96 * torch.rand(B, M, 2, H, W, generator=draw)
    weights = 0.1 + torch.rand(B, M, H, W, generator=draw)
    return torch.randn(B, C, H, W, generator=draw), offsets.floor() + fraction, weights


def staying_inside(offsets: Tensor) -> Tensor:
    """Offsets changed so that every pixel lands within the picture."""
    H, W = offsets.shape[-2:]
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    where = offsets + torch.stack([x, y])
    return torch.stack([where[:, :, 0].clamp(0, W - 1) - x, where[:, :, 1].clamp(0, H - 1) - y], dim=2)


def arriving(size: tuple[int, int, int, int, int], seed: int) -> tuple[Tensor, Tensor]:
    """Random gradients of sum and norm."""
    B, C, _, H, W = size
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(B, C, H, W, generator=draw), torch.randn(B, 1, H, W, generator=draw)


def gradients(tensors: Problem, upstream: tuple[Tensor, Tensor], backend: Backend) -> list[Tensor]:
    """Sum, norm, and what flows back into values, offsets and weights."""
    leaves = [x.clone().requires_grad_() for x in tensors]
    total, norm = splat(*leaves, backend=backend)
    torch.autograd.backward([total, norm], list(upstream))
    return [total.detach(), norm.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("backend", EVERY)
def test_a_pixel_is_shared_by_the_four_it_lands_between(backend: Backend) -> None:
    values = torch.zeros(1, 1, 4, 5)
    values[0, 0, 1, 1] = 8.0
    offsets = torch.full((1, 1, 2, 4, 5), 1e9)  # all others leave the picture
    offsets[0, 0, :, 1, 1] = torch.tensor([1.25, 0.5])
    total, norm = splat(values, offsets, torch.full((1, 1, 4, 5), 2.0), backend=backend)
    expected = torch.zeros(4, 5)
    expected[1:3, 2:4] = torch.tensor([[6.0, 2.0], [6.0, 2.0]])
    torch.testing.assert_close(total[0, 0], expected)
    torch.testing.assert_close(norm[0, 0], expected / 8)


@pytest.mark.parametrize("backend", EVERY)
@few
@given(seed=seeds, size=sizes)
def test_what_stays_inside_is_preserved(backend: Backend, seed: int, size: tuple[int, int, int, int, int]) -> None:
    values, offsets, weights = problem(seed, size)
    total, norm = splat(values, staying_inside(offsets), weights, backend=backend)
    carried = values.unsqueeze(1) * weights.unsqueeze(2)
    torch.testing.assert_close(total.sum((2, 3)), carried.sum((1, 3, 4)), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(norm.sum((1, 2, 3)), weights.sum((1, 2, 3)), atol=1e-3, rtol=1e-4)


@few
@given(seed=seeds, size=sizes, factor=st.floats(-3, 3))
def test_linear_in_values_and_in_weights(seed: int, size: tuple[int, int, int, int, int], factor: float) -> None:
    values, offsets, weights = problem(seed, size)
    others, _, more = problem(seed + 1, size)
    one, norm = splat(values, offsets, weights)
    two, _ = splat(others, offsets, weights)
    both, _ = splat(values + factor * others, offsets, weights)
    torch.testing.assert_close(both, one + factor * two, atol=1e-4, rtol=1e-4)
    three, norm_three = splat(values, offsets, more)
    total, norm_all = splat(values, offsets, weights + 2 * more)
    torch.testing.assert_close(total, one + 2 * three, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(norm_all, norm + 2 * norm_three, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", EVERY)
def test_no_offset_gives_the_picture_back(backend: Backend) -> None:
    values, offsets, weights = problem(1, (2, 4, 3, 7, 9))
    total, norm = splat(values, torch.zeros_like(offsets), weights, backend=backend)
    torch.testing.assert_close(total / norm, values)


@pytest.mark.parametrize("backend", EVERY)
def test_a_whole_offset_shifts_and_leaves_a_hole(backend: Backend) -> None:
    values = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(2))
    offsets = torch.tensor([3.0, -2.0]).view(1, 1, 2, 1, 1).expand(1, 1, 2, 6, 8)
    total, norm = splat(values, offsets, torch.ones(1, 1, 6, 8), backend=backend)
    torch.testing.assert_close(total[..., :4, 3:], values[..., 2:, :5])
    assert norm[..., 4:, :].abs().sum() == 0
    assert norm[..., :3].abs().sum() == 0


@pytest.mark.parametrize("backend", TWINS)
@few
@given(seed=seeds, size=sizes)
def test_twins_agree(backend: Backend, seed: int, size: tuple[int, int, int, int, int]) -> None:
    tensors, upstream = problem(seed, size), arriving(size, seed)
    for got, expected in zip(gradients(tensors, upstream, backend), gradients(tensors, upstream, "torch"), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", TWINS)
def test_twins_agree_at_whole_positions_and_beyond_one_program(backend: Backend) -> None:
    values, _, weights = problem(3, (1, 4, 2, 19, 31))
    offsets = torch.randint(-2, 3, (1, 2, 2, 19, 31), generator=torch.Generator().manual_seed(3)).float()
    upstream = arriving((1, 4, 2, 19, 31), 3)
    for got, expected in zip(
        gradients((values, offsets, weights), upstream, backend),
        gradients((values, offsets, weights), upstream, "torch"),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", TWINS)
def test_no_gradient_for_pictures_that_are_data(backend: Backend) -> None:
    values, offsets, weights = problem(4, (1, 3, 2, 5, 6))
    offsets.requires_grad_()
    torch.autograd.backward(splat(values, offsets, weights, backend=backend)[0].sum())
    assert values.grad is None
    assert offsets.grad is not None


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("wild", [float("nan"), float("inf"), -float("inf"), 1e30, -3e9, 2.0**31, -1.0, 9.0])
def test_wild_offsets_are_dropped(backend: Backend, wild: float) -> None:
    values, offsets, weights = problem(5, (1, 3, 2, 8, 9))
    lost = torch.zeros(1, 2, 8, 9, dtype=torch.bool)
    lost[0, 0, ::3, ::2] = True
    lost[..., 1:] &= wild not in (-1.0,)  # one pixel to the left is outside only in the first column
    wildly = torch.where(lost.unsqueeze(2), wild, offsets)
    ones = torch.ones(1, 3, 8, 9), torch.ones(1, 1, 8, 9)
    total, norm, *grads = gradients((values, wildly, weights), ones, backend)
    expected, expected_norm = splat(values, offsets, weights.masked_fill(lost, 0), backend="torch")
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(norm, expected_norm)
    assert all(bool(g.isfinite().all()) for g in grads)
    assert grads[2][lost].abs().sum() == 0


def test_the_definition_is_differentiated_right() -> None:
    tensors = [x.double().requires_grad_() for x in problem(6, (2, 2, 2, 4, 5), reach=2)]
    assert torch.autograd.gradcheck(lambda *x: splat(*x, backend="torch"), tensors)
    small = [x.double().requires_grad_() for x in problem(7, (1, 1, 2, 2, 3), reach=1)]
    assert torch.autograd.gradgradcheck(lambda *x: splat(*x, backend="torch"), small)


def test_auto_takes_the_definition_for_other_dtypes() -> None:
    values, offsets, weights = (x.double() for x in problem(8, (1, 3, 1, 4, 4)))
    total, _ = splat(values, offsets, weights)
    assert total.dtype == torch.float64


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    values, offsets, weights = problem(9, (1, 3, 2, 4, 5))
    with pytest.raises(ValueError, match=r"weights\.shape"):
        splat(values, offsets, weights[:, :1])
    with pytest.raises(ValueError, match=r"offsets\.shape"):
        splat(values[..., :4], offsets, weights)


def test_the_numba_twin_refuses_other_dtypes() -> None:
    with pytest.raises(ValueError, match="float32 on the CPU"):
        splat(*(x.double() for x in problem(10, (1, 3, 1, 4, 4))), backend="numba")


@needs_triton
def test_the_triton_twin_refuses_what_it_cannot_take() -> None:
    from svmv.splat_triton import check_size, splat_triton

    with pytest.raises(ValueError, match="float32 on CUDA"):
        splat_triton(*(x.double() for x in problem(11, (1, 3, 1, 4, 4))))
    check_size("splat", 5 * 7680 * 4320)
    with pytest.raises(ValueError, match="2\\^31"):
        check_size("splat", 2**31)


@needs_triton
@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is the inner run")
def test_triton_kernels_pass_in_the_interpreter() -> None:
    passes_interpreted(__file__)
