from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.pictures import Converter, color_after, nearest_format, picture_of, planes_of, working_format
from tests.media import draw


@pytest.mark.parametrize(
    ("decoded", "working"),
    [
        ("yuv420p", "yuv420p"),
        ("yuvj422p", "yuv422p"),
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("rgb24", "gbrp"),
        ("rgba64le", "gbrap16le"),
        ("pal8", "gbrap"),
        ("x2rgb10le", "gbrp10le"),
        ("gray16be", "gray16le"),
        ("ya8", "gbrap"),
        ("monow", "gray"),
        ("yuv411p", "yuv444p"),
        ("yuv420p10be", "yuv420p10le"),
    ],
)
def test_every_format_has_a_planar_home(decoded: str, working: str) -> None:
    assert working_format(decoded).name == working


@pytest.mark.parametrize("name", ["cuda", "gbrpf32le", "no such format"])
def test_formats_without_a_home_are_told(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        working_format(name)


def _noise(packed: str, size: tuple[int, int]) -> av.VideoFrame:
    rng = np.random.default_rng(3)
    picture = av.VideoFrame(*size, packed)
    for plane in picture.planes:
        samples = rng.integers(0, 256, plane.buffer_size, dtype=np.uint8)
        if packed == "p010le":
            samples = (rng.integers(0, 1024, plane.buffer_size // 2, dtype=np.uint16) << 6).view(np.uint8)
        plane.update(samples.tobytes())
    return picture


@pytest.mark.parametrize("packed", ["nv12", "nv21", "nv16", "nv24", "p010le", "yuyv422", "uyvy422"])
def test_repacking_loses_nothing(packed: str) -> None:
    color = ColorInfo(matrix=1)
    planar = Converter(source=color, target=color, pixel_format=working_format(packed).name)
    again = Converter(source=color, target=color, pixel_format=packed)
    given = _noise(packed, (50, 34))
    first = planes_of(planar(given), working_format(packed))
    second = planes_of(planar(again(planar(given))), working_format(packed))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_rgb_channels_arrive_untouched() -> None:
    color = ColorInfo(matrix=0, full_range=True)
    given = _noise("rgb24", (50, 34))
    lines = np.frombuffer(memoryview(given.planes[0]), np.uint8).reshape(34, -1)[:, :150]
    green, blue, red = planes_of(
        Converter(source=color, target=color, pixel_format="gbrp")(given), PixelFormat.parse("gbrp")
    )
    for plane, channel in ((red, 0), (green, 1), (blue, 2)):
        assert np.array_equal(plane, lines[:, channel::3])


@pytest.mark.parametrize("size", [(1, 1), (95, 63), (64, 48)])
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p12le", "gbrap", "gray10le"])
def test_planes_to_picture_and_back(name: str, size: tuple[int, int]) -> None:
    layout = PixelFormat.parse(name)
    planes = draw(5, size=size, pix_fmt=name)
    picture = picture_of(Frame(Fraction(0), Fraction(1), layout, planes))
    assert all(np.array_equal(a, b) for a, b in zip(planes_of(picture, layout), planes, strict=True))


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
def test_colour_survives_rgb_and_back(matrix: int, full_range: bool) -> None:
    tagged = ColorInfo(matrix=matrix, full_range=full_range)
    rgb = ColorInfo(matrix=0, full_range=True)
    layout = PixelFormat.parse("yuv444p")
    low, high = (0, 255) if full_range else (16, 235)
    ramp = np.tile(np.linspace(low, high, 64).round().astype(np.uint8), (16, 1))
    grey = np.full_like(ramp, 128)
    picture = picture_of(Frame(Fraction(0), Fraction(1), layout, (ramp, grey, grey)))
    there = Converter(source=tagged, target=rgb, pixel_format="gbrp")(picture)
    red, green, blue = (p.astype(int) for p in planes_of(there, PixelFormat.parse("gbrp")))
    assert np.abs(red - green).max() <= 1
    assert np.abs(red - blue).max() <= 1
    assert abs(int(red[0, 0])) <= 1
    assert abs(int(red[0, -1]) - 255) <= 1
    back = planes_of(Converter(source=rgb, target=tagged, pixel_format="yuv444p")(there), layout)
    assert np.abs(back[0].astype(int) - ramp).max() <= 1


def test_tags_change_only_between_rgb_and_the_rest() -> None:
    yuv, rgb = PixelFormat.parse("yuv420p"), PixelFormat.parse("gbrp")
    tagged = ColorInfo(9, 16, 9)
    assert color_after(tagged, source=yuv, target=PixelFormat.parse("yuv444p10le")) == tagged
    assert color_after(tagged, source=yuv, target=rgb) == ColorInfo(9, 16, 0, full_range=True)
    assert color_after(ColorInfo(matrix=0, full_range=True), source=rgb, target=yuv) == ColorInfo(matrix=1)


@pytest.mark.parametrize(
    ("wanted", "offered", "best"),
    [
        ("yuv420p", ["yuv444p", "yuv420p", "yuv420p10le"], "yuv420p"),
        ("yuv420p12le", ["yuv420p", "yuv420p10le"], "yuv420p10le"),
        ("yuv422p", ["yuv420p", "yuv444p"], "yuv444p"),
        ("yuv444p10le", ["yuv420p10le", "yuv422p10le", "yuv444p"], "yuv422p10le"),  # bits before chroma
        ("yuva444p", ["yuv444p", "yuva420p"], "yuva420p"),  # transparency before all
        ("gray", ["yuv444p", "yuv420p"], "yuv420p"),
        ("gbrp", ["yuv420p", "yuv444p"], "yuv444p"),
    ],
)
def test_nearest_format_loses_least(wanted: str, offered: list[str], best: str) -> None:
    found = nearest_format(PixelFormat.parse(wanted), [PixelFormat.parse(name) for name in offered])
    assert found is not None
    assert found.name == best
