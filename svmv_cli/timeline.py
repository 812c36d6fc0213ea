"""When each output frame is shown, and how far between two source frames. Knows no files and no pictures."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

_JITTER = Fraction(1, 1000)  # s: Matroska stores whole milliseconds, so honest 23.976 fps wobbles by one
_NTSC = Fraction(1000, 1001)


@dataclass(frozen=True, slots=True)
class Clock:
    """How source time becomes output time: the origin is moved to zero, then everything is stretched."""

    origin: Fraction  # s on the source's clock that is 0 s on the output's
    stretch: Fraction = Fraction(1)  # output seconds per source second

    def to_output(self, time: Fraction) -> Fraction:
        """Output time of a source time, s."""
        return (time - self.origin) * self.stretch


@dataclass(frozen=True, slots=True)
class Instant:
    """One output frame, seen from the gap between two source frames that it falls into."""

    phase: Fraction  # in [0, 1): 0 is the left frame itself
    time: Fraction  # s, source clock
    duration: Fraction  # s, source clock


class Timing(Protocol):
    """A rule that places output frames."""

    def instants(self, left: Fraction, right: Fraction) -> tuple[Instant, ...]:
        """Output frames in the half-open gap [left, right) of source time, s, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Grid:
    """Evenly spaced instants `start + j/rate`: constant frame rate out, whatever comes in."""

    start: Fraction  # s, source clock
    rate: Fraction  # frames per source second

    def instants(self, left: Fraction, right: Fraction) -> tuple[Instant, ...]:
        """Grid points in [left, right)."""
        step = 1 / self.rate
        span = right - left
        times = (self.start + j * step for j in self._indices(left, right))
        return tuple(Instant((time - left) / span, time, step) for time in times)

    def count(self, left: Fraction, right: Fraction) -> int:
        """How many grid points lie in [left, right), without making them."""
        return len(self._indices(left, right))

    def nearest(self, time: Fraction) -> Fraction:
        """The grid point closest to `time`, s."""
        return self.start + round((time - self.start) * self.rate) / self.rate

    def _indices(self, left: Fraction, right: Fraction) -> range:
        return range(math.ceil((left - self.start) * self.rate), math.ceil((right - self.start) * self.rate))


@dataclass(frozen=True, slots=True)
class Phases:
    """`factor` instants per gap at exact fractions k/factor of it: the source keeps its own timeline."""

    factor: int

    def instants(self, left: Fraction, right: Fraction) -> tuple[Instant, ...]:
        """The left frame and the factor − 1 frames after it."""
        step = (right - left) / self.factor
        return tuple(Instant(Fraction(k, self.factor), left + k * step, step) for k in range(self.factor))


def joined(timing: Timing, times: Sequence[Fraction]) -> tuple[Instant, ...]:
    """Instants of several neighbouring gaps seen as one, phases counted over the whole.

    Args:
        timing: the rule that places output frames.
        times: rising source times, s; the first and last bound the joined gap, those between were set aside.
    """
    return tuple(_rephased(timing, times))


def _rephased(timing: Timing, times: Sequence[Fraction]) -> Iterator[Instant]:
    left, span = times[0], times[-1] - times[0]
    for a, b in pairwise(times):
        for instant in timing.instants(a, b):
            yield Instant((instant.time - left) / span, instant.time, instant.duration)


def measured_rate(times: Sequence[int], time_base: Fraction, claimed: Fraction | None) -> Fraction | None:
    """The constant frame rate these timestamps keep, or None when they keep none.

    Args:
        times: presentation timestamps in rising order, ticks of `time_base`.
        time_base: s per tick.
        claimed: frames per second by the header, tried first.

    Returns:
        The claimed rate, or the nearest k or k·1000/1001, or the rate of exactly equal gaps, if every
        timestamp lies within one tick or 1 ms, the larger, of its place. A single frame has the claimed rate.
    """
    ticks = [int(t) for t in times]
    if len(ticks) < 2:
        return claimed
    span = (ticks[-1] - ticks[0]) * time_base
    if span <= 0:
        return None
    mean = (len(ticks) - 1) / span
    candidates = [claimed] if claimed else []
    candidates += _standard_rates(mean)
    if len({b - a for a, b in pairwise(ticks)}) == 1:
        candidates.append(mean)
    return next((rate for rate in candidates if _keeps(ticks, time_base, rate)), None)


def on_grid(times: Sequence[int], time_base: Fraction, rate: Fraction) -> bool:
    """Whether every timestamp lies on a grid of `rate`, whatever places are left out.

    Args:
        times: presentation timestamps in rising order, ticks of `time_base`.
        time_base: s per tick.
        rate: frames per second.
    """
    grid = Grid(int(times[0]) * time_base, rate)
    allowed = max(time_base, _JITTER)
    return all(abs(grid.nearest(t) - t) <= allowed for t in (int(tick) * time_base for tick in times))


def _standard_rates(mean: Fraction) -> list[Fraction]:
    """Rates in use near `mean`, nearest first."""
    whole = {Fraction(max(1, round(mean))), Fraction(max(1, round(mean / _NTSC))) * _NTSC}
    return sorted(whole, key=lambda rate: abs(rate - mean))


def _keeps(ticks: list[int], time_base: Fraction, rate: Fraction) -> bool:
    """Whether tick i lies at start + i/rate. In whole numbers: two hours are half a million comparisons."""
    unit = time_base.numerator * rate.numerator
    step = rate.denominator * time_base.denominator
    allowed = max(time_base, _JITTER) * time_base.denominator * rate.numerator
    bound = math.floor(allowed)
    return all(abs((tick - ticks[0]) * unit - i * step) <= bound for i, tick in enumerate(ticks))
