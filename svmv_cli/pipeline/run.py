"""A Plan carried out: decode, see, window, interpolate, encode, check what came of it. Decides nothing."""

import time
from functools import partial
from pathlib import Path

from svmv_cli.errors import OutputError
from svmv_cli.media.frame import Frame
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.inputs import open_reader
from svmv_cli.media.outputs import measure_output, place_of
from svmv_cli.media.pictures import working_format
from svmv_cli.media.writer import WrittenInfo
from svmv_cli.pipeline.carried import lost_tags_note
from svmv_cli.pipeline.damage import assess, broken, nothing_decoded
from svmv_cli.pipeline.outputs import Output, open_output, undone_by_errors
from svmv_cli.pipeline.plan import Plan
from svmv_cli.pipeline.prefetch import prefetch
from svmv_cli.pipeline.report import Progress, Report, Tally
from svmv_cli.pipeline.stages import make_frames
from svmv_cli.pipeline.windows import Interpolator

_DEPTH = 8  # frames each thread runs ahead


def run(plan: Plan, *, info: MediaInfo, interpolator: Interpolator, progress: Progress) -> Report:
    """Make the output file.

    Args:
        plan: what to do.
        info: the source, as probed for the plan.
        interpolator: makes the new pictures.
        progress: is told of every frame written.

    Raises:
        DamagedError: the source is damaged and the plan strict; no file is left.
        InputError: no picture could be decoded.
        OutputError: the file could not be written, or is not what was planned.
        DeviceError: the device failed or ran out of memory.
    """
    began = time.perf_counter()
    with open_output(plan, info, interpolator) as output:
        progress.skip(output.resumed_frames)
        if output.complete:
            progress.note("all segments are finished; they are joined")
        else:
            if output.resumed:
                progress.note(f"going on at segment {output.resumed + 1} of {plan.segments}")
            _make(plan, info, interpolator, output, progress)
        total = output.total
        written = output.finish(partial(_verify, plan, total))
    damage = assess(plan, total, others=written.damaged_others)
    found = (*damage.notes, *lost_tags_note(written.lost_tags))
    for note in found:
        progress.note(note)
    seconds = time.perf_counter() - began
    return Report(
        status="damaged" if damage.partial else "ok",
        source=plan.source,
        output=plan.target.path,
        frames_in=total.frames,
        frames_out=written.frames,
        frames_made=total.made,
        frames_held=total.held,
        duplicates=total.duplicates,
        late=total.late,
        damaged=damage.packets,
        damaged_others=damage.others,
        lost=damage.lost,
        cuts=tuple(plan.target.clock.to_output(cut) for cut in total.cuts),
        duration=written.duration,
        rate=plan.target.rate,
        segments=plan.segments,
        segments_resumed=output.resumed,
        seconds=round(seconds, 3),
        fps=round((written.frames - output.resumed_frames) / seconds, 3),
        bytes=written.bytes,
        model=interpolator.name,
        device=interpolator.device,
        precision=interpolator.precision,
        encoder=plan.target.encoder,
        pix_fmt=plan.target.pix_fmt,
        streams=plan.target.streams,
        lost_tags=written.lost_tags,
        notes=(*plan.notes, *found),
    )


def _make(plan: Plan, info: MediaInfo, interpolator: Interpolator, output: Output, progress: Progress) -> None:
    """The frames that are still to be made, into the output."""
    (start, stop), begin = plan.clip, output.begin
    if begin is not None:
        # A frame of a constant rate may have been stored a little before its place.
        start = begin.since - (1 / plan.source_rate if plan.source_rate else 0)
    with (
        open_reader(
            info,
            pix_fmt=working_format(plan.target.pix_fmt).name,
            start=start,
            stop=stop,
            deinterlace=plan.deinterlace,
        ) as reader,
        prefetch(reader, _DEPTH, name="decode") as decoded,
        prefetch(
            make_frames(decoded, plan, interpolator, joints=output.joints, begin=begin), _DEPTH, name="make"
        ) as made,
        undone_by_errors(output),
    ):
        for item in made:
            if plan.strict and reader.damaged:
                raise broken(plan, packets=reader.damaged, lost=0)
            if isinstance(item, Frame):
                output.write(item)
                progress.advance(1)
                continue
            if item.resume is None:  # the reader is through
                item.tally.add(Tally(damaged=reader.untold[0], late=reader.untold[1]))
            output.end_segment(item)
        if not reader.decoded:
            raise nothing_decoded(plan)


def _verify(plan: Plan, total: Tally, part: Path, written: WrittenInfo) -> None:
    """Read the complete file back. One that is not what was planned does not get the output's name."""
    damage = assess(plan, total, others=written.damaged_others)
    found = measure_output(plan.target, part)
    frames, duration = plan.frames_out, plan.duration
    if damage.lost or frames is None or duration is None:
        # With pictures lost, there may be as many fewer; how many came is known of the frames that were written.
        frames, duration = written.frames, written.duration
    # A grid may reach over the end by less than a step; a TS does not say how long its last picture lasts.
    step = plan.step
    if plan.target.container == "mpegts":
        step = max(step, plan.tail * plan.target.clock.stretch)
    counted = found.frames <= written.frames if found.merged else found.frames == written.frames
    timed = abs(found.duration - duration) <= step or (found.merged and found.frames == 1)  # it never changes
    if counted and timed and written.frames == frames:
        return
    place = place_of(plan.target)
    aside = part.with_name(f"{place.name}.unverified")
    part.replace(aside)
    raise OutputError(
        f"the output holds {found.frames} frames in {float(found.duration):.3f} s, "
        f"planned were {frames} in {float(duration):.3f} s",
        hint=f"It was set aside as {aside}. Please report this.",
    )
