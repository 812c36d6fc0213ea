"""Film in a faster rate, such as 24 pictures in 60: each picture is put where it was before it was repeated.

Knows no pixels; what repeats has been found out by `shots`.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from svmv_cli.pipeline.shots import Seen

_LONGEST = 5  # pictures after which a cadence begins anew: 2:3 takes two, 24 in 30 four, 25 in 60 five
_REACH = 2 * _LONGEST  # pictures seen on either side: a cadence is believed when it has come twice


@dataclass(frozen=True, slots=True)
class _Place:
    """A picture of the past."""

    time: Fraction  # s, as it was
    since: Fraction | None  # s, see `Seen`
    parted: bool  # from the picture before it: by a cut, or because one of the two is part of a still
    still: bool


def evenly(seen: Iterable[Seen], *, first: Fraction, step: Fraction) -> Iterator[Seen]:
    """The same frames, with pictures that come in a cadence moved to even times.

    A picture is moved later by less than one frame, so none passes another; what is seen as the film's first or last
    picture stays. What becomes of a picture depends on its neighbours within reach alone, wherever a film is taken up.

    Args:
        seen: frames of a constant rate, in order. Those of some twenty pictures are held at once.
        first: s, time of the film's first frame.
        step: s, from one frame to the next.
    """
    past: deque[_Place] = deque(maxlen=_REACH)
    ahead: deque[Seen] = deque()
    pictures = 0
    for one in seen:
        ahead.append(one)
        pictures += one.role != "repeat"
        while pictures > _REACH + 1:
            yield from _moved(ahead, past, first=first, step=step)
            pictures -= 1
    while ahead:
        yield from _moved(ahead, past, first=first, step=step)


def _moved(ahead: deque[Seen], past: deque[_Place], *, first: Fraction, step: Fraction) -> Iterator[Seen]:
    """The next picture, and the repeats behind it."""
    head = ahead.popleft()
    still = head.role == "still"
    here = _Place(head.frame.time, head.since, head.cut or still or bool(past and past[-1].still), still)
    since = past[0].since if past else head.since
    after = _places(here, ahead)
    shift = Fraction(0)
    if head.frame.time > first and after:
        shift = _shift(*_shot(past, here, after), step=step)
    yield replace(head, frame=replace(head.frame, time=head.frame.time + shift * step), since=since)
    while ahead and ahead[0].role == "repeat":
        yield ahead.popleft()
    past.append(here)


def _places(here: _Place, ahead: Iterable[Seen]) -> list[_Place]:
    """The pictures that follow."""
    places: list[_Place] = []
    for one in ahead:
        if one.role != "repeat":
            still = one.role == "still"
            before = places[-1] if places else here
            places.append(_Place(one.frame.time, one.since, one.cut or still or before.still, still))
    return places[:_REACH]


def _shot(past: Sequence[_Place], here: _Place, after: Sequence[_Place]) -> tuple[list[Fraction], int]:
    """Times of the pictures of one shot within reach, and which of them is `here`."""
    before: list[Fraction] = []
    right = here
    for left in reversed(past):
        if right.parted:
            break
        before.insert(0, left.time)
        right = left
    following: list[Fraction] = []
    for one in after:
        if one.parted:
            break
        following.append(one.time)
    return [*before, here.time, *following], len(before)


def _shift(times: Sequence[Fraction], index: int, *, step: Fraction) -> Fraction:
    """By how many frames picture `index` was shown too early; 0 where no cadence is seen.

    Args:
        times: s, of neighbouring pictures, on the grid of `step`.
        index: of the picture in question.
        step: s.
    """
    ticks = [round((time - times[0]) / step) for time in times]
    gaps = [b - a for a, b in pairwise(ticks)]
    # The cadence that explains most of what is around; of several the shortest.
    runs = {length: _run(gaps, index, length) for length in range(1, _LONGEST + 1)}
    length, (low, high) = max(runs.items(), key=lambda item: item[1][1] - item[1][0])
    if high - low < 2 * length:
        return Fraction(0)
    return _above(ticks[low : high + 1], index - low, Fraction(sum(gaps[low : low + length]), length))


def _run(gaps: Sequence[int], index: int, length: int) -> tuple[int, int]:
    """First and last picture of the longest stretch around `index` whose gaps come again every `length` of them."""
    low = high = index
    while high < len(gaps) and (high - length < low or gaps[high] == gaps[high - length]):
        high += 1
    while low > 0 and (low - 1 + length >= high or gaps[low - 1] == gaps[low - 1 + length]):
        low -= 1
    while high < len(gaps) and gaps[high] == gaps[high - length]:
        high += 1
    return low, high


def _above(ticks: Sequence[int], index: int, period: Fraction) -> Fraction:
    """How far the even line that touches `ticks` from above passes over the one at `index`.

    0 where it passes over any by a whole frame: then that is no film shown at a faster rate, but meant so.
    """
    offsets = [tick - k * period for k, tick in enumerate(ticks)]
    top = max(offsets)
    return top - offsets[index] if top - min(offsets) < 1 else Fraction(0)
