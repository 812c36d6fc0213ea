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


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("matrix", [1, 2, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_planes_come_back(name: str, matrix: int, full_range: bool) -> None:
    """Within one 8-bit code at any depth; exact to one code of its own depth but at the border of odd sizes."""
    frame = smooth(name, width=97, height=65)
    code = 2 ** (frame.format.depth - 8)
    one = converter(frame, matrix=matrix, full_range=full_range)
    for before, after in zip(frame.planes, one.to_planes(one.to_rgb(frame)[0]), strict=True):
        assert after.dtype == before.dtype
        assert after.shape == before.shape
        error = np.abs(before.astype(int) - after.astype(int))
        assert int(error.max()) <= code
        assert int(error[1:-1, 1:-1].max()) <= 1


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_every_chroma_siting_comes_back(place: int) -> None:
    frame = smooth("yuv420p", width=64, height=48)
    one = converter(frame, matrix=1, chroma_location=place)
    for before, after in zip(frame.planes, one.to_planes(one.to_rgb(frame)[0]), strict=True):
        assert int(np.abs(before.astype(int) - after.astype(int)).max()) <= 1


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
