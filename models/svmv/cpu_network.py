"""The CPU's twin of `SVMV`, without gradients, its passes fused and laid out once.

The convolutions and what they are given are those of `features.py`, `volume.py` and `motion.py`; tests hold the
twin to them. Between the convolutions nothing is copied, concatenated or turned from one layout into another: each
gap is one compiled pass that writes what the next convolution reads.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from svmv import features_numba, motion_numba, volume_numba
from svmv.features import Features, padded_size
from svmv.model import SVMV, Window
from svmv.motion import Motion, moving
from svmv.packed import PackedConv, convolution, weights
from svmv.synthesis import synthesize
from svmv.synthesis_numba import Array, PackedMotion, reach
from svmv.volume import Decoder, Level

_SLOPE = 0.1  # of every LeakyReLU in the network


class CpuNetwork:
    """`SVMV` on the CPU: the same results, to rounding, and no gradients."""

    def __init__(self, network: SVMV, arithmetic: torch.dtype = torch.float32) -> None:
        """`arithmetic`: float32 or bfloat16, of the convolutions; motion, matching and pictures are always float32."""
        self.config = network.config
        self._encoder = _Encoder(network, arithmetic)
        self._volume = _Volume(network, arithmetic)
        self._ensemble = _Ensemble(network, arithmetic)

    @torch.inference_mode()
    def encode(self, frames: Tensor) -> Features:
        """See `SVMV.encode`."""
        size = frames.shape[2], frames.shape[3]
        return self._encoder(frames.float(), self.config.levels(*size), padded_size(*size))

    @torch.inference_mode()
    def decode(
        self, window: Window, *, size: tuple[int, int], spacing: Tensor | None = None, refinements: int | None = None
    ) -> Motion:
        """See `SVMV.decode`."""
        left, right = window[1], window[2]
        if spacing is None:
            spacing = left.picture.new_ones(left.picture.shape[0], 2)
        levels = self._volume(window, self.config.refinements if refinements is None else refinements)
        return self._ensemble(left, right, levels, size=size, spacing=spacing)

    @torch.inference_mode()
    def synthesize(self, motion: Motion, t: Tensor) -> Tensor:
        """See `SVMV.synthesize`."""
        return synthesize(motion, t)

    @torch.inference_mode()
    def encode_exactly(self, frames: Tensor, levels: int) -> Features:
        """See `inference.Network`."""
        return self._encoder(frames, levels, (frames.shape[2], frames.shape[3]))

    @torch.inference_mode()
    def decode_coarse(self, window: Window) -> Level:
        """See `inference.Network`."""
        return self._volume.coarser(window, down_to=0)[-1]

    @torch.inference_mode()
    def decode_finest(self, window: Window, above: Level, *, size: tuple[int, int], spacing: Tensor) -> Motion:
        """See `inference.Network`."""
        levels = self._volume.finest(window, above, self.config.refinements)
        return self._ensemble(window[1], window[2], levels, size=size, spacing=spacing)


class _Encoder:
    """`features.Encoder`. Its last convolution has no activation, so the two 1×1 ones behind it are part of it."""

    def __init__(self, network: SVMV, arithmetic: torch.dtype) -> None:
        encoder = network.encoder
        *inner, last = encoder.trunk
        self._stem = [PackedConv.of(block, arithmetic, slope=_SLOPE) for block in encoder.stem]
        self._trunk = [PackedConv.of(block, arithmetic, slope=_SLOPE) for block in inner]
        self._detail = PackedConv.of(encoder.detail, arithmetic)
        weight, bias = weights(convolution(last))
        outer, more = (torch.cat(both) for both in zip(weights(encoder.match), weights(encoder.context), strict=True))
        outer = outer.flatten(1)
        self._both = PackedConv(torch.einsum("om,mikl->oikl", outer, weight), more + outer @ bias, arithmetic)
        self._matched, self._told = encoder.match.out_channels, encoder.context.out_channels

    def __call__(self, frames: Tensor, levels: int, size: tuple[int, int]) -> Features:
        """As `features.Encoder`, of frames padded to a size."""
        B, C = frames.shape[:2]
        picture, scaled = _empty(B, *size, C), _empty(B, *size, 3)
        features_numba.pad(_array(frames), picture, scaled)
        half = _halved(scaled)
        match, context, detail = [], [], None
        for level in range(levels):
            if level:
                scaled = half if level == 1 else _halved(scaled)
            stem = _tensor(scaled)
            for conv in self._stem:
                stem = conv(stem)
            if level == 0:
                detail = self._detail(stem)
            for conv in self._trunk:
                stem = conv(stem)
            found = _array(self._both(stem))
            a = _empty(B, found.shape[1], self._matched, found.shape[2])
            b = _empty(*found.shape[:3], self._told, numbers=found.dtype)
            features_numba.split(found, a, b)
            match.append(torch.from_numpy(a).permute(0, 2, 1, 3))
            context.append(_tensor(b))
        assert detail is not None, "levels ≥ 1"
        return Features(_tensor(picture), _tensor(half * np.float32(0.25) + np.float32(0.45)), detail, match, context)


class _Volume:
    """`volume.MotionVolume`."""

    def __init__(self, network: SVMV, arithmetic: torch.dtype) -> None:
        volume = network.volume
        decoders = volume.coarse, volume.fine, volume.refining
        self._coarse, self._fine, self._refining = (_Decoder(decoder, arithmetic) for decoder in decoders)

    def __call__(self, window: Window, refinements: int) -> list[Level]:
        """Levels, coarsest first, the finest once more for each refinement."""
        levels = self.coarser(window, down_to=1)
        return levels + self.finest(window, levels[-1] if levels else None, refinements)

    def coarser(self, window: Window, *, down_to: int) -> list[Level]:
        """The levels above the finest one, coarsest first, down to one of the window's own levels."""
        levels: list[Level] = []
        for level in reversed(range(down_to, len(window[0].match))):
            levels.append(self._coarse(window, level, levels[-1] if levels else None))
        return levels

    def finest(self, window: Window, above: Level | None, refinements: int) -> list[Level]:
        """The passes at the finest level."""
        levels = [self._fine(window, 0, above)]
        for _ in range(refinements):
            levels.append(self._refining(window, 0, levels[-1]))
        return levels


class _Decoder:
    """`volume.Decoder`."""

    def __init__(self, decoder: Decoder, arithmetic: torch.dtype) -> None:
        self._numbers = _numbers(arithmetic)
        self._radius = decoder.radius
        self._sharpness = np.float32(decoder.peak.log_sharpness.exp().item())
        # `match` leaves one channel without meaning after each row of its window.
        weight, bias = weights(convolution(decoder.squeeze))
        side = 2 * decoder.radius + 1
        weight = F.pad(weight.view(-1, 2 * side, side), (0, 1)).flatten(1)[..., None, None]
        self._squeeze = PackedConv(weight, bias, arithmetic, slope=_SLOPE)
        self._squeezed, self._costs = weight.shape[:2]
        self._body = [PackedConv.of(block, arithmetic, slope=_SLOPE) for block in decoder.body]
        self._head = PackedConv.of(decoder.head, arithmetic)
        self._state = decoder.head.in_channels

    def __call__(self, window: Window, level: int, above: Level | None) -> Level:
        """One level, from the one above it or from an earlier pass at the same one."""
        before, left, right, after = (_rows(frame.match[level]) for frame in window)
        B, h, _, w = left.shape
        flow, peaks = _empty(2 * B, h, w, 4), _empty(2 * B, h, w, 4)
        cost = _empty(2 * B, h, w, self._costs, numbers=self._numbers)
        coarse = np.zeros((2 * B, 1, 1, 4), np.float32) if above is None else _flow(above)
        volume_numba.match(left, right, before, after, coarse, self._radius, self._sharpness, flow, cost, peaks)
        context = [_array(frame.context[level]) for frame in window[1:3]]
        hidden = np.zeros((2 * B, 1, 1, self._state), self._numbers) if above is None else _array(above.hidden)
        width = self._squeezed + context[0].shape[3] + 8 + self._state
        joined = _empty(2 * B, h, w, width, numbers=self._numbers)
        volume_numba.gather(*context, flow, peaks, hidden, self._radius, self._squeezed, joined)
        state = _tensor(joined)
        state[:, : self._squeezed] = self._squeeze(_tensor(cost))
        for conv in self._body:
            state = conv(state)
        volume_numba.update(_array(self._head(state)), peaks, flow)
        motion = _tensor(flow)
        return Level(motion[:, :2], motion[:, 2:], state)


class _Ensemble:
    """`motion.Ensemble`."""

    def __init__(self, network: SVMV, arithmetic: torch.dtype) -> None:
        self._numbers = _numbers(arithmetic)
        ensemble = network.ensemble
        self._members = ensemble.members
        self._radius = ensemble.radius
        self._sharpness = np.float32(1 if ensemble.peak is None else ensemble.peak.log_sharpness.exp().item())
        self._doubt = np.float32(ensemble.doubt.item())
        # The shuffle reads channel 4·c + place for channel c of each of four pixels; ordered by place, runs stay whole.
        weight, bias = weights(convolution(ensemble.lift))
        order = torch.arange(len(bias)).view(-1, 4).T.flatten()
        self._lift = PackedConv(weight[order], bias[order], arithmetic, slope=_SLOPE)
        first, second = ensemble.body
        weight, bias = weights(convolution(first))
        self._width = -(-weight.shape[1] // 8) * 8  # whole vectors: 47 channels take oneDNN longer than 48
        weight = F.pad(weight, (0, 0, 0, 0, 0, self._width - weight.shape[1]))
        self._layers = [
            PackedConv(weight, bias, arithmetic, slope=_SLOPE),
            PackedConv.of(second, arithmetic, slope=_SLOPE),
            PackedConv.of(ensemble.head, arithmetic),
        ]

    def __call__(
        self, left: Features, right: Features, levels: list[Level], *, size: tuple[int, int], spacing: Tensor
    ) -> Motion:
        lifted = _array(self._lift(levels[-1].hidden))
        details = _array(left.detail), _array(right.detail)
        B, h, w, _ = details[0].shape
        joined, known = _empty(2 * B, h, w, self._width, numbers=self._numbers), _empty(2 * B, h, w, 9)
        halves = _array(left.half), _array(right.half)
        rows = [_unit_rows(detail) if self._radius else _empty(0, 0, 0, 0) for detail in details]
        motion_numba.compare(
            lifted, *details, *halves, *rows, _flow(levels[-1]), self._radius, self._sharpness, joined, known
        )
        out = _tensor(joined)
        for conv in self._layers:
            out = conv(out)
        members = _empty(2 * B, 6 * self._members + 1, h, w)
        rate = (1 / spacing.T.flatten()).float().numpy()
        moves, head, curve = _array(moving(left.half, right.half)), _array(out), _empty(2 * B, h, w, 2)
        motion_numba.bend(head, known, rate, curve)
        motion_numba.unfold(head, known, curve, moves, rate, self._doubt, members)
        packed = torch.from_numpy(members)
        each = packed[:, :-1].view(2 * B, self._members, 6, h, w)
        return PackedMotion(
            pictures=torch.cat([left.picture, right.picture]),
            velocity=each[:, :, 0:2],
            acceleration=each[:, :, 2:4],
            logit=each[:, :, 4],
            slope=each[:, :, 5],
            sharpness=packed[:, -1:],
            levels=levels,
            size=size,
            whole=packed,
            furthest=torch.stack([reach(each[:, :, 0:2]), reach(each[:, :, 2:4])], dim=2),
        )


def _empty(*shape: int, numbers: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    return np.empty(shape, numbers)


def _numbers(arithmetic: torch.dtype) -> type[np.float32] | type[np.uint16]:
    """What arrays of such numbers are made of; see `bfloat16_numba`."""
    return np.uint16 if arithmetic is torch.bfloat16 else np.float32


def _array(x: Tensor) -> npt.NDArray[Any]:
    """(B, C, H, W) → the same numbers as (B, H, W, C); no copy if they lie so already."""
    last = x.permute(0, 2, 3, 1).contiguous()
    if x.dtype is torch.bfloat16:
        bits: npt.NDArray[np.uint16] = last.view(torch.int16).numpy().view(np.uint16)
        return bits
    array: Array = last.numpy()
    return array


def _rows(x: Tensor) -> Array:
    """(B, C, H, W) → the same numbers as (B, H, C, W); no copy if they lie so already."""
    rows: Array = x.permute(0, 2, 1, 3).contiguous().numpy()
    return rows


def _unit_rows(detail: npt.NDArray[Any]) -> Array:
    """(B, h, w, D) → (B, h, D, w), float32, at unit mean square over D."""
    B, h, w, D = detail.shape
    rows, nothing = _empty(B, h, D, w), _empty(B, h, w, 0, numbers=detail.dtype)
    features_numba.split(detail, rows, nothing)
    return rows


def _flow(level: Level) -> Array:
    """A level's motion, near and far in one, (2B, h, w, 4)."""
    return _array(torch.cat([level.near, level.far], dim=1))


def _tensor(x: npt.NDArray[Any]) -> Tensor:
    """(B, H, W, C) → the same numbers as a channels-last (B, C, H, W)."""
    if x.dtype == np.uint16:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16).permute(0, 3, 1, 2)
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def _halved(x: Array) -> Array:
    """Means of 2 × 2 pixels, after padding to multiples of `CELL`."""
    rows, columns = padded_size(x.shape[1], x.shape[2])
    half = _empty(len(x), rows // 2, columns // 2, x.shape[3])
    features_numba.halve(x, half)
    return half
