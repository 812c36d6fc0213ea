"""Packets and chapters moved from the source's clock onto the output's. Knows no containers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.stream import Stream

from svmv_cli.media.info import Span
from svmv_cli.timeline import Clock

if TYPE_CHECKING:
    from av.container.core import Chapter  # a type of the stubs alone

_MICROSECOND = Fraction(1, 1_000_000)


def place(packet: av.Packet[Stream], *, clock: Clock, clip: Span, cut: bool) -> bool:
    """Move a packet onto the output's clock; False if it lies outside the clip.

    Args:
        packet: with times on the source's clock; changed in place. A decoding time that is missing stays so.
        clock: source to output seconds.
        clip: s on the source's clock.
        cut: whether a packet that straddles an end of the clip, or the output's beginning, is shortened to fit, as
            subtitles can be.
    """
    stamp = packet.pts if packet.pts is not None else packet.dts
    if stamp is None:
        return False
    base = packet.time_base
    begin, end = stamp * base, (stamp + (packet.duration or 0)) * base
    start, stop = clip
    if stop is not None and begin >= stop:
        return False
    if start is not None and begin < start and not (cut and end > start):
        return False
    if cut:
        if packet.duration and end <= clock.origin:
            return False
        begin = max(begin, _earliest(clock, clip))
        end = max(begin, end if stop is None else min(end, stop))
    delay = stamp - packet.dts if packet.dts is not None else None
    packet.pts = round(clock.to_output(begin) / base)
    packet.dts = packet.pts - round(delay * clock.stretch) if delay is not None else None
    packet.duration = round((end - begin) * clock.stretch / base)
    return True


def moved_chapter(chapter: Chapter, *, clock: Clock, clip: Span) -> Chapter | None:
    """A chapter on the output's clock, cut to the clip and to times from 0 on; None if it lies outside."""
    base = chapter["time_base"] or _MICROSECOND
    begin, end = chapter["start"] * base, chapter["end"] * base
    _, stop = clip
    begin = max(begin, _earliest(clock, clip))
    end = min(end, stop) if stop is not None else end
    if begin >= end:
        return None
    return {
        "id": chapter["id"],
        "start": round(clock.to_output(begin) / base),
        "end": round(clock.to_output(end) / base),
        "time_base": base,
        "metadata": chapter["metadata"],
    }


def _earliest(clock: Clock, clip: Span) -> Fraction:
    """The source time, s, from which on something can be shown.

    Time 0 is where picture or sound begins. What the source has before that would be shown at negative times, which
    Matroska refuses for chapters, and MP4 writes for subtitles, but moves the rest of their track.
    """
    return clock.origin if clip[0] is None else max(clip[0], clock.origin)


def source_time(packet: av.Packet[Stream]) -> Fraction:
    """When a packet comes in the source, s: decoding time where there is one."""
    stamp = packet.dts if packet.dts is not None else packet.pts
    return (stamp or 0) * packet.time_base
