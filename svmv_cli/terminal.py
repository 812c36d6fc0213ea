"""How the command talks: plans, summaries and errors on stderr, data on stdout. Knows no video."""

import json
import math
import sys
import traceback
from collections.abc import Sequence
from fractions import Fraction

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from svmv_cli.errors import SvmvError
from svmv_cli.media.info import SITINGS, MediaInfo, VideoInfo
from svmv_cli.media.target import Target
from svmv_cli.pipeline.batch import Outcome
from svmv_cli.pipeline.inventory import Inventory
from svmv_cli.pipeline.plan import Plan
from svmv_cli.pipeline.records import Json, to_json
from svmv_cli.pipeline.report import Report

_WIDE = 400  # columns


def stderr() -> Console:
    """A console for talk; made anew each time, so that it follows a redirected stderr."""
    return _console(to_stderr=True)


def _stdout() -> Console:
    return _console(to_stderr=False)


def _console(*, to_stderr: bool) -> Console:
    console = Console(stderr=to_stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDE  # a log has no edge to fold a table at
    return console


def say(text: str) -> None:
    """One line of talk."""
    stderr().print(escape(text))


def print_error(error: SvmvError, *, source: str | None = None, debug: bool = False) -> None:
    """One sentence and, where there is one, the remedy.

    Args:
        error: what went wrong.
        source: the file it went wrong with, named unless the sentence does.
        debug: print the traceback first.
    """
    if debug:
        traceback.print_exception(error)
    where = f"{source}: " if source and source not in error.message else ""
    stderr().print(f"[red]svmv:[/red] {escape(where + error.message)}")
    for more in remarks(error):
        stderr().print(f"      {escape(more)}")


def remarks(error: SvmvError) -> list[str]:
    """The remedy of an error, and what was noted on its way."""
    return [*([error.hint] if error.hint else []), *getattr(error, "__notes__", ())]


def print_json(data: Json) -> None:
    r"""The one object on stdout. Numbers that JSON has no word for, as of what was not measured, become null.

    It is ASCII, and so UTF-8 in every locale. A byte of a file's name that is not UTF-8, 0x80 to 0xff, is the escape
    `\udc80` to `\udcff`, as Python's `os.fsdecode` has it.
    """
    print(json.dumps(_finite(data), indent=2, allow_nan=False), file=sys.stdout, flush=True)


def _finite(data: Json) -> Json:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def clock(seconds: float) -> str:
    """A duration as M:SS or H:MM:SS."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def print_plan(plan: Plan) -> None:
    """What would be done, for --dry-run."""
    table = Table.grid(padding=(0, 2))
    target = plan.target
    for name, text in (
        ("input", f"{plan.source} ({_size(plan.source_size)})"),
        ("output", str(target.path)),
        ("frames", _frames(plan)),
        ("rate", f"{_rate(plan.source_rate)} in, {_rate(target.rate)} out"),
        ("duration", "as long as the pipe" if plan.duration is None else f"{float(plan.duration):.3f} s"),
        ("picture", f"{target.width}x{target.height} {target.pix_fmt}, {target.codec} by {target.encoder}"),
        ("network", f"{plan.model} on {plan.device}, {plan.precision}"),
        *(("stream", line) for line in _stream_lines(target)),
        ("segments", str(plan.segments)),
        ("disk", "not known" if plan.estimated_bytes is None else f"about {_size(plan.estimated_bytes)}"),
        *(("note", note) for note in plan.notes),
    ):
        table.add_row(name, escape(text))
    stderr().print(table)


def _frames(plan: Plan) -> str:
    return "as many as come" if plan.frames_in is None else f"{plan.frames_in} in, {plan.frames_out} out"


def print_report(report: Report) -> None:
    """One line of result, and one for all that was not ordinary."""
    say(
        f"{report.output}: {report.frames_in} frames became {report.frames_out} ({_rate(report.rate)}), "
        f"{float(report.duration):.3f} s, {_size(report.bytes)}, in {clock(report.seconds)} on {report.device}"
    )
    counted = (
        (report.segments_resumed, "segments from an earlier run"),
        (len(report.cuts), "cuts, held"),
        (report.duplicates, "repeated frames"),
        (report.late, "frames out of order, left out"),
    )
    extra = ", ".join(f"{count} {what}" for count, what in counted if count)
    if extra:
        say(f"      {extra}")


def print_skipped(one: Outcome) -> None:
    """That there was nothing to do."""
    say(f"{one.source}: skipped, {one.skipped}")


def print_damage(report: Report) -> None:
    """That the output is not the whole of the input, where it is not. An error, told even to those who want quiet."""
    if report.status == "damaged":
        come = f"{report.frames_in} of {report.frames_in + report.lost} pictures could be read"
        stderr().print(f"[red]svmv:[/red] {escape(str(report.source))} is damaged: {come}")
        stderr().print(f"      {escape(str(report.output))} holds what could be made of them")


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """A table of every file of a batch."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("input", "result", "frames", "output"):
        table.add_column(column, overflow="fold")
    for one in outcomes:
        table.add_row(escape(one.source.name), *(escape(cell) for cell in _cells(one)))
    stderr().print(table)


def _cells(one: Outcome) -> tuple[str, str, str]:
    if one.error is not None:
        return "failed", "", one.error.message
    if one.report is not None:
        return one.report.status, str(one.report.frames_out), str(one.report.output)
    if one.plan is not None:
        return "planned", str(one.plan.frames_out or ""), str(one.plan.target.path)
    return "skipped", "", ""


def outcome_json(one: Outcome) -> Json:
    """The object that --json prints for one file."""
    if one.error is not None:
        error: dict[str, Json] = {"message": one.error.message, "hint": " ".join(remarks(one.error)) or None}
        base: dict[str, Json] = {"status": "failed", "source": str(one.source)}
        return {**base, "exit_code": int(one.exit_code), "error": error}
    if one.skipped:
        return {"status": "skipped", "source": str(one.source), "exit_code": int(one.exit_code), "reason": one.skipped}
    record = to_json(one.report if one.report is not None else one.plan)
    if not isinstance(record, dict):
        raise TypeError("an outcome without error that was not skipped has a report or a plan")
    return {"status": "planned", **record, "exit_code": int(one.exit_code)}


def outcomes_json(outcomes: Sequence[Outcome], *, exit_code: int) -> Json:
    """The one object that --json prints: of a single file its own, of several one with "files"."""
    files = [outcome_json(one) for one in outcomes]
    if len(files) == 1:
        return files[0]
    return {"status": "failed" if exit_code else "ok", "exit_code": exit_code, "files": files}


def print_inventory(inventory: Inventory) -> None:
    """`svmv info` without a file."""
    table = Table.grid(padding=(0, 2))
    versions = f"Python {inventory.python}, torch {inventory.torch}, PyAV {inventory.av}"
    table.add_row("svmv", f"{inventory.version} ({versions})")
    for device in inventory.devices:
        memory = f", {_size(device.memory)}" if device.memory else ""
        table.add_row("device", f"{device.name}: {escape(device.label)}{memory} ({', '.join(device.precisions)})")
    for codec in inventory.codecs:
        table.add_row("codec", f"{codec.name}: {', '.join(codec.encoders) or 'no encoder opens here'}")
    for model in inventory.models:
        table.add_row("model", f"{model} (the default)" if model == inventory.model else model)
    _stdout().print(table)
    if inventory.model_card:
        _stdout().print("\n" + inventory.model_card.strip(), markup=False)


def print_media(plan: Plan, info: MediaInfo) -> None:
    """`svmv info FILE`: what it carries and what upsampling would keep."""
    video, target, rate = info.video, plan.target, plan.source_rate
    table = Table.grid(padding=(0, 2))
    table.add_row("file", escape(f"{info.path} ({info.format}, {_size(info.size)})"))
    woven = ", interlaced" if video.fields.interlaced else ""
    table.add_row("picture", f"{video.codec} {video.width}x{video.height} {video.pix_fmt}{woven}")
    table.add_row("colour", _color(video))
    table.add_row("time", f"{_span(plan)}, {_rate(rate)}")
    if video.display_matrix:
        table.add_row("rotation", f"{video.rotation}°" if video.rotation else "mirrored")
    if info.chapters:
        table.add_row("chapters", str(info.chapters))
    for line in _stream_lines(target):
        table.add_row("stream", escape(line))
    for note in plan.notes:
        table.add_row("note", escape(note))
    _stdout().print(table)


def _color(video: VideoInfo) -> str:
    """Colour tags in the names users know, ITU-T H.273's numbers where there is none."""
    color = video.color
    known = {0: "RGB", 1: "BT.709", 5: "BT.601", 6: "BT.601", 9: "BT.2020"}
    curves = {1: "BT.709", 6: "BT.601", 13: "sRGB", 14: "BT.2020", 15: "BT.2020", 16: "PQ", 18: "HLG"}
    untagged = {2: "untagged"}
    parts = [
        f"matrix {(known | untagged).get(color.matrix, color.matrix)}",
        f"primaries {(known | untagged).get(color.primaries, color.primaries)}",
        f"transfer {(curves | untagged).get(color.transfer, color.transfer)}",
        "full range" if color.full_range else "limited range",
    ]
    if color.chroma_location:
        parts.append(f"chroma {SITINGS[color.chroma_location - 1]}")
    if video.hdr.mastering or video.hdr.light:
        parts.append("HDR10 mastering data")
    return ", ".join(parts)


def _span(plan: Plan) -> str:
    if plan.frames_in is None or plan.duration is None:
        return "as many frames as come"
    return f"{plan.frames_in} frames, {float(plan.duration):.3f} s"


def _stream_lines(target: Target) -> list[str]:
    words = {"copy": "kept", "encode": "converted", "drop": "not kept"}
    lines = []
    for stream in target.streams:
        how = f" to {stream.encoder}" if stream.encoder else ""
        why = f" ({stream.reason})" if stream.reason else ""
        lines.append(f"{stream.index} {stream.kind} {stream.codec}: {words[stream.action]}{how}{why}")
    return lines


def _rate(rate: Fraction | None) -> str:
    if rate is None:
        return "variable rate"
    return f"{float(rate):.3f}".rstrip("0").rstrip(".") + " fps"


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
