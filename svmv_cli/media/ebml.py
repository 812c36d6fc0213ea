"""The few words of EBML, Matroska's grammar, that it takes to look into a header and to mend one. Knows no streams.

FFmpeg's muxer takes the shape of pixels from a field that PyAV does not set, so the display size it belongs to is put
into the finished header. To have room there, the track gets a longer name at first.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from pathlib import Path

SEGMENT, TRACKS, TRACK, VIDEO, COLOR = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x55B0
INFO, CLUSTER, TIMESTAMP = 0x1549A966, 0x1F43B675, 0xE7
CODEC_DELAY = 0x56AA
NAME, VOID, CRC = 0x536E, 0xEC, 0xBF
DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
PADDING = " " * 24  # a track's name is longer by this until its display size is there
_WIDE = 1920  # px
_HEADER = 1 << 20  # bytes; the tracks lie within, attachments behind
CHROMA_ACROSS, CHROMA_DOWN = 0x55B7, 0x55B8  # ChromaSitingHorz, ChromaSitingVert: 1 cosited, 2 half-way


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a document in memory."""

    id: int
    start: int  # byte its id begins at
    content: int  # byte its content begins at
    end: int  # byte behind its content


def elements(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Element]:
    """The elements between two bytes, in order; one that reaches past the end is cut off there, and is the last."""
    at, end = start, len(data) if end is None else end
    while at < end:
        id_length = _length(data[at])
        size_at = at + id_length
        if size_at >= end:
            return
        size_length = _length(data[size_at])
        content = size_at + size_length
        size = int.from_bytes(data[size_at:content], "big") & ((1 << 7 * size_length) - 1)
        unknown = size == (1 << 7 * size_length) - 1  # a live segment: it lasts as long as the file
        stop = end if unknown else min(content + size, end)
        yield Element(int.from_bytes(data[at:size_at], "big"), at, content, stop)
        at = stop


def find(data: bytes, *path: int) -> Element | None:
    """The first element at a path of ids from the top, e.g. `find(data, SEGMENT, TRACKS)`; None if there is none."""
    inside: Element | None = None
    for wanted in path:
        start, end = (inside.content, inside.end) if inside else (0, None)
        inside = next((one for one in elements(data, start, end) if one.id == wanted), None)
        if inside is None:
            return None
    return inside


def number(data: bytes, element: Element | None) -> int:
    """The unsigned number an element holds; 0 for none."""
    return 0 if element is None else int.from_bytes(data[element.content : element.end], "big")


def _length(first: int) -> int:
    """Bytes of a variable-length number, by the leading zeros of its first one."""
    return 9 - first.bit_length() if first else 8


def write_display_size(path: Path, *, width: int, height: int, shape: Fraction) -> None:
    """Put the shape of pixels into the header of a Matroska file that was written with a padded name of its picture.

    Args:
        path: the file, complete; its length stays.
        width: px, of the picture as stored.
        height: px.
        shape: width of a pixel by its height.

    Raises:
        ValueError: the file is not one that was written that way.
    """
    with path.open("r+b") as file:
        head = file.read(_HEADER)
        tracks = find(head, SEGMENT, TRACKS)
        track = find(head, SEGMENT, TRACKS, TRACK)
        if tracks is None or track is None or tracks.end >= len(head):
            raise ValueError(f"no tracks at the beginning of {path}")
        mended = _mended(head, track, _display_size(width, height, shape))
        file.seek(track.content)
        file.write(mended)
        content = head[tracks.content : track.content] + mended + head[track.end : tracks.end]
        check = next(elements(content), None)
        if check is not None and check.id == CRC:
            file.seek(tracks.content + check.content)
            file.write(zlib.crc32(content[check.end :]).to_bytes(4, "little"))


def with_codec_delay(header: bytes, nanoseconds: int) -> bytes:
    """A file without packets of the one track that a header describes, with a delay of its decoder.

    Raises:
        ValueError: there is no track in the header, or it has a delay already.
    """
    segment, info = find(header, SEGMENT), find(header, SEGMENT, INFO)
    track = find(header, SEGMENT, TRACKS, TRACK)
    if segment is None or info is None or track is None or find(header, SEGMENT, TRACKS, TRACK, CODEC_DELAY):
        raise ValueError("not a header with a track that has no delay")
    delayed = header[track.content : track.end] + _element(CODEC_DELAY, _number(nanoseconds))
    cluster = _element(CLUSTER, _element(TIMESTAMP, bytes(1)))  # demuxers read on until there is one
    tracks = _element(TRACKS, _element(TRACK, delayed))
    return header[: segment.start] + _element(SEGMENT, header[info.start : info.end] + tracks + cluster)


def _display_size(width: int, height: int, shape: Fraction) -> tuple[int, int]:
    """A size in whole pixels of the shape that is shown, no smaller than what is stored.

    Exactly of that shape, unless that takes a much larger picture, as for a shape that was measured, not meant.
    """
    across, down = width * shape.numerator, height * shape.denominator
    common = gcd(across, down)
    across, down = across // common, down // common
    times = max(-(-width // across), -(-height // down))
    wide = round(width * max(shape, Fraction(1)))
    high = round(height * max(1 / shape, Fraction(1)))
    if across * times > max(2 * wide, _WIDE):
        return wide, high
    return across * times, down * times


def _mended(data: bytes, track: Element, size: tuple[int, int]) -> bytes:
    """The content of a track entry, as long as before: the name without its padding, the picture with its size."""
    parts: list[bytes] = []
    for one in elements(data, track.content, track.end):
        content = data[one.content : one.end]
        if one.id == NAME:
            parts.append(_element(NAME, name) if (name := content.removesuffix(PADDING.encode())) else b"")
        elif one.id == VIDEO:
            # FFmpeg has written that the unit of the display size is unknown; without a word it is pixels.
            known = [data[e.start : e.end] for e in elements(data, one.content, one.end) if e.id != DISPLAY_UNIT]
            shown = [_element(DISPLAY_WIDTH, _number(size[0])), _element(DISPLAY_HEIGHT, _number(size[1]))]
            parts.append(_element(VIDEO, b"".join(known + shown)))
        else:
            parts.append(data[one.start : one.end])
    whole = b"".join(parts)
    left = track.end - track.content - len(whole)
    if left < 2:
        raise ValueError("a track entry without room for a display size")
    return whole + _element(VOID, bytes(left - 2))


def _element(id: int, content: bytes) -> bytes:
    length = next(n for n in range(1, 9) if len(content) < (1 << 7 * n) - 1)
    size = (len(content) | 1 << 7 * length).to_bytes(length, "big")
    return id.to_bytes((id.bit_length() + 7) // 8, "big") + size + content


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
