"""What the network alone costs, by size, factor, device and precision.

    python -m benchmarks.network [--sizes 480p,720p] [--factors 2,4,8] [--device cpu] [--definition]

For each: ms per new frame, MACs of a gap, share of the machine's measured ceiling, peak memory.
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import svmv
from benchmarks.common import best, ceiling, choose_clock, machine, peak_host
from svmv.inference import PlainNetwork
from svmv_cli.pipeline.devices import DTYPES, choose_precision, open_device

SIZES = {"480p": (480, 864), "720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}


def film(height: int, width: int, device: torch.device) -> list[Tensor]:
    """Four pictures of a texture that moves by 8 × 4 px a frame, seeded."""
    coarse = torch.rand(1, 3, height // 8 + 8, width // 8 + 8, generator=torch.Generator().manual_seed(0))
    scene = F.interpolate(coarse, size=(height + 16, width + 32), mode="bicubic").clamp(0, 1).to(device)
    return [scene[..., 4 * k : 4 * k + height, 8 * k : 8 * k + width].contiguous() for k in range(4)]


def macs(network: svmv.SVMV, size: tuple[int, int]) -> float:
    """Multiply-adds of one gap while the window slides: one frame encoded, one window decoded; counted."""
    frame = torch.zeros(1, 3, *size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        features = network.encode(frame)
        network.decode((features,) * 4, size=size)
    return counter.get_total_flops() / 2


@torch.inference_mode()
def measure(
    network: svmv.Network, pictures: list[Tensor], *, repeat: int, clock: Callable[[], float]
) -> tuple[float, float]:
    """Seconds for what a gap costs once (encode one frame, decode one window), and for each new picture."""
    device = pictures[0].device
    window = tuple(network.encode(picture) for picture in pictures)
    size = (pictures[0].shape[2], pictures[0].shape[3])
    motion = network.decode(window, size=size)

    def analyse() -> None:
        network.encode(pictures[3])
        network.decode(window, size=size)

    fixed = best(analyse, device=device, repeat=repeat, clock=clock)
    half = torch.full((1, 1), 0.5, device=device)
    each = best(lambda: network.synthesize(motion, half), device=device, repeat=repeat, clock=clock)
    return fixed, each


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="480p,720p,1080p", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--factors", default="2,4,8")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--model", default="base")
    parser.add_argument("--definition", action="store_true", help="measure the plain modules beside their fast form")
    parser.add_argument("--shared", action="store_true", help="others use the machine: CPU seconds of one thread")
    options = parser.parse_args()
    if unknown := set(options.sizes.split(",")) - set(SIZES):
        parser.error(f"no size {', '.join(sorted(unknown))}; there are {', '.join(SIZES)}")
    clock = choose_clock(shared=options.shared)
    device = open_device(options.device)
    precision = choose_precision(options.precision, device)
    dtype = DTYPES[precision]
    factors = [int(factor) for factor in options.factors.split(",")]
    limit = ceiling(device, dtype, repeat=5, clock=clock)
    print(
        f"{machine(device)}\n{precision}, measured ceiling {limit / 1e9:.0f} GFLOP/s (3x3 convolution, 256 channels)\n"
    )
    print("| size | form | factor | ms per new frame | ms per gap | GMACs per gap | of the ceiling | peak |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in options.sizes.split(","):
        size, network = SIZES[name], svmv.load(options.model)
        count = macs(network, size)
        forms: dict[str, svmv.Network] = {"ready": svmv.ready(network, device, dtype)}
        if options.definition:
            plain = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            forms["definition"] = PlainNetwork(plain, dtype)
        for form, runner in forms.items():
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            fixed, each = measure(runner, film(*size, device), repeat=options.repeat, clock=clock)
            used = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else peak_host()
            for factor in factors:
                gap = fixed + (factor - 1) * each
                share = 2 * count / gap / limit
                row = f"| {gap / (factor - 1) * 1e3:.1f} | {gap * 1e3:.0f} | {count / 1e9:.1f} | {share:.0%} "
                print(f"| {name} | {form} | {factor}x {row}| {used:.0f} MiB |", flush=True)


if __name__ == "__main__":
    main()
