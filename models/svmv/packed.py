"""A convolution made ready for the CPU: weights laid out once, its activation computed in the same pass."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svmv import arrays, winograd_numba


class PackedConv:
    """`nn.Conv2d`, optionally followed by LeakyReLU, for inference on channels-last tensors.

    In float32, 3 × 3 ones are done by minimal filtering, which takes a third to two thirds of oneDNN's time. In
    bfloat16 and for the others oneDNN is it. That reads weights in blocks: `nn.Conv2d` puts them into blocks at every
    call and runs the activation as a pass of its own; here both happen inside the convolution. Without oneDNN (other
    processors) plain torch does the same.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, arithmetic: torch.dtype, *, stride: int = 1, slope: float | None = None
    ) -> None:
        """Pack.

        Args:
            weight: (outputs, inputs, k, k), k odd; the padding is (k−1)/2.
            bias: (outputs,).
            arithmetic: float32 or bfloat16, of what it reads and writes; sums are float32.
            stride: px.
            slope: of the LeakyReLU behind it; None for none.
        """
        self._arithmetic = arithmetic
        self._plain = weight.detach().to(arithmetic).contiguous(memory_format=torch.channels_last)
        self._bias = bias.detach().to(arithmetic).contiguous()
        self._stride, self._padding, self._slope = stride, weight.shape[2] // 2, slope
        minimal = arithmetic is torch.float32 and stride == 1 and winograd_numba.serves(weight.shape)
        self._points = winograd_numba.prepared(weight.detach().numpy()) if minimal else None
        self._packed = None if minimal else _packed(self._plain, stride=stride, padding=self._padding)

    @classmethod
    def of(cls, block: nn.Module, arithmetic: torch.dtype, *, slope: float | None = None) -> "PackedConv":
        """Pack a convolution that pads by (k−1)/2, or the first part of a sequence that is one."""
        conv = convolution(block)
        return cls(*weights(conv), arithmetic, stride=conv.stride[0], slope=slope)

    def __call__(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W), channels last → (B, outputs, H/stride, W/stride), channels last, in its arithmetic."""
        x = x.to(self._arithmetic)
        if self._points is not None:
            source = arrays.channels_last(x)
            filled = arrays.empty(*source.shape[:3], len(self._bias))
            slope = np.float32(1 if self._slope is None else self._slope)
            winograd_numba.convolve(source, self._points, self._bias.numpy(), slope, filled)
            return arrays.tensor(filled)
        stride, padding = [self._stride] * 2, [self._padding] * 2
        if self._packed is not None:
            name, scalars = ("none", []) if self._slope is None else ("leaky_relu", [self._slope])
            made: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, self._packed, self._bias, padding, stride, [1, 1], 1, name, scalars, ""
            )
            return made
        out = F.conv2d(x, self._plain, self._bias, stride, padding)
        return out if self._slope is None else F.leaky_relu_(out, self._slope)


def convolution(block: nn.Module) -> nn.Conv2d:
    """The convolution that a block is or begins with."""
    first = block[0] if isinstance(block, nn.Sequential) else block
    assert isinstance(first, nn.Conv2d)
    return first


def weights(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias, without gradient."""
    assert conv.bias is not None
    return conv.weight.detach(), conv.bias.detach()


def _packed(weight: Tensor, *, stride: int, padding: int) -> Tensor | None:
    """Weights in oneDNN's blocks; None where this build of torch has no oneDNN or does not offer it."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    operations: Any = torch.ops.mkldnn
    try:
        packed: Tensor = operations._reorder_convolution_weight(weight, [padding] * 2, [stride] * 2, [1, 1], 1)
        # The fused operation is not a public one: it is tried once, here, before anything depends on it.
        trial = weight.new_zeros(1, weight.shape[1], 8, 8).contiguous(memory_format=torch.channels_last)
        bias = weight.new_zeros(weight.shape[0])
        operations._convolution_pointwise(
            trial, packed, bias, [padding] * 2, [stride] * 2, [1, 1], 1, "leaky_relu", [0.1], ""
        )
    except (AttributeError, RuntimeError):
        return None
    return packed
