"""A whole file: each stage alone, all together, what the whole costs above the slowest stage, and peak memory.

python -m benchmarks.pipeline [CLIP] [--factor 2] [--device cpu]
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import torch

from benchmarks.common import choose_clock, clip_or_own, machine, peak_host
from svmv_cli.media.frame import Frame
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.pictures import working_format
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader
from svmv_cli.media.writer import VideoWriter
from svmv_cli.pipeline.bars import WithoutBars
from svmv_cli.pipeline.batch import load_interpolator
from svmv_cli.pipeline.interpolate import NetworkInterpolator
from svmv_cli.pipeline.plan import Plan, make_plan
from svmv_cli.pipeline.report import Silent
from svmv_cli.pipeline.request import Request
from svmv_cli.pipeline.run import run
from svmv_cli.pipeline.windows import Window


class Times(dict[str, float]):
    """Seconds by stage."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Add what the block takes to a stage's time."""
        began = self._clock()
        yield
        self[name] = self.get(name, 0.0) + self._clock() - began


def decoded(info: MediaInfo, plan: Plan) -> list[Frame]:
    """All frames of a short clip."""
    with VideoReader(info, pix_fmt=working_format(plan.target.pix_fmt).name) as reader:
        return list(reader)


def network_alone(model: WithoutBars, frames: list[Frame], phases: tuple[Fraction, ...]) -> list[Frame]:
    """Conversion and network over the whole clip; all frames of the output in order."""
    made: list[Frame] = []
    last = len(frames) - 1
    for k in range(last):
        window = Window(frames[max(k - 1, 0)], frames[k], frames[k + 1], frames[min(k + 2, last)])
        gap = frames[k + 1].time - frames[k].time
        made.append(frames[k])
        for phase, planes in zip(phases, model.between([window], [phases])[0], strict=True):
            made.append(Frame(frames[k].time + gap * phase, gap / (len(phases) + 1), frames[k].format, planes))
    return [*made, frames[last]]


def colours_alone(model: NetworkInterpolator, frames: list[Frame], count: int, times: Times) -> None:
    """The conversions that the network's time above holds: each source frame in, each new frame out."""
    with torch.inference_mode():
        for frame in frames:
            with times.of("planes to RGB (in network)"):
                picture = model.converter.to_rgb(frame)
        for _ in range(count):
            with times.of("RGB to planes (in network)"):
                model.converter.to_planes(picture[0])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, nargs="?")
    parser.add_argument("--size", default="864x480", help="of the clip that is drawn when none is named")
    parser.add_argument("--frames", type=int, default=12, help="of that clip")
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--shared", action="store_true", help="others use the machine: CPU seconds of one thread")
    options = parser.parse_args()
    clip = clip_or_own(options.clip, size=options.size, frames=options.frames)
    times = Times(choose_clock(shared=options.shared))
    with tempfile.TemporaryDirectory() as folder:
        request = Request(clip, output=Path(folder) / "out.mp4", factor=options.factor, device=options.device)
        with times.of("probe and plan"):
            info = probe(clip)
            plan = make_plan(request, info)
        with times.of("load the network"):
            target = plan.target
            model = load_interpolator(
                model=plan.model,
                device=plan.device,
                precision=plan.precision,
                color=target.color,
                width=target.width,
                height=target.height,
                pix_fmt=working_format(target.pix_fmt).name,
                scale=plan.scale,
                tell=print,
            )
        assert isinstance(model, WithoutBars) and isinstance(model.inner, NetworkInterpolator)
        phases = tuple(Fraction(k, options.factor) for k in range(1, options.factor))
        with times.of("decode"):
            frames = decoded(info, plan)
        with times.of("first gap (compiles, or loads what was compiled)"):
            network_alone(model, frames[:2], phases)
        model.close()
        with times.of("network"):
            film = network_alone(model, frames, phases)
        model.inner.fit(height=info.video.height, width=info.video.width)
        colours_alone(model.inner, frames, len(film) - len(frames), times)
        with times.of("encode"), VideoWriter(plan.target, info) as writer:
            for frame in film:
                writer.write(frame)
            writer.finish()
        model.close()
        plan.target.path.unlink()
        with times.of("all together"):
            report = run(plan, info=info, interpolator=model, progress=Silent())
    print(machine(torch.device(model.device.split(":")[0])))
    print(f"{clip.name}: {info.video.width}x{info.video.height}, {len(frames)} frames, {options.factor}x")
    for name, seconds in times.items():
        print(f"{name:50} {seconds:8.3f} s")
    slowest = max(times[name] for name in ("decode", "network", "encode"))
    print(f"{report.frames_out / times['all together']:.2f} output frames/s, {report.frames_made} of them new")
    print(f"all together / slowest stage alone: {times['all together'] / slowest:.2f}")
    print(f"peak memory: host {peak_host():.0f} MiB", end="")
    print(f", device {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB" if torch.cuda.is_available() else "")


if __name__ == "__main__":
    main()
