"""Where a shot ends and which frames repeat the one before, from luma alone. Knows no files, no network."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, takewhile
from statistics import median
from typing import Literal

import numpy as np
import numpy.typing as npt

from svmv_cli.media.frame import Frame, Plane

DEFAULT_CUT_THRESHOLD = 0.3
DEFAULT_LONGEST_RUN = 5
_NEIGHBOURS = 3  # pictures on each side that a suspected cut is compared with
_STANDS_OUT = 2.5  # a cut's score over its neighbours' median
_CLEARLY = 24  # 8-bit code values; beyond it a place has changed, however much
_RETURNS = 0.5  # a flash: pictures around it differ by less than this share of the jump
_SAMPLE = 288  # px: pictures are thinned to about this size before they are looked at
_BLOCK = 8  # samples per side of a thumbnail's cell
# A repeat may differ by coding noise, which is faint, local and has no direction. A fade has a direction over
# the whole picture, faint motion adds up everywhere, a small moving thing is strong in its own cell.
# Chosen on x264 at crf 18 to 30; 8-bit code values:
_THUMB_MOVED = 3.0
_MEAN_MOVED = 0.03  # of the signed difference, whole picture
_NOISE = 0.1  # mean of the absolute difference, whole picture
_CELL_MOVED = 2.5  # of the signed difference, 16 × 16 cell
_CELL_NOISE = 6.0  # mean of the absolute difference, 8 × 8 cell

Levels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ShotSettings:
    """What is looked for."""

    cut_threshold: float | None = DEFAULT_CUT_THRESHOLD  # 0..1, score that makes a cut; None: no cuts
    longest_run: int = DEFAULT_LONGEST_RUN  # repeats in a row that are bridged; 0: repeats are left alone
    even: bool = False  # pictures that are repeated in a cadence are moved to even times


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame and what it is to the one before."""

    frame: Frame
    cut: bool = False  # a new shot begins with it
    role: Literal["picture", "repeat", "still"] = "picture"  # repeat: bridged; still: kept, and held before
    repeats: bool = False  # it shows the picture before it again, whatever is made of that
    since: Fraction | None = None  # s: a look that begins with the frame of this time sees all from here on the same


@dataclass(frozen=True, slots=True)
class _Sight:
    """What is remembered of a picture."""

    time: Fraction  # s
    thumb: Levels  # (rows, columns), 8-bit code values
    tones: Levels  # (32,), shares of the picture


@dataclass(frozen=True, slots=True)
class _Look:
    frame: Frame
    sight: _Sight
    repeats: bool  # nearly the same as the last picture that was not a repeat itself


def look(frames: Iterable[Frame], *, settings: ShotSettings) -> Iterator[Seen]:
    """Mark each frame as the start of a shot, a repeat, part of a still, or a plain picture.

    Args:
        frames: in rising time. At most `max(3, longest_run) + 3` of them are held at once.
        settings: what is looked for.
    """
    reach = max(_NEIGHBOURS, settings.longest_run) + 1
    ahead: deque[_Look] = deque()
    judge = _Judge(settings)
    for one in _looks(frames):
        ahead.append(one)
        if len(ahead) > reach:
            yield judge.decide(ahead.popleft(), ahead)
    while ahead:
        yield judge.decide(ahead.popleft(), ahead)


class _Judge:
    """Decides about frames in order, with the next few in view and the last few remembered."""

    def __init__(self, settings: ShotSettings) -> None:
        self._settings = settings
        self._past: deque[_Sight] = deque(maxlen=_NEIGHBOURS + 1)
        self._run: Literal["repeat", "still"] | None = None

    def decide(self, now: _Look, ahead: Iterable[_Look]) -> Seen:
        # All that is remembered begins with a picture that repeats none: a look that begins there remembers the same.
        since = self._past[0].time if self._past else now.frame.time
        if now.repeats:
            return Seen(now.frame, role=self._role_in_run(ahead), repeats=True, since=since)
        self._run = None
        cut = self._is_cut(now.sight, [one.sight for one in ahead if not one.repeats][:_NEIGHBOURS])
        self._past.append(now.sight)
        return Seen(now.frame, cut=cut, since=since)

    def _role_in_run(self, ahead: Iterable[_Look]) -> Literal["picture", "repeat", "still"]:
        longest = self._settings.longest_run
        if longest == 0:
            return "picture"
        if self._run is None:
            length = 1 + sum(1 for _ in takewhile(lambda one: one.repeats, ahead))
            self._run = "repeat" if length <= longest else "still"
        return self._run

    def _is_cut(self, now: _Sight, after: list[_Sight]) -> bool:
        threshold = self._settings.cut_threshold
        if threshold is None or not self._past:
            return False
        before = list(self._past)
        score = _score(before[-1], now)
        if score < threshold:
            return False
        around = (_scores(before), _scores([now, *after]))
        usual = max((median(scores) for scores in around if scores), default=0.0)
        return score > _STANDS_OUT * usual and not _comes_back(before, [now, *after])


def _looks(frames: Iterable[Frame]) -> Iterator[_Look]:
    kept: _Look | None = None
    for frame in frames:
        sight = _sight(frame)
        one = _Look(frame, sight, kept is not None and _repeats(kept, frame, sight))
        if not one.repeats:
            kept = one
        yield one


def _sight(frame: Frame) -> _Sight:
    luma = frame.planes[0]
    rows, columns = (math.ceil(size / _SAMPLE) for size in luma.shape)
    sample = luma[::rows, ::columns]
    tones = np.bincount((sample >> (frame.format.depth - 5)).ravel(), minlength=32)[:32]
    levels = sample.astype(np.float32) / np.float32(1 << (frame.format.depth - 8))
    return _Sight(frame.time, _block_means(levels, _BLOCK), np.asarray(tones / sample.size, np.float32))


def _block_means(values: Levels, size: int) -> Levels:
    """Means of size × size cells; those at the right and bottom edge may be smaller."""
    rows, columns = (np.arange(0, length, size) for length in values.shape)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    cells = np.outer(np.diff(rows, append=values.shape[0]), np.diff(columns, append=values.shape[1]))
    return np.asarray(sums / cells, dtype=np.float32)


def _score(a: _Sight, b: _Sight) -> float:
    """How unlike two pictures are, 0..1. Places and tones must change: motion changes only the places.

    A place counts by area, and little more for a stronger change: a caption that appears is no cut.
    """
    places = float(np.minimum(np.abs(a.thumb - b.thumb), _CLEARLY).mean()) / _CLEARLY
    tones = float(np.abs(a.tones - b.tones).sum()) / 2
    return math.sqrt(places * tones)


def _scores(sights: Sequence[_Sight]) -> list[float]:
    return [_score(a, b) for a, b in pairwise(sights)]


def _apart(a: _Sight, b: _Sight) -> float:
    """Mean absolute difference of the thumbnails, 8-bit code values."""
    return float(np.abs(a.thumb - b.thumb).mean())


def _comes_back(before: Sequence[_Sight], after: Sequence[_Sight]) -> bool:
    """Whether a picture behind the jump resembles one in front of it: then it was a flash, not a cut."""
    jump = _apart(before[-1], after[0])
    pairs = ((a, b) for a in before for b in after if a is not before[-1] or b is not after[0])
    return any(_apart(a, b) < _RETURNS * jump for a, b in pairs)


def _repeats(kept: _Look, frame: Frame, sight: _Sight) -> bool:
    """Whether `frame` shows the same picture as `kept` but for coding noise.

    `kept` is the last picture that was not a repeat itself, so slow changes add up and are noticed.
    """
    if float(np.abs(sight.thumb - kept.sight.thumb).max()) > _THUMB_MOVED:
        return False
    if all(_same(a, b) for a, b in zip(kept.frame.planes, frame.planes, strict=True)):
        return True
    step = math.ceil(max(frame.width, frame.height) / 2048)
    unit = 1 << (frame.format.depth - 8)
    # What fades in by its alpha alone moves too.
    looked_at = (0, -1) if frame.format.alpha else (0,)
    return all(_alike(kept.frame.planes[i][::step, ::step], frame.planes[i][::step, ::step], unit) for i in looked_at)


def _alike(before: Plane, after: Plane, unit: int) -> bool:
    """Whether two planes differ by coding noise only; `unit` is an 8-bit code value at their depth."""
    change = after.astype(np.float32) - before
    noise = np.abs(change)
    return (
        abs(float(change.mean())) <= _MEAN_MOVED * unit
        and float(noise.mean()) <= _NOISE * unit
        and float(np.abs(_block_means(change, 2 * _BLOCK)).max()) <= _CELL_MOVED * unit
        and float(_block_means(noise, _BLOCK).max()) <= _CELL_NOISE * unit
    )


def _same(a: Plane, b: Plane) -> bool:
    return a is b or bool(np.array_equal(a, b))
