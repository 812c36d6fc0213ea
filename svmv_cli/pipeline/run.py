"""A Plan carried out: decode, see, window, interpolate, encode, check what came of it. Decides nothing."""

import time
from fractions import Fraction
from functools import partial
from pathlib import Path

from svmv_cli.errors import DamagedError, OutputError
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.pictures import working_format
from svmv_cli.media.reader import VideoReader
from svmv_cli.media.verify import measure
from svmv_cli.media.writer import VideoWriter, WrittenInfo
from svmv_cli.pipeline.plan import Plan
from svmv_cli.pipeline.prefetch import prefetch
from svmv_cli.pipeline.report import Progress, Report, Tally
from svmv_cli.pipeline.stages import SegmentEnd, make_frames
from svmv_cli.pipeline.windows import Interpolator

_DEPTH = 8  # frames each thread runs ahead
_LOST_UNSEEN = 200  # one picture in so many may fail to come without any other sign of damage


def run(plan: Plan, *, info: MediaInfo, interpolator: Interpolator, progress: Progress) -> Report:
    """Make the output file.

    Args:
        plan: what to do.
        info: the source, as probed for the plan.
        interpolator: makes the new pictures.
        progress: is told of every frame written.

    Raises:
        DamagedError: the source yielded less than it declared, and that was not allowed; no file is left.
        OutputError: the file could not be written, or is not what was planned.
        DeviceError: the device failed or ran out of memory.
    """
    began = time.perf_counter()
    total = Tally()
    start, stop = plan.clip
    plan.target.path.parent.mkdir(parents=True, exist_ok=True)
    with (
        VideoReader(info, pix_fmt=working_format(plan.target.pix_fmt).name, start=start, stop=stop) as reader,
        prefetch(reader, _DEPTH, name="decode") as decoded,
        prefetch(make_frames(decoded, plan, interpolator, joints=()), _DEPTH, name="make") as made,
        VideoWriter(plan.target, info, overwrite=plan.overwrite) as writer,
    ):
        for item in made:
            if isinstance(item, SegmentEnd):
                total.add(item.tally)
                continue
            _check_unbroken(plan, reader)
            writer.write(item)
            progress.advance(1)
        total.add(Tally(damaged=reader.untold[0], late=reader.untold[1]))
        whole = _check_whole(plan, total)
        written = writer.finish(partial(_verify, plan, whole=whole))
    seconds = time.perf_counter() - began
    return Report(
        status="ok" if whole else "damaged",
        source=plan.source,
        output=plan.target.path,
        frames_in=total.frames,
        frames_out=written.frames,
        frames_made=total.made,
        frames_held=total.held,
        duplicates=total.duplicates,
        late=total.late,
        damaged=total.damaged,
        cuts=tuple(plan.target.clock.to_output(cut) for cut in total.cuts),
        duration=written.duration,
        rate=plan.target.rate,
        seconds=round(seconds, 3),
        fps=round(written.frames / seconds, 3),
        bytes=written.bytes,
        model=interpolator.name,
        device=interpolator.device,
        precision=interpolator.precision,
        encoder=plan.target.encoder,
        pix_fmt=plan.target.pix_fmt,
        streams=plan.target.streams,
        notes=plan.notes,
    )


def _check_unbroken(plan: Plan, reader: VideoReader) -> None:
    """Stop at the first damage rather than after hours, unless a damaged result is welcome."""
    if reader.damaged and not plan.keep_partial:
        raise _damaged(plan, frames=reader.decoded, faults=reader.damaged)


def _check_whole(plan: Plan, total: Tally) -> bool:
    """Whether all frames came; raises if they did not and must."""
    lost = plan.frames_in - total.frames - total.late
    tolerated = max(1, plan.frames_in // _LOST_UNSEEN)
    if not total.frames:
        raise DamagedError(f"no frame of {plan.source} could be decoded")
    if lost <= tolerated and not total.damaged and not plan.missing:
        return True
    if not plan.keep_partial:
        raise _damaged(plan, frames=total.frames, faults=total.damaged)
    return False


def _damaged(plan: Plan, *, frames: int, faults: int) -> DamagedError:
    declared = plan.frames_in + plan.missing
    broken = f", {faults} broken packets" if faults else ""
    return DamagedError(
        f"{plan.source} is damaged: decoded {frames} of {declared} frames{broken}",
        hint="--keep-partial keeps what can be made of it.",
    )


def _verify(plan: Plan, part: Path, written: WrittenInfo, *, whole: bool) -> None:
    """Read the complete file back. One that is not what was planned does not get the output's name."""
    found = measure(part)
    planned = plan.frames_out if whole else written.frames
    step = plan.duration / plan.frames_out
    off = abs(found.duration - plan.duration) if whole else Fraction(0)
    if found.frames == written.frames == planned and off <= step:
        return
    aside = plan.target.path.with_name(f"{plan.target.path.name}.unverified")
    part.replace(aside)
    raise OutputError(
        f"the output holds {found.frames} frames in {float(found.duration):.3f} s, "
        f"planned were {planned} in {float(plan.duration):.3f} s",
        hint=f"It was set aside as {aside}. Please report this.",
    )
