"""Decoded pictures to planes and back, bit by bit where the format allows. Knows no files and no time."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from svmv_cli.media.deep import scaled, whites_after, whites_before
from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo

# Exact rounding: the fast paths of swscale are off by one code here and there.
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INP

_CENTER = 2  # AVChromaLocation
_HD_LINES = 720  # from here on untagged video means BT.709, below BT.601: what players assume


def working_format(pix_fmt: str) -> PixelFormat:
    """The planar format that holds everything a decoded format holds, without loss.

    Args:
        pix_fmt: FFmpeg's name of the decoded format, planar or not.

    Raises:
        ValueError: FFmpeg does not know the name, or it is a hardware or floating-point format.
    """
    try:
        return PixelFormat.parse(pix_fmt.replace("yuvj", "yuv"))
    except ValueError:
        return PixelFormat.parse(_planar_name(av.VideoFormat(pix_fmt)))


def _planar_name(packed: av.VideoFormat) -> str:
    if not packed.components or packed.name.startswith(("grayf", "gbrpf", "gbrapf", "rgbf", "rgbaf", "yaf")):
        raise ValueError(f"no planar integer format holds {packed.name!r}")
    depth = _depth(max(component.bits for component in packed.components))
    suffix = "" if depth == 8 else f"{depth}le"
    alpha = "a" if any(component.is_alpha for component in packed.components) or packed.has_palette else ""
    if packed.is_rgb or packed.has_palette:
        return f"gbr{alpha}p{suffix}"
    if len(packed.components) == 1:
        return f"gray{suffix}"
    if len(packed.components) == 2:
        return f"gbrap{suffix}"  # grey with alpha has no planar form of its own
    return f"yuv{alpha}{_subsampling(packed)}p{suffix}"


def _depth(bits: int) -> int:
    return next(depth for depth in (8, 10, 12, 16) if bits <= depth)


def _subsampling(packed: av.VideoFormat) -> str:
    probe = 64
    across, down = packed.chroma_width(probe), packed.chroma_height(probe)
    return {(64, 64): "444", (32, 64): "422", (32, 32): "420", (64, 32): "440"}.get((across, down), "444")


def planes_of(picture: av.VideoFrame, pixel_format: PixelFormat) -> tuple[Plane, ...]:
    """Copy the planes of a picture that is in `pixel_format` already (a "j" in its name apart)."""
    planes: list[Plane] = []
    for index, plane in enumerate(picture.planes[: pixel_format.planes]):
        rows, columns = pixel_format.plane_shape(index, picture.width, picture.height)
        lines = np.frombuffer(memoryview(plane), dtype=pixel_format.dtype)
        stride = plane.line_size // pixel_format.dtype().itemsize
        planes.append(cast(Plane, lines[: rows * stride].reshape(rows, stride)[:, :columns].copy()))
    return tuple(planes)


def picture_of(frame: Frame) -> av.VideoFrame:
    """A picture FFmpeg can take, with the frame's planes copied into it; without time and colour tags."""
    picture = av.VideoFrame(frame.width, frame.height, frame.format.name)
    for plane, samples in zip(picture.planes, frame.planes, strict=True):
        rows, columns = samples.shape
        lines = np.frombuffer(memoryview(plane), dtype=samples.dtype)
        stride = plane.line_size // samples.dtype.itemsize
        lines[: rows * stride].reshape(rows, stride)[:, :columns] = samples
    return picture


def matrix_of(color: ColorInfo, height: int) -> int:
    """The matrix to compute with (AVColorSpace, one that swscale knows), for tagged and untagged pictures."""
    if color.matrix in (1, 4, 5, 6, 7, 9):
        return 5 if color.matrix == 6 else color.matrix
    return 1 if height >= _HD_LINES else 5


def color_after(color: ColorInfo, *, source: PixelFormat, target: PixelFormat) -> ColorInfo:
    """Tags of a picture once it is converted: matrix and range change between RGB and the others, and siting with both.

    swscale takes untagged chroma, such as that it makes itself of RGB, for centred.
    """
    subsampled = target.kind == "yuv" and target.shift_x
    siting = (color.chroma_location or (0 if source.shift_x else _CENTER)) if subsampled else 0
    if source.kind == "gbr" and target.kind != "gbr":
        matrix = 9 if color.primaries == 9 else 1  # BT.2020 has one of its own
        return replace(color, matrix=matrix, full_range=False, chroma_location=siting)
    if source.kind != "gbr" and target.kind == "gbr":
        return replace(color, matrix=0, full_range=True, chroma_location=0)
    return replace(color, chroma_location=siting)


class Converter:
    """Converts pictures to another format; matrix and range are said on both sides so that nothing shifts."""

    def __init__(self, *, source: ColorInfo, target: ColorInfo, pixel_format: str, threads: int = 2) -> None:
        self._source = source
        self._target = target
        self._format = pixel_format
        self._threads = threads
        # One for all pictures: a reformatter per picture keeps some 15 MB each.
        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Convert one picture; its size stays."""
        source, target = working_format(picture.format.name), working_format(self._format)
        if picture.format.name == source.name and _alpha_alone(source, target):
            return _with_alpha(picture, source, target)
        narrowed = self._source.full_range and not self._target.full_range
        picture = self._with_whites(picture, source, whites_before(source, target, narrowed=narrowed), self._source)
        picture = self._reformat(picture, self._format, self._source, self._target)
        return self._with_whites(picture, target, whites_after(source, target), self._target)

    def _with_whites(
        self, picture: av.VideoFrame, layout: PixelFormat, whites: tuple[tuple[int, int], ...], color: ColorInfo
    ) -> av.VideoFrame:
        """The picture with other whites, by way of planes; itself where nothing changes."""
        if all(old == new for old, new in whites):
            return picture
        name = picture.format.name
        planar = picture if name == layout.name else self._reformat(picture, layout.name, color, color)
        planes = scaled(planes_of(planar, layout), layout, whites)
        raised = picture_of(Frame(Fraction(0), Fraction(0), layout, planes))
        raised.pts = picture.pts
        return raised if name == layout.name else self._reformat(raised, name, color, color)

    def _reformat(self, picture: av.VideoFrame, pix_fmt: str, source: ColorInfo, target: ColorInfo) -> av.VideoFrame:
        return self._reformatter.reformat(
            picture,
            format=pix_fmt,
            src_colorspace=matrix_of(source, picture.height),
            dst_colorspace=matrix_of(target, picture.height),
            interpolation=_SCALING,
            src_color_range=range_of(source),
            dst_color_range=range_of(target),
            threads=self._threads,
        )


def _alpha_alone(source: PixelFormat, target: PixelFormat) -> bool:
    """Whether two kinds of deep planar RGB differ in alpha only."""
    deep_rgb = source.kind == target.kind == "gbr" and source.depth == target.depth > 8
    return deep_rgb and source.alpha != target.alpha


def _with_alpha(picture: av.VideoFrame, source: PixelFormat, target: PixelFormat) -> av.VideoFrame:
    """Opaque alpha added or alpha left out: of 16-bit planes swscale leaves half the last row uncopied."""
    colors = planes_of(picture, source)[:3]
    opaque = np.full_like(colors[0], 2**target.depth - 1)
    made = picture_of(Frame(Fraction(0), Fraction(0), target, (*colors, opaque) if target.alpha else colors))
    made.pts = picture.pts
    return made


def range_of(color: ColorInfo) -> ColorRange:
    """FFmpeg's code for limited or full range."""
    return ColorRange.JPEG if color.full_range else ColorRange.MPEG


def nearest_format(wanted: PixelFormat, offered: Sequence[PixelFormat]) -> PixelFormat | None:
    """The offered format that loses least: alpha first, then bits, chroma and kind; None if none is offered.

    Among formats that lose nothing, the smallest one.
    """
    return min(offered, key=lambda candidate: _cost(wanted, candidate), default=None)


def _cost(wanted: PixelFormat, offered: PixelFormat) -> tuple[int, ...]:
    """Losses, worst first; then what would be stored in vain."""
    kinds = {"gray": 0, "yuv": 1, "gbr": 2}
    color_lost = wanted.kind != "gray" and offered.kind == "gray"
    # Grey has no colour to lose: the coarsest will do for it.
    across, down = (1, 1) if wanted.kind == "gray" else (wanted.shift_x, wanted.shift_y)
    return (
        color_lost,
        wanted.alpha and not offered.alpha,
        max(wanted.depth - offered.depth, 0),
        max(offered.shift_x - across, 0) + max(offered.shift_y - down, 0),
        wanted.kind != offered.kind,
        offered.alpha and not wanted.alpha,
        max(offered.depth - wanted.depth, 0),
        (across - offered.shift_x) + (down - offered.shift_y),
        kinds[offered.kind],
    )
