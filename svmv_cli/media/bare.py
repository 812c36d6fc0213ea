"""Outputs that hold pictures and nothing else: rows of pictures, animations, y4m. Knows no sources."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from svmv_cli.errors import OutputError
from svmv_cli.media.numbering import PICTURE_SUFFIXES, is_pattern
from svmv_cli.media.y4m_header import FORMATS

PIPE = Path("-")  # stdin as an input, stdout as an output

_PNG = ("gray", "rgb24", "rgba", "gray16be", "rgb48be", "rgba64be")
_TIFF = ("gray", "rgb24", "rgba", "gray16le", "rgb48le", "rgba64le")
_RGB = ("gbrp", "gbrap")
# Browsers show pictures of 10 ms and less for 100 ms; GIF counts in hundredths of a second, WebP in whole
# milliseconds, and Firefox rounds those of APNG down to that.
_FASTEST_GIF = Fraction(50)
_FASTEST_WEB = Fraction(90)


@dataclass(frozen=True, slots=True)
class BareChoice:
    """One way out for pictures alone."""

    noun: str  # for sentences
    muxer: str  # FFmpeg's name
    codec: str  # the user's name
    encoder: str  # FFmpeg's name
    formats: tuple[str, ...]  # that frames are taken in, by FFmpeg's names
    timeless: bool = False  # pictures have no times of their own: their rate is constant
    fastest: Fraction | None = None  # frames/s that players show
    quality: tuple[int, int, int] | None = None  # default, best and worst of --crf
    options: tuple[tuple[str, str], ...] = ()  # of the encoder


_ROWS = {
    "jpeg": BareChoice(
        "a row of JPEGs",
        "image2",
        "jpeg",
        "mjpeg",
        ("yuv420p", "yuv422p", "yuv444p"),
        timeless=True,
        quality=(2, 1, 31),
    ),
    "png": BareChoice(
        "a row of PNGs",
        "image2",
        "png",
        "png",
        _PNG,
        timeless=True,
        options=(("pred", "up"), ("compression_level", "4")),
    ),
    "tiff": BareChoice(
        "a row of TIFFs", "image2", "tiff", "tiff", _TIFF, timeless=True, options=(("compression_algo", "deflate"),)
    ),
}
_Y4M = BareChoice("y4m", "yuv4mpegpipe", "y4m", "rawvideo", FORMATS, timeless=True)
_FILES = {
    ".apng": BareChoice("an APNG", "apng", "apng", "apng", _PNG, fastest=_FASTEST_WEB, options=(("pred", "mixed"),)),
    ".gif": BareChoice("a GIF", "gif", "gif", "gif", _RGB, fastest=_FASTEST_GIF),
    ".webp": BareChoice(
        "a WebP", "webp", "webp", "libwebp_anim", _RGB, fastest=_FASTEST_WEB, options=(("quality", "90"),)
    ),
    ".y4m": _Y4M,
}

BARE_SUFFIXES = frozenset(_FILES)
ROW_SUFFIXES = frozenset(suffix for suffix, kind in PICTURE_SUFFIXES.items() if kind in _ROWS)


def is_row(path: Path) -> bool:
    """Whether a path names a row of pictures rather than a file."""
    return path.suffix.lower() in PICTURE_SUFFIXES and is_pattern(path)


def bare_choice(path: Path) -> BareChoice | None:
    """The way out that an output's name asks for; None when it is a container that holds other streams too.

    Raises:
        OutputError: it names a single picture, or pictures of a kind that is not written.
    """
    if path == PIPE:
        return _Y4M
    suffix = path.suffix.lower()
    if is_row(path):
        choice = _ROWS.get(PICTURE_SUFFIXES[suffix])
        if choice is None:
            raise OutputError(f"rows of {suffix} pictures are not written", hint="Write .png, .tif or .jpg.")
        return choice
    if suffix in _FILES:
        return _FILES[suffix]
    if suffix in PICTURE_SUFFIXES:
        row = path.with_name(f"{path.stem}_%06d{path.suffix}")
        raise OutputError(
            f"{path} names a single picture", hint=f"Write {row} for a row of them, or .apng, .webp or .gif."
        )
    return None
