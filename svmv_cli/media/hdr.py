"""HDR metadata of a decoded film, and how each encoder is told it. Knows no files."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import av
from av.sidedata.sidedata import SideData, Type

from svmv_cli.media.info import HdrInfo, LightLevel, MasteringDisplay

_MASTERING = struct.Struct("=22i")  # AVMasteringDisplayMetadata: ten fractions and two flags
_LIGHT = struct.Struct("=2I")  # AVContentLightMetadata
_CHROMATICITY, _LUMINANCE = 50_000, 10_000  # units of ST 2086, as x264 and x265 want them


def hdr_of(picture: av.VideoFrame) -> HdrInfo:
    """What a picture carries; FFmpeg has put what its container said on it too."""
    mastering: MasteringDisplay | None = None
    light: LightLevel | None = None
    for data in side_data_of(picture):
        if data.type is Type.MASTERING_DISPLAY_METADATA:
            mastering = _mastering(bytes(data))
        elif data.type is Type.CONTENT_LIGHT_LEVEL and len(bytes(data)) >= _LIGHT.size:
            light = LightLevel(*_LIGHT.unpack_from(bytes(data)))
    return HdrInfo(mastering, light)


def side_data_of(picture: av.VideoFrame) -> list[SideData]:
    """What a picture carries beside its samples."""
    # PyAV's types call it a dictionary of one kind; it is a sequence of all of them.
    try:
        return list(cast("Iterable[SideData]", picture.side_data))
    except ValueError:
        return []  # PyAV 18 shows nothing of a picture that carries a kind it has no name for, such as EXIF


def hdr_options(hdr: HdrInfo, *, encoder: str) -> tuple[tuple[str, str], ...]:
    """FFmpeg options that make an encoder write static HDR metadata; none for one that cannot."""
    words = _WORDS.get(encoder)
    if words is None:
        return ()
    option, mastering, light = words
    parts: list[str] = []
    if hdr.mastering is not None:
        parts.append(f"{mastering}={_display(hdr.mastering, whole=encoder != 'libsvtav1')}")
    if hdr.light is not None:
        parts.append(f"{light}={hdr.light.pixel},{hdr.light.frame}")
    return ((option, ":".join(parts)),) if parts else ()


_WORDS = {  # the option, and its two keys
    "libx264": ("x264-params", "mastering-display", "cll"),
    "libx265": ("x265-params", "master-display", "max-cll"),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
}


def _mastering(data: bytes) -> MasteringDisplay | None:
    if len(data) < _MASTERING.size:
        return None
    *numbers, has_primaries, has_luminance = _MASTERING.unpack_from(data)
    if not (has_primaries and has_luminance and all(numbers[1::2])):
        return None  # half of it helps no display
    values = [Fraction(n, d) for n, d in zip(numbers[::2], numbers[1::2], strict=True)]
    red, green, blue, white = ((values[i], values[i + 1]) for i in (0, 2, 4, 6))
    return MasteringDisplay(red, green, blue, white, darkest=values[8], brightest=values[9])


def _display(mastering: MasteringDisplay, *, whole: bool) -> str:
    """G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min), in whole units or as decimals."""

    def word(value: Fraction, unit: int) -> str:
        return str(round(value * unit)) if whole else f"{float(value):.6f}"

    names = {"G": mastering.green, "B": mastering.blue, "R": mastering.red, "WP": mastering.white}
    points = "".join(f"{name}({word(x, _CHROMATICITY)},{word(y, _CHROMATICITY)})" for name, (x, y) in names.items())
    return f"{points}L({word(mastering.brightest, _LUMINANCE)},{word(mastering.darkest, _LUMINANCE)})"
