"""`svmv train`: a folder of videos in, weights out. Knows no losses and no codecs."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from svmv import SVMV
    from svmv.training.config import Schedule
    from svmv.training.data import RealSource


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
    seed: Annotated[int, typer.Option(help="The same seed draws the same batches.")] = 0,
) -> None:
    """Train the network on your own footage; shots are cut apart, stills and repeats left out.

    The run's folder gets weights.safetensors (for `svmv upsample --model`), state.pt (to go on) and metrics.jsonl.
    """
    from svmv_cli import terminal
    from svmv_cli.errors import DeviceError, InputError, UsageError

    if (steps is None) == (minutes is None):
        raise UsageError("say how long to train", hint="Give either --steps or --minutes.")
    if crop < 64 or crop % 64:
        raise UsageError(f"--crop must be a multiple of 64, not {crop}")

    from svmv.training.loop import DivergedError, Trainer
    from svmv_cli.pipeline.interpolate import choose_device

    chosen = choose_device(device)
    scratch = start == "scratch"
    network = _network(start)
    real = _footage(data, output / "clips", say=terminal.say)
    crop = min(crop, real.largest_crop // 64 * 64)
    if crop == 0:
        raise InputError("the footage is too small to train on", hint="It takes pictures of at least 64x64.")
    schedule = _schedule(
        steps=steps, minutes=minutes, batch=batch, crop=crop, rate=rate or (5e-4 if scratch else 1e-4), seed=seed
    )
    trainer = Trainer(network, schedule, output, real=real, device=chosen, say=terminal.say)
    if trainer.resume():
        terminal.say(f"going on at step {trainer.step}")
    try:
        trainer.run()
    except DivergedError as error:
        raise DeviceError(str(error)) from error
    except ValueError as error:
        raise InputError(str(error)) from error
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


def _schedule(*, steps: int | None, minutes: float | None, batch: int, crop: int, rate: float, seed: int) -> "Schedule":
    from svmv.training.config import Schedule

    sizes = ((0.0, 128), (0.25, 192), (0.7, 256))
    crops = tuple((part, size) for part, size in sizes if size <= crop) or ((0.0, crop),)
    length = Schedule().steps if steps is None else steps
    return Schedule(steps=length, minutes=minutes, batch=batch, crops=crops, learning_rate=rate, seed=seed)


def _footage(data: list[Path], folder: Path, *, say: "Callable[[str], None]") -> "RealSource":
    """The clips, decoded once: a store in the run's folder is used again while the files it came from are the same."""
    from svmv.training.data import ClipStore, RealSource
    from svmv_cli.errors import InputError
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
    try:
        return RealSource(clips)
    except ValueError as error:
        raise InputError(str(error), hint="It takes a moving shot of at least seven frames.") from error
