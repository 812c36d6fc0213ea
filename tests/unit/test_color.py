"""Planes ⇄ RGB: round trips, agreement with FFmpeg, odd sizes, alpha."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import ColorInfo
from svmv_cli.pipeline.color import Converter

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p12le", "gbrp", "gbrp10le", "gray", "yuva444p"]


def smooth(name: str, *, width: int, height: int) -> Frame:
    """A frame of gentle waves over the whole legal range."""
    pixel_format = PixelFormat.parse(name)
    top = 2**pixel_format.depth - 1
    planes = []
    for index in range(pixel_format.planes):
        rows, columns = pixel_format.plane_shape(index, width, height)
        y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
        wave = 0.5 + 0.35 * np.sin(3 * x + index) * np.cos(2 * y - index)
        planes.append((wave * top).round().astype(pixel_format.dtype))
    return Frame(Fraction(0), Fraction(1, 25), pixel_format, tuple(planes))


def converter(frame: Frame, **color: int) -> Converter:
    info = ColorInfo(**color)  # type: ignore[arg-type]
    return Converter(frame.format, info, frame.height, frame.width, torch.device("cpu"))


def noise(name: str, *, width: int, height: int) -> Frame:
    """A frame of the sharpest edges there are, on every plane."""
    pixel_format = PixelFormat.parse(name)
    rng = np.random.default_rng(1)
    shapes = [pixel_format.plane_shape(index, width, height) for index in range(pixel_format.planes)]
    planes = tuple(rng.integers(0, 2**pixel_format.depth, shape).astype(pixel_format.dtype) for shape in shapes)
    return Frame(Fraction(0), Fraction(1, 25), pixel_format, planes)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("matrix", [1, 2, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_planes_come_back_exactly(name: str, matrix: int, full_range: bool) -> None:
    """However sharp, or the same edge would flicker between source frames, which stay, and new ones."""
    for make in (smooth, noise):
        frame = make(name, width=97, height=65)
        one = converter(frame, matrix=matrix, full_range=full_range)
        for before, after in zip(frame.planes, one.to_planes(one.to_rgb(frame)[0]), strict=True):
            assert after.dtype == before.dtype
            assert np.array_equal(before, after)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv440p"])
@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_every_chroma_siting_comes_back_at_any_size(place: int, name: str) -> None:
    for width, height in ((1, 1), (2, 1), (1, 3), (5, 4), (64, 47)):
        frame = noise(name, width=width, height=height)
        one = converter(frame, matrix=1, chroma_location=place)
        for before, after in zip(frame.planes, one.to_planes(one.to_rgb(frame)[0]), strict=True):
            assert np.array_equal(before, after)


@pytest.mark.parametrize(("place", "across", "down"), [(1, 0.0, 0.5), (2, 0.5, 0.5), (3, 0.0, 0.0), (4, 0.5, 0.0)])
def test_chroma_lies_where_the_siting_says(place: int, across: float, down: float) -> None:
    """Chroma that rises evenly does so in RGB too, displaced by where its samples sit."""
    rise = np.arange(16, dtype=np.uint8)
    planes = (np.full((32, 32), 120, np.uint8), np.tile(100 + 2 * rise, (16, 1)), np.tile(100 + 2 * rise[:, None], 16))
    frame = Frame(Fraction(0), Fraction(1), PixelFormat.parse("yuv420p"), planes)
    one = converter(frame, matrix=1, chroma_location=place)
    u, v = (one._to_full_size(torch.from_numpy(plane.astype(np.float32))[None, None])[0, 0] for plane in planes[1:])
    inside = torch.arange(4, 28)
    torch.testing.assert_close(u[8, inside], 100 + inside - across)
    torch.testing.assert_close(v[inside, 8], 100 + inside - down)


@pytest.mark.parametrize(("matrix", "name"), [(1, "ITU709"), (6, "ITU601")])
def test_colours_are_those_of_ffmpeg(matrix: int, name: str) -> None:
    planes = tuple(np.full((16, 16), value, np.uint8) for value in (120, 90, 180))
    frame = Frame(Fraction(0), Fraction(1), PixelFormat.parse("yuv444p"), planes)
    theirs = av.VideoFrame.from_ndarray(np.stack(planes), format="yuv444p").reformat(
        format="rgb24", src_colorspace=name, src_color_range="MPEG"
    )
    ours = converter(frame, matrix=matrix).to_rgb(frame)[0, :, 8, 8] * 255
    np.testing.assert_allclose(ours.numpy(), theirs.to_ndarray()[8, 8], atol=1.01)


def test_alpha_is_the_fourth_channel() -> None:
    frame = smooth("yuva444p", width=8, height=8)
    rgba = converter(frame, matrix=1).to_rgb(frame)
    assert rgba.shape == (1, 4, 8, 8)
    np.testing.assert_allclose(rgba[0, 3].numpy() * 255, frame.planes[3], atol=0.01)


@pytest.mark.parametrize("name", [*FORMATS, "yuv440p"])
@pytest.mark.parametrize("place", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(48, 64), (33, 21), (1, 1), (2, 3)])
def test_the_fused_passes_equal_the_definition(name: str, place: int, size: tuple[int, int]) -> None:
    height, width = size
    pixel_format = PixelFormat.parse(name)
    rng = np.random.default_rng(0)
    shapes = [pixel_format.plane_shape(k, width, height) for k in range(pixel_format.planes)]
    planes = tuple(rng.integers(0, 2**pixel_format.depth, s).astype(pixel_format.dtype) for s in shapes)
    frame = Frame(Fraction(0), Fraction(1), pixel_format, planes)
    one = converter(frame, matrix=1, chroma_location=place)
    expected = one._to_rgb(frame)
    torch.testing.assert_close(one._to_rgb_fused(frame), expected, atol=1e-5, rtol=1e-5)
    picture = expected[0] + 0.3 * torch.rand(expected.shape[1:], generator=torch.Generator().manual_seed(1)) - 0.15
    for got, wanted in zip(one._to_planes_fused(picture), one._to_planes(picture), strict=True):
        assert got.dtype == wanted.dtype
        difference = np.abs(got.astype(int) - wanted.astype(int))
        assert int(difference.max()) <= 1  # what lies halfway between two codes may be rounded either way
        assert float((difference > 0).mean()) < 0.02


@pytest.mark.parametrize(("height", "matrix"), [(720, 1), (718, 6)])
def test_untagged_parts_have_the_colours_of_the_whole_picture(height: int, matrix: int) -> None:
    whole = converter(smooth("yuv444p", width=8, height=height))
    part = smooth("yuv444p", width=8, height=16)
    found = whole.part(height=16, width=8).to_rgb(part)
    torch.testing.assert_close(found, converter(part, matrix=matrix).to_rgb(part), atol=0, rtol=0)
