"""What the benchmarks share: the machine in words, its ceiling, a clock, a clip."""

import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numba
import torch
from torch import nn

CLIP = Path(__file__).parent.parent / "demo" / "bench.mp4"


def machine(device: torch.device) -> str:
    """One line: processor, threads, load, versions; two benchmarks compare only where it says the same."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    if device.type == "cuda":
        name = f"{torch.cuda.get_device_name(device)}, {name}"
    loadavg = Path("/proc/loadavg")
    load = f", load {loadavg.read_text().split()[0]}" if loadavg.is_file() else ""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{name}, {torch.get_num_threads()} threads{load}; {versions}"


def choose_clock(*, shared: bool) -> Callable[[], float]:
    """Wall time; on a machine that others use too, CPU seconds of this process, which is held to one thread."""
    if not shared:
        return time.perf_counter
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    return time.process_time


def best(work: Callable[[], object], *, device: torch.device, repeat: int, clock: Callable[[], float]) -> float:
    """Shortest of several runs, s, after one that is not counted."""
    times = []
    for _ in range(repeat + 1):
        _wait(device)
        began = clock()
        work()
        _wait(device)
        times.append(clock() - began)
    return min(times[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@torch.inference_mode()
def ceiling(device: torch.device, dtype: torch.dtype, *, repeat: int, clock: Callable[[], float]) -> float:
    """FLOP/s of a large convolution, 3×3, 256 to 256 channels, channels-last: what this machine can reach at best."""
    size = (4, 256, 270, 480) if device.type == "cuda" else (1, 256, 60, 108)
    conv = nn.Conv2d(256, 256, 3, padding=1).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(size, device=device).to(dtype, memory_format=torch.channels_last)
    flop = 2 * size[0] * 256 * 256 * 9 * size[2] * size[3]
    return flop / best(lambda: conv(x), device=device, repeat=repeat, clock=clock)


def peak_host() -> float:
    """Largest resident size of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)


def clip_or_own(path: Path | None, *, size: str, frames: int) -> Path:
    """The clip that was named, or the demo's scene at a size, drawn once."""
    if path is not None:
        return path
    own = CLIP.with_name(f"bench-{size}-{frames}.mp4")
    if not own.exists():
        script = Path(__file__).parent.parent / "examples" / "make_clip.py"
        command = [sys.executable, str(script), str(own), "--size", size, "--frames", str(frames)]
        subprocess.run(command, check=True)
    return own
