"""The network made ready to run, in one of two forms: as it is, or the CPU's fused twin."""

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Protocol

import torch
from torch import Tensor, nn

from svmv import backends, correlation, splat, synthesis
from svmv.config import SVMVConfig
from svmv.cpu_network import CpuNetwork
from svmv.features import Features
from svmv.model import SVMV, Window
from svmv.motion import Motion
from svmv.volume import Level, MotionVolume, enlarged


class Network(Protocol):
    """What runs a trained network; see the methods of `SVMV`. The last three are steps of the first two, for tiles."""

    @property
    def config(self) -> SVMVConfig:
        """Sizes of the network."""

    def encode(self, frames: Tensor) -> Features:
        """Features of frames."""

    def decode(
        self, window: Window, *, size: tuple[int, int], spacing: Tensor | None = None, refinements: int | None = None
    ) -> Motion:
        """Motion of a window of encoded frames."""

    def synthesize(self, motion: Motion, t: Tensor) -> Tensor:
        """Pictures at the times t."""

    def encode_exactly(self, frames: Tensor, levels: int) -> Features:
        """Features at so many levels of frames that need no padding."""

    def decode_coarse(self, window: Window) -> Level:
        """Motion at the finest level of a window of which only the coarse levels were encoded."""

    def decode_finest(
        self, window: Window, above: Level, shifts: Tensor, *, size: tuple[int, int], spacing: Tensor
    ) -> Motion:
        """Motion of a window encoded at one level, from the level above it and `shifts.common_shifts`."""


def ready(network: SVMV, device: torch.device, dtype: torch.dtype) -> Network:
    """The fastest form of a network for a device and the arithmetic of its convolutions; for inference only.

    The network itself stays as it is. One of a derived class, which may decode in its own way, has no twin.
    """
    if device.type == "cpu" and type(network) is SVMV and CpuNetwork.serves(network.config):
        return CpuNetwork(network, dtype)
    own = deepcopy(network).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    for layer in own.modules():
        if isinstance(layer, nn.Conv2d):  # once; autocast would do it in every call, two launches a layer
            layer.to(dtype)
    return PlainNetwork(own, dtype)


def triton_failure(device: torch.device, *, training: bool = False) -> str | None:
    """Why the Triton kernels of a network, or one of them, do not run on a CUDA device; None where all do.

    Args:
        device: the CUDA device.
        training: ask for the backward kernels too.

    Raises:
        torch.OutOfMemoryError: the device is full, which says nothing about Triton.
    """
    trained = correlation.training_trial, splat.training_trial, synthesis.trial
    needed = trained if training else (correlation.trial, synthesis.trial)
    reasons = (backends.failure(trial, device) for trial in needed)
    return next((reason for reason in reasons if reason is not None), None)


class PlainNetwork:
    """`SVMV` as it is, for all devices and sizes that have no twin of their own."""

    def __init__(self, network: SVMV, arithmetic: torch.dtype = torch.float32) -> None:
        """`arithmetic`: of the convolutions, by autocast; coordinates and the splat stay float32."""
        self._network = network
        self._arithmetic = arithmetic
        self.config = network.config

    def _autocast(self) -> AbstractContextManager[object]:
        if self._arithmetic is torch.float32:
            return nullcontext()
        return torch.autocast(next(self._network.parameters()).device.type, self._arithmetic)

    def encode(self, frames: Tensor) -> Features:
        """See `SVMV.encode`."""
        with self._autocast():
            return self._network.encode(frames)

    def decode(
        self, window: Window, *, size: tuple[int, int], spacing: Tensor | None = None, refinements: int | None = None
    ) -> Motion:
        """See `SVMV.decode`."""
        with self._autocast():
            return self._network.decode(window, size=size, spacing=spacing, refinements=refinements)

    def synthesize(self, motion: Motion, t: Tensor) -> Tensor:
        """See `SVMV.synthesize`."""
        return self._network.synthesize(motion, t)

    def encode_exactly(self, frames: Tensor, levels: int) -> Features:
        """See `Network`."""
        with self._autocast():
            features: Features = self._network.encoder(frames, levels)
        return features

    def decode_coarse(self, window: Window) -> Level:
        """See `Network`."""
        volume: MotionVolume = self._network.volume
        with self._autocast():
            return volume.coarser(window, down_to=0)[-1]

    def decode_finest(
        self, window: Window, above: Level, shifts: Tensor, *, size: tuple[int, int], spacing: Tensor
    ) -> Motion:
        """See `Network`."""
        volume: MotionVolume = self._network.volume
        with self._autocast():
            levels = volume.finest(window, enlarged(above, *window[1].match[0].shape[2:]))
            motion: Motion = self._network.ensemble(window, levels, shifts, size=size, spacing=spacing)
        return motion
