"""Rows of pictures and y4m streams, made and read back: every picture carries its own number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.pictures import Converter, picture_of, planes_of, working_format
from tests.media import draw

FULL = ColorInfo(full_range=True)
_ENCODERS = {".png": "png", ".tif": "tiff", ".bmp": "bmp", ".jpg": "mjpeg", ".webp": "libwebp"}


def encode(path: Path, planes: Sequence[Plane], *, pix_fmt: str) -> Path:
    """One picture file.

    Args:
        path: its suffix tells the kind.
        planes: in the planar format that holds what `pix_fmt` holds.
        pix_fmt: what the encoder is given.
    """
    layout = working_format(pix_fmt)
    frame = picture_of(Frame(Fraction(0), Fraction(1), layout, tuple(planes)))
    color = ColorInfo(matrix=0 if layout.kind == "gbr" else 5, full_range=True)
    frame = Converter(source=color, target=color, pixel_format=pix_fmt)(frame)
    frame.pts = 0
    context = av.CodecContext.create(_ENCODERS[path.suffix], "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, pix_fmt
    context.time_base, context.color_range = Fraction(1, 25), 2
    if path.suffix == ".webp":
        context.options = {"lossless": "1"}
    path.write_bytes(b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None))))
    return path


def make_row(
    folder: Path,
    *,
    name: str = "{:05d}.png",
    pix_fmt: str = "rgb24",
    numbers: Sequence[int] = range(12),
    size: tuple[int, int] = (96, 64),
) -> Path:
    """A folder of numbered pictures; the number in a picture's name is also drawn into it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        planes = draw(number, size=size, pix_fmt=working_format(pix_fmt).name)
        encode(folder / name.format(number), planes, pix_fmt=pix_fmt)
    return folder


def decode(path: Path, *, pix_fmt: str | None = None) -> list[tuple[Plane, ...]]:
    """Planes of every picture in a file, in the planar format of what is stored, or another of the same colours."""
    with av.open(path) as container:
        pictures = list(container.decode(video=0))
    wanted = pix_fmt or working_format(pictures[0].format.name).name
    color = ColorInfo(matrix=0 if wanted.startswith("gbr") else 5, full_range=True)
    convert = Converter(source=color, target=color, pixel_format=wanted)
    return [planes_of(convert(picture), PixelFormat.parse(wanted)) for picture in pictures]


def decode_row(folder: Path, *, pix_fmt: str | None = None) -> list[tuple[Plane, ...]]:
    """Planes of every picture in a folder, by name."""
    return [decode(path, pix_fmt=pix_fmt)[0] for path in sorted(folder.iterdir())]


def same(a: Sequence[Plane], b: Sequence[Plane]) -> bool:
    """Whether two pictures are equal to the bit."""
    return len(a) == len(b) and all(x.shape == y.shape and bool((x == y).all()) for x, y in zip(a, b, strict=True))
