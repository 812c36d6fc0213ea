"""Every decision about one file, made before the first frame. Decodes nothing and writes nothing."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from svmv_cli.errors import DamagedError, InputError, OutputError
from svmv_cli.media.bare import PIPE, bare_choice, is_row
from svmv_cli.media.fields import Deinterlace
from svmv_cli.media.info import MediaInfo, Span
from svmv_cli.media.outputs import choose_output
from svmv_cli.media.target import Target
from svmv_cli.pipeline import naming
from svmv_cli.pipeline.carried import stream_notes
from svmv_cli.pipeline.extent import Extent, earliest, find_extent
from svmv_cli.pipeline.interlaced import as_read, deinterlace_for, interlaced_notes
from svmv_cli.pipeline.pace import Timing, choose_timing, notes_on_closeness
from svmv_cli.pipeline.request import Request
from svmv_cli.pipeline.room import check_room, estimate
from svmv_cli.pipeline.segments import count_segments
from svmv_cli.pipeline.shots import ShotSettings
from svmv_cli.timeline import Clock, Grid, Phases

_ENDLESS = 1000  # frames for each picture: a leap in the timestamps, not a slow film


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done to one file."""

    source: Path
    source_size: int  # bytes
    mode: Literal["factor", "fps", "slow"]
    source_rate: Fraction | None  # frames/s it keeps; None means a variable rate
    first: Fraction  # s, source clock: the first picture
    tail: Fraction  # s, source time: how long the last picture is shown
    clip: Span  # s, source clock, half-open
    timing: Grid | Phases
    target: Target
    shots: ShotSettings
    deinterlace: Deinterlace
    frames_in: int | None  # None: the source is a pipe, whose end is not known
    frames_out: int | None  # likewise
    duration: Fraction | None  # s, of the output's picture; likewise
    missing: int  # frames that the header or the rate promises and a damaged file does not hold
    estimated_bytes: int | None  # likewise
    model: str
    device: str
    precision: str
    scale: float
    batch: int | None
    segments: int  # pieces the film is made in; each that is finished outlives a run that is stopped
    resume: bool
    keep_work: bool
    overwrite: bool
    strict: bool
    notes: tuple[str, ...]  # for the user

    @property
    def step(self) -> Fraction:
        """From one frame of the output to the next, s; the mean where the rate varies."""
        if self.target.rate is not None:
            return 1 / self.target.rate
        if self.duration is None or not self.frames_out:
            raise ValueError("a pipe has a constant rate")
        return self.duration / self.frames_out

    @property
    def grid(self) -> Grid | None:
        """Where the source's frames belong, s on its clock; None for a variable rate."""
        return Grid(self.first, self.source_rate) if self.source_rate else None


def check_request(request: Request) -> None:
    """Refuse an output that must not be written, before the input is even opened.

    Raises:
        InputError: the input is not there.
        OutputError: the output is the input, exists, or lies where nothing can be written.
    """
    source = request.source
    if not (source == PIPE or is_row(source) or source.exists()):
        if source.is_symlink():
            raise InputError(f"{source} is a link to {source.readlink()}, which does not exist")
        raise InputError(f"{source} does not exist", hint="Check the name.")
    _check_path(request, naming.output_path(request))


def make_plan(request: Request, info: MediaInfo, *, binding: bool = True) -> Plan:
    """Decide everything about one file.

    Args:
        request: what was asked for.
        info: the source, as probed.
        binding: refuse an output that could not be written, and what `strict` refuses; False only looks.

    Raises:
        UsageError: the options do not fit the file.
        OutputError: the output must not or cannot be written, or the disk has no room for it.
        UnsupportedError: the container cannot hold what was asked for.
        DamagedError: the file is damaged, and the request is strict.
        InputError: the file is interlaced, and that is to be refused.
    """
    how = deinterlace_for(request.deinterlace, info, binding=binding)
    request, info = as_read(request, info, how)
    extent = find_extent(request, info)
    timing = choose_timing(request, info, extent, bare_choice(naming.output_path(request)))
    torn = bool(extent.missing or info.video.torn)
    missing = max(extent.missing, extent.holes) if torn else 0
    if binding and torn and request.strict:
        held = len(info.video.packet_times)
        raise DamagedError(
            f"{info.path} is damaged: it holds {held} of {held + missing} frames, {info.video.torn} packets are broken",
            hint="Without --strict, what can be made of it is kept.",
        )
    clock = Clock(_origin(info, extent), Fraction(timing.stretch))
    target, notes = _choose_target(request, info, timing=timing, extent=extent, clock=clock, binding=binding)
    frames = _frames_out(timing.rule, extent)
    segments = _segments(request, info, extent, target, frames=frames)
    plan = Plan(
        source=info.path,
        source_size=info.size,
        mode="slow" if request.slow else "fps" if request.fps else "factor",
        source_rate=extent.rate,
        first=extent.first,
        tail=extent.tail,
        clip=extent.clip,
        timing=timing.rule,
        target=target,
        shots=request.shots,
        deinterlace=how,
        frames_in=extent.frames,
        frames_out=frames,
        duration=None if extent.length is None else extent.length * timing.stretch,
        missing=missing,
        estimated_bytes=estimate(info, target, frames_in=extent.frames, frames_out=frames, segments=segments),
        model=request.model,
        device=request.device,
        precision=request.precision,
        scale=request.scale,
        batch=request.batch,
        segments=segments,
        resume=request.resume,
        keep_work=request.keep_work,
        overwrite=request.overwrite,
        strict=request.strict,
        notes=(
            *notes,
            *timing.notes,
            *notes_on_closeness(timing, info, extent, target.path),
            *target.notes,
            *stream_notes(target, chapters=info.chapters),
            *interlaced_notes(info, how),
            *_one_piece(request, info, target),
            *_warnings(request, info, holes=0 if torn else extent.holes, variable=extent.rate is None),
        ),
    )
    if binding:
        check_room(target.path, plan.estimated_bytes)
        naming.check_leftovers(target.path, frames=frames)
    return plan


def _origin(info: MediaInfo, extent: Extent) -> Fraction:
    """The source time that becomes 0: one for all streams, so that sound stays where it was."""
    start = extent.clip[0]
    # A file's rounded times may put the first picture's exact one in front of the start: by less than a tick.
    return earliest(info) if start is None else min(start, extent.first)


def _segments(request: Request, info: MediaInfo, extent: Extent, target: Target, *, frames: int | None) -> int:
    """In how many pieces the picture is made."""
    if extent.frames is None or extent.length is None or frames is None or not _can_be_cut(info, target):
        return 1
    return count_segments(
        frames_in=extent.frames,
        frames_out=frames,
        pixels=target.width * target.height,
        length=extent.length,
        asked=request.segment,
    )


def _can_be_cut(info: MediaInfo, target: Target) -> bool:
    """Whether there can be segments: only files can be taken up again in the middle, and only they are joined."""
    return info.is_file and bare_choice(target.path) is None


def _one_piece(request: Request, info: MediaInfo, target: Target) -> tuple[str, ...]:
    if request.segment and not _can_be_cut(info, target):
        return ("--segment has no effect: pictures, pipes and animations are made in one go",)
    return ()


def _frames_out(timing: Grid | Phases, extent: Extent) -> int | None:
    length = extent.length
    if extent.frames is None or extent.end is None or length is None:
        return None
    if not isinstance(timing, Grid):
        return extent.frames * timing.factor
    if length * timing.rate > _ENDLESS * (extent.frames + 100):
        raise InputError(
            f"the timestamps leap: {extent.frames} pictures would be spread over {float(length):.0f} s",
            hint="The file may be damaged: cut it in front of the leap with --end, or use --factor.",
        )
    return timing.count(extent.first, extent.end)


def _choose_target(
    request: Request, info: MediaInfo, *, timing: Timing, extent: Extent, clock: Clock, binding: bool
) -> tuple[Target, tuple[str, ...]]:
    """The target under the asked-for name, or under the default name in a container that holds everything."""

    def choose(path: Path) -> Target | OutputError:
        if binding:
            _check_path(request, path)
        try:
            notes_on_closeness(timing, info, extent, path)
            return choose_output(
                info,
                path=path,
                codec=request.codec,
                encoder=request.encoder,
                crf=request.crf,
                preset=request.preset,
                pix_fmt=request.pix_fmt,
                rate=timing.rate,
                clock=clock,
                clip=extent.clip,
                slow_audio=request.slow_audio,
            )
        except OutputError as error:
            return error

    path = naming.output_path(request)
    own = choose(path)
    fallback = naming.output_path(request, suffix=naming.FALLBACK_SUFFIX)
    if path != fallback and (isinstance(own, OutputError) or _dropped(own)):
        wider = choose(fallback)
        if isinstance(wider, Target) and (isinstance(own, OutputError) or _dropped(wider) < _dropped(own)):
            return wider, (f"the output is {fallback.suffix}: {path.suffix} cannot hold all of it",)
    if isinstance(own, OutputError):
        raise own
    suffix = request.source.suffix.lower()
    if request.output is None and path.suffix != suffix:
        return own, (f"the output is {path.suffix}: {suffix or 'such'} files are not written",)
    return own, ()


def _dropped(target: Target) -> int:
    return sum(stream.action == "drop" for stream in target.streams)


def _check_path(request: Request, path: Path) -> None:
    naming.check_output(
        path,
        source=request.source,
        overwrite=request.overwrite,
        make_folder=request.output_dir is not None,
    )


def _warnings(request: Request, info: MediaInfo, *, holes: int, variable: bool) -> tuple[str, ...]:
    found: list[str] = []
    if info.row is not None and request.input_rate is None:
        found.append(f"{info.video.rate_claimed} pictures per second are assumed: --input-fps sets another rate")
    if info.joins:
        found.append(f"{len(info.joins) + 1} recordings lie one behind the other, each with a clock of its own: joined")
    if info.video.leading:
        found.append(f"the source begins in mid-scene: its first {info.video.leading} pictures cannot be decoded")
    if variable and request.shots.even:
        found.append("--dedup even changes nothing: at a variable rate each picture keeps its time")
    if holes:
        found.append(f"{holes} pictures are missing from the source's constant rate and are bridged")
    return tuple(found)
