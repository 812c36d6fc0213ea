"""THE DOOR: where frames of a file become tensors of the network and come back. The only user of both."""

import hashlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial

import torch

import svmv
from svmv_cli.errors import DeviceError, ModelError
from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo
from svmv_cli.pipeline import memory, parts
from svmv_cli.pipeline.bars import WithoutBars
from svmv_cli.pipeline.color import Converter, premultiplied, straight
from svmv_cli.pipeline.devices import DTYPES, Precision, choose_precision, free_memory, open_device
from svmv_cli.pipeline.failures import is_out_of_memory
from svmv_cli.pipeline.recent import Recent
from svmv_cli.pipeline.still import Still
from svmv_cli.pipeline.windows import Window

_TOGETHER = 2**24  # px that are made in one call on a GPU: eight instants of 1080p, two of 4K


def make_interpolator(
    *,
    model: str,
    device: str,
    precision: str,
    color: ColorInfo,
    width: int,
    height: int,
    pix_fmt: str,
    scale: float = 1,
    tell: Callable[[str], None] = lambda _: None,
) -> WithoutBars:
    """The interpolator for one picture format.

    Args:
        model: a shipped name or a file.
        device: see `open_device`.
        precision: see `choose_precision`.
        color: of the pictures.
        width: px.
        height: px.
        pix_fmt: FFmpeg's name of the planar format.
        scale: 1, 0.5 or 0.25: size at which motion is estimated.
        tell: is told, once, what makes the work slower than it could be, and what is done about it.

    Raises:
        ModelError: no such model.
        DeviceError: no such device.
        UsageError: it does not compute as asked.
    """
    chosen = open_device(device, tell=tell)
    try:
        network = svmv.load(model)
    except ValueError as error:
        raise ModelError(str(error), hint="--model takes a shipped name or a .safetensors file") from error
    converter = Converter(PixelFormat.parse(pix_fmt), color, height, width, chosen)
    arithmetic = choose_precision(precision, chosen)
    inner = NetworkInterpolator(network, converter, name=model, precision=arithmetic, scale=scale, tell=tell)
    return WithoutBars(inner, converter.black)


class NetworkInterpolator:
    """SVMV on planes. Each frame is converted and encoded once while the window slides over it.

    Where memory is short it works in tiles: from the start if an estimate says so, and from the moment on when it
    really runs out. Where float16 gives what is no number, as on some GPUs without units for it, it goes on in float32.
    """

    def __init__(
        self,
        network: svmv.SVMV,
        converter: Converter,
        *,
        name: str,
        precision: Precision,
        scale: float = 1,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name, self.precision = name, precision
        self.weights = _digest(network)
        self.converter = converter
        self._shrink = round(1 / scale)
        self._tell = tell
        self._trained = network
        self._network = svmv.ready(network, converter.device, DTYPES[precision])
        self._cache: Recent[svmv.Features] = Recent()
        self._most = sys.maxsize  # windows at a time, until memory has once been short
        self._small = svmv.smaller((converter.height, converter.width), self._shrink)  # in which motion is estimated
        # Px of a tile of these; None: pictures are worked on whole.
        self._side = memory.tile_side(
            free_memory(converter.device),
            width=self._small[1],
            height=self._small[0],
            batch=1,
            fused=converter.device.type == "cpu",
            shrink=self._shrink,
        )
        if self._side is not None:
            tell(f"memory is short for {self._size}: working in tiles of {self._side * self._shrink} px")

    def fit(self, *, height: int, width: int) -> None:
        """From now on pictures have this size, px; tiles stay where memory has once been short."""
        if (height, width) == (self.converter.height, self.converter.width):
            return
        self._cache.clear()
        self.converter = self.converter.part(height=height, width=width)
        self._small = svmv.smaller((height, width), self._shrink)

    @property
    def device(self) -> str:
        """Where the network runs."""
        return str(self.converter.device)

    @property
    def _size(self) -> str:
        return f"{self.converter.width}x{self.converter.height}"

    def begin(self) -> None:
        """See `windows.Interpolator`; windows have nothing to do with each other here."""

    def close(self) -> None:
        """Drop cached features, and leave the device's memory to others."""
        self._free_memory()

    def between(
        self, windows: Sequence[Window], phases: Sequence[tuple[Fraction, ...]]
    ) -> list[list[tuple[Plane, ...]]]:
        """New pictures for each window at its phases; see `windows.Interpolator`.

        Raises:
            DeviceError: the device has no memory left, even for one window in small tiles.
        """
        made: list[list[tuple[Plane, ...]]] = []
        while len(made) < len(windows):
            part = slice(len(made), len(made) + self._most)
            try:
                made += self._between(windows[part], phases[part])
                continue
            except OverflowError:
                if self.precision != "fp16":
                    raise
                self._widen()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._take_less(len(windows[part]), error)
            self._free_memory()  # only now: the error held on to what had been computed
        return made

    def _widen(self) -> None:
        self._tell(f"float16 overflows on {self.device}: going on in float32")
        self.precision = "fp32"
        self._network = svmv.ready(self._trained, self.converter.device, torch.float32)

    def _take_less(self, together: int, error: BaseException) -> None:
        """So many windows at a time were too many for the memory there is, and will be."""
        if together > 1:
            self._most = together // 2
        else:
            self._shrink_tiles(error)

    def _shrink_tiles(self, error: BaseException) -> None:
        side = memory.smaller(self._side, width=self._small[1], height=self._small[0])
        if side is None:
            hint = "close other programs on it, or use --device cpu"
            raise DeviceError(f"out of memory on {self.device} at {self._size}", hint=hint) from error
        if self._side is None:
            self._tell(f"out of memory on {self.device} at {self._size}: going on in tiles")
        self._side = side

    def _free_memory(self) -> None:
        self._cache.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _between(
        self, windows: Sequence[Window], phases: Sequence[tuple[Fraction, ...]]
    ) -> list[list[tuple[Plane, ...]]]:
        if self._side is not None:
            pairs = zip(windows, phases, strict=True)
            return [self._in_tiles(window, wanted, self._side) for window, wanted in pairs]
        motion = self._motion(windows)
        # Windows with fewer phases than the longest are padded with ½ and the surplus dropped.
        longest = max(len(p) for p in phases)
        padded = [[float(x) for x in p] + [0.5] * (longest - len(p)) for p in phases]
        times = torch.tensor(padded, dtype=torch.float32, device=self.converter.device)
        made: list[list[tuple[Plane, ...]]] = [[] for _ in windows]
        for k, pictures in enumerate(self._pictures(motion, times)):
            for index, wanted in enumerate(phases):
                if k < len(wanted):
                    picture = pictures[index]
                    if self.converter.format.alpha:
                        picture = straight(picture[None])[0]
                    made[index].append(self.converter.to_planes(picture))
        return made

    def _motion(self, windows: Sequence[Window]) -> svmv.Motion:
        rows = [[self._features(f) for f in w.frames] for w in windows]
        before, left, right, after = (svmv.stack(list(column)) for column in zip(*rows, strict=True))
        motion = self._network.decode((before, left, right, after), size=self._small, spacing=self._spacing(windows))
        whole = self.converter.height, self.converter.width
        return motion if self._shrink == 1 else svmv.enlarged(motion, motion.pictures, whole)

    def _pictures(self, motion: svmv.Motion, times: torch.Tensor) -> Iterator[torch.Tensor]:
        """(B, C, H, W) at one instant after the other: memory does not grow with the factor.

        Raises:
            OverflowError: after the last one, when the device is waited for anyway: float16 was not wide enough.
        """
        sound = motion.finite() if self.precision == "fp16" else None
        still = Still(motion.pictures, motion.size)
        step = _together(motion.pictures)
        for first in range(0, times.shape[1], step):
            some = times[:, first : first + step]
            made = self._network.synthesize(motion, some)
            for k in range(some.shape[1]):
                yield still.kept(made[:, k], some[:, k])
        if sound is not None and not sound:
            raise OverflowError("what float16 gave is no number")

    def _in_tiles(self, window: Window, phases: tuple[Fraction, ...], side: int) -> list[tuple[Plane, ...]]:
        before, left, right, after = (self._features(frame) for frame in window.frames)
        times = torch.tensor([[float(x) for x in phases]], dtype=torch.float32, device=self.converter.device)
        made = [self.converter.empty_planes() for _ in phases]
        reads = [partial(parts.read, self.converter, frame) for frame in window.frames]
        for tile in svmv.refine(
            self._network,
            reads,
            (before, left, right, after),
            size=(self.converter.height, self.converter.width),
            spacing=self._spacing([window]),
            side=side,
            shrink=self._shrink,
        ):
            for planes, pictures in zip(made, self._pictures(tile.motion, times), strict=True):
                parts.write(self.converter, planes, pictures[0], core=tile.core, outer=tile.outer)
        return made

    def _spacing(self, windows: Sequence[Window]) -> torch.Tensor:
        each = [_spacing(window) for window in windows]
        return torch.tensor(each, dtype=torch.float32, device=self.converter.device)

    def _features(self, frame: Frame) -> svmv.Features:
        return self._cache.of(frame, self._encode)

    def _encode(self, frame: Frame) -> svmv.Features:
        if self._side is not None:
            size = (self.converter.height, self.converter.width)
            read = partial(parts.read, self.converter, frame)
            return svmv.coarse(self._network, read, size, rows=self._side, shrink=self._shrink)
        picture = self.converter.to_rgb(frame)
        if self.converter.format.alpha:
            picture = premultiplied(picture)
        return svmv.encode_smaller(self._network, picture, self._shrink)


def _together(pictures: torch.Tensor) -> int:
    """Instants whose pictures are made in one call: on the CPU, where that saves nothing, one."""
    if pictures.device.type == "cpu":
        return 1
    pixels = pictures.shape[0] // 2 * pictures.shape[2] * pictures.shape[3]
    return max(_TOGETHER // pixels, 1)


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
