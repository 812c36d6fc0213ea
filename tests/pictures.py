"""Pictures with known content, and clips of them: what colour, alpha and field tests look at."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import cycle
from pathlib import Path

import av
import numpy as np

from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.pictures import picture_of
from svmv_cli.media.tags import siting_options

# 75 % bars: white, yellow, cyan, green, magenta, red, blue, black.
_BARS = [(r, g, b) for g in (0.75, 0.0) for r, b in ((0.75, 0.75), (0.75, 0.0), (0.0, 0.75), (0.0, 0.0))]
FIELD_STEP = 3  # px per field
BFF = {"x264-params": "bff=1", "qp": "0"}  # PyAV cannot flag a picture as top field first, and x264 goes by that
_WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}  # Kr, Kb by ITU-T H.273 matrix


def bars_and_ramp(pix_fmt: str, color: ColorInfo, *, size: tuple[int, int] = (64, 48)) -> tuple[Plane, ...]:
    """Colour bars above, a grey ramp over the whole range below, as planes of a matrix and a range."""
    layout = PixelFormat.parse(pix_fmt)
    width, height = size
    rgb = np.empty((3, height, width))
    columns = np.arange(width) * len(_BARS) // width
    rgb[:, : height // 2] = np.array(_BARS)[columns].T[:, None]
    rgb[:, height // 2 :] = np.linspace(0, 1, width)
    return from_rgb(rgb, layout, color)


def from_rgb(rgb: np.ndarray, layout: PixelFormat, color: ColorInfo) -> tuple[Plane, ...]:
    """Planes of a (3, H, W) picture in [0, 1]; chroma is read where a left-sited one sits, without filtering."""
    top, scale = 2**layout.depth - 1, 2 ** (layout.depth - 8)
    red, green, blue = rgb
    if layout.kind == "gbr":
        return tuple((plane * top).round().astype(layout.dtype) for plane in (green, blue, red))
    kr, kb = _WEIGHTS[color.matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    u, v = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    black, span, chroma = (0, top, top) if color.full_range else (16 * scale, 219 * scale, 224 * scale)
    thin = (slice(None, None, 1 << layout.shift_y), slice(None, None, 1 << layout.shift_x))
    planes = [luma * span + black, *(c[thin] * chroma + 128 * scale for c in (u, v))]
    return tuple(plane.round().clip(0, top).astype(layout.dtype) for plane in planes)


def woven(frames: int, *, pix_fmt: str, size: tuple[int, int], bottom_first: bool) -> list[tuple[Plane, ...]]:
    """A bright bar that moves `FIELD_STEP` px from field to field."""
    layout = PixelFormat.parse(pix_fmt)
    scale = 1 << (layout.depth - 8)
    width, height = size
    pictures = []
    for number in range(frames):
        planes = [np.full(layout.plane_shape(i, *size), 128 * scale, layout.dtype) for i in range(layout.planes)]
        planes[0][:] = 40 * scale
        for field in (0, 1):
            at = 8 + FIELD_STEP * (2 * number + field)
            planes[0][(field + bottom_first) % 2 : height : 2, at : at + 16] = 200 * scale
        pictures.append(tuple(planes))
    assert at + 16 < width
    return pictures


def pan(pictures: int, cadence: tuple[int, ...], *, step: float = 5.0) -> list[tuple[Plane, ...]]:
    """A bright bar that moves evenly from picture to picture, each shown as often as the cadence says."""
    film: list[tuple[Plane, ...]] = []
    x = np.arange(160)
    for number, times in zip(range(pictures), cycle(cadence), strict=False):
        bar = np.clip(9.5 - np.abs(x - (20 + step * number)), 0, 1)
        luma = np.tile((40 + 160 * bar).round().astype(np.uint8), (48, 1))
        chroma = np.full((24, 80), 128, np.uint8)
        film += [(luma, chroma, chroma)] * times
    return film


def write_clip(
    path: Path,
    pictures: Sequence[tuple[Plane, ...]],
    *,
    pix_fmt: str,
    color: ColorInfo | None = None,
    rate: Fraction = Fraction(24),
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
    stored: str | None = None,
) -> Path:
    """Encode pictures as they are, tagged.

    Args:
        path: where to; the container is told by the extension.
        pictures: planes of each.
        pix_fmt: of the planes.
        color: tags.
        rate: pictures per second.
        codec: FFmpeg encoder; lossless unless told otherwise.
        options: of the encoder.
        stored: what the encoder is given, if it is a packed twin of `pix_fmt`.
    """
    layout, color = PixelFormat.parse(pix_fmt), color or ColorInfo()
    tags = dict(siting_options(color.chroma_location))
    with av.open(path, "w") as out:
        stream = out.add_stream(codec, rate=rate, options={**tags, **(options or {})})
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.height, context.width = pictures[0][0].shape
        context.pix_fmt = stored or pix_fmt
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        context.colorspace, context.color_range = color.matrix, 2 if color.full_range else 1
        for number, planes in enumerate(pictures):
            picture = picture_of(Frame(Fraction(0), Fraction(0), layout, planes))
            if stored:
                picture = picture.reformat(format=stored)
            picture.colorspace, picture.color_range = color.matrix, 2 if color.full_range else 1
            picture.color_primaries, picture.color_trc = color.primaries, color.transfer
            picture.pts, picture.time_base = number, 1 / rate
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path
