"""The CPU's twin of `SVMV`, without gradients, its passes fused and laid out once.

The convolutions and what they are given are those of `features.py`, `volume.py` and `motion.py`; tests hold the
twin to them. Between the convolutions nothing is copied, concatenated or turned from one layout into another: each
gap is one compiled pass that writes what the next convolution reads.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from svmv import arrays, features_numba, motion_numba, volume_numba
from svmv.config import SVMVConfig
from svmv.features import Features, padded_size
from svmv.model import SVMV, Window
from svmv.motion import SAME, Motion
from svmv.packed import PackedConv, convolution, weights
from svmv.shifts import common_shifts
from svmv.shifts_numba import settle
from svmv.synthesis import synthesize
from svmv.synthesis_numba import PackedMotion, reach
from svmv.vectors_numba import LANES
from svmv.volume import Decoder, Level
from svmv.window_numba import WIDEST

_SLOPE = 0.1  # of every LeakyReLU in the network


class CpuNetwork:
    """`SVMV` on the CPU: the same results, to rounding, and no gradients."""

    def __init__(self, network: SVMV, arithmetic: torch.dtype = torch.float32) -> None:
        """`arithmetic`: float32 or bfloat16, of the convolutions; motion, matching and pictures are always float32.

        Raises:
            ValueError: a network of sizes that the compiled passes do not know, see `serves`.
        """
        if not self.serves(network.config):
            raise ValueError(f"windows up to {WIDEST} px and {LANES} channels or more are needed, not {network.config}")
        self.config = network.config
        self._encoder = _Encoder(network, arithmetic)
        self._volume = _Volume(network, arithmetic)
        self._ensemble = _Ensemble(network, arithmetic)

    @staticmethod
    def serves(config: SVMVConfig) -> bool:
        """Whether a network's windows and channels fill the vectors of `window_numba` and `vectors_numba`."""
        narrowest = min(config.context_channels, config.hidden_channels, config.detail_channels)
        return 1 <= config.radius <= WIDEST and config.detail_radius <= WIDEST and narrowest >= LANES

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
        shifts = common_shifts(left.half, right.half)
        return self._ensemble(window, levels, shifts, size=size, spacing=spacing)

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
    def decode_finest(
        self, window: Window, above: Level, shifts: Tensor, *, size: tuple[int, int], spacing: Tensor
    ) -> Motion:
        """See `inference.Network`."""
        levels = self._volume.finest(window, above, self.config.refinements)
        return self._ensemble(window, levels, shifts, size=size, spacing=spacing)


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
        picture, scaled = arrays.empty(B, *size, C), arrays.empty(B, *size, 3)
        features_numba.pad(arrays.channels_last(frames), picture, scaled)
        half = arrays.halved(scaled)
        match, context, detail = [], [], None
        for level in range(levels):
            if level:
                scaled = half if level == 1 else arrays.halved(scaled)
            stem = arrays.tensor(scaled)
            for conv in self._stem:
                stem = conv(stem)
            if level == 0:
                detail = self._detail(stem)
            for conv in self._trunk:
                stem = conv(stem)
            found = arrays.channels_last(self._both(stem))
            a = arrays.empty(B, found.shape[1], self._matched, found.shape[2])
            b = arrays.empty(*found.shape[:3], self._told, numbers=found.dtype)
            features_numba.split(found, a, b)
            match.append(torch.from_numpy(a).permute(0, 2, 1, 3))
            context.append(arrays.tensor(b))
        assert detail is not None, "levels ≥ 1"
        return Features(
            arrays.tensor(picture), arrays.tensor(half * np.float32(0.25) + np.float32(0.45)), detail, match, context
        )


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
        self._numbers = arrays.numbers(arithmetic)
        self._radius = decoder.radius
        self._sharpness = np.float32(decoder.peak.log_sharpness.exp().item())
        # `match` leaves channels without meaning after each row of its window.
        weight, bias = weights(convolution(decoder.squeeze))
        side = 2 * decoder.radius + 1
        weight = F.pad(weight.view(-1, 2 * side, side), (0, LANES - side)).flatten(1)[..., None, None]
        self._squeeze = PackedConv(weight, bias, arithmetic, slope=_SLOPE)
        self._squeezed, self._costs = weight.shape[:2]
        self._body = [PackedConv.of(block, arithmetic, slope=_SLOPE) for block in decoder.body]
        weight, bias = weights(decoder.head)
        missing = LANES - len(bias)  # to a whole vector; `update` reads the first six channels
        self._head = PackedConv(F.pad(weight, [0] * 7 + [missing]), F.pad(bias, (0, missing)), arithmetic)
        self._state = decoder.head.in_channels

    def __call__(self, window: Window, level: int, above: Level | None) -> Level:
        """One level, from the one above it or from an earlier pass at the same one."""
        before, left, right, after = (arrays.by_rows(frame.match[level]) for frame in window)
        B, _, h, w = window[1].match[level].shape
        flow, peaks = arrays.empty(2 * B, h, w, 4), arrays.empty(2 * B, h, w, 4)
        cost = arrays.empty(2 * B, h, w, self._costs, numbers=self._numbers)
        coarse = np.zeros((2 * B, 1, 1, 4), np.float32) if above is None else arrays.motion(above)
        volume_numba.match(left, right, before, after, coarse, self._radius, self._sharpness, flow, cost, peaks)
        context = [arrays.channels_last(frame.context[level]) for frame in window[1:3]]
        hidden = (
            np.zeros((2 * B, 1, 1, self._state), self._numbers) if above is None else arrays.channels_last(above.hidden)
        )
        width = self._squeezed + context[0].shape[3] + 8 + self._state
        joined = arrays.empty(2 * B, h, w, width, numbers=self._numbers)
        volume_numba.gather(*context, flow, peaks, hidden, self._radius, self._squeezed, joined)
        state = arrays.tensor(joined)
        state[:, : self._squeezed] = self._squeeze(arrays.tensor(cost))
        for conv in self._body:
            state = conv(state)
        volume_numba.update(arrays.channels_last(self._head(state)), peaks, flow)
        motion = arrays.tensor(flow)
        return Level(motion[:, :2], motion[:, 2:], state)


class _Ensemble:
    """`motion.Ensemble`."""

    def __init__(self, network: SVMV, arithmetic: torch.dtype) -> None:
        self._numbers = arrays.numbers(arithmetic)
        ensemble = network.ensemble
        self._members = ensemble.members
        self._radius = ensemble.radius
        self._sharpness = np.float32(1 if ensemble.peak is None else ensemble.peak.log_sharpness.exp().item())
        self._doubt = np.float32(ensemble.doubt.item())
        self._evidence, self._calm = np.float32(ensemble.evidence.item()), np.float32(ensemble.calm.item())
        # The shuffle reads channel 4·c + place for channel c of each of four pixels; ordered by place, runs stay whole.
        weight, bias = weights(convolution(ensemble.lift))
        order = torch.arange(len(bias)).view(-1, 4).T.flatten()
        self._lift = PackedConv(weight[order], bias[order], arithmetic, slope=_SLOPE)
        first, second = ensemble.body
        weight, bias = weights(convolution(first))
        # Whole vectors: 47 channels take oneDNN longer than 48, and `look` writes some numbers behind its window.
        behind = max(LANES - 2 * self._radius - 3, 0) if self._radius else 0
        self._width = -(-(weight.shape[1] + behind) // LANES) * LANES
        weight = F.pad(weight, (0, 0, 0, 0, 0, self._width - weight.shape[1]))
        self._layers = [
            PackedConv(weight, bias, arithmetic, slope=_SLOPE),
            PackedConv.of(second, arithmetic, slope=_SLOPE),
            PackedConv.of(ensemble.head, arithmetic),
        ]

    def __call__(
        self, window: Window, levels: list[Level], shifts: Tensor, *, size: tuple[int, int], spacing: Tensor
    ) -> Motion:
        _, left, right, _ = window
        every = [arrays.channels_last(frame.half) for frame in window]
        halves = every[1:3]
        flow, hidden = arrays.motion(levels[-1]), arrays.channels_last(levels[-1].hidden)
        pace = spacing.T.flatten().float().numpy()
        settle(every, shifts.numpy(), pace, flow, hidden)
        lifted = arrays.channels_last(self._lift(arrays.tensor(hidden)))
        details = arrays.channels_last(left.detail), arrays.channels_last(right.detail)
        B, h, w, _ = details[0].shape
        joined, known = arrays.empty(2 * B, h, w, self._width, numbers=self._numbers), arrays.empty(2 * B, h, w, 10)
        rows = [arrays.unit_rows(detail) if self._radius else arrays.empty(0, 0, 0, 0) for detail in details]
        motion_numba.compare(lifted, *details, *halves, *rows, flow, self._radius, self._sharpness, joined, known)
        out = arrays.tensor(joined)
        for conv in self._layers:
            out = conv(out)
        members = arrays.empty(2 * B, 6 * self._members + 2, h, w)
        rate = 1 / pace
        head = arrays.channels_last(out)
        moves, curve = arrays.empty(B, h, w), arrays.empty(2 * B, h, w, 2)
        motion_numba.moving(*halves, np.float32(SAME), moves)
        motion_numba.bend(head, known, rate, curve)
        motion_numba.unfold(head, known, curve, moves, rate, self._doubt, self._evidence, self._calm, members)
        pictures = [arrays.channels_last(frame.picture) for frame in (left, right)]
        motion_numba.hold(*(each.reshape(*each.shape[:2], -1) for each in pictures), pictures[0].shape[3], members)
        packed = torch.from_numpy(members)
        each = packed[:, :-2].view(2 * B, self._members, 6, h, w)
        return PackedMotion(
            pictures=torch.cat([left.picture, right.picture]),
            velocity=each[:, :, 0:2],
            acceleration=each[:, :, 2:4],
            logit=each[:, :, 4],
            slope=each[:, :, 5],
            sharpness=packed[:, -2:-1],
            still=packed[:, -1:],
            levels=levels,
            size=size,
            whole=packed,
            furthest=torch.stack([reach(each[:, :, 0:2]), reach(each[:, :, 2:4])], dim=2),
        )
