"""A row of numbered pictures as a source: looked through, then read like a video. Knows no patterns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np

from svmv_cli.errors import InputError, UnsupportedError
from svmv_cli.media.fields import Deinterlace
from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.framewise import between, whole
from svmv_cli.media.info import ColorInfo, FieldInfo, MediaInfo, VideoInfo
from svmv_cli.media.numbering import Numbering
from svmv_cli.media.pictures import Converter, color_after, planes_of, working_format
from svmv_cli.media.stills import StillDecoder, StillHeader, read_header
from svmv_cli.media.tags import display_matrix_of

DEFAULT_RATE = Fraction(24)  # frames/s; pictures have no times of their own
_CENTER = 2  # AVChromaLocation: where JPEG has its chroma
_FULL = 2  # AVColorRange
_UNSPECIFIED = 2
_NEIGHBOURS = 2  # pictures on one side that the deinterlacer looks at


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


class SequenceReader:
    """Decodes a row of pictures; see `inputs.Reader`.

    Args:
        info: what `probe_row` found.
        pix_fmt: planar format the frames are to have; planes are bit-exact where the pictures have it already.
        start: s; the first frame is the one at or after it. None: from the beginning.
        stop: s; frames at or after it are not given. None: to the end.
        deinterlace: which pictures are made whole of their fields.

    Attributes:
        decoded: frames given so far.
        damaged: pictures that could not be decoded, and were left out.
        dropped: always 0.
    """

    def __init__(
        self,
        info: MediaInfo,
        *,
        pix_fmt: str,
        start: Fraction | None = None,
        stop: Fraction | None = None,
        deinterlace: Deinterlace = "off",
    ) -> None:
        if info.row is None:
            raise ValueError(f"{info.path} is no row of pictures")
        self.decoded = 0
        self.damaged = 0
        self.dropped = 0
        self._told = 0  # what the frames given so far carry of `damaged`
        self._info = info
        self._row = info.row
        self._rate = 1 / info.video.time_base
        self._format = PixelFormat.parse(pix_fmt)
        self._color = color_after(info.video.color, source=working_format(info.video.pix_fmt), target=self._format)
        self._start, self._stop = start, stop
        self._deinterlace: Deinterlace = deinterlace
        self._converters: dict[str, Converter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open between two pictures."""

    @property
    def untold(self) -> tuple[int, int]:
        """Of `damaged` and `dropped` what no frame given so far carries."""
        return self.damaged - self._told, 0

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order, each with its place at the constant rate.

        Raises:
            UnsupportedError: a picture has another size than when it was looked at.
        """
        frames = whole(self._frames(), how=self._deinterlace, video=self._info.video)
        for frame in between(frames, self._start, self._stop):
            self.decoded += 1
            faults, self._told = self.untold[0], self.damaged
            yield replace(frame, damaged=faults)

    def _frames(self) -> Iterator[Frame]:
        decoder = StillDecoder()
        # A filter that looks at neighbours begins a little earlier.
        before = 0 if self._deinterlace == "off" else _NEIGHBOURS
        first = 0 if self._start is None else max(0, math.ceil(self._start * self._rate) - before)
        for index in range(first, self._row.count):
            path = self._row.path(index)
            try:
                picture = decoder.decode(path, read_header(path).codec)
            except InputError:
                self.damaged += 1
                continue
            video = self._info.video
            if (picture.width, picture.height) != (video.width, video.height):
                raise UnsupportedError(f"{path} has changed its size since the work began")
            yield Frame(index / self._rate, 1 / self._rate, self._format, self._planes(picture))

    def _planes(self, picture: av.VideoFrame) -> tuple[Plane, ...]:
        name = picture.format.name
        if name.replace("yuvj", "yuv") == self._format.name:
            return planes_of(picture, self._format)
        if name not in self._converters:
            self._converters[name] = Converter(
                source=_color_of(picture), target=self._color, pixel_format=self._format.name
            )
        return planes_of(self._converters[name](picture), self._format)


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
