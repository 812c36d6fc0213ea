"""Convolutions by minimal filtering: equal to torch's, at all sizes, for all numbers of channels they take."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from svmv import winograd_numba
from svmv.packed import PackedConv
from svmv.winograd_numba import convolve, prepared, serves


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 4), (5, 9), (8, 97), (33, 30), (13, 200)])
@pytest.mark.parametrize(("inputs", "outputs"), [(8, 8), (24, 29), (40, 16)])
def test_it_is_a_convolution(size: tuple[int, int], inputs: int, outputs: int) -> None:
    """Widths of less than a patch, of one run of patches and of several, whole and not."""
    torch.manual_seed(0)
    source = torch.randn(2, *size, inputs)
    weight, bias = torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5, torch.randn(outputs)
    exact = F.conv2d(source.permute(0, 3, 1, 2).double(), weight.double(), bias.double(), padding=1)
    for slope in (1.0, 0.1):
        out = np.full((2, *size, outputs), np.nan, np.float32)
        convolve(source.numpy(), prepared(weight.numpy()), bias.numpy(), np.float32(slope), out)
        expected = F.leaky_relu(exact, slope).permute(0, 2, 3, 1)
        torch.testing.assert_close(torch.from_numpy(out).double(), expected, atol=2e-4, rtol=0)


def test_rounding_is_no_worse_than_some_units_of_float32() -> None:
    torch.manual_seed(0)
    source, weight = torch.randn(1, 64, 96, 64), torch.randn(64, 64, 3, 3) / 24
    out = np.empty((1, 64, 96, 64), np.float32)
    convolve(source.numpy(), prepared(weight.numpy()), np.zeros(64, np.float32), np.float32(1), out)
    exact = F.conv2d(source.permute(0, 3, 1, 2).double(), weight.double(), padding=1).permute(0, 2, 3, 1)
    error = torch.from_numpy(out).double() - exact
    assert float(error.square().mean().sqrt()) < 1e-5 * float(exact.square().mean().sqrt())


def test_packed_convolutions_take_it_in_float32_only(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[int, ...]] = []

    def counted(source, *rest):  # type: ignore[no-untyped-def]
        taken.append(source.shape)
        convolve(source, *rest)

    monkeypatch.setattr(winograd_numba, "convolve", counted)
    x = torch.randn(1, 8, 9, 10).contiguous(memory_format=torch.channels_last)
    served, others = (
        nn.Conv2d(8, 12, 3, 1, 1),
        [nn.Conv2d(8, 12, 3, 2, 1), nn.Conv2d(8, 12, 1), nn.Conv2d(8, 7, 3, 1, 1)],
    )
    assert serves(served.weight.shape) and not serves((12, 8, 1, 1)) and not serves((7, 8, 3, 3))
    with torch.inference_mode():
        for conv in (served, *others):
            torch.testing.assert_close(PackedConv.of(conv, torch.float32)(x), conv(x), atol=1e-4, rtol=0)
        PackedConv.of(served, torch.bfloat16)(x)
    assert taken == [(1, 9, 10, 8)]
