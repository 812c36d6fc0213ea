"""The CPU's matching in vector registers against the definitions it stands for."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from svmv import volume_numba
from svmv.correlation import correlate
from svmv.vectors_numba import LANES
from svmv.volume import SoftArgmax


def expected(features: list[Tensor], flow: Tensor, radius: int, sharpness: float) -> tuple[Tensor, Tensor]:
    """What `match` has to find: correlation (N, 2·K, h, w) and peaks (N, 4, h, w)."""
    left, right, before, after = features
    peak = SoftArgmax(radius)
    torch.nn.init.constant_(peak.log_sharpness, math.log(sharpness))
    pairs = ((torch.cat([right, left]), flow[:, :2]), (torch.cat([before, after]), flow[:, 2:]))
    costs = [correlate(torch.cat([left, right]), other, to, radius=radius, backend="torch") for other, to in pairs]
    return torch.cat(costs, dim=1), torch.cat([peak(cost) for cost in costs], dim=1)


@torch.no_grad()
@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 31), (20, 12)])
@pytest.mark.parametrize("reach", [0.4, 4.0, 60.0])
def test_matching_is_correlation_and_soft_argmax(radius: int, height: int, width: int, reach: float) -> None:
    """In the middle of the picture, over each of its edges, and far beside it."""
    drawn = torch.Generator().manual_seed(radius)
    features = [torch.randn(2, 12, height, width, generator=drawn) for _ in range(4)]
    flow = reach * torch.randn(4, 4, height, width, generator=drawn)
    cost, peaks = expected(features, flow, radius, 10.0)
    rows = [f.permute(0, 2, 1, 3).contiguous().numpy() for f in features]
    above = flow.permute(0, 2, 3, 1).contiguous().numpy()
    moved, found = np.empty_like(above), np.empty_like(above)
    for numbers, near in ((np.float32, 1e-6), (np.uint16, 2**-8)):
        out = np.full((4, height, width, 2 * (2 * radius + 1) * LANES), 0x7FC0, numbers)
        volume_numba.match(*rows, above, radius, np.float32(10), moved, out, found)
        if numbers is np.uint16:
            out = torch.from_numpy(out.view(np.int16)).view(torch.bfloat16).float().numpy()
        assert np.isfinite(out).all()
        windows = torch.from_numpy(out).view(4, height, width, 2, 2 * radius + 1, LANES)[..., : 2 * radius + 1]
        torch.testing.assert_close(windows.flatten(3).permute(0, 3, 1, 2), cost, atol=near, rtol=near)
        torch.testing.assert_close(torch.from_numpy(found).permute(0, 3, 1, 2), peaks, atol=1e-4, rtol=1e-4)
        assert np.array_equal(moved, above)
