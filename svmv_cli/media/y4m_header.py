"""The first line of a YUV4MPEG2 stream, read and written. Knows no frames.

Format: https://wiki.multimedia.cx/index.php/YUV4MPEG2, and for depths above eight bits and the colour range what
FFmpeg's muxer writes (libavformat/yuv4mpegenc.c).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from svmv_cli.errors import InputError, UnsupportedError
from svmv_cli.media.frame import PixelFormat

MAGIC = b"YUV4MPEG2"
LONGEST = 1024  # bytes of the line; a stream without a line end is no y4m
_LARGEST = 1 << 15  # px, width or height
_ASSUMED_RATE = Fraction(25)  # frames/s, where the header says it does not know
_LEFT, _CENTER, _TOP_LEFT = 1, 2, 3  # AVChromaLocation
_SITED = {"420": _CENTER, "420jpeg": _CENTER, "420mpeg2": _LEFT, "420paldv": _TOP_LEFT}
_SITES = {0: "420mpeg2", _CENTER: "420jpeg", _LEFT: "420mpeg2", _TOP_LEFT: "420paldv"}
_COLORSPACE = re.compile(r"(?P<sub>420|422|444|mono)(?:p?(?P<depth>9|10|12|14|16))?(?P<alpha>alpha)?$")

# What can be written, by FFmpeg's names.
FORMATS = (
    *("gray", "gray9le", "gray10le", "gray12le", "gray16le"),
    *(f"yuv{sub}p{depth}" for sub in ("420", "422", "444") for depth in ("", "9le", "10le", "12le", "14le", "16le")),
    "yuva444p",
)


@dataclass(frozen=True, slots=True)
class Y4mHeader:
    """What a stream says of its pictures."""

    width: int  # px
    height: int  # px
    pix_fmt: str  # planar, FFmpeg's name
    rate: Fraction  # frames/s
    sample_aspect_ratio: Fraction = Fraction(1)
    interlaced: bool = False
    bottom_first: bool = False  # of interlaced pictures: which field is shown first
    full_range: bool = False
    chroma_location: int = 0  # AVChromaLocation; 0 when nothing is said

    def line(self) -> bytes:
        """The header as it stands in a stream, with its line end."""
        words = [
            MAGIC.decode(),
            f"W{self.width}",
            f"H{self.height}",
            f"F{self.rate.numerator}:{self.rate.denominator}",
            "Ip" if not self.interlaced else "Ib" if self.bottom_first else "It",
            f"A{self.sample_aspect_ratio.numerator}:{self.sample_aspect_ratio.denominator}",
            f"C{_colorspace(self.pix_fmt, self.chroma_location)}",
            f"XCOLORRANGE={'FULL' if self.full_range else 'LIMITED'}",
        ]
        return " ".join(words).encode() + b"\n"


def parse_header(line: bytes) -> Y4mHeader:
    """Read a stream's first line.

    Raises:
        InputError: it is none, or leaves out the size.
        UnsupportedError: a colourspace beyond this build.
    """
    words = line.rstrip(b"\n").decode("ascii", errors="replace").split(" ")
    if words[0] != MAGIC.decode():
        raise InputError("what is piped in is no y4m", hint="Pipe in `ffmpeg -i … -f yuv4mpegpipe -`.")
    plain = {word[0]: word[1:] for word in words[1:] if word and word[0] != "X"}
    extra = dict(word[1:].partition("=")[::2] for word in words[1:] if word.startswith("X"))
    colorspace = plain.get("C", "420jpeg")
    try:
        width, height = int(plain["W"]), int(plain["H"])
        rate, shape = (_ratio(plain.get(name, "0:0")) for name in "FA")
    except (KeyError, ValueError) as error:
        raise InputError("the header of the y4m stream is damaged") from error
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise InputError(f"the y4m stream claims pictures of {width}x{height}")
    return Y4mHeader(
        width=width,
        height=height,
        pix_fmt=_pix_fmt(colorspace),
        rate=rate or _ASSUMED_RATE,
        sample_aspect_ratio=shape or Fraction(1),
        interlaced=plain.get("I") in {"t", "b", "m"},
        bottom_first=plain.get("I") == "b",
        full_range=extra.get("COLORRANGE") == "FULL",
        chroma_location=_SITED.get(colorspace, 0),
    )


def _ratio(text: str) -> Fraction | None:
    above, _, below = text.partition(":")
    return Fraction(int(above), int(below)) if int(above) > 0 and int(below) > 0 else None


def _pix_fmt(colorspace: str) -> str:
    if colorspace in _SITED:
        return "yuv420p"
    match = _COLORSPACE.match(colorspace)
    if match is None or (match["alpha"] and colorspace != "444alpha"):
        raise UnsupportedError(
            f"y4m in the colourspace {colorspace!r} is beyond this build", hint="Pipe in 4:2:0, 4:2:2, 4:4:4 or mono."
        )
    base = "gray" if match["sub"] == "mono" else f"yuv{'a' if match['alpha'] else ''}{match['sub']}p"
    return f"{base}{match['depth']}le" if match["depth"] else base


def _colorspace(pix_fmt: str, chroma_location: int) -> str:
    layout = PixelFormat.parse(pix_fmt)
    deep = str(layout.depth) if layout.depth > 8 else ""
    if layout.kind == "gray":
        return f"mono{deep}"
    if pix_fmt == "yuv420p":
        return _SITES.get(chroma_location, "420mpeg2")
    sub = {(1, 1): "420", (1, 0): "422", (0, 0): "444"}[layout.shift_x, layout.shift_y]
    return f"{sub}{'alpha' if layout.alpha else ''}{'p' if deep else ''}{deep}"
