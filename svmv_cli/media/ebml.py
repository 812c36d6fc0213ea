"""The few words of EBML, Matroska's grammar, that are needed to look into a header. Knows no streams."""

from collections.abc import Iterator
from dataclasses import dataclass

SEGMENT, TRACKS, TRACK, VIDEO, COLOR = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x55B0
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
