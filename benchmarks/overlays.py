"""Captions, credits, tickers, pages and bars over real clips: how well new frames keep them, beside rivals in one run.

    python -m benchmarks.overlays CLIPS [--model base] [--frames 26] [--every 3] [--precision fp32]

They are drawn on each clip and move by whole pixels a frame; then it is compressed (x264, crf 18) as a user's file
would be. Every second frame is predicted, by the network alone: `svmv upsample` cuts off black bars before. PSNR, dB,
means over clips: of the whole picture, and [in brackets] of the pixels at and around letters, or at the edge of a bar.
"""

import argparse
import io
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch

import svmv
from svmv.metrics import psnr
from svmv.training.evaluation import Method, Ours, Prediction, evaluate_clip
from svmv_cli.lab_rivals import rival_methods
from svmv_cli.media.clips import find_clips, read_clip
from svmv_cli.pipeline.devices import DTYPES, choose_precision

Clip = npt.NDArray[np.uint8]  # (N, 3, H, W)
Picture = npt.NDArray[np.uint8]  # (H, W, 3)
Mask = npt.NDArray[np.bool_]  # (H, W)
Draw = Callable[[Picture, int], Mask]  # on a picture, having moved by so many px; where it wrote

_NAMES = ("Director  J. Smith", "Camera  A. Jones", "Sound  M. Brown", "Editor  L. White", "Music  K. Green")
_NEWS = "Markets rise 2.3% - storms in the north - league results 3:1 - " * 8


def caption(picture: Picture, _: int) -> Mask:
    """Two lines and a channel's mark that stand still."""
    H, W = picture.shape[:2]
    lines = [("What did you say to him?", W // 8, H - H // 8), ("I said nothing at all.", W // 7, H - H // 20)]
    return write(picture, [*lines, ("LIVE 4", W - W // 5, H // 10)], H / 420)


def roll(picture: Picture, moved: int) -> Mask:
    """Lines that rise over a darkened picture."""
    H, W = picture.shape[:2]
    picture[:] = picture // 4
    rows = [round(H * 0.6 + k * H / 8) - moved for k in range(14)]
    lines = [(_NAMES[k % len(_NAMES)], W // 5, y) for k, y in enumerate(rows)]
    return write(picture, [line for line in lines if -20 < line[2] < H + 20], H / 450)


def ticker(picture: Picture, moved: int) -> Mask:
    """A line that runs to the left over a bar at the foot, twice as fast."""
    H = len(picture)
    picture[H * 7 // 8 :] = (20, 30, 90)
    return write(picture, [(_NEWS, 10 - 2 * moved, H - H // 25)], H / 420)


def page(picture: Picture, moved: int) -> Mask:
    """A white page of dark lines, all different, that scrolls three times as fast under a heading that stands still."""
    H, W = picture.shape[:2]
    picture[:] = 250
    pitch, size, away = max(H // 16, 14), H / 800, 3 * moved
    for k in range(away // pitch, (away + H) // pitch + 2):
        text, y = _NEWS[7 * k % 60 :][: 30 + 11 * k % 37], k * pitch - away
        cv2.putText(picture, text, (W // 20, y), cv2.FONT_HERSHEY_SIMPLEX, size, (30, 30, 30), 1, cv2.LINE_AA)
    picture[: H // 10] = (60, 90, 160)
    write(picture, [("A page", W // 20, H // 14)], size)
    return np.ones((H, W), bool)


def bars(picture: Picture, _: int) -> Mask:
    """A wide film: black at the top and at the foot."""
    H = len(picture)
    breadth = H // 16 * 2
    picture[:breadth] = picture[H - breadth :] = 0
    edges = np.zeros(picture.shape[:2], bool)
    edges[breadth - 6 : breadth + 6] = edges[H - breadth - 6 : H - breadth + 6] = True
    return edges


def write(picture: Picture, lines: list[tuple[str, int, int]], size: float) -> Mask:
    """White letters in a dark rim, (text, x, y) each, and where they and what surrounds them are."""
    ink = np.zeros(picture.shape[:2], np.uint8)
    for text, x, y in lines:
        cv2.putText(ink, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1, cv2.LINE_AA)
    rim = cv2.dilate(ink, np.ones((3, 3), np.uint8))
    seen = picture * (1 - rim[..., None] / 255)
    seen += (255 - seen) * (ink[..., None] / 255)
    picture[:] = np.rint(seen)
    return cv2.dilate(ink, np.ones((7, 7), np.uint8)) > 0


def covered(clip: Clip, draw: Draw, speed: int) -> tuple[Clip, list[Mask]]:
    """A clip with something on it that moves by so many px a frame, compressed; its sides are even afterwards."""
    height, width = clip.shape[2] // 2 * 2, clip.shape[3] // 2 * 2
    pictures = [np.ascontiguousarray(picture[:, :height, :width].transpose(1, 2, 0)) for picture in clip]
    masks = [draw(picture, number * speed) for number, picture in enumerate(pictures)]
    return compressed(pictures), masks


def compressed(pictures: list[Picture]) -> Clip:
    """What a file of them gives."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=24, options={"crf": "18", "preset": "veryfast"})
        stream.height, stream.width = pictures[0].shape[:2]
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    file.seek(0)
    with av.open(file) as source:
        decoded = [frame.to_ndarray(format="rgb24").transpose(2, 0, 1) for frame in source.decode(video=0)]
    return np.stack(decoded).astype(np.uint8, copy=False)


class Reader:
    """Measures predictions where something was drawn; a `watch` for `evaluate_clip`."""

    def __init__(self, masks: list[Mask]) -> None:
        self.figures: dict[str, list[tuple[float, float]]] = defaultdict(list)  # dB: whole, there
        self._masks = masks

    def __call__(self, prediction: Prediction) -> None:
        """Look at one."""
        mask = torch.from_numpy(self._masks[prediction.frame])
        for name, made in prediction.made.items():
            whole = here = prediction.figures[name].psnr
            if bool(mask.any()):
                here = float(psnr(made[..., mask][..., None], prediction.truth[..., mask][..., None]))
            self.figures[name].append((whole, here))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--model", default="base")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--frames", type=int, default=26)
    parser.add_argument("--every", type=int, default=3)
    options = parser.parse_args()
    cpu = torch.device("cpu")
    network = svmv.ready(svmv.load(options.model), cpu, DTYPES[choose_precision(options.precision, cpu)])
    rivals, _ = rival_methods(["linear", "dis", "dis-splat", "minterpolate"])
    methods: list[Method] = [Ours(network, cpu), *rivals]
    clips = [(path.name, read_clip(path, limit=options.frames)) for path in find_clips(options.clips)]
    print("| overlay | " + " | ".join(m.name for m in methods) + " |\n" + "| --- " * (len(methods) + 1) + "|")
    for draw in (caption, roll, ticker, page, bars):
        means = defaultdict(list)
        for number, (name, clip) in enumerate(clips):
            speed = round(np.random.default_rng(number).uniform(0.004, 0.014) * clip.shape[2])  # px a frame
            drawn, masks = covered(clip, draw, speed)
            reader = Reader(masks)
            evaluate_clip(name, drawn, methods, step=2, every=options.every, watch=reader)
            for method, figures in reader.figures.items():
                means[method].append(np.mean(figures, axis=0))
        cells = (np.mean(means[m.name], axis=0) for m in methods)
        print(
            f"| {draw.__name__} | " + " | ".join(f"{whole:.2f} [{here:.2f}]" for whole, here in cells) + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
