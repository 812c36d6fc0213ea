"""3 × 3 convolutions in float32 by minimal filtering, F(4×4, 3×3): a quarter of the multiplications.

Lavin & Gray, Fast Algorithms for Convolutional Neural Networks (2016), with the points 0, ±1, ±2 and infinity. Each
6 × 6 patch of the input becomes 36 numbers a channel; each of those is one matrix product over the channels, for a
run of patches small enough to stay in the cache; and what comes out becomes 4 × 4 pixels. No picture of numbers
between is written to memory.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba import config, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from svmv.jit import kernel
from svmv.vectors_numba import EIGHT, LANES, constant, everywhere, larger, load, product_and_sum, runs, store

Array = npt.NDArray[np.float32]

_SIDE = 4  # px of the output a patch makes
_POINTS = (_SIDE + 2) ** 2
_FEATURES = config.CPU_FEATURES or binding.get_host_cpu_features().flatten()  # as numba takes them
# Output channels of a panel, and patches that are multiplied with two of them at once: what the registers hold.
_PANEL, _ROWS = (16, 12) if "+avx512f" in _FEATURES else (8, 6)
_RUN = 24  # patches whose numbers stay in the cache; a multiple of `_ROWS`
_WIDE = ir.VectorType(ir.FloatType(), _PANEL)

_OF_WEIGHTS = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24  # G


def serves(shape: Sequence[int]) -> bool:
    """Whether weights of a shape, (N, C, h, w), are of a convolution that `convolve` can do."""
    return tuple(shape[2:]) == (3, 3) and min(shape[:2]) >= LANES


def prepared(weight: npt.NDArray[np.floating[Any]]) -> Array:
    """(N, C, 3, 3) → (36, panels, C, n), what `convolve` multiplies with: N in panels of n, filled up with zeros."""
    N, C = weight.shape[:2]
    panels = -(-N // _PANEL)
    points = np.einsum("pi,ncij,qj->pqcn", _OF_WEIGHTS, weight.astype(np.float64), _OF_WEIGHTS).reshape(_POINTS, C, N)
    room = np.zeros((_POINTS, C, panels * _PANEL))
    room[..., :N] = points
    return np.ascontiguousarray(room.reshape(_POINTS, C, panels, _PANEL).transpose(0, 2, 1, 3), np.float32)


@kernel
def convolve(source, weights, bias, slope, out):  # type: ignore[no-untyped-def]
    """Fill `out` with the convolution of `source`, padded by one pixel of zeros, and its LeakyReLU.

    Args:
        source: (B, H, W, C), float32, contiguous; C ≥ `LANES`.
        weights: as `prepared` gives them.
        bias: (N,), float32.
        slope: of the LeakyReLU, at most 1; 1 for none.
        out: (B, H, W, N), float32, contiguous; N ≥ `LANES`.
    """
    B, H, W, C = source.shape
    N = out.shape[3]
    down, across = (H + _SIDE - 1) // _SIDE, (W + _SIDE - 1) // _SIDE
    panels = weights.shape[1]
    pixels, made = source.reshape(-1), out.reshape(-1)
    for task in prange(B * down):
        b, top = task // down, _SIDE * (task % down)
        # One more, so that what lies a run apart does not fall into the same few places of the cache.
        seen = np.empty((_POINTS, _RUN + 1, C), np.float32)
        summed = np.empty((_POINTS, _RUN + 1, panels * _PANEL), np.float32)
        patch, block = np.empty((6, 6, C), np.float32), np.empty((_SIDE, _SIDE, N), np.float32)
        for first in range(0, across, _RUN):
            count = min(_RUN, across - first)
            for k in range(count):
                left = _SIDE * (first + k)
                if top > 0 and left > 0 and top + _SIDE < H and left + _SIDE < W:
                    _analyse(pixels, ((b * H + top - 1) * W + left - 1) * C, W * C, seen, k)
                else:
                    patch[:] = 0
                    for y in range(max(top - 1, 0), min(top + 5, H)):
                        for x in range(max(left - 1, 0), min(left + 5, W)):
                            patch[y - top + 1, x - left + 1] = source[b, y, x]
                    _analyse(patch.reshape(-1), 0, 6 * C, seen, k)
            if count % _ROWS:  # what is left of other numbers there may be slow to calculate with
                seen[:, count:] = 0
            for point in range(_POINTS):
                for row in range(0, count, _ROWS):
                    for panel in range(0, panels - 1, 2):
                        _multiply_two(seen, point, row, weights, panel, summed)
                    if panels % 2:
                        _multiply(seen, point, row, weights, panels - 1, summed)
            for k in range(count):
                left = _SIDE * (first + k)
                if top + _SIDE <= H and left + _SIDE <= W:
                    _compose(summed, k, bias, slope, made, ((b * H + top) * W + left) * N, W * N)
                else:
                    _compose(summed, k, bias, slope, block.reshape(-1), 0, _SIDE * N)
                    for i in range(min(_SIDE, H - top)):
                        for j in range(min(_SIDE, W - left)):
                            out[b, top + i, left + j] = block[i, j]


@intrinsic
def _analyse(typingctx, pixels, place, line, seen, k):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """seen[:, k] = Bᵀ d B of the 6 × 6 pixels d whose rows lie `line` apart from `place` on in the flat `pixels`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        pixels_, seen_ = (cgutils.create_struct_proxy(kinds[n])(context, builder, arguments[n]) for n in (0, 3))
        place_, line_, k_ = (context.cast(builder, arguments[n], kinds[n], types.intp) for n in (1, 2, 4))
        count = builder.extract_value(seen_.shape, 2)
        pitch = builder.mul(builder.extract_value(seen_.shape, 1), count)
        start = builder.mul(k_, count)
        with runs(builder, count) as channel:
            rows = []
            for i in range(6):
                row = builder.add(builder.add(place_, channel), builder.mul(line_, line_.type(i)))
                each = [builder.add(row, builder.mul(count, count.type(j))) for j in range(6)]
                rows.append(_seen(builder, [load(builder, builder.gep(pixels_.data, [at]), EIGHT) for at in each]))
            columns = [_seen(builder, list(column)) for column in zip(*rows, strict=True)]
            for j, column in enumerate(columns):
                for i, number in enumerate(column):
                    at = builder.add(builder.mul(pitch, pitch.type(6 * i + j)), builder.add(start, channel))
                    store(builder, number, builder.gep(seen_.data, [at]))
        return context.get_dummy_value()

    return types.void(pixels, place, line, seen, k), generate


def _multiplying(together: int) -> Any:
    """Matrix products of `_ROWS` patches with so many panels at once, whose sums stay in registers.

    summed[point, row + r, lanes·(panel + k) + n] = Σ seen[point, row + r, c] · weights[point, panel + k, c, n].
    """

    @intrinsic
    def multiplying(typingctx, seen, point, row, weights, panel, summed):  # type: ignore[no-untyped-def]  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            seen_, weights_, summed_ = (
                cgutils.create_struct_proxy(kinds[n])(context, builder, arguments[n]) for n in (0, 3, 5)
            )
            point_, row_, panel_ = (context.cast(builder, arguments[n], kinds[n], types.intp) for n in (1, 2, 4))
            whole = point_.type
            run, count = (builder.extract_value(seen_.shape, n) for n in (1, 2))
            panels, wide = builder.extract_value(weights_.shape, 1), builder.extract_value(summed_.shape, 2)
            patches = [builder.add(builder.mul(point_, run), builder.add(row_, whole(r))) for r in range(_ROWS)]
            first = builder.add(builder.mul(point_, panels), panel_)
            each = [builder.mul(builder.add(first, whole(k)), count) for k in range(together)]
            zero = ir.Constant(_WIDE, [0.0] * _PANEL)
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in each] for _ in patches]
            with cgutils.for_range(builder, count) as loop:
                places = [builder.mul(builder.add(one, loop.index), whole(_PANEL)) for one in each]
                factors = [load(builder, builder.gep(weights_.data, [place]), _WIDE) for place in places]
                for patch, totals in zip(patches, sums, strict=True):
                    place = builder.add(builder.mul(patch, count), loop.index)
                    number = everywhere(builder, builder.load(builder.gep(seen_.data, [place])), _PANEL)
                    for factor, total in zip(factors, totals, strict=True):
                        builder.store(product_and_sum(builder, number, factor, builder.load(total)), total)
            for patch, totals in zip(patches, sums, strict=True):
                place = builder.add(builder.mul(patch, wide), builder.mul(panel_, whole(_PANEL)))
                for k, total in enumerate(totals):
                    there = builder.gep(summed_.data, [builder.add(place, whole(k * _PANEL))])
                    store(builder, builder.load(total), there)
            return context.get_dummy_value()

        return types.void(seen, point, row, weights, panel, summed), generate

    return multiplying


_multiply, _multiply_two = _multiplying(1), _multiplying(2)


@intrinsic
def _compose(typingctx, summed, k, bias, slope, made, place, line):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """4 × 4 pixels Aᵀ m A of the numbers m = summed[:, k], bias and LeakyReLU, rows `line` apart from `place` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        summed_, bias_, made_ = (
            cgutils.create_struct_proxy(kinds[n])(context, builder, arguments[n]) for n in (0, 2, 4)
        )
        k_, place_, line_ = (context.cast(builder, arguments[n], kinds[n], types.intp) for n in (1, 5, 6))
        run, wide = (builder.extract_value(summed_.shape, n) for n in (1, 2))
        count = builder.extract_value(bias_.shape, 0)
        pitch = builder.mul(run, wide)
        start = builder.mul(k_, wide)
        slopes = everywhere(builder, arguments[3], LANES)
        with runs(builder, count) as channel:
            offset = load(builder, builder.gep(bias_.data, [channel]), EIGHT)
            rows = []
            for i in range(6):
                each = [builder.mul(pitch, pitch.type(6 * i + j)) for j in range(6)]
                each = [builder.add(at, builder.add(start, channel)) for at in each]
                rows.append(_pixels(builder, [load(builder, builder.gep(summed_.data, [at]), EIGHT) for at in each]))
            for j, column in enumerate(zip(*rows, strict=True)):
                for i, number in enumerate(_pixels(builder, list(column))):
                    shifted = builder.fadd(number, offset)
                    kept = larger(builder, shifted, builder.fmul(shifted, slopes))
                    at = builder.add(builder.mul(line_, line_.type(i)), builder.mul(count, count.type(j)))
                    store(builder, kept, builder.gep(made_.data, [builder.add(builder.add(place_, channel), at)]))
        return context.get_dummy_value()

    return types.void(summed, k, bias, slope, made, place, line), generate


def _seen(builder: Any, d: list[Any]) -> list[Any]:
    """Bᵀ d of six vectors."""
    four, less = (constant(number) for number in (4.0, -4.0))
    a = product_and_sum(builder, d[2], less, d[4])
    b = product_and_sum(builder, d[1], less, d[3])
    c = builder.fsub(d[4], d[2])
    e = builder.fsub(d[3], d[1])
    e = builder.fadd(e, e)
    fives = constant(-5.0)
    return [
        product_and_sum(builder, d[0], four, product_and_sum(builder, d[2], fives, d[4])),
        builder.fadd(a, b),
        builder.fsub(a, b),
        builder.fadd(c, e),
        builder.fsub(c, e),
        product_and_sum(builder, d[1], four, product_and_sum(builder, d[3], fives, d[5])),
    ]


def _pixels(builder: Any, m: list[Any]) -> list[Any]:
    """Aᵀ m of six vectors."""
    two, four, eight = (constant(number) for number in (2.0, 4.0, 8.0))
    inner, outer = builder.fadd(m[1], m[2]), builder.fadd(m[3], m[4])
    slant, steep = builder.fsub(m[1], m[2]), builder.fsub(m[3], m[4])
    return [
        builder.fadd(builder.fadd(m[0], inner), outer),
        product_and_sum(builder, steep, two, slant),
        product_and_sum(builder, outer, four, inner),
        builder.fadd(product_and_sum(builder, steep, eight, slant), m[5]),
    ]
