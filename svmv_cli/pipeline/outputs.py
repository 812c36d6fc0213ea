"""Where a run's frames go: into the file at once, or into segments that are joined at the end. Decides nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from svmv_cli.media.bare import PIPE
from svmv_cli.media.fields import by_field
from svmv_cli.media.frame import Frame
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.outputs import Writer, open_writer, place_of
from svmv_cli.media.segment import SegmentWriter
from svmv_cli.media.track import Pace
from svmv_cli.media.writer import Check, VideoWriter, WrittenInfo
from svmv_cli.pipeline.plan import Plan
from svmv_cli.pipeline.records import Json, to_json
from svmv_cli.pipeline.report import Tally
from svmv_cli.pipeline.segments import joints
from svmv_cli.pipeline.stages import SegmentEnd
from svmv_cli.pipeline.windows import Interpolator, Resume
from svmv_cli.pipeline.workfolder import WorkFolder, folder_of, identity_of

# Fields of a plan on which no segment's content depends.
_IRRELEVANT = frozenset(
    {"source", "source_size", "estimated_bytes", "model", "device", "precision", "overwrite", "strict", "notes"}
    | {"resume", "keep_work"}
)


class Output(Protocol):
    """Takes a run's frames, segment by segment."""

    @property
    def joints(self) -> Sequence[Fraction]:
        """Where segments begin; see `stages.make_frames`."""
        ...

    @property
    def begin(self) -> Resume | None:
        """Where this run takes the film up; None: at its first frame."""
        ...

    @property
    def complete(self) -> bool:
        """Whether earlier runs have made all frames."""
        ...

    @property
    def resumed(self) -> int:
        """Segments that earlier runs have finished."""
        ...

    @property
    def resumed_frames(self) -> int:
        """Frames in them."""
        ...

    @property
    def total(self) -> Tally:
        """What all segments finished so far came to, those of earlier runs with them."""
        ...

    def write(self, frame: Frame) -> None:
        """Take a frame; its time is on the output's clock."""
        ...

    def end_segment(self, end: SegmentEnd) -> None:
        """All frames of a segment have been written."""
        ...

    def abort(self) -> None:
        """Throw away what is not finished; harmless after `finish`."""
        ...

    def finish(self, check: Check) -> WrittenInfo:
        """Complete the file, have it checked and give it its name."""
        ...


@contextmanager
def open_output(plan: Plan, info: MediaInfo, interpolator: Interpolator) -> Iterator[Output]:
    """The output of a plan; what is not finished when the block is left is thrown away.

    An exception that leaves the block is given a note when finished segments stay behind.

    Raises:
        OutputError: it exists, cannot be written, or its work folder is not ours to use.
    """
    if plan.segments == 1:
        if (
            info.is_file and folder_of(plan.target.path).exists()
        ):  # of another length of segments: refused, or dropped as --no-resume asks
            _claim(plan, interpolator).discard()
        with _telling_of_removal(plan), open_writer(plan.target, info, overwrite=plan.overwrite) as writer:
            yield _Whole(writer)
        return
    plan.target.path.parent.mkdir(parents=True, exist_ok=True)
    work = _claim(plan, interpolator)
    output = _Segmented(plan, info, work)
    try:
        with _telling_of_removal(plan, work):
            yield output
    except BaseException:
        output.abort()
        raise
    finally:
        work.release()


@contextmanager
def _telling_of_removal(plan: Plan, work: WorkFolder | None = None) -> Iterator[None]:
    """Note on what leaves the block what becomes of the output, unless that got its name a moment before."""
    place = place_of(plan.target)
    before = _state(place)
    try:
        yield
    except BaseException as error:
        if plan.target.path == PIPE or _state(place) != before:
            raise
        if work is not None and work.marks:
            done = f"{len(work.marks)} of {plan.segments} segments are finished and kept"
            error.add_note(f"{done}: the same command goes on there")
        elif isinstance(error, KeyboardInterrupt):
            error.add_note("the unfinished output was removed")
        raise


def _state(place: Path) -> tuple[int, ...] | None:
    """What changes when an output appears, or takes the place of another; None where nothing is."""
    try:
        found = place.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


@contextmanager
def undone_by_errors(output: Output) -> Iterator[None]:
    """Abort the output at once when the block fails: threads that outlive it may keep everybody waiting."""
    try:
        yield
    except BaseException:
        output.abort()
        raise


class _Whole:
    """Frames go into the file as they come, the other streams beside them."""

    joints = ()
    begin = None
    complete = False
    resumed = resumed_frames = 0

    def __init__(self, writer: Writer) -> None:
        self.total = Tally()
        self._writer = writer

    def write(self, frame: Frame) -> None:
        self._writer.write(frame)

    def end_segment(self, end: SegmentEnd) -> None:
        self.total.add(end.tally)

    def abort(self) -> None:
        self._writer.abort()

    def finish(self, check: Check) -> WrittenInfo:
        return self._writer.finish(check)


class _Segmented:
    """Frames go into a file for each segment; when all are there, they are joined with the other streams."""

    def __init__(self, plan: Plan, info: MediaInfo, work: WorkFolder) -> None:
        video = by_field(info.video) if plan.deinterlace == "fields" else info.video
        self.joints = joints(video, clip=plan.clip, grid=plan.grid, frames=plan.frames_in or 0, segments=plan.segments)
        self.begin = work.marks[-1].resume if work.marks else None
        self.resumed = len(work.marks)
        self.resumed_frames = sum(len(mark.info.stamps) for mark in work.marks)
        self.total = Tally()
        for mark in work.marks:
            self.total.add(mark.tally)
        self._plan = plan
        self._info = info
        self._work = work
        first = plan.target.clock.to_output(plan.first)
        self._pace = Pace.of(plan.target, info, first=first, step=plan.step)
        self._segment: SegmentWriter | None = None
        self._unmarked = Tally()  # of segments without a frame, and so without a file

    @property
    def complete(self) -> bool:
        return self._work.complete

    def write(self, frame: Frame) -> None:
        if self._segment is None:
            self._segment = SegmentWriter(self._work.part, self._plan.target, self._info, pace=self._pace)
        self._segment.write(frame)

    def end_segment(self, end: SegmentEnd) -> None:
        self.total.add(end.tally)
        self._unmarked.add(end.tally)
        if self._segment is not None:
            self._work.add(self._segment.finish(), tally=self._unmarked, resume=end.resume)
            self._segment, self._unmarked = None, Tally()

    def abort(self) -> None:
        if self._segment is not None:
            segment, self._segment = self._segment, None
            segment.abandon()
        if self._work.marks:
            self._work.part.unlink(missing_ok=True)
        else:
            self._work.discard()

    def finish(self, check: Check) -> WrittenInfo:
        with VideoWriter(self._plan.target, self._info, overwrite=self._plan.overwrite) as writer:
            writer.join(self._work.segments, pace=self._pace)
            written = writer.finish(check)
        if not self._plan.keep_work:
            self._work.discard()
        return written


def _claim(plan: Plan, interpolator: Interpolator) -> WorkFolder:
    identity = identity_of(plan.source, settings=_settings(plan), network=_network(interpolator))
    return WorkFolder(plan.target.path, identity, resume=plan.resume)


def _settings(plan: Plan) -> Json:
    """What decides about a plan's frames, wherever its files lie."""
    placed = replace(plan, target=replace(plan.target, path=Path(plan.target.path.name)))
    return {each.name: to_json(getattr(placed, each.name)) for each in fields(Plan) if each.name not in _IRRELEVANT}


def _network(interpolator: Interpolator) -> str:
    return f"{interpolator.weights} on {interpolator.device} in {interpolator.precision}"
