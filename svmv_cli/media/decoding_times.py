"""Decoding times of packets that are copied: found where a source has none, and made to rise. Knows no containers."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.stream import Stream

_MOST_REORDERED = 16  # pictures that H.264 and HEVC may hold back


class DecodingTimes:
    """Gives every packet of a stream a decoding time (dts) that muxers take.

    Matroska stores presentation times only: where pictures are reordered, its demuxer knows no dts for the first few
    packets. They are held until one has a dts, and counted back from it.

    Args:
        reordered: whether packets may be presented in another order than that they come in.
    """

    def __init__(self, *, reordered: bool) -> None:
        self._reordered = reordered
        self._held: list[av.Packet[Stream]] = []  # without dts
        self._last: int | None = None  # ticks, dts

    def push(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        """Packets whose dts are known now, the given one last; each is changed in place."""
        if packet.dts is None and self._reordered:
            self._held.append(packet)
            if len(self._held) > _MOST_REORDERED:
                yield from self._release(self._beyond(), count=1)
            return
        if packet.dts is None:
            packet.dts = packet.pts or 0
        yield from self._release(packet.dts, count=len(self._held))
        yield self._risen(packet)

    def flush(self) -> Iterator[av.Packet[Stream]]:
        """What is held, when no dts follows."""
        if self._held:
            yield from self._release(self._beyond(), count=len(self._held))

    def _beyond(self) -> int:
        return max(packet.pts or 0 for packet in self._held) + 1

    def _release(self, following: int, *, count: int) -> Iterator[av.Packet[Stream]]:
        """The first `count` held, at dts counted back from the `following` one: none is later than a pts to come."""
        for packet in reversed(self._held):
            following = min(following - (packet.duration or 1), packet.pts or 0)
            packet.dts = following
        released, self._held = self._held[:count], self._held[count:]
        yield from map(self._risen, released)

    def _risen(self, packet: av.Packet[Stream]) -> av.Packet[Stream]:
        """Muxers refuse dts that do not rise; rounding and careless sources make such."""
        dts = packet.dts or 0
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        packet.dts = self._last = dts
        if packet.pts is not None:
            packet.pts = max(packet.pts, dts)
        return packet
