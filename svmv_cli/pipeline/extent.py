"""Which part of a source is used, at which rate it runs, and whether it is all there. Decodes nothing."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction

from svmv_cli.errors import SvmvError, UsageError
from svmv_cli.media.info import MediaInfo, Span
from svmv_cli.media.verify import measure
from svmv_cli.pipeline.request import Moment, Request
from svmv_cli.timeline import Grid, measured_rate, on_grid

_UNKNOWN_GAP = Fraction(1, 25)  # s: a single frame of unknown duration has to last for something
_TOLERATED_FRAMES = 2
_SOUND_ENDS = Fraction(1, 5)  # s: a packet or two of sound
_TOLERATED_SHARE = 100  # one in so many: headers round their durations


@dataclass(frozen=True, slots=True)
class Extent:
    """The used part of a source's picture, on the source's clock."""

    clip: Span  # s, half-open, as asked for
    rate: Fraction | None  # frames/s; None means a variable rate
    first: Fraction  # s, time of the first picture
    last: Fraction  # s, time of the last picture
    tail: Fraction  # s, how long the last picture is shown
    frames: int
    missing: int  # frames that the header promises beyond those the file holds; 0 if the clip ends before

    @property
    def end(self) -> Fraction:
        """When the last picture ends, s."""
        return self.last + self.tail


def find_extent(request: Request, info: MediaInfo) -> Extent:
    """The frames between --start and --end.

    Raises:
        UsageError: there are none.
    """
    video = info.video
    ticks = [int(tick) for tick in video.packet_times]
    base = video.time_base
    start, stop = _resolve(request.start, info, "--start"), _resolve(request.end, info, "--end")
    low = 0 if start is None else bisect_left(ticks, start / base)
    high = len(ticks) if stop is None else bisect_left(ticks, stop / base)
    if low >= high:
        length = float((ticks[-1] - ticks[0]) * base)
        raise UsageError(f"no frame of {info.path} lies between --start and --end ({length:.3f} s in all)")
    first, last = ticks[low] * base, ticks[high - 1] * base
    rate = measured_rate(ticks, base, video.rate_claimed)
    missing = 0
    if stop is None or stop > ticks[-1] * base:
        missing = _missing(info, ticks, rate)
        if rate is None and missing and video.rate_claimed and on_grid(ticks, base, video.rate_claimed):
            rate = video.rate_claimed  # pictures were lost from a constant rate
            missing = _missing(info, ticks, rate)
    if rate is None:
        return Extent((start, stop), None, first, last, _tail(info, ticks, high), high - low, missing)
    grid = Grid(video.start, rate)
    return Extent((start, stop), rate, grid.nearest(first), grid.nearest(last), 1 / rate, high - low, missing)


def earliest(info: MediaInfo) -> Fraction:
    """When the file begins: its picture or its sound, whichever is first, s."""
    return min(info.start_claimed, info.video.start)


def _missing(info: MediaInfo, ticks: list[int], rate: Fraction | None) -> int:
    """Frames that the header promises and the file does not hold, beyond what rounding explains.

    Of two promises the smaller counts: frames behind an edit list are counted in a header, but not shown.
    """
    video = info.video
    promises = [video.frames_claimed - len(ticks)] if video.frames_claimed else []
    if video.duration_claimed:
        promises.append(_short_of(video.start + video.duration_claimed, info, ticks, rate))
    elif info.duration_claimed and not promises:
        end = earliest(info) + info.duration_claimed
        short = _short_of(end, info, ticks, rate)
        if _matters(short, ticks) and not _sound_reaches(info, end):
            promises.append(short)
    missing = min(promises, default=0)
    return missing if _matters(missing, ticks) else 0


def _short_of(end: Fraction, info: MediaInfo, ticks: list[int], rate: Fraction | None) -> int:
    """Frames by which a picture falls short of lasting until `end`, s: of a variable rate, at its mean rate."""
    if rate is not None:
        return math.floor((end - info.video.start) * rate) - len(ticks)
    tail = _tail(info, ticks, len(ticks))
    left = end - (ticks[-1] * info.video.time_base + tail)
    return math.floor(left * len(ticks) / ((ticks[-1] - ticks[0]) * info.video.time_base + tail))


def _matters(missing: int, ticks: list[int]) -> bool:
    return missing > max(_TOLERATED_FRAMES, len(ticks) // _TOLERATED_SHARE)


def _sound_reaches(info: MediaInfo, end: Fraction) -> bool:
    """Whether it is the sound that lasts as long as the container says. Asked only where nothing else tells."""
    if not any(other.kind == "audio" for other in info.others):
        return False
    try:
        sound = measure(info.path).sound
    except SvmvError:
        return False  # it cannot even be read to its end
    return any(end - track.end < _SOUND_ENDS for track in sound)


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
    if info.video.last_duration > 0:
        return info.video.last_duration
    return (ticks[-1] - ticks[0]) * base / (len(ticks) - 1) if len(ticks) > 1 else _UNKNOWN_GAP
