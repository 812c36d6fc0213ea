"""Recordings put one behind the other, as by `cat`: where the next begins, and how its clock is set. Opens no files."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import ceil
from statistics import median

import av
from av.stream import Stream

_JOINABLE = frozenset({"mpegts", "mpeg"})  # FFmpeg's names of formats whose files, joined, are a file
_FALL = Fraction(1, 2)  # s by which times fall where a clock begins anew
_LEAP = Fraction(10)  # s by which they leap where it goes on elsewhere, if that is
_MANY = 20  # times the usual gap
_SURE = 4  # packets with times of the new clock in a row: fewer are strays
_RECENT = 8  # packets
_HELD_BACK = 3  # packets that the demuxer and its parser may not have given when they miss what follows
_OVERLAP = Fraction(15, 1000)  # s that sound of two recordings may overlap: less than any packet of it lasts


@dataclass(frozen=True, slots=True)
class Join:
    """Where another recording begins."""

    place: int  # of its first packet, bytes from the beginning of the file
    shift: Fraction  # s, to be added to times from there on, that they follow those before
    lasts: tuple[int, ...] = ()  # places of the last packets in front of it


def is_torn(packet: av.Packet[Stream], joins: Sequence[Join]) -> bool:
    """Whether the demuxer saw a packet torn: not the last ones of a recording, where it misses what would follow."""
    return packet.is_corrupt and not any(packet.pos in join.lasts for join in joins)


def set_clock(packet: av.Packet[Stream], joins: Sequence[Join]) -> None:
    """Move a packet's times by the shift of the recording that it belongs to."""
    number = bisect_right(joins, packet.pos or 0, key=lambda join: join.place)
    if number == 0:
        return
    ticks = round(joins[number - 1].shift / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


@dataclass(frozen=True, slots=True)
class _Break:
    """Where one stream's times do not go on from those before."""

    lasts: tuple[int, ...]  # bytes: of the last packets of the old clock
    place: int  # of the first of the new one
    due: Fraction  # s: when that would have come
    time: Fraction  # s: when it says it does
    gap: Fraction  # s, the usual one


@dataclass(slots=True)
class _Course:
    """The decoding times of one stream, ticks: in whole numbers, as every packet of a file is looked at."""

    sound: bool
    base: Fraction  # s per tick
    breaks: list[_Break] = field(default_factory=list)
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT))
    suspects: list[tuple[int, int]] = field(default_factory=list)  # place and time
    lasts: deque[int] = field(default_factory=lambda: deque([0], maxlen=_HELD_BACK))

    def see(self, place: int, time: int) -> None:
        if self._goes_on(time):
            self.suspects.clear()  # strays, if any
            self.recent.append(time)
            self.lasts.append(place)
            return
        self.suspects.append((place, time))
        if len(self.suspects) == _SURE:
            first_place, first_time = self.suspects[0]
            gap = self._gap * self.base
            due, said = self.recent[-1] * self.base + gap, first_time * self.base
            self.breaks.append(_Break(tuple(self.lasts), first_place, due, said, gap))
            self.recent.clear()
            self.recent.extend(time for _, time in self.suspects)
            self.lasts.extend(place for place, _ in self.suspects)
            self.suspects.clear()

    def _goes_on(self, time: int) -> bool:
        if not self.recent:
            return True
        ahead = (time - Fraction(median(self.recent))) * self.base  # a stray among them does not move the median
        return -_FALL < ahead < _LEAP or _LEAP <= ahead < _MANY * self._gap * self.base

    @property
    def _gap(self) -> Fraction:
        times = sorted(self.recent)
        return Fraction(median(b - a for a, b in pairwise(times))) if len(times) > 1 else Fraction(0)


class JoinFinder:
    """Is shown every packet of a file, in order, as the demuxer gives them.

    The picture's times tell: a picture that falls back began anew; one that leaps may have paused, unless sound leaps
    with it.

    Args:
        demuxer: FFmpeg's name.
        picture: index of the stream of the picture.
    """

    def __init__(self, demuxer: str, *, picture: int) -> None:
        self._looks = demuxer in _JOINABLE
        self._picture = picture
        self._courses: dict[int, _Course] = {}

    def see(self, packet: av.Packet[Stream]) -> None:
        """Look at the next packet, of whatever stream."""
        if not self._looks or packet.dts is None or packet.pos is None or packet.pos < 0:
            return
        index = packet.stream.index
        if index not in self._courses:
            self._courses[index] = _Course(packet.stream.type == "audio", packet.time_base)
        self._courses[index].see(packet.pos, packet.dts)

    @property
    def joins(self) -> tuple[Join, ...]:
        """All that were found, in order."""
        return tuple(self._found())

    def _found(self) -> Iterator[Join]:
        shift = Fraction(0)
        course = self._courses.get(self._picture)
        for one in course.breaks if course else ():
            there = [(each.sound, b) for each in self._courses.values() for b in each.breaks if _meet(b, one)]
            if one.time > one.due and not any(sound for sound, _ in there):
                continue
            own = one.due - one.time
            # The picture goes on in its time, unless another stream is longer: then it waits, for whole pictures.
            longer = max(b.due - b.time for _, b in there) - own - _OVERLAP
            waits = max(ceil(longer / one.gap), 0) if one.gap else 0
            shift += own + waits * one.gap
            yield Join(min(b.place for _, b in there), shift, tuple(place for _, b in there for place in b.lasts))


def _meet(a: _Break, b: _Break) -> bool:
    """Whether two streams break where the same recording can begin."""
    return a.lasts[-1] < b.place and b.lasts[-1] < a.place
