"""Black bars: found in every format, kept as they are, and no burden to the interpolator."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

import svmv
from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo
from svmv_cli.pipeline.bars import Area, WithoutBars
from svmv_cli.pipeline.color import Converter
from svmv_cli.pipeline.interpolate import NetworkInterpolator
from svmv_cli.pipeline.windows import Window
from tests.fakes import Blend

HALF = [(Fraction(1, 2),)]
WIDTH, HEIGHT = 150, 131
FORMATS = ["yuv420p", "yuv422p10le", "yuv444p", "gbrp", "gray", "gray10le"]


class Fitted(Blend):
    """Remembers the sizes it was set to."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def fit(self, *, height: int, width: int) -> None:
        self.sizes.append((height, width))


def converter(pix_fmt: str, *, full_range: bool = False) -> Converter:
    color = replace(ColorInfo(), full_range=full_range)
    return Converter(PixelFormat.parse(pix_fmt), color, HEIGHT, WIDTH, torch.device("cpu"))


def frame(pix_fmt: str, shown: Area, time: int = 0, *, full_range: bool = False) -> Frame:
    """Noise in a part of a black picture; the noise touches all sides of it and is nowhere black."""
    made = converter(pix_fmt, full_range=full_range)
    rng = np.random.default_rng(time)
    planes: list[Plane] = []
    for index, black in enumerate(made.black):
        plane = np.full(made.format.plane_shape(index, WIDTH, HEIGHT), round(black), made.format.dtype)
        where = shown.slices(made.format, index)
        plane[where] = rng.integers(150, 220, plane[where].shape) << (made.format.depth - 8)
        planes.append(plane)
    return Frame(Fraction(time, 10), Fraction(1, 10), made.format, tuple(planes))


def film(pix_fmt: str, areas: Sequence[Area]) -> Window:
    return Window(*(frame(pix_fmt, area, k) for k, area in enumerate(areas)))


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("full_range", [False, True])
def test_what_is_not_black_is_found(pix_fmt: str, full_range: bool) -> None:
    black = converter(pix_fmt, full_range=full_range).black
    for area in (Area(18, 0, 112, WIDTH), Area(0, 30, HEIGHT, 120), Area(2, 4, 130, 148), Area(0, 0, HEIGHT, WIDTH)):
        assert Area.of(frame(pix_fmt, area, full_range=full_range), black) == area
    nothing = Area.of(frame(pix_fmt, Area(0, 0, 0, 0), full_range=full_range), black)
    assert nothing.around(Area(4, 6, 8, 10)) == Area(4, 6, 8, 10)


def test_odd_edges_end_on_whole_chroma_samples() -> None:
    dark = frame("yuv420p", Area(0, 0, 0, 0))
    dark.planes[0][17:101, 31:99] = 100
    assert Area.of(dark, converter("yuv420p").black) == Area(16, 30, 102, 100)


def test_what_compression_leaves_of_black_is_black_and_dim_light_is_not() -> None:
    rng = np.random.default_rng(0)
    picture = frame("yuv420p", Area(20, 0, 110, WIDTH))
    black = (16.0, 128.0, 128.0)
    picture.planes[0][:20] += rng.integers(-1, 2, (20, WIDTH)).astype(np.uint8)
    picture.planes[0][19, ::30] += 6  # ringing
    assert Area.of(picture, black) == Area(20, 0, 110, WIDTH)
    picture.planes[0][8] = 18  # a shadow
    assert Area.of(picture, black) == Area(8, 0, 110, WIDTH)
    picture.planes[0][4, 60] = 27  # a star
    assert Area.of(picture, black) == Area(4, 0, 110, WIDTH)
    picture.planes[1][0] = 132  # dark blue
    assert Area.of(picture, black) == Area(0, 0, 110, WIDTH)


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_bars_stay_and_what_is_between_them_is_interpolated(pix_fmt: str) -> None:
    area = Area(18, 6, 112, 140)
    inner, window = Fitted(), film(pix_fmt, [area] * 4)
    ((made,),) = WithoutBars(inner, converter(pix_fmt).black).between([window], HALF)
    ((whole,),) = Blend().between([window], HALF)
    assert inner.sizes == [(94, 134)]
    ((seen, _),) = inner.calls[0]
    assert (seen.left.height, seen.left.width) == (94, 134)
    for new, expected, old in zip(made, whole, window.left.planes, strict=True):
        assert np.array_equal(new, expected)
        assert new is not old


def test_what_was_shown_once_is_worked_on_to_the_end_of_the_segment() -> None:
    dark, narrow, wide = Area(60, 0, 80, WIDTH), Area(30, 0, 100, WIDTH), Area(20, 0, 100, WIDTH)
    subtitled, whole = Area(30, 0, 120, WIDTH), Area(0, 0, HEIGHT, WIDTH)
    inner = Fitted()
    model = WithoutBars(inner, converter("yuv420p").black)
    model.begin()
    shown = [(Area(0, 0, 0, 0), whole), (dark, whole), (narrow, narrow), (wide, wide), (narrow, wide)]
    for area, _ in [*shown, (subtitled, None), (whole, None), (narrow, None)]:
        model.between([film("yuv420p", [narrow if area is subtitled else area] * 3 + [area])], HALF)
    expected = [area.size for _, area in shown]
    assert inner.sizes == [*expected, (100, WIDTH), whole.size, whole.size]
    model.begin()
    model.between([film("yuv420p", [narrow] * 4), film("yuv420p", [wide] * 4)], HALF * 2)  # of one call: the same
    assert inner.sizes[8:] == [wide.size]


def test_a_frame_is_looked_at_and_cut_out_once_while_the_window_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Frame] = []
    look = Area.of
    monkeypatch.setattr(Area, "of", lambda frame, black: looked.append(frame) or look(frame, black))
    frames = [frame("yuv420p", Area(20, 0, 110, WIDTH), k) for k in range(12)]
    windows = [Window(*frames[k : k + 4]) for k in range(9)]
    inner = Fitted()
    model = WithoutBars(inner, converter("yuv420p").black)
    for first in range(0, 9, 3):
        model.between(windows[first : first + 3], HALF * 3)
    assert len(looked) == 12
    asked = [window for call in inner.calls for window, _ in call]
    parts = {id(part) for window in asked for part in window.frames}
    assert len(asked) == 9 and len(parts) == 12


def test_a_frame_that_stays_in_the_window_is_cut_out_anew_where_more_is_shown() -> None:
    narrow, wide = Area(30, 0, 100, WIDTH), Area(20, 0, 110, WIDTH)
    frames = [frame("yuv420p", narrow if k < 4 else wide, k) for k in range(5)]
    inner = Fitted()
    model = WithoutBars(inner, converter("yuv420p").black)
    for first in range(2):
        model.between([Window(*frames[first : first + 4])], HALF)
    assert inner.sizes == [narrow.size, wide.size]
    seen = [{(part.height, part.width) for window, _ in call for part in window.frames} for call in inner.calls]
    assert seen == [{narrow.size}, {wide.size}]


@pytest.mark.parametrize("end", ["begin", "close"])
def test_frames_that_two_segments_share_count_in_both(end: str) -> None:
    narrow, wide = Area(30, 0, 100, WIDTH), Area(20, 0, 110, WIDTH)
    frames = [frame("yuv420p", wide if k < 3 else narrow, k) for k in range(6)]
    inner = Fitted()
    model = WithoutBars(inner, converter("yuv420p").black)
    model.between([Window(*frames[:4])], HALF)
    getattr(model, end)()
    model.between([Window(*frames[2:])], HALF)
    getattr(model, end)()
    model.between([Window(*frames[3:], frames[5])], HALF)
    assert inner.sizes == [wide.size, wide.size, narrow.size]


def test_black_of_transparent_pictures_is_no_bar() -> None:
    inner, form = Fitted(), PixelFormat.parse("yuva420p")
    planes = tuple(np.zeros(form.plane_shape(k, WIDTH, HEIGHT), np.uint8) for k in range(4))
    window = Window(*(Frame(Fraction(k), Fraction(1), form, planes) for k in range(4)))
    WithoutBars(inner, (16.0, 128.0, 128.0, 0.0)).between([window], HALF)
    assert inner.sizes == [(HEIGHT, WIDTH)]


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("scale", [1, 0.5])
def test_between_bars_the_network_gives_what_it_gives_of_the_picture_alone(pix_fmt: str, scale: float) -> None:
    small = svmv.SVMVConfig(feature_channels=16, match_channels=8, hidden_channels=16, half_channels=8, head_channels=8)
    torch.manual_seed(0)
    network = svmv.SVMV(small)
    area = Area(20, 0, 110, WIDTH)
    window = film(pix_fmt, [area] * 4)
    whole = converter(pix_fmt)
    inner = NetworkInterpolator(network, whole, name="small", precision="fp32", scale=scale)
    model = WithoutBars(inner, whole.black)
    ((made,),) = model.between([window], HALF)
    part = whole.part(height=90, width=WIDTH)
    alone = NetworkInterpolator(network, part, name="small", precision="fp32", scale=scale)
    taken = [
        replace(f, planes=tuple(p[area.slices(f.format, k)].copy() for k, p in enumerate(f.planes)))
        for f in window.frames
    ]
    ((expected,),) = alone.between([Window(*taken)], HALF)
    for index, (new, old) in enumerate(zip(made, window.left.planes, strict=True)):
        where = area.slices(window.left.format, index)
        assert np.array_equal(new[where], expected[index])
        new[where] = old[where]
        assert np.array_equal(new, old)


def test_what_was_seen_of_pictures_of_another_size_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    small = svmv.SVMVConfig(feature_channels=16, match_channels=8, hidden_channels=16, half_channels=8, head_channels=8)
    model = NetworkInterpolator(svmv.SVMV(small), converter("gray"), name="small", precision="fp32")
    encoded: list[int] = []
    monkeypatch.setattr(model._network, "encode", lambda picture: encoded.append(picture.shape[2]))
    seen = frame("gray", Area(0, 0, HEIGHT, WIDTH))
    part = Area(0, 0, HEIGHT - 2, WIDTH).part(seen)
    for shown in (seen, seen, part, part, seen):
        model.fit(height=shown.height, width=WIDTH)
        model._features(shown)
    assert encoded == [HEIGHT, HEIGHT - 2, HEIGHT]
