"""`svmv evaluate`: how well frames that were taken out are predicted, beside other methods. Knows no metrics."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svmv_cli.lab_rivals import RIVALS, named, programs_of, rival_methods

if TYPE_CHECKING:
    import torch

    from svmv.training.evaluation import ClipScores, Figures, Method

_WORST = 20
_STEPS = {"2x": 2, "4x": 4, "8x": 8}


def evaluate(
    paths: Annotated[list[Path], typer.Argument(metavar="CLIP_OR_DIR...", help="Videos or folders of them.")],
    protocol: Annotated[str, typer.Option(help="2x, 4x or 8x: every 2nd, 4th or 8th frame is kept.")] = "2x",
    against: Annotated[str, typer.Option(help=f"{', '.join(RIVALS)}; all; or none.")] = "repeat,linear",
    rival: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COMMAND",
            help="A program of yours to measure, too: it makes {count} pictures in the folder {out} of those in {in}.",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="A shipped model or a .safetensors file.")] = "base",
    device: Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, fp16 or bf16.")] = "auto",
    max_frames: Annotated[int | None, typer.Option(help="Only the beginning of each clip.")] = None,
    every: Annotated[int, typer.Option(help="Only each K-th gap, for a quick look.")] = 1,
    save_worst: Annotated[
        Path | None, typer.Option(help=f"A folder for sheets of the {_WORST} worst frames and PSNR plots.")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="One line per clip and method.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object on stdout.")] = False,
) -> None:
    """Take frames out of videos, predict them, and compare with the truth and with other methods.

    PSNR and SSIM on 8-bit RGB, a temporal figure (PSNR of the changes between predicted frames), and the gradient
    energy over the truth's. Means over clips, by motion group and overall.
    """
    from svmv_cli import terminal
    from svmv_cli.errors import InputError, UsageError
    from svmv_cli.media.clips import find_clips, read_clip

    if protocol not in _STEPS:
        raise UsageError(f"no protocol {protocol!r}", hint="One of 2x, 4x, 8x.")

    from svmv.training.evaluation import evaluate_clip
    from svmv_cli.lab_report import WorstFrames, plot_psnr, require_matplotlib

    wanted, programs = named(against), programs_of(rival or ())
    worst = WorstFrames(_WORST)
    if save_worst is not None:
        require_matplotlib()
        wanted += [] if "linear" in wanted else ["linear"]
    network, chosen = _network(model, device=device, precision=precision)
    rivals, meter = rival_methods(wanted)
    rivals += programs
    scores: list[ClipScores] = []
    for path in find_clips(paths):
        try:
            clip = read_clip(path, limit=max_frames)
            scored = evaluate_clip(
                path.name,
                clip,
                [network, *rivals],
                step=_STEPS[protocol],
                every=every,
                device=chosen,
                meter=meter,
                watch=worst.show if save_worst is not None else lambda _: None,
            )
        except (InputError, ValueError) as error:
            terminal.say(f"{path.name} is left out: {error}")
            continue
        scores.append(scored)
        terminal.say(f"{path.name}: {'  '.join(f'{m} {scored.mean(m).psnr:.2f}' for m in scored.frames)} dB")
    if not scores:
        raise InputError("nothing could be evaluated")
    _tell(scores, protocol=protocol, as_json=as_json)
    if csv_file is not None:
        _write_csv(scores, csv_file)
    if save_worst is not None:
        worst.save(save_worst)
        for one in scores:
            plot_psnr(save_worst / f"psnr_{Path(one.name).stem}.png", one)
        terminal.say(f"worst frames and plots: {save_worst}")


def _network(model: str, *, device: str, precision: str) -> "tuple[Method, torch.device]":
    import svmv
    from svmv.training.evaluation import Ours
    from svmv_cli import terminal
    from svmv_cli.errors import ModelError
    from svmv_cli.pipeline.devices import DTYPES, choose_precision, open_device

    chosen = open_device(device, tell=terminal.say)
    dtype = DTYPES[choose_precision(precision, chosen)]
    try:
        return Ours(svmv.ready(svmv.load(model), chosen, dtype), chosen), chosen
    except ValueError as error:
        raise ModelError(str(error), hint="--model takes a shipped name or a .safetensors file.") from error


def _tell(scores: "list[ClipScores]", *, protocol: str, as_json: bool) -> None:
    from rich.table import Table

    from svmv.training.evaluation import by_group, overall
    from svmv_cli import terminal

    table = Table("clips", "method", "PSNR dB", "SSIM", "temporal dB", "sharpness", title=f"protocol {protocol}")
    data: dict[str, Any] = {"protocol": protocol, "clips": [_record(clip) for clip in scores], "groups": {}}
    for group, members in {**by_group(scores), "all": scores}.items():
        figures = overall(members)
        data["groups"][group] = {"clips": len(members), **{m: asdict(f) for m, f in figures.items()}}
        for number, (method, mean) in enumerate(figures.items()):
            table.add_row(f"{group} ({len(members)})" if number == 0 else "", method, *_cells(mean))
        table.add_section()
    terminal.stderr().print(table)
    if as_json:
        terminal.print_json(data)


def _cells(mean: "Figures") -> tuple[str, ...]:
    temporal = "–" if math.isnan(mean.temporal) else f"{mean.temporal:.2f}"  # with --every there is none
    return f"{mean.psnr:.2f}", f"{mean.ssim:.4f}", temporal, f"{mean.sharpness:.3f}"


def _record(clip: "ClipScores") -> dict[str, Any]:
    methods = {method: asdict(clip.mean(method)) for method in clip.frames}
    return {"clip": clip.name, "group": clip.group, "motion": clip.motion, "frames": len(clip.dropped), **methods}


def _write_csv(scores: "list[ClipScores]", path: Path) -> None:
    import csv

    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(
            ["clip", "group", "motion_px", "frames", "method", "psnr", "ssim", "ssim_3d", "temporal", "sharpness"]
        )
        for clip in scores:
            for method in clip.frames:
                head = [clip.name, clip.group, f"{clip.motion:.2f}", len(clip.dropped), method]
                figures = asdict(clip.mean(method)).values()
                rows.writerow([*head, *("" if math.isnan(value) else f"{value:.5f}" for value in figures)])
