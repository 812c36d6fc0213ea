"""When a stream's pictures are shown: made of what its packets say. Reads no files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.stream import Stream

from svmv_cli.media.rising import LEAP

_NTSC = Fraction(1000, 1001)
_SNAP = Fraction(1, 10_000)  # Matroska reduces 48000/1001 to 7001/146: as near as this, the round rate is meant
_MAX_RATE = 1000  # frames/s; above it a header speaks of ticks, not pictures
_GUESSED_RATE = Fraction(25)  # for files that store neither a rate nor a timestamp
_WITHOUT_PTS = frozenset({"avi"})  # stores decoding order; what comes as presentation time is a guess
_WITHOUT_DURATIONS = frozenset({"mpegts", "mpeg", "flv"})  # what comes as such is a guess by the header's rate


def snap_rate(rate: Fraction) -> Fraction:
    """The whole rate, or k·1000/1001, that `rate` stands for; itself when it is near neither."""
    whole = Fraction(max(1, round(rate)))
    ntsc = Fraction(max(1, round(rate / _NTSC))) * _NTSC
    nearest = min((whole, ntsc), key=lambda candidate: abs(candidate - rate))
    return nearest if abs(nearest - rate) <= nearest * _SNAP else rate


@dataclass(frozen=True, slots=True)
class Stamp:
    """What one packet says of its time, in ticks."""

    pts: int | None
    dts: int | None
    duration: int | None
    key: bool
    torn: bool

    @classmethod
    def of(cls, packet: av.Packet[Stream], *, torn: bool) -> Stamp:
        """From the packet."""
        return cls(packet.pts, packet.dts, packet.duration, packet.is_keyframe, torn)


@dataclass(frozen=True, slots=True)
class Scan:
    """Timestamps of every packet of the video stream."""

    times: npt.NDArray[np.int64]  # rising, ticks
    time_base: Fraction  # s
    last_duration: int | None  # ticks
    made_up: bool
    leading: int = 0  # stamps in front of those
    torn: int = 0
    others_end: Fraction | None = None  # s

    @classmethod
    def of(cls, stamps: Iterable[tuple[int | None, int | None]], time_base: Fraction, *, made_up: bool) -> Scan | None:
        """From timestamps and durations as they come; None if there is no timestamp among them."""
        known = {stamp: duration for stamp, duration in stamps if stamp is not None}
        if not known:
            return None
        times = np.array(sorted(known), np.int64)
        return cls(times, time_base, known[int(times[-1])] or None, made_up=made_up)

    @property
    def tail(self) -> Fraction:
        """How long the last picture is shown, s: where nothing says so, the middle gap; 0 for a lone picture."""
        if self.last_duration is not None:
            return self.last_duration * self.time_base
        # Not the mean: one pause or hole would be shared out.
        return int(np.median(np.diff(self.times))) * self.time_base if len(self.times) > 1 else Fraction(0)

    def without_strays(self) -> Scan:
        """Without a few stamps at either end that lie a leap away from all others."""
        count = len(self.times)
        few = max(1, count // 100)
        behind = np.flatnonzero(np.diff(self.times) > LEAP / self.time_base) + 1  # stamps behind a leap
        low = max((int(k) for k in behind if k <= few), default=0)
        high = min((int(k) for k in behind if count - k <= few), default=count)
        if high - low in (0, count):
            return self
        return replace(self, times=self.times[low:high], last_duration=self.last_duration if high == count else None)

    def beginning_at(self, tick: int) -> Scan:
        """Without the stamps in front of `tick`."""
        leading = int(np.searchsorted(self.times, tick))
        return replace(self, times=self.times[leading:], leading=leading) if leading < len(self.times) else self


def scan_of(stamps: list[Stamp], stream: av.VideoStream, demuxer: str) -> Scan:
    """Presentation times: those stored, else the sorted decoding times, else a count at the claimed rate."""
    time_base = stream.time_base or 1 / _GUESSED_RATE
    shown = Scan.of(((s.pts, s.duration) for s in stamps), time_base, made_up=False)
    if shown is not None and demuxer not in _WITHOUT_PTS and 2 * len(shown.times) > len(stamps):
        # MP4 stores from one decoding to the next: a picture's own time only where they are shown in that order.
        reordered = demuxer.startswith("mov") and stamps[-1].pts != shown.times[-1]
        if reordered or demuxer in _WITHOUT_DURATIONS:
            return replace(shown, last_duration=_until_claimed_end(stream, shown) if reordered else None)
        return shown
    decoded = Scan.of(((s.dts, s.duration) for s in stamps), time_base, made_up=True)
    if decoded is not None and len(decoded.times) == len(stamps):
        return decoded
    rate = claimed_rate(stream) or _GUESSED_RATE
    count = np.arange(len(stamps), dtype=np.int64) * rate.denominator
    return Scan(count, Fraction(1, rate.numerator), rate.denominator, made_up=True)


def _until_claimed_end(stream: av.VideoStream, scan: Scan) -> int | None:
    """From the last picture to the end that the stream claims, ticks; None if that is no time."""
    if stream.duration is None or stream.start_time is None or stream.time_base != scan.time_base:
        return None
    left = stream.start_time + stream.duration - int(scan.times[-1])
    return left if left > 0 else None


def claimed_rate(stream: av.VideoStream) -> Fraction | None:
    """The header's rate, frames/s; None without one that pictures can have."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= _MAX_RATE:
            return snap_rate(Fraction(rate))
    return None


def first_shown(stamps: list[Stamp], first: av.VideoFrame) -> int:
    """The tick of the first picture that can be decoded.

    Recordings of a broadcast begin anywhere: what comes before their first key frame cannot be shown, and that
    is no damage. A key frame that does not decode is.
    """
    earliest = min(stamp.pts for stamp in stamps if stamp.pts is not None)
    key = next((stamp.pts for stamp in stamps if stamp.key and stamp.pts is not None), earliest)
    return min(key, first.pts if first.pts is not None else earliest)
