"""How well a network in training does on clips it is not trained on. Knows no losses."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from svmv import SVMV
    from svmv.training.data import ClipEntry, ClipStore
    from svmv.training.evaluation import Prediction

_ONE_IN = 10  # shots are held out
_GAPS = 3  # per clip
_MOST_CLIPS = 32
_SMALLEST = 64  # px
_WORST = 4  # sheets per check


def hold_out(store: "ClipStore") -> tuple[list["ClipEntry"], list["ClipEntry"]]:
    """(to train on, to check with): every tenth shot is held out, none of fewer than ten, never a tiny one.

    Clips of one shot go the same way, since they show the same things.
    """
    shots = dict.fromkeys((entry.source, entry.name) for entry in store.entries)
    tenth = set(list(shots)[_ONE_IN - 1 :: _ONE_IN])
    large = (entry for entry in store.entries if min(entry.height, entry.width) >= _SMALLEST)
    held = [entry for entry in large if (entry.source, entry.name) in tenth]
    return [entry for entry in store.entries if entry not in held], held


class HeldOut:
    """A `Check` of the training loop: 2x on held-out clips, the worst frames as sheets, the curve so far."""

    def __init__(
        self, store: "ClipStore", entries: Sequence["ClipEntry"], folder: Path, *, device: "torch.device", draw: bool
    ) -> None:
        """`folder`: the run's; `draw`: whether sheets and the curve are drawn."""
        step = max(1, len(entries) // _MOST_CLIPS)
        self._store, self._entries = store, entries[::step][:_MOST_CLIPS]
        self._folder, self._device, self._draw = folder, device, draw

    def __call__(self, model: "SVMV", step: int) -> dict[str, float]:
        """Mean PSNR over the clips, dB, and that of a linear blend."""
        import torch

        import svmv
        from svmv.training.evaluation import Method, Ours, evaluate_clip, overall
        from svmv.training.rivals import Linear
        from svmv_cli.lab_report import WorstFrames, plot_learning_curve

        worst = WorstFrames(_WORST)
        watch = worst.show if self._draw else _nobody
        methods: list[Method] = [Ours(svmv.ready(model, self._device, torch.float32), self._device), Linear()]
        scores = [
            evaluate_clip(
                entry.name,
                self._pictures(entry),
                methods,
                step=2,
                every=max(1, (entry.frames - 1) // 2 // _GAPS),
                device=self._device,
                watch=watch,
            )
            for entry in self._entries
        ]
        if self._draw:
            worst.save(self._folder / "worst" / f"step_{step:07}")
            metrics = self._folder / "metrics.jsonl"
            if metrics.exists():
                plot_learning_curve(self._folder / "curve.png", metrics)
        means = overall(scores)
        return {"held_out_psnr": means["svmv"].psnr, "held_out_linear": means["linear"].psnr}

    def _pictures(self, entry: "ClipEntry") -> "npt.NDArray[np.uint8]":
        import numpy as np
        import torch

        from svmv.training.data import to_rgb

        packed = torch.from_numpy(np.array(self._store.clip(entry)))
        return np.asarray((to_rgb(packed) * 255).round().byte())


def _nobody(_: "Prediction") -> None:
    """Watches nothing."""
