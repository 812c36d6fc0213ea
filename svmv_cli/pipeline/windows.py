"""From a stream of frames to the frames of the output, by windows of four within a shot. Knows no pixels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Protocol

from svmv_cli.media.frame import Frame, Plane
from svmv_cli.pipeline.report import Tally
from svmv_cli.pipeline.shots import Seen
from svmv_cli.timeline import Clock, Instant, Timing, joined


@dataclass(frozen=True, slots=True)
class Window:
    """Four pictures of one shot; new ones are made between `left` and `right`."""

    before: Frame
    left: Frame
    right: Frame
    after: Frame

    @property
    def frames(self) -> tuple[Frame, Frame, Frame, Frame]:
        """All four, in order of time."""
        return self.before, self.left, self.right, self.after


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a film must be taken up again for the same gaps to come as in one go."""

    since: Fraction  # s, source clock: the frame to begin reading with; it lies before `left`
    left: Fraction  # s, source clock: the left picture of the next gap


@dataclass(frozen=True, slots=True)
class Gap:
    """The time from one picture to the next and the output frames in it."""

    window: Window | None  # None: nothing lies between, the left picture is held
    left: Frame
    instants: tuple[Instant, ...]
    found: Tally = field(default_factory=Tally)  # its source frames, from `left` on
    resume: Resume | None = None  # behind this gap; None: the film ends


class Interpolator(Protocol):
    """Makes pictures between pictures."""

    @property
    def name(self) -> str:
        """The model, for the report."""
        ...

    @property
    def weights(self) -> str:
        """Digest of what it learnt: with device and precision it decides the pictures, on a GPU to a code value."""
        ...

    @property
    def device(self) -> str:
        """Where it runs, e.g. "cuda:0"."""
        ...

    @property
    def precision(self) -> str:
        """fp32, fp16 or bf16."""
        ...

    def begin(self) -> None:
        """A segment begins: no picture may depend on windows that came before."""
        ...

    def between(
        self, windows: Sequence[Window], phases: Sequence[tuple[Fraction, ...]]
    ) -> list[list[tuple[Plane, ...]]]:
        """For each window, the planes of one picture per phase.

        Args:
            windows: consecutive in time, though not always neighbours.
            phases: per window, rising fractions in (0, 1) of the way from left to right.
        """
        ...

    def close(self) -> None:
        """Give back the device's memory."""
        ...


@dataclass(frozen=True, slots=True)
class _Picture:
    """A source frame that is kept, and what was set aside behind it."""

    seen: Seen
    repeats: tuple[Fraction, ...]  # s, source clock
    found: Tally

    @property
    def frame(self) -> Frame:
        return self.seen.frame

    @property
    def cut(self) -> bool:
        return self.seen.cut

    @property
    def still(self) -> bool:
        return self.seen.role == "still"

    @property
    def times(self) -> tuple[Fraction, ...]:
        return self.frame.time, *self.repeats

    @property
    def resume(self) -> Resume:
        return Resume(self.frame.time if self.seen.since is None else self.seen.since, self.frame.time)


def gaps(seen: Iterable[Seen], timing: Timing, *, tail: Fraction) -> Iterator[Gap]:
    """The gaps of a film, in order, from a stream of its frames.

    A window stops at its shot: there, and at the ends of the film, the edge picture stands in for the missing
    one. The gap in front of a cut or of a still's next frame is held, and so is the last one.

    Args:
        seen: frames in rising time.
        timing: the rule that places output frames.
        tail: s, how long the very last frame is shown.
    """
    pictures = chain(_pictures(seen), [None])
    before: _Picture | None = None
    left = next(pictures)
    right = next(pictures, None)
    while left is not None:
        after = next(pictures, None)
        yield _gap(before, left, right, after, timing=timing, tail=tail)
        before, left, right = left, right, after


def _pictures(seen: Iterable[Seen]) -> Iterator[_Picture]:
    head: Seen | None = None
    repeats: list[Fraction] = []
    found = Tally()
    for one in seen:
        if one.role == "repeat" and head is not None:
            repeats.append(one.frame.time)
        else:
            if head is not None:
                yield _Picture(head, tuple(repeats), found)
            head, repeats, found = one, [], Tally()
        _count(one, found)
    if head is not None:
        yield _Picture(head, tuple(repeats), found)


def _count(one: Seen, found: Tally) -> None:
    found.frames += 1
    found.duplicates += one.repeats
    found.late += one.frame.late
    found.damaged += one.frame.damaged
    if one.cut:
        found.cuts.append(one.frame.time)


def _gap(
    before: _Picture | None,
    left: _Picture,
    right: _Picture | None,
    after: _Picture | None,
    *,
    timing: Timing,
    tail: Fraction,
) -> Gap:
    end = left.times[-1] + tail if right is None else right.frame.time
    instants = joined(timing, (*left.times, end))
    resume = None if right is None else right.resume
    if right is None or right.cut or right.still:
        return Gap(None, left.frame, instants, left.found, resume)
    first = left if before is None or left.cut else before
    last = right if after is None or after.cut else after
    window = Window(first.frame, left.frame, right.frame, last.frame)
    return Gap(window, left.frame, instants, left.found, resume)


def upsample(
    gaps: Iterable[Gap], interpolator: Interpolator, *, batch: int, clock: Clock, tally: Tally
) -> Iterator[Frame]:
    """The output's frames in order: source frames as they came, new ones from the interpolator.

    Args:
        gaps: in order of time.
        interpolator: asked once per `batch` gaps.
        batch: gaps per call; also the bound of what is held in memory.
        clock: turns source times into output times.
        tally: counts frames, source and made.
    """
    waiting: list[Gap] = []
    for gap in gaps:
        waiting.append(gap)
        if len(waiting) == batch:
            yield from _emit(waiting, interpolator, clock=clock, tally=tally)
            waiting = []
    yield from _emit(waiting, interpolator, clock=clock, tally=tally)


def _emit(waiting: Sequence[Gap], interpolator: Interpolator, *, clock: Clock, tally: Tally) -> Iterator[Frame]:
    made = iter(_made(waiting, interpolator))
    for gap in waiting:
        tally.add(gap.found)
        for instant in gap.instants:
            if instant.phase == 0:
                planes = gap.left.planes
            elif gap.window is None:
                planes = gap.left.planes
                tally.held += 1
            else:
                planes = next(made)
                tally.made += 1
            duration = instant.duration * clock.stretch
            yield Frame(clock.to_output(instant.time), duration, gap.left.format, planes)


def _made(waiting: Sequence[Gap], interpolator: Interpolator) -> list[tuple[Plane, ...]]:
    """The new pictures of several gaps in one row."""
    wanted = [(gap.window, _phases(gap)) for gap in waiting if gap.window is not None and _phases(gap)]
    if not wanted:
        return []
    rows = interpolator.between([window for window, _ in wanted], [phases for _, phases in wanted])
    return [planes for row in rows for planes in row]


def _phases(gap: Gap) -> tuple[Fraction, ...]:
    return tuple(instant.phase for instant in gap.instants if instant.phase)
