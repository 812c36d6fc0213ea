"""What each part of the method is worth: variants trained alike on a small budget, as a table and as pictures.

python benchmarks/ablation.py CLIPS VAL --work runs/ablation --steps 150

CLIPS are videos to train on, VAL videos to measure on. Every variant begins with the shipped encoder and decoder and a
fresh ensemble head, sees the same batches, and is measured on the same frames. Writes docs/ablation.md and
docs/ablation.png; a run that was stopped goes on where it was.
"""

import argparse
import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

import svmv
from svmv.model import Window
from svmv.training.config import Schedule
from svmv.training.data import ClipStore, RealSource
from svmv.training.evaluation import Figures, Ours, evaluate_clip, overall
from svmv.training.loop import Trainer
from svmv.training.losses import variances
from svmv.training.rivals import Linear
from svmv_cli.media.clips import find_clips, read_clip
from svmv_cli.pipeline.footage import training_clips

DOCS = Path(__file__).parent.parent / "docs"


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table."""

    name: str
    label: str
    members: int = 4
    frames: int = 4
    losses: dict[str, float] = field(default_factory=dict)


VARIANTS = (
    Variant("full", "**M = 4, four frames, L_BV**"),
    Variant("no-bv", "without L_BV", losses={"bv_weight": 0.0}),
    Variant("m1", "M = 1", members=1),
    Variant("m8", "M = 8", members=8),
    Variant("two-frames", "two input frames", frames=2),
)


class TwoFrames(svmv.SVMV):
    """The network with its outer frames taken away, as at the ends of a shot."""

    def decode(self, window: Window, **options: Any) -> svmv.Motion:
        """See `svmv.SVMV.decode`."""
        _, left, right, _ = window
        apart = torch.full((left.picture.shape[0], 2), math.inf, device=left.picture.device)
        return super().decode((left, left, right, right), **{**options, "spacing": apart})


def network(variant: Variant, seed: int) -> svmv.SVMV:
    """The shipped encoder and decoder, a fresh ensemble head."""
    shipped = svmv.load("base")
    torch.manual_seed(seed)
    kind = svmv.SVMV if variant.frames == 4 else TwoFrames
    made = kind(replace(shipped.config, members=variant.members))
    made.encoder.load_state_dict(shipped.encoder.state_dict())
    made.volume.load_state_dict(shipped.volume.state_dict())
    return made


def train(variant: Variant, real: RealSource, options: argparse.Namespace) -> svmv.SVMV:
    """A variant's network after its run."""
    schedule = Schedule(
        steps=options.steps,
        batch=options.batch,
        crops=((0.0, options.crop),),
        synthetic=(0.1, 0.1),
        warm_up=20,
        hold=0.5,
        ema=0.98,
        flow_weight=(0.005, 0.005),
        level_weight=(0.05, 0.05),
        refined=1.0,
    )
    folder = options.work / variant.name
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(
        network(variant, schedule.seed), replace(schedule, **variant.losses), folder, real=real, device=device
    )
    trainer.resume()
    trainer.run()
    return trainer.average


def measure(model: svmv.SVMV, clips: dict[str, np.ndarray], every: int) -> tuple[Figures, Figures]:
    """Means over the clips: ours, linear blend."""
    cpu = torch.device("cpu")
    methods = [Ours(svmv.ready(model.to(cpu), cpu, torch.float32), cpu), Linear()]
    scores = [evaluate_clip(name, clip, methods, step=2, every=every) for name, clip in clips.items()]
    means = overall(scores)
    return means["svmv"], means["linear"]


@torch.no_grad()
def seen(model: svmv.SVMV, clip: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The document's four pictures of one gap: V_s, V_e, the frame at the middle, the overlay of its neighbours."""
    middle = (len(clip) - 7) // 4 * 2
    frames = torch.from_numpy(clip[middle : middle + 7 : 2]).float()[None] / 255
    motion = model.analyze(frames)
    half = torch.tensor([0.5])
    offsets, _ = motion.trajectory(half.expand(2))
    spatial, ensemble = variances(offsets)
    made = model.synthesize(motion, half[None])[0, 0].clamp(0, 1)
    overlay = frames[0, 1:3].mean(dim=0)
    return [
        ("V_s, px² (log)", np.asarray((spatial[0] + 1e-4).log10())),
        ("V_e, px² (log)", np.asarray((ensemble[0] + 1e-4).log10())),
        ("frame at t = ½", np.asarray(made.permute(1, 2, 0))),
        ("overlay of I₀ and I₁", np.asarray(overlay.permute(1, 2, 0))),
    ]


def draw(rows: dict[str, list[tuple[str, np.ndarray]]], path: Path) -> None:
    """One row of four pictures per network."""
    canvas = Figure(figsize=(14, 2.6 * len(rows)), dpi=80)
    axes = canvas.subplots(len(rows), 4, squeeze=False)
    for line, (label, pictures) in zip(axes, rows.items(), strict=True):
        for place, (title, picture) in zip(line, pictures, strict=True):
            limits = {"vmin": -4, "vmax": 1} if picture.ndim == 2 else {}
            place.imshow(picture, cmap="magma", **limits)
            place.set_title(f"{label}: {title}", fontsize=9)
            place.set_axis_off()
    canvas.tight_layout()
    canvas.savefig(path)


def page(rows: list[tuple[Variant, Figures, float]], linear: Figures, options: argparse.Namespace) -> str:
    """docs/ablation.md."""
    best = rows[0][1].psnr
    lines = [
        "# What each part is worth",
        "",
        f"Variants trained alike: the shipped encoder and decoder, a fresh ensemble head, everything trained on for "
        f"{options.steps} steps of {options.batch} crops of {options.crop} px, the same batches for all, float32 on "
        "a CPU. Measured on the validation clips of the [model card](../models/svmv/weights/MODEL_CARD.md), protocol "
        f"2x, every {options.every}th gap. Written by `benchmarks/ablation.py`; the budget is far too small for these "
        "to be the method's limits, and steps this few favour what is simple: read the differences, not the levels.",
        "",
        "| variant | PSNR, dB | against the first | SSIM | gradient energy | V_s / V_e |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for variant, figures, ratio in rows:
        lines.append(
            f"| {variant.label} | {figures.psnr:.2f} | {figures.psnr - best:+.2f} | {figures.ssim:.4f} | "
            f"{figures.sharpness:.3f} | {'' if variant.members == 1 else f'{ratio:.2f}'} |"
        )
    blend = f"{linear.psnr:.2f} | {linear.psnr - best:+.2f} | {linear.ssim:.4f} | {linear.sharpness:.3f}"
    lines += [
        f"| linear blend | {blend} | |",
        "",
        "V_s / V_e is the median over the pixels of one gap of the local spatial variance of the offsets over their "
        "variance within the ensemble: what L_sv makes small. With M = 1 there is no ensemble to vary.",
        "",
        "![V_s, V_e, the new frame and the overlay, with and without L_BV](ablation.png)",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--every", type=int, default=8, help="of each validation clip, only every K-th gap")
    parser.add_argument("--show", type=int, default=0, help="which validation clip to draw")
    options = parser.parse_args()
    store = options.work / "clips"
    if not (store / "index.json").is_file():
        ClipStore.build(store, training_clips(find_clips([options.clips]), note=print))
    real = RealSource(ClipStore(store))
    clips = {path.name: read_clip(path) for path in find_clips([options.val])}
    shown = list(clips.values())[options.show]
    rows, pictures = [], {}
    for variant in VARIANTS:
        began = time.monotonic()
        model = train(variant, real, options)
        seconds = (time.monotonic() - began) / options.steps
        ours, linear = measure(model, clips, options.every)
        drawn = seen(model, shown)
        ratio = float(np.median(10 ** (drawn[0][1] - drawn[1][1])))
        print(f"{variant.name}: {ours.psnr:.3f} dB, linear {linear.psnr:.3f} dB, {seconds:.2f} s/step", flush=True)
        rows.append((variant, ours, ratio))
        if variant.name in {"full", "no-bv"}:
            pictures["with L_BV" if variant.name == "full" else "without"] = drawn
    draw(pictures, DOCS / "ablation.png")
    (DOCS / "ablation.md").write_text(page(rows, linear, options))


if __name__ == "__main__":
    main()
