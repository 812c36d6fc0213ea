"""THE DOOR: where frames of a file become tensors of the network and come back. The only user of both."""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import torch

import svmv
from svmv_cli.errors import DeviceError, ModelError
from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo
from svmv_cli.pipeline.color import Converter, premultiplied, straight
from svmv_cli.pipeline.still import Still
from svmv_cli.pipeline.windows import Window

Precision = Literal["fp32", "fp16", "bf16"]
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_CACHED = 6  # encoded frames kept: a window's four, and two that shot ends make it look back on


def choose_device(wanted: str) -> torch.device:
    """The device a name stands for: "auto" is CUDA, else Apple's MPS, else the CPU.

    Raises:
        DeviceError: there is no such device here.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        hint = "use --device auto, or see `svmv info` for what is here"
        raise DeviceError(f"no device {wanted!r} on this machine", hint=hint) from error
    return device


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """The arithmetic of the network's convolutions; coordinates and splatting are always float32.

    "auto" takes fp16 on CUDA, and bf16 on CPUs that compute it natively.
    """
    if wanted == "auto":
        if device.type == "cuda":
            return "fp16"
        return "bf16" if device.type == "cpu" and cpu_has_bf16() else "fp32"
    if wanted not in _DTYPES:
        raise DeviceError(f"no precision {wanted!r}", hint="one of auto, fp32, fp16, bf16")
    if wanted == "fp16" and device.type == "cpu":
        raise DeviceError("fp16 is slower than fp32 on CPUs", hint="use --precision bf16 or fp32 with --device cpu")
    return wanted  # type: ignore[return-value]


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 in hardware (AVX-512 BF16 or AMX); emulation is slower than fp32."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe and probe())


def make_interpolator(
    *, model: str, device: str, precision: str, color: ColorInfo, width: int, height: int, pix_fmt: str
) -> "NetworkInterpolator":
    """The interpolator for one picture format.

    Raises:
        ModelError: no such model.
        DeviceError: no such device, or it cannot compute as asked.
    """
    chosen = choose_device(device)
    try:
        network = svmv.load(model)
    except ValueError as error:
        raise ModelError(str(error), hint="--model takes a shipped name or a .safetensors file") from error
    converter = Converter(PixelFormat.parse(pix_fmt), color, height, width, chosen)
    return NetworkInterpolator(network, converter, name=model, precision=choose_precision(precision, chosen))


class NetworkInterpolator:
    """SVMV on planes. Each frame is converted and encoded once while the window slides over it."""

    def __init__(self, network: svmv.SVMV, converter: Converter, *, name: str, precision: Precision) -> None:
        self.name, self.precision = name, precision
        self.weights = _digest(network)
        self.converter = converter
        self._network = svmv.ready(network, converter.device, _DTYPES[precision])
        # Keyed by the frame object itself, which the entry keeps alive, so an id is never met twice.
        self._cache: OrderedDict[int, tuple[Frame, svmv.Features]] = OrderedDict()

    @property
    def device(self) -> str:
        """Where the network runs."""
        return str(self.converter.device)

    def close(self) -> None:
        """Drop cached features."""
        self._cache.clear()

    def between(
        self, windows: Sequence[Window], phases: Sequence[tuple[Fraction, ...]]
    ) -> list[list[tuple[Plane, ...]]]:
        """New pictures for each window at its phases; see `windows.Interpolator`.

        Raises:
            DeviceError: the device has no memory left, even for one window at a time.
        """
        try:
            return self._between(windows, phases)
        except torch.OutOfMemoryError as error:
            if len(windows) == 1:
                size = f"{self.converter.width}x{self.converter.height}"
                hint = "close other programs on it, or use --device cpu"
                raise DeviceError(f"out of memory on {self.device} at {size}", hint=hint) from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = len(windows) // 2
        first = self.between(windows[:half], phases[:half])
        return first + self.between(windows[half:], phases[half:])

    @torch.inference_mode()
    def _between(
        self, windows: Sequence[Window], phases: Sequence[tuple[Fraction, ...]]
    ) -> list[list[tuple[Plane, ...]]]:
        device = self.converter.device
        dtype = _DTYPES[self.precision]
        with torch.autocast(device.type, dtype, enabled=self.precision != "fp32"):
            rows = [[self._features(f) for f in (w.before, w.left, w.right, w.after)] for w in windows]
            before, left, right, after = (svmv.stack(list(column)) for column in zip(*rows, strict=True))
            size = (self.converter.height, self.converter.width)
            spacing = torch.tensor([_spacing(window) for window in windows], dtype=torch.float32, device=device)
            motion = self._network.decode((before, left, right, after), size=size, spacing=spacing)
        # Windows with fewer phases than the longest are padded with ½ and the surplus dropped.
        longest = max(len(p) for p in phases)
        padded = [[float(x) for x in p] + [0.5] * (longest - len(p)) for p in phases]
        times = torch.tensor(padded, dtype=torch.float32, device=device)
        made: list[list[tuple[Plane, ...]]] = [[] for _ in windows]
        still = Still(motion.pictures, motion.size)
        for k in range(longest):  # one instant at a time: memory does not grow with the factor
            pictures = self._network.synthesize(motion, times[:, k : k + 1])[:, 0]
            pictures = still.kept(pictures, times[:, k])
            if self.converter.format.alpha:
                pictures = straight(pictures)
            for index, wanted in enumerate(phases):
                if k < len(wanted):
                    made[index].append(self.converter.to_planes(pictures[index]))
        return made

    def _features(self, frame: Frame) -> svmv.Features:
        known = self._cache.get(id(frame))
        if known is None:
            picture = self.converter.to_rgb(frame)
            if self.converter.format.alpha:
                picture = premultiplied(picture)
            features = self._network.encode(picture)
            self._cache[id(frame)] = known = (frame, features)
            while len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(id(frame))
        return known[1]


def _digest(network: svmv.SVMV) -> str:
    """SHA-256 of a network's numbers and of its shape."""
    found = hashlib.sha256(repr(network.config).encode())
    for name, numbers in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(numbers.detach().to("cpu", torch.float32).numpy().tobytes())
    return found.hexdigest()


def _spacing(window: Window) -> tuple[float, float]:
    """Times to the outer frames in units of the middle gap; inf where a shot's edge frame stands in for one."""
    gap = window.right.time - window.left.time
    before, after = window.left.time - window.before.time, window.after.time - window.right.time
    return float(before / gap) or math.inf, float(after / gap) or math.inf
