"""What a stream says of its pictures: colour, the place of chroma samples, how it is turned. Knows no files."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import av
from av.sidedata.sidedata import Type

from svmv_cli.media import ebml
from svmv_cli.media.described import header_of
from svmv_cli.media.glimpses import Glimpse
from svmv_cli.media.hdr import side_data_of
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.losses import DOLBY_VISION

_MATRIX = struct.Struct("=9i")
_AS_STORED = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_BESIDE = {
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    Type.DOVI_METADATA: DOLBY_VISION,
    Type.DOVI_RPU_BUFFER: DOLBY_VISION,
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    Type.A53_CC: "closed captions (CEA-608/708)",
    Type.SPHERICAL: "the projection of a 360° film",
    Type.STEREO3D: "the layout of a stereoscopic film",
    Type.ICC_PROFILE: "the ICC profile",
    Type.AMBIENT_VIEWING_ENVIRONMENT: "the ambient viewing environment",
    Type.AFD: "the active format description",
}
# AVChromaLocation by FFmpeg's names, in its order from 1 on.
_NAMES = ("left", "center", "topleft", "top", "bottomleft", "bottom")
_BY_PLACE = {(1, 2): 1, (2, 2): 2, (1, 1): 3, (2, 1): 4}  # (across, down), 1 cosited, 2 half-way


HeaderTags = tuple[int, int, int, int]  # primaries, transfer, matrix, range


def header_tags(stream: av.VideoStream) -> HeaderTags:
    """The tags of a stream's header: to be asked for before its decoder puts its own in their place, or none."""
    context = stream.codec_context
    return int(context.color_primaries), int(context.color_trc), int(context.colorspace), int(context.color_range)


def color_of(stream: av.VideoStream, first: av.VideoFrame, header: HeaderTags) -> ColorInfo:
    """The tags of a stream's first picture; where it has none, the header's."""
    primaries, transfer, matrix, extent = header
    rgb = first.format.is_rgb
    full = 2
    subsampled = not rgb and first.format.chroma_width(2) < 2
    return ColorInfo(
        primaries=_tag(first.color_primaries, primaries),
        transfer=_tag(first.color_trc, transfer),
        matrix=0 if rgb else _tag(first.colorspace, matrix),
        full_range=rgb or first.format.name.startswith("yuvj") or (first.color_range or extent) == full,
        chroma_location=chroma_location(stream) if subsampled else 0,
    )


def _tag(picture: int, header: int) -> int:
    """0 is reserved and 2 unspecified; both mean that nobody said."""
    return next((int(tag) for tag in (picture, header) if tag not in (0, 2)), 2)


def chroma_location(stream: av.VideoStream) -> int:
    """AVChromaLocation of a source's stream; 0 when nobody said, or the place is one Matroska has no word for.

    PyAV 18 does not show it, but copies it with the stream's parameters, and the Matroska muxer writes it down.
    """
    header = header_of(stream)
    if header is None:
        return 0
    path = (ebml.SEGMENT, ebml.TRACKS, ebml.TRACK, ebml.VIDEO, ebml.COLOR)
    across, down = (ebml.number(header, ebml.find(header, *path, i)) for i in (ebml.CHROMA_ACROSS, ebml.CHROMA_DOWN))
    return _BY_PLACE.get((across, down), 0)


def display_matrix_of(picture: av.VideoFrame) -> tuple[int, ...]:
    """How players are to turn and mirror a picture, in FFmpeg's nine numbers; none if it is shown as it is stored."""
    found = (bytes(data) for data in side_data_of(picture) if data.type is Type.DISPLAYMATRIX)
    matrix = next((_MATRIX.unpack(data) for data in found if len(data) == _MATRIX.size), ())
    if not matrix and picture.rotation:
        matrix = _turned(picture.rotation)  # hidden among side data PyAV does not show
    return () if matrix == _AS_STORED else matrix


def _turned(degrees: int) -> tuple[int, ...]:
    """The matrix of a turn counter-clockwise by a multiple of 90 degrees."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[degrees // 90 % 4]
    one = 1 << 16
    return (cosine * one, -sine * one, 0, sine * one, cosine * one, 0, 0, 0, 1 << 30)


def beside_of(first: av.VideoFrame, glimpses: Iterable[Glimpse]) -> tuple[str, ...]:
    """What pictures carry beside their samples and PyAV cannot give to new ones, by names users know."""
    kinds = {data.type for data in side_data_of(first)}.union(*(glimpse.carries for glimpse in glimpses))
    return tuple(dict.fromkeys(name for kind, name in _BESIDE.items() if kind in kinds))


def siting_options(location: int) -> tuple[tuple[str, str], ...]:
    """Encoder options that write an AVChromaLocation into the stream, or at least into its container's header."""
    return (("chroma_sample_location", _NAMES[location - 1]),) if 0 < location <= len(_NAMES) else ()
