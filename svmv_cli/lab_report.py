"""Pictures of what the lab found: the worst frames, PSNR over a clip, a run's learning curve. Knows no network."""

import heapq
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from svmv_cli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure as Canvas

    from svmv.training.evaluation import ClipScores, Prediction

    Picture = npt.NDArray[np.uint8]  # (H, W, 3)

_DPI = 100
_TITLE = 22  # px
_ERROR_GAIN = 4  # small errors must be seen: full white is a quarter of the range


def require_matplotlib() -> None:
    """Say so before hours of work if the pictures could not be drawn.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError("drawing needs matplotlib", hint="Install it with: pip install '.[lab]'") from error


class WorstFrames:
    """Keeps the predictions of lowest PSNR of all it is shown; no more than `keep` at a time."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._heap: list[tuple[float, int, str, dict[str, Picture], float]] = []
        self._seen = 0

    def show(self, prediction: "Prediction") -> None:
        """Look at a prediction; a `watch` for `evaluate_clip`. It must hold "svmv" and "linear"."""
        import numpy as np

        ours = prediction.figures["svmv"].psnr
        self._seen += 1
        if len(self._heap) == self._keep and -ours <= self._heap[0][0]:
            return
        pictures = {"truth": prediction.truth, **{name: prediction.made[name] for name in ("svmv", "linear")}}
        kept = {
            name: np.asarray((p[0].clamp(0, 1).permute(1, 2, 0).cpu() * 255).round().byte())
            for name, p in pictures.items()
        }
        name = f"{Path(prediction.clip).stem}_{prediction.frame:05}"
        entry = (-ours, -self._seen, name, kept, prediction.figures["linear"].psnr)
        (heapq.heappush if len(self._heap) < self._keep else heapq.heappushpop)(self._heap, entry)

    def save(self, folder: Path) -> list[Path]:
        """One sheet each, worst first, named by rank, clip and frame."""
        folder.mkdir(parents=True, exist_ok=True)
        saved = []
        for rank, (minus, _, name, pictures, linear) in enumerate(sorted(self._heap, reverse=True), start=1):
            path = folder / f"{rank:02}_{name}.png"
            save_sheet(path, pictures, ours=-minus, linear=linear)
            saved.append(path)
        return saved


def save_sheet(path: Path, pictures: "dict[str, Picture]", *, ours: float, linear: float) -> None:
    """Truth and prediction above, linear blend and error below, each at its own size.

    Args:
        path: of the PNG.
        pictures: "truth", "svmv" and "linear".
        ours: PSNR of the prediction, dB.
        linear: PSNR of the blend, dB.
    """
    import numpy as np

    truth, made = pictures["truth"].astype(np.int16), pictures["svmv"].astype(np.int16)
    error = np.minimum(np.abs(truth - made) * _ERROR_GAIN, 255).astype(np.uint8)
    panels = [
        ("truth", pictures["truth"]),
        (f"SVMV {ours:.2f} dB", pictures["svmv"]),
        (f"linear blend {linear:.2f} dB", pictures["linear"]),
        (f"error of SVMV × {_ERROR_GAIN}", error),
    ]
    height, width = truth.shape[:2]
    canvas = _canvas(2 * width, 2 * (height + _TITLE))
    for index, (title, picture) in enumerate(panels):
        row, column = divmod(index, 2)
        bottom = (1 - row) * 0.5
        axes = canvas.add_axes((column * 0.5, bottom, 0.5, 0.5 * height / (height + _TITLE)))
        axes.imshow(picture, interpolation="none", aspect="auto")
        axes.set_title(title, fontsize=9, pad=3)
        axes.set_axis_off()
    _save(canvas, path)


def plot_psnr(path: Path, clip: "ClipScores") -> None:
    """PSNR of every method over the frames of one clip."""
    canvas = _canvas(1000, 360)
    axes = canvas.add_subplot()
    for method, figures in clip.frames.items():
        axes.plot(clip.dropped, [one.psnr for one in figures], label=method, linewidth=2 if method == "svmv" else 1)
    axes.set(xlabel="frame", ylabel="PSNR, dB", title=f"{clip.name} ({clip.group} motion)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    canvas.tight_layout()
    _save(canvas, path)


def plot_learning_curve(path: Path, metrics: Path) -> None:
    """Loss of the picture, and PSNR on held-out clips beside linear blending, over the steps of a run.

    Args:
        path: of the PNG.
        metrics: the run's `metrics.jsonl`.
    """
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    canvas = _canvas(1000, 400)
    left = canvas.add_subplot()
    left.plot(*_series(records, "picture"), color="tab:grey", linewidth=0.8, label="loss, training")
    left.set(xlabel="step", ylabel="picture loss", yscale="log")
    left.grid(alpha=0.3)
    right = left.twinx()
    right.plot(*_series(records, "held_out_psnr"), color="tab:blue", marker="o", markersize=3, label="PSNR, held out")
    right.plot(*_series(records, "held_out_linear"), color="tab:orange", linestyle=":", label="linear blend")
    right.set_ylabel("PSNR, dB")
    handles = [*left.get_lines(), *right.get_lines()]
    left.legend(handles, [str(line.get_label()) for line in handles], fontsize=8, loc="lower left")
    canvas.tight_layout()
    _save(canvas, path)


def _series(records: Sequence[dict[str, float]], key: str) -> tuple[list[float], list[float]]:
    known = [(record["step"], record[key]) for record in records if key in record]
    return [step for step, _ in known], [value for _, value in known]


def _canvas(width: int, height: int) -> "Canvas":
    from matplotlib.figure import Figure

    return Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)


def _save(canvas: "Canvas", path: Path) -> None:
    """The file appears whole or not at all."""
    part = path.with_name(f".{path.stem}.svmv-part.png")
    canvas.savefig(part)
    part.replace(path)
