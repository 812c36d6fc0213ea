"""What a finished file really holds, by reading every packet of it. Knows nothing of what it should hold."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition, Stream

from svmv_cli.errors import OutputError
from svmv_cli.media.opening import open_source, packets_of
from svmv_cli.media.sound import silenced


@dataclass(frozen=True, slots=True)
class Extent:
    """The time a stream covers."""

    index: int
    first: Fraction  # s, presentation time of the first packet shown or heard
    last: Fraction  # s, of the last one
    end: Fraction  # s, where the last one ends
    packets: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A file as its packets tell it."""

    frames: int
    duration: Fraction  # s, the beginning of the first frame to the end of the last
    first: Fraction  # s, time of the first frame
    last: Fraction  # s, time of the last frame
    sound: tuple[Extent, ...]  # each sound track, in the file's order
    merged: bool = False  # equal neighbours may be stored as one frame


def measure(path: Path) -> Measured:
    """Read a file through without decoding.

    Raises:
        InputError: it cannot be opened.
        OutputError: it has no picture, or damage in the middle.
    """
    damage: list[None] = []
    with open_source(path) as container:
        streams = [
            stream
            for stream in (*container.streams.video, *container.streams.audio)
            if not stream.disposition & Disposition.attached_pic
        ]
        extents: dict[int, Extent] = {}
        for packet in packets_of(container, streams, damaged=lambda: damage.append(None)):
            _extend(extents, packet)
        if damage:
            raise OutputError(f"{path} cannot be read back to its end")
        return _measured(path, streams, extents)


def _extend(extents: dict[int, Extent], packet: av.Packet[Stream]) -> None:
    if packet.pts is None or packet.is_discard:
        return
    index = packet.stream.index
    begin = packet.pts * packet.time_base
    end = begin + (packet.duration or 0) * packet.time_base
    before, after = silenced(packet)
    if before and begin + before >= end:
        return
    begin, end = begin + before, end - after
    known = extents.get(index, Extent(index, begin, begin, end, 0))
    extents[index] = Extent(
        index, min(known.first, begin), max(known.last, begin), max(known.end, end), known.packets + 1
    )


def _measured(path: Path, streams: list[Stream], extents: dict[int, Extent]) -> Measured:
    video = next((extents[s.index] for s in streams if s.type == "video" and s.index in extents), None)
    if video is None:
        raise OutputError(f"{path} holds no picture")
    return Measured(
        frames=video.packets,
        duration=video.end - video.first,
        first=video.first,
        last=video.last,
        sound=tuple(extents[s.index] for s in streams if s.type == "audio" and s.index in extents),
    )
