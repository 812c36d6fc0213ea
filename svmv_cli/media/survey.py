"""What reading every packet of a file tells of it as a whole. Knows no pictures."""

from __future__ import annotations

from fractions import Fraction

import av
from av.stream import Stream

_CONTIGUOUS = frozenset({"matroska,webm", "avi"})  # demuxers of files in which packets lie one behind the other
_BETWEEN = 512  # bytes; headers between packets are far smaller, lost packets larger


class Survey:
    """Is shown every packet, and notices what could not be read and where the other streams end.

    Some demuxers pass over torn stretches without a word. Where packets lie one behind the other, bytes that belong
    to none betray it.

    Args:
        demuxer: FFmpeg's name.
        picture: index of the stream of the picture.

    Attributes:
        torn: stretches that could not be read.
    """

    def __init__(self, demuxer: str, *, picture: int) -> None:
        self.torn = 0
        self._picture = picture
        self._contiguous = demuxer in _CONTIGUOUS
        self._place = self._end = 0  # bytes
        self._ends: dict[int, Fraction] = {}  # s, by stream

    @property
    def others_end(self) -> Fraction | None:
        """Where the last of the other streams ends, s; None without any."""
        return max(self._ends.values(), default=None)

    def count(self) -> None:
        """A stretch could not be read."""
        self.torn += 1

    def see(self, packet: av.Packet[Stream]) -> None:
        """Look at the next packet, of whatever stream."""
        index = packet.stream.index
        if index != self._picture and packet.pts is not None:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            self._ends[index] = max(end, self._ends.get(index, end))
        if self._contiguous and packet.pos:
            self._look_between(packet.pos, packet.size)

    def _look_between(self, place: int, size: int) -> None:
        if place == self._place:  # one of several in a block
            self._end += size
        elif place > self._place:
            self.torn += self._end > 0 and place - self._end > _BETWEEN
            self._place, self._end = place, place + size
