"""SVMV and what else can be installed, on the same decoded clip in the same run, one after the other in turns.

    python -m benchmarks.against [CLIP] [--factor 2] [--gaps 4] [--device cpu]

Seconds per gap: all new pictures between two of the clip, from 8-bit RGB to 8-bit RGB or floats. The rivals run on
the CPU; `minterpolate` in one thread, as FFmpeg has it.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

import svmv
from benchmarks.common import choose_clock, clip_or_own, machine
from svmv.training.evaluation import Gap, Method, Ours, split
from svmv.training.rivals import DisFlow, DisWarp, Linear
from svmv_cli.media.clips import read_clip
from svmv_cli.media.filters import minterpolate
from svmv_cli.pipeline.devices import DTYPES, choose_precision, open_device

Clip = npt.NDArray[np.uint8]


def filtered(kept: Clip, gaps: list[Gap]) -> Iterator[object]:
    """FFmpeg's filter, mci:aobmc:bidir, over the pictures of the gaps."""
    return minterpolate(iter(kept[: len(gaps) + 1]), factor=len(gaps[0].times) + 1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, nargs="?")
    parser.add_argument("--size", default="864x480", help="of the clip that is drawn when none is named")
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--gaps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", default="base")
    parser.add_argument("--shared", action="store_true", help="others use the machine: CPU seconds of one thread")
    options = parser.parse_args()
    clock = choose_clock(shared=options.shared)
    device = open_device(options.device)
    kept = read_clip(clip_or_own(options.clip, size=options.size, frames=12), limit=options.gaps + 2)
    times = tuple(k / options.factor for k in range(1, options.factor))
    gaps = [Gap(gap.left, gap.window, (), times) for gap in split(2 * len(kept) - 1, 2)][: options.gaps]
    network = svmv.ready(svmv.load(options.model), device, DTYPES[choose_precision("auto", device)])
    methods: list[Method] = [Ours(network, device), Linear(), DisWarp(DisFlow())]
    runs: dict[str, Callable[[], object]] = {
        m.name: lambda m=m: [made.cpu() for made in m.predict(kept.copy(), gaps)] for m in methods
    }
    runs["minterpolate"] = lambda: list(filtered(kept, gaps))
    shortest = dict.fromkeys(runs, float("inf"))
    for turn in range(options.rounds + 1):
        for name, work in runs.items():
            began = clock()
            work()
            if turn:  # the first one warms up
                shortest[name] = min(shortest[name], clock() - began)
    print(machine(device))
    print(f"{kept.shape[3]}x{kept.shape[2]}, {options.factor}x, {len(gaps)} gaps, shortest of {options.rounds} turns\n")
    print("| method | ms per gap | ms per new frame | times SVMV's |\n| --- | --- | --- | --- |")
    for name, seconds in shortest.items():
        each = seconds / len(gaps) * 1e3
        print(f"| {name} | {each:.0f} | {each / len(times):.0f} | {seconds / shortest['svmv']:.2f} |")


if __name__ == "__main__":
    main()
