"""Tiles give what the whole picture gives; a motion found in smaller pictures fits the larger ones."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from svmv import SVMV, load, ready, tiling
from svmv.cpu_network import CpuNetwork
from svmv.inference import Network, PlainNetwork
from svmv.tiling import Box, Read
from svmv.volume import Level


@pytest.fixture(scope="module")
def base() -> SVMV:
    return load("base")


def film(height: int, width: int, *, step: tuple[int, int]) -> list[Tensor]:
    """Four views of a texture of several sizes, with something that moves against it."""
    generator = torch.Generator().manual_seed(0)

    def texture(h: int, w: int) -> Tensor:
        noise = [(torch.rand(1, 3, h // cell + 2, w // cell + 2, generator=generator)) for cell in (5, 16, 60)]
        return sum(F.interpolate(n, size=(h, w), mode="bicubic") for n in noise) / 3  # type: ignore[return-value]

    scene, thing = texture(height + 200, width + 200), texture(60, 80)
    views = []
    for k in range(4):
        y, x = 100 + step[0] * (k - 2), 100 + step[1] * (k - 2)
        view = scene[..., y : y + height, x : x + width].clamp(0, 1).clone()
        view[..., 40 + 6 * k : 100 + 6 * k, 60 + 20 * k : 140 + 20 * k] = thing.clamp(0, 1)
        views.append(view)
    return views


def reader(frame: Tensor) -> Read:
    """A frame in memory."""
    height, width = frame.shape[2:]

    def read(box: Box) -> Tensor:
        rows = torch.arange(box.top, box.bottom).clamp(max=height - 1)
        columns = torch.arange(box.left, box.right).clamp(max=width - 1)
        return frame[:, :, rows][:, :, :, columns]

    return read


@torch.inference_mode()
@pytest.mark.parametrize(
    ("form", "size", "step", "shrink"),
    [
        (CpuNetwork, (230, 620), (6, -24), 1),
        (CpuNetwork, (131, 621), (2, 5), 1),
        (PlainNetwork, (130, 580), (2, 5), 1),
        (CpuNetwork, (303, 1151), (6, -24), 2),
    ],
)
def test_tiled_is_untiled(
    base: SVMV,
    form: type[CpuNetwork] | type[PlainNetwork],
    size: tuple[int, int],
    step: tuple[int, int],
    shrink: int,
) -> None:
    network: Network = form(base)
    frames = film(*size, step=step)
    t, spacing = torch.tensor([[0.4]]), torch.tensor([[1.0, torch.inf]])
    window = tuple(tiling.encode_smaller(network, frame, shrink) for frame in frames)
    motion = network.decode(window, size=tiling.smaller(size, shrink), spacing=spacing)  # type: ignore[arg-type]
    if shrink > 1:
        motion = tiling.enlarged(motion, motion.pictures, size)
    whole = network.synthesize(motion, t)[0, 0]
    reads = [reader(frame) for frame in frames]
    above = tuple(tiling.coarse(network, read, size, rows=64, shrink=shrink) for read in reads)
    made, count = torch.full_like(whole, torch.nan), 0
    tiles = tiling.refine(network, reads, above, size=size, spacing=spacing, side=512, shrink=shrink)  # type: ignore[arg-type]
    for tile in tiles:
        picture = network.synthesize(tile.motion, t)[0, 0]
        tile.core.of(made)[:] = tile.core.within(tile.outer).of(picture)
        count += 1
    assert count > 1
    assert float(((made - whole).abs() > 1 / 255).float().mean()) < 1e-3


@torch.inference_mode()
def test_motion_of_half_size_pictures_fits_the_whole_ones(base: SVMV) -> None:
    network = ready(base, torch.device("cpu"), torch.float32)
    frames = film(256, 384, step=(0, 8))
    window = tuple(network.encode(F.avg_pool2d(frame, 2)) for frame in frames)
    small = network.decode(window, size=(128, 192))  # type: ignore[arg-type]
    motion = tiling.enlarged(small, torch.cat([frames[1], frames[2]]), (256, 384))
    assert motion.velocity.shape[-2:] == (128, 192)
    inside = (0, 0, 0, slice(110, 120), slice(130, 180))
    torch.testing.assert_close(motion.velocity[inside].mean(), torch.tensor(-8.0), atol=0.5, rtol=0)
    made = network.synthesize(motion, torch.tensor([[0.5]]))[0, 0]
    expected = film(256, 384, step=(0, 4))[1]  # half a step on from frame 1 is frame 1 of half the step, moved by it
    assert made.shape == expected.shape[1:]
    shown = (slice(None), slice(140, 240), slice(40, 340))
    moved = frames[1][0][:, 140:240, 44:344]
    assert float(-10 * (made[shown] - moved).square().mean().log10()) > 30


@pytest.mark.parametrize(("near", "far", "reach"), [(8, 0, 128), (0, 8, 64), (4, 8, 96), (8, 4, 128)])
def test_a_tile_reaches_as_far_as_things_move_and_as_far_again(near: int, far: int, reach: int) -> None:
    """Motion, in cells of 8 px, of the second tile alone; what convolutions see, 64 px, lies around each."""
    lengths = torch.zeros(2, 2, 8, 256)
    lengths[1, 0, :, 90] = -1
    level = Level(lengths * near, lengths * far, torch.zeros(2, 1, 8, 256))
    network = SimpleNamespace(
        config=SimpleNamespace(refinements=0),
        decode_coarse=lambda _: level,
        encode_exactly=lambda _picture, _levels: None,
        decode_finest=lambda *_parts, **_sizes: None,
    )
    window = [SimpleNamespace(half=torch.rand(1, 1, 32, 64))] * 4
    reads = [lambda _: torch.zeros(1, 3, 8, 8)] * 4
    tiles = list(tiling.refine(network, reads, window, size=(64, 2048), spacing=torch.ones(1, 2), side=1024))  # type: ignore[arg-type]
    step = 1024 - 2 * (reach + 64)
    assert [tile.core.left for tile in tiles] == list(range(0, 2048, step))
    moving = 90 * 8 // step
    for number, tile in enumerate(tiles):
        around = 64 + reach * (number == moving)
        assert tile.outer.left == max(tile.core.left - around, 0)
        assert tile.outer.right == min(tile.core.right + around, 2048)
