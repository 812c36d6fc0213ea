"""The stages between decoder and encoder in a row, and what each segment of a film came to. Knows no files."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, dropwhile, groupby

from svmv_cli.errors import InputError
from svmv_cli.media.frame import Frame
from svmv_cli.pipeline.cadence import evenly
from svmv_cli.pipeline.plan import Plan
from svmv_cli.pipeline.report import Tally
from svmv_cli.pipeline.shots import look
from svmv_cli.pipeline.windows import Gap, Interpolator, Resume, gaps, upsample

_DEVICE_BATCH = 4  # windows per call on a GPU; the CPU takes them one by one


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """All frames of a segment have come."""

    tally: Tally
    resume: Resume | None  # None: it was the last one


def make_frames(
    decoded: Iterable[Frame],
    plan: Plan,
    interpolator: Interpolator,
    *,
    joints: Sequence[Fraction],
    begin: Resume | None = None,
) -> Iterator[Frame | SegmentEnd]:
    """From decoded frames to the output's, with a `SegmentEnd` behind each segment that has frames.

    A gap belongs to the segment in which it begins. What is decided about a frame does not depend on where the
    film is cut, nor does the company in which a gap is sent to the device.

    Args:
        decoded: in rising time.
        plan: what is made of them.
        interpolator: makes the new pictures.
        joints: rising times at which the second and each further segment begins, s on the source's clock.
        begin: takes the film up where an earlier `SegmentEnd` said; None: from the first frame.
    """
    behind = Tally()  # faults that no frame followed
    placed = _placed(decoded, plan, since=None if begin is None else begin.since, behind=behind)
    seen = look(placed, settings=plan.shots)
    if plan.shots.even and plan.grid is not None:
        seen = evenly(seen, first=plan.grid.start, step=1 / plan.grid.rate)
    between = _taken_up(gaps(seen, plan.timing, tail=plan.tail), plan, begin)
    batch = plan.batch or (1 if interpolator.device == "cpu" else _DEVICE_BATCH)
    for _, stretch in groupby(between, key=lambda gap: bisect_right(joints, gap.left.time)):
        tally = Tally()
        last: list[Gap] = []
        known = _remembering(stretch, last)
        interpolator.begin()
        yield from upsample(known, interpolator, batch=batch, clock=plan.target.clock, tally=tally)
        if last[0].resume is None:
            tally.add(behind)
        yield SegmentEnd(tally, last[0].resume)


def _taken_up(gaps: Iterator[Gap], plan: Plan, begin: Resume | None) -> Iterator[Gap]:
    """The gaps from where the film is taken up; those before it only told what there is to remember."""
    if begin is not None:
        gaps = dropwhile(lambda gap: gap.left.time < begin.left, gaps)
        first = next(gaps, None)
        if first is None or first.left.time != begin.left:
            raise InputError(
                f"{plan.source} does not give the frames it gave before", hint="Start over with --no-resume."
            )
        gaps = chain([first], gaps)
    return gaps


def _remembering(gaps: Iterable[Gap], last: list[Gap]) -> Iterator[Gap]:
    """The gaps as they come; `last` holds the one that came last."""
    for gap in gaps:
        last[:] = [gap]
        yield gap


def _placed(frames: Iterable[Frame], plan: Plan, *, since: Fraction | None, behind: Tally) -> Iterator[Frame]:
    """Frames of a constant rate at their exact places; what is no later than the one before is left out."""
    grid = plan.grid
    latest: Fraction | None = None
    damaged = late = 0  # of frames that were left out
    for frame in frames:
        time = frame.time if grid is None else grid.nearest(frame.time)
        if since is not None and time < since:
            continue
        damaged, late = damaged + frame.damaged, late + frame.late
        if latest is not None and time <= latest:
            late += 1
            continue
        latest = time
        yield replace(frame, time=time, damaged=damaged, late=late)
        damaged = late = 0
    behind.damaged, behind.late = damaged, late
