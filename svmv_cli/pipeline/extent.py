"""Which part of a source is used, at which rate it runs, and whether it is all there. Decodes nothing."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from svmv_cli.errors import UsageError
from svmv_cli.media.info import MediaInfo, Span
from svmv_cli.pipeline.request import Moment, Request
from svmv_cli.timeline import Grid, measured_rate, on_grid

_UNKNOWN_GAP = Fraction(1, 25)  # s: a single frame of unknown duration has to last for something
_TOLERATED_FRAMES = 2
_SOUND_ENDS = Fraction(1, 5)  # s: a packet or two of sound
_TOLERATED_SHARE = 100  # one in so many: headers round their durations
_LEFT_OF_SOUND = Fraction(9, 10)  # share of a constant rate's pictures that must be there, in a sound file
_LEFT_OF_TORN = Fraction(1, 2)  # and in a damaged one
_LONGEST_HOLE = 10  # s; what is longer is a leap of the clock, and is not filled with pictures


@dataclass(frozen=True, slots=True)
class Extent:
    """The used part of a source's picture, on the source's clock."""

    clip: Span  # s, half-open, as asked for
    rate: Fraction | None  # frames/s; None means a variable rate
    first: Fraction  # s, time of the first picture
    last: Fraction | None  # s, time of the last picture; None while a pipe has not ended
    tail: Fraction  # s, how long the last picture is shown
    frames: int | None  # None likewise
    missing: int  # frames that the header promises beyond those the file holds; 0 if the clip ends before
    holes: int  # places of the constant rate without a frame, between the first and the last

    @property
    def end(self) -> Fraction | None:
        """When the last picture ends, s; None while a pipe has not ended."""
        return None if self.last is None else self.last + self.tail

    @property
    def length(self) -> Fraction | None:
        """From the first picture to the end of the last, s; None likewise."""
        return None if self.end is None else self.end - self.first


def find_extent(request: Request, info: MediaInfo) -> Extent:
    """The frames between --start and --end.

    Raises:
        UsageError: there are none.
    """
    video = info.video
    if info.stream is not None:
        return _open_extent(request, 1 / info.video.time_base)
    ticks = [int(tick) for tick in video.packet_times]
    base = video.time_base
    start, stop = _resolve(request.start, info, "--start"), _resolve(request.end, info, "--end")
    low = 0 if start is None else bisect_left(ticks, start / base)
    high = len(ticks) if stop is None else bisect_left(ticks, stop / base)
    if low >= high:
        length = float((ticks[-1] - ticks[0]) * base + _tail(info, ticks, len(ticks)))
        raise UsageError(f"no frame of {info.path} lies between --start and --end ({length:.3f} s in all)")
    first, last = ticks[low] * base, ticks[high - 1] * base
    to_the_end = stop is None or stop > ticks[-1] * base
    rate = measured_rate(ticks, base, video.rate_claimed)
    missing = _missing(info, ticks, rate) if to_the_end else 0
    damaged = bool(missing or video.torn)
    if rate is None and _is_torn_grid(info, ticks, damaged=damaged):
        rate = video.rate_claimed
        missing = _missing(info, ticks, rate) if to_the_end and damaged else 0
    if rate is None:
        tail = _tail(info, ticks, high)
        if stop is not None:
            tail = min(tail, stop - last)
        return Extent((start, stop), None, first, last, tail, high - low, missing, holes=0)
    grid = Grid(video.start, rate)
    first, last = grid.nearest(first), grid.nearest(last)
    holes = round((last - first) * rate) + 1 - (high - low)
    return Extent((start, stop), rate, first, last, 1 / rate, high - low, missing, max(holes, 0))


def _open_extent(request: Request, rate: Fraction) -> Extent:
    """Of a pipe: it begins at 0 s, and how far it goes is seen when it ends."""
    start, stop = (
        None if moment is None else moment.seconds if moment.seconds is not None else (moment.frame or 0) / rate
        for moment in (request.start, request.end)
    )
    first = math.ceil((start or 0) * rate) / rate
    if stop is not None and first >= stop:
        raise UsageError("no frame lies between --start and --end")
    return Extent((start, stop), rate, first, None, 1 / rate, None, 0, 0)


def earliest(info: MediaInfo) -> Fraction:
    """When the file begins: its picture or its sound, whichever is first, s."""
    return min(info.start_claimed, info.video.start)


def _is_torn_grid(info: MediaInfo, ticks: list[int], *, damaged: bool) -> bool:
    """Whether this is a constant rate from which pictures were lost, rather than a variable one.

    Recorders drop a picture here and there, damage takes more; beyond that, the gaps are meant.
    """
    rate, base = info.video.rate_claimed, info.video.time_base
    if rate is None or not on_grid(ticks, base, rate):
        return False
    places = (ticks[-1] - ticks[0]) * base * rate + 1
    longest = max(b - a for a, b in pairwise(ticks)) * base
    return longest <= _LONGEST_HOLE and len(ticks) >= places * (_LEFT_OF_TORN if damaged else _LEFT_OF_SOUND)


def _missing(info: MediaInfo, ticks: list[int], rate: Fraction | None) -> int:
    """Frames that the header promises and the file does not hold, beyond what rounding explains.

    Of two promises the larger counts, but in MP4 and MOV the smaller: frames behind an edit list are counted in
    a header, and not shown.
    """
    video = info.video
    promises = [video.frames_claimed - len(ticks)] if video.frames_claimed else []
    if video.duration_claimed:
        promises.append(_short_of(video.start + video.duration_claimed, info, ticks, rate))
    elif info.duration_claimed and not promises:
        end = _end_claimed(info.duration_claimed, info)
        short = _short_of(end, info, ticks, rate)
        if _matters(short, ticks) and not _others_reach(info, end):
            promises.append(short)
    choose = min if "mov" in info.format.split(",") else max
    missing = max(0, choose(promises, default=0) - video.leading)
    return missing if _matters(missing, ticks) else 0


def _end_claimed(duration: Fraction, info: MediaInfo) -> Fraction:
    """When a file ends that says how long it lasts, s. Muxers of Matroska count from its first time or from 0."""
    begin = earliest(info)
    return duration + (min(begin, Fraction(0)) if info.format.startswith("matroska") else begin)


def _short_of(end: Fraction, info: MediaInfo, ticks: list[int], rate: Fraction | None) -> int:
    """Frames by which a picture falls short of lasting until `end`, s: of a variable rate, at its mean rate."""
    if rate is not None:
        return math.floor((end - info.video.start) * rate) - len(ticks)
    tail = _tail(info, ticks, len(ticks))
    left = end - (ticks[-1] * info.video.time_base + tail)
    return math.floor(left * len(ticks) / ((ticks[-1] - ticks[0]) * info.video.time_base + tail))


def _matters(missing: int, ticks: list[int]) -> bool:
    return missing > max(_TOLERATED_FRAMES, len(ticks) // _TOLERATED_SHARE)


def _others_reach(info: MediaInfo, end: Fraction) -> bool:
    """Whether it is sound or subtitles that last as long as the container says."""
    return info.others_end is not None and end - info.others_end < _SOUND_ENDS


def _resolve(moment: Moment | None, info: MediaInfo, option: str) -> Fraction | None:
    """The moment on the source's clock, s."""
    if moment is None:
        return None
    if moment.seconds is not None:
        return earliest(info) + moment.seconds
    times = info.video.packet_times
    number = moment.frame or 0
    if number < len(times):
        return int(times[number]) * info.video.time_base
    if option == "--end":
        return None
    raise UsageError(f"{option} {number}f lies behind the last frame, which is {len(times) - 1}f")


def _tail(info: MediaInfo, ticks: list[int], high: int) -> Fraction:
    """How long the last frame of a variable rate is shown, s."""
    base = info.video.time_base
    if high < len(ticks):
        return (ticks[high] - ticks[high - 1]) * base
    return info.video.last_duration or _UNKNOWN_GAP
