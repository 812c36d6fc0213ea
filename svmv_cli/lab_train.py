"""`svmv train`: a folder of videos in, weights out. Knows no losses and no codecs."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from svmv import SVMV
    from svmv.training.config import Schedule
    from svmv.training.data import ClipEntry, ClipStore, RealSource


def train(
    data: Annotated[list[Path], typer.Option("--data", help="Videos or folders of them; may be given again.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The run's folder; an unfinished run goes on.")],
    start: Annotated[str, typer.Option("--from", help="Weights to begin with, or `scratch`.")] = "base",
    steps: Annotated[int | None, typer.Option(help="Length of the run, optimiser steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length of the run, minutes of training.")] = None,
    batch: Annotated[int, typer.Option(help="Crops per step.")] = 8,
    crop: Annotated[int, typer.Option(help="Largest crop, px; a multiple of 64.")] = 256,
    rate: Annotated[float | None, typer.Option(help="Peak learning rate [default: 1e-4, from scratch 5e-4].")] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")] = "auto",
    every: Annotated[int, typer.Option("--check-every", help="Steps between looks at held-out clips.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed draws the same batches, with --steps.")] = 0,
) -> None:
    """Train the network on your own footage; shots are cut apart, stills and repeats left out.

    The run's folder gets weights.safetensors (for `svmv upsample --model`), state.pt (to go on) and metrics.jsonl. Of
    ten shots or more every tenth is not trained on: the network is measured on those at the start, on the way and at
    the end, with pictures of the worst frames in worst/ and the learning curve in curve.png.
    """
    from svmv_cli import terminal
    from svmv_cli.errors import DeviceError, InputError, UsageError

    if (steps is None) == (minutes is None):
        raise UsageError("say how long to train", hint="Give either --steps or --minutes.")
    if crop < 64 or crop % 64:
        raise UsageError(f"--crop must be a multiple of 64, not {crop}")

    from svmv.training.config import Schedule
    from svmv.training.loop import DivergedError, Trainer
    from svmv_cli.lab_check import HeldOut, hold_out
    from svmv_cli.lab_report import plot_learning_curve
    from svmv_cli.pipeline.devices import open_device

    chosen = open_device(device, training=True, tell=terminal.say)
    scratch = start == "scratch"
    network = _network(start)
    store = _store(data, output / "clips", say=terminal.say)
    used, held = hold_out(store)
    real = _source(store, used)
    crop = min(crop, real.largest_crop // 64 * 64)
    if crop == 0:
        raise InputError("the footage is too small to train on", hint="It takes pictures of at least 64x64.")
    length = Schedule(minutes=minutes, seed=seed, batch=batch, check_every=every)
    schedule = _schedule(
        length if steps is None else replace(length, steps=steps), crop=crop, rate=rate or (5e-4 if scratch else 1e-4)
    )
    draw = _can_draw(say=terminal.say)
    trainer = Trainer(
        network,
        schedule,
        output,
        real=real,
        device=chosen,
        precision=_precision(chosen),
        check=HeldOut(store, held, output, device=chosen, draw=draw) if held else None,
        say=terminal.say,
    )
    if trainer.resume():
        terminal.say(f"going on at step {trainer.step}")
    try:
        trainer.run()
    except DivergedError as error:
        raise DeviceError(str(error)) from error
    except ValueError as error:
        raise InputError(str(error)) from error
    if draw and held:
        plot_learning_curve(output / "curve.png", output / "metrics.jsonl")
    terminal.say(f"weights: {output / 'weights.safetensors'}")


def _network(start: str) -> "SVMV":
    import svmv
    from svmv_cli.errors import ModelError

    if start == "scratch":
        return svmv.SVMV()
    try:
        return svmv.load(start)
    except ValueError as error:
        raise ModelError(str(error), hint="--from takes a shipped name, a .safetensors file, or scratch.") from error


def _schedule(length: "Schedule", *, crop: int, rate: float) -> "Schedule":
    crops = ((0.0, min(crop, 128)), (0.25, min(crop, 192)), (0.7, crop))
    return replace(length, crops=crops, learning_rate=rate)


def _precision(device: "torch.device") -> "torch.dtype":
    """bf16 where the device has it: float32's range, so no loss scaling; emulated it would be ten times slower."""
    import torch

    from svmv_cli.pipeline.devices import cpu_has_bf16

    has = torch.cuda.is_bf16_supported() if device.type == "cuda" else device.type == "cpu" and cpu_has_bf16()
    return torch.bfloat16 if has else torch.float32


def _can_draw(*, say: "Callable[[str], None]") -> bool:
    from svmv_cli.errors import UsageError
    from svmv_cli.lab_report import require_matplotlib

    try:
        require_matplotlib()
    except UsageError as error:
        say(f"no pictures: {error.message}. {error.hint}")
        return False
    return True


def _store(data: list[Path], folder: Path, *, say: "Callable[[str], None]") -> "ClipStore":
    """The clips, decoded once: a store in the run's folder is used again while the files it came from are the same."""
    import hashlib

    from svmv.training.data import ClipStore
    from svmv_cli.media.clips import find_clips
    from svmv_cli.pipeline.footage import training_clips

    videos = find_clips(data)
    facts = [(str(v.resolve()), v.stat().st_size, v.stat().st_mtime_ns) for v in videos]
    store = folder / hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    if not (store / "index.json").is_file():
        say(f"decoding {len(videos)} videos")
        ClipStore.build(store, training_clips(videos, note=say))
    clips = ClipStore(store)
    say(f"{len(clips.entries)} clips, {sum(entry.frames for entry in clips.entries)} frames")
    return clips


def _source(store: "ClipStore", entries: "list[ClipEntry]") -> "RealSource":
    from svmv.training.data import RealSource
    from svmv_cli.errors import InputError

    try:
        return RealSource(store, entries=entries)
    except ValueError as error:
        raise InputError(str(error), hint="It takes a moving shot of at least seven frames.") from error
