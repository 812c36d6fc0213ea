"""A row of numbered pictures as a source: looked through, then read like a video. Knows no patterns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from svmv_cli.errors import InputError, UnsupportedError
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import ColorInfo, FieldInfo, MediaInfo, VideoInfo
from svmv_cli.media.numbering import Numbering
from svmv_cli.media.pictures import Converter, color_after, planes_of, working_format
from svmv_cli.media.stills import StillDecoder, StillHeader, read_header
from svmv_cli.media.tags import display_matrix_of

DEFAULT_RATE = Fraction(24)  # frames/s; pictures have no times of their own
_CENTER = 2  # AVChromaLocation: where JPEG has its chroma
_FULL = 2  # AVColorRange
_UNSPECIFIED = 2


def probe_row(row: Numbering, *, path: Path, rate: Fraction) -> MediaInfo:
    """What a row of pictures is: every header is read, one picture of each kind decoded.

    Args:
        row: the pictures.
        path: as the user named them: a folder or a pattern.
        rate: pictures per second they are shown at.

    Raises:
        InputError: a picture cannot be read, or differs in size from the first.
        UnsupportedError: a pixel format beyond this build.
    """
    first = read_header(row.path(0))
    kinds: dict[tuple[str, bytes], tuple[StillHeader, Path]] = {}
    size = 0
    for index in range(row.count):
        picture = row.path(index)
        header = read_header(picture)
        if (header.width, header.height) != (first.width, first.height):
            raise InputError(
                f"{picture} is {header.width}x{header.height}, but {row.path(0).name} is {first.width}x{first.height}",
                hint="All pictures of a row must have one size.",
            )
        size += picture.stat().st_size
        kinds.setdefault((header.codec, header.kind), (header, picture))
    decoder = StillDecoder()
    samples = [_Sample.of(decoder.decode(picture, header.codec), picture, header) for header, picture in kinds.values()]
    shared = _shared_format([sample.format for sample in samples])
    typical = next((sample for sample in samples if sample.format.kind == shared.kind), samples[0])
    video = VideoInfo(
        index=0,
        codec=first.codec,
        width=first.width,
        height=first.height,
        pix_fmt=shared.name,
        time_base=1 / rate,
        color=typical.color,
        sample_aspect_ratio=Fraction(1),
        rotation=samples[0].rotation,
        display_matrix=samples[0].display_matrix,
        fields=FieldInfo(),
        rate_claimed=rate,
        frames_claimed=row.count,
        duration_claimed=row.count / rate,
        bit_rate=None,
        packet_times=np.arange(row.count, dtype=np.int64),
        last_duration=1 / rate,
    )
    return MediaInfo(path, "image2", size, None, Fraction(0), video, row=row)


def row_frames(info: MediaInfo, first: int, *, pix_fmt: str) -> Iterator[Frame | None]:
    """The pictures of a row as frames, from number `first` on; None for one that cannot be decoded.

    Args:
        info: what `probe_row` found.
        first: 0 is the first picture.
        pix_fmt: planar format the frames are to have; planes are bit-exact where the pictures have it already.

    Raises:
        UnsupportedError: a picture has another size than when it was looked at.
    """
    if info.row is None:
        raise ValueError(f"{info.path} is no row of pictures")
    video, layout = info.video, PixelFormat.parse(pix_fmt)
    color = color_after(video.color, source=working_format(video.pix_fmt), target=layout)
    decoder = StillDecoder()
    converters: dict[str, Converter] = {}
    for index in range(first, info.row.count):
        path = info.row.path(index)
        try:
            picture = decoder.decode(path, read_header(path).codec)
        except InputError:
            yield None
            continue
        if (picture.width, picture.height) != (video.width, video.height):
            raise UnsupportedError(f"{path} has changed its size since the work began")
        name = picture.format.name
        if name.replace("yuvj", "yuv") != layout.name:
            if name not in converters:
                converters[name] = Converter(source=_color_of(picture), target=color, pixel_format=pix_fmt)
            picture = converters[name](picture)
        yield Frame(index * video.time_base, video.time_base, layout, planes_of(picture, layout))


@dataclass(frozen=True, slots=True)
class _Sample:
    """One decoded picture of a kind."""

    format: PixelFormat
    color: ColorInfo
    rotation: int  # degrees counter-clockwise
    display_matrix: tuple[int, ...]

    @classmethod
    def of(cls, picture: av.VideoFrame, path: Path, header: StillHeader) -> _Sample:
        try:
            layout = working_format(picture.format.name)
            if picture.format.has_palette and not header.transparent:
                layout = working_format("rgb24")
        except ValueError as error:
            raise UnsupportedError(f"{path}: pictures in {picture.format.name} are beyond this build") from error
        return cls(layout, _color_of(picture), picture.rotation, display_matrix_of(picture))


def _shared_format(formats: Sequence[PixelFormat]) -> PixelFormat:
    """The smallest format that holds pictures of all these.

    Rows are seldom pure: programs save a picture without colour as grey, and an opaque one without alpha.
    """
    alpha = any(each.alpha for each in formats)
    suffix = "" if (depth := max(each.depth for each in formats)) == 8 else f"{depth}le"
    kinds = {each.kind for each in formats}
    if kinds == {"gray"} and not alpha:
        return PixelFormat.parse(f"gray{suffix}")
    if "yuv" not in kinds:
        return PixelFormat.parse(f"gbr{'a' * alpha}p{suffix}")
    shifts = {(each.shift_x, each.shift_y) for each in formats if each.kind != "gray"}
    same = (
        formats[0].name.removeprefix("yuva").removeprefix("yuv")[:3] if len(shifts) == 1 and kinds == {"yuv"} else "444"
    )
    return PixelFormat.parse(f"yuv{'a' * alpha}{same}p{suffix}")


def _color_of(picture: av.VideoFrame) -> ColorInfo:
    """What a still picture is tagged with; grey and RGB ones have the full range without saying so."""
    kind = working_format(picture.format.name).kind
    primaries, transfer = (tag or _UNSPECIFIED for tag in (picture.color_primaries, picture.color_trc))
    if kind == "gbr":
        return ColorInfo(int(primaries), int(transfer), 0, full_range=True)
    full = kind == "gray" or picture.format.name.startswith("yuvj") or picture.color_range == _FULL
    matrix = int(picture.colorspace) or _UNSPECIFIED
    location = _CENTER if kind == "yuv" else 0
    return ColorInfo(int(primaries), int(transfer), _UNSPECIFIED if kind == "gray" else matrix, full, location)
