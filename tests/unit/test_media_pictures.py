from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from svmv_cli.media.frame import Frame, PixelFormat, Plane
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


def test_tags_change_with_what_they_speak_of() -> None:
    yuv, rgb, whole = (PixelFormat.parse(name) for name in ("yuv420p", "gbrp", "yuv444p10le"))
    tagged = ColorInfo(9, 16, 9, chroma_location=3)
    assert color_after(tagged, source=yuv, target=yuv) == tagged
    assert color_after(tagged, source=yuv, target=whole) == ColorInfo(9, 16, 9)
    assert color_after(tagged, source=yuv, target=rgb) == ColorInfo(9, 16, 0, full_range=True)
    assert color_after(ColorInfo(matrix=0, full_range=True), source=rgb, target=whole) == ColorInfo(matrix=1)
    assert color_after(ColorInfo(), source=yuv, target=yuv) == ColorInfo()


@pytest.mark.parametrize(("location", "shift"), [("left", 0.0), ("center", 0.5)])
def test_swscale_takes_chroma_from_where_it_is_tagged(location: str, shift: float, tmp_path: Path) -> None:
    """What `color_after` relies on: a siting that a decoded picture has is used when chroma changes size."""
    path = tmp_path / "a.mkv"
    rise = np.tile(60 + 4 * np.arange(16, dtype=np.uint8), (16, 1))
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"qp": "0", "chroma_sample_location": location})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        layout = PixelFormat.parse("yuv420p")
        planes = (np.full((32, 32), 128, np.uint8), rise, rise)
        out.mux(stream.encode(picture_of(Frame(Fraction(0), Fraction(1), layout, planes))))
        out.mux(stream.encode(None))
    with av.open(path) as container:
        picture = next(container.decode(video=0))
    whole = PixelFormat.parse("yuv444p")
    u = planes_of(Converter(source=ColorInfo(), target=ColorInfo(), pixel_format="yuv444p")(picture), whole)[1]
    assert np.abs(u[8, 6:26] - (60 + 2 * (np.arange(6, 26) - shift))).max() <= 1


def test_chroma_that_swscale_makes_of_rgb_is_centred() -> None:
    rgb, yuv = PixelFormat.parse("gbrp"), PixelFormat.parse("yuv420p")
    rise = np.tile(60 + 4 * np.arange(32, dtype=np.uint8), (32, 1))
    flat = np.full_like(rise, 100)
    color = color_after(ColorInfo(matrix=0, full_range=True), source=rgb, target=yuv)
    assert color == ColorInfo(matrix=1, chroma_location=2)
    convert = Converter(source=ColorInfo(matrix=0, full_range=True), target=color, pixel_format="yuv420p")
    made = convert(picture_of(Frame(Fraction(0), Fraction(1), rgb, (flat, rise, flat))))
    u = planes_of(made, yuv)[1][8].astype(float)
    slope = (u[13] - u[3]) / 10
    whole = planes_of(
        Converter(source=ColorInfo(matrix=0, full_range=True), target=ColorInfo(matrix=1), pixel_format="yuv444p")(
            picture_of(Frame(Fraction(0), Fraction(1), rgb, (flat, rise, flat)))
        ),
        PixelFormat.parse("yuv444p"),
    )[1][8].astype(float)
    assert abs(u[8] - (whole[16] + whole[17]) / 2) <= 1 < abs(slope)  # half-way between two columns


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


FULL, RGB, YUV = ColorInfo(full_range=True), ColorInfo(matrix=0, full_range=True), ColorInfo(matrix=1)
OF_KIND = {"gray": FULL, "gbr": RGB, "yuv": YUV}
DEEP = ["yuv444p", "yuv444p10le", "yuva444p10le", "yuv444p12le", "gbrp", "gbrap", "gbrp16le", "gray", "gray16le"]


@pytest.mark.parametrize("source", DEEP)
@pytest.mark.parametrize("target", ["gbrp", "gbrp10le", "gbrp16le", "gbrap16le", "yuv444p10le", "yuva444p12le"])
def test_white_stays_white_and_opaque_stays_opaque(source: str, target: str) -> None:
    before, after = PixelFormat.parse(source), PixelFormat.parse(target)
    there, back = OF_KIND[before.kind], OF_KIND[after.kind]
    given = white_ramp(before, there)
    to = Converter(source=there, target=back, pixel_format=target)
    fro = Converter(source=back, target=there, pixel_format=source)
    made = to(picture_of(Frame(Fraction(0), Fraction(1), before, given)))
    planes = planes_of(made, after)
    top = 2**after.depth - 1
    assert planes[0][0, -1] == (235 << after.depth - 8 if after.kind == "yuv" else top)
    if after.alpha:
        assert (planes[-1] == top).all()
    again = planes_of(fro(made), before)
    assert abs(again[0].astype(int) - given[0]).max() <= max(
        4 if before.depth == 16 else 1, 1.5 * 2 ** (before.depth - after.depth)
    )


def white_ramp(layout: PixelFormat, color: ColorInfo) -> tuple[Plane, ...]:
    """From black to white, opaque."""
    scale, top = 2 ** (layout.depth - 8), 2**layout.depth - 1
    low, high = (0, top) if color.full_range else (16 * scale, 235 * scale)
    ramp = np.tile(np.linspace(low, high, 64).round().astype(layout.dtype), (4, 1))
    chroma = np.full_like(ramp, 128 * scale)
    colors = (ramp,) if layout.kind == "gray" else (ramp, *((chroma,) * 2 if layout.kind == "yuv" else (ramp,) * 2))
    return (*colors, *([np.full_like(ramp, top)] if layout.alpha else []))


@pytest.mark.parametrize("target", ["yuva444p", "yuva444p10le", "yuv444p10le", "yuva420p10le"])
@pytest.mark.parametrize("packed", ["argb", "rgba", "gbrap"])
def test_transparent_rgb_becomes_yuv_of_the_same_colours(packed: str, target: str) -> None:
    """By whatever way: full range is made limited once."""
    rgb, kept = PixelFormat.parse("gbrap"), PixelFormat.parse(target)
    planes = tuple(np.full((16, 16), value, np.uint8) for value in (128, 0, 255, 200))
    color = ColorInfo(1, 1, 0, full_range=True)
    given = picture_of(Frame(Fraction(0), Fraction(1), rgb, planes)).reformat(format=packed)
    after = color_after(color, source=rgb, target=kept)
    made = planes_of(Converter(source=color, target=after, pixel_format=target)(given), kept)
    scale = 1 << (kept.depth - 8)
    assert [round(int(plane[5, 5]) / scale) for plane in made[:3]] == [141, 59, 189]
    if kept.alpha:
        assert abs(int(made[3][5, 5]) / scale - 200) <= 1.5
