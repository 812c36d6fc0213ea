"""Short runs of numbers in one vector register each, said outright.

Numba vectorises long loops over neighbours only; LLVM's other way, finding equal operations side by side (SLP), is
switched off in it. Addresses are not checked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
EIGHT = ir.VectorType(ir.FloatType(), LANES)
_FUSED = ("contract",)  # a product and the sum it goes into may be one instruction


@intrinsic
def add_four_times(typingctx: Any, target: Any, place: Any, line: Any, source: Any, shares: Any, row: Any) -> Any:  # noqa: ARG001
    """target[place + d + k] += shares[i, row] · source[row, k] for k < 4, at d = 0, 4, `line`, `line` + 4 for i < 4.

    `target` is (n,), `source` (h, 4), `shares` (4, h); all float32, contiguous.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        target_, source_, shares_ = (
            cgutils.create_struct_proxy(kinds[n])(context, builder, arguments[n]) for n in (0, 3, 4)
        )
        place_, line_, row_ = (context.cast(builder, arguments[n], kinds[n], types.intp) for n in (1, 2, 5))
        four, whole = ir.VectorType(ir.FloatType(), 4), place_.type
        carried = load(builder, _at(builder, source_, row_, whole(4)), four)
        height = builder.extract_value(shares_.shape, 1)
        each = [builder.load(_at(builder, shares_, whole(i), height, row_)) for i in range(4)]
        for share, distance in zip(each, (whole(0), whole(4), line_, builder.add(line_, whole(4))), strict=True):
            there = builder.gep(target_.data, [builder.add(place_, distance)])
            before = load(builder, there, four)
            store(builder, product_and_sum(builder, everywhere(builder, share, 4), carried, before), there)
        return context.get_dummy_value()

    return types.void(target, place, line, source, shares, row), generate


@intrinsic
def mix_four(  # type: ignore[no-untyped-def]
    typingctx,  # noqa: ARG001
    upper,
    lower,
    first,
    second,
    a,
    b,
    c,
    d,
    out,
    row,
    start,
):
    """out[row, start + k] = a · upper[first, k] + b · upper[second, k] + c · lower[first, k] + d · lower[second, k].

    For all k < n; arrays are (w, n ≥ `LANES`), contiguous, float32 or the bits of bfloat16.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        upper_, lower_, out_ = (
            cgutils.create_struct_proxy(kinds[n])(context, builder, arguments[n]) for n in (0, 1, 8)
        )
        columns = [context.cast(builder, arguments[n], kinds[n], types.intp) for n in (2, 3)]
        row_, start_ = (context.cast(builder, arguments[n], kinds[n], types.intp) for n in (9, 10))
        shares = [everywhere(builder, arguments[n], LANES) for n in range(4, 8)]
        count = builder.extract_value(upper_.shape, 1)
        sources = [_at(builder, array, column, count) for array in (upper_, lower_) for column in columns]
        target = _at(builder, out_, row_, builder.extract_value(out_.shape, 1), start_)
        with runs(builder, count) as k:
            total = ir.Constant(EIGHT, [0.0] * LANES)
            for source, share in zip(sources, shares, strict=True):
                total = product_and_sum(builder, share, read_eight(builder, builder.gep(source, [k])), total)
            write_eight(builder, total, builder.gep(target, [k]))
        return context.get_dummy_value()

    return types.void(upper, lower, first, second, a, b, c, d, out, row, start), generate


@intrinsic
def copy_run(typingctx, source, column, first, count, out, row, start):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """out[row, start + k] = source[column, first + k] for k < `count`, at least `LANES`.

    Both are contiguous, two-dimensional, and of one type: float32 or the bits of bfloat16.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        source_, out_ = (cgutils.create_struct_proxy(kinds[n])(context, builder, arguments[n]) for n in (0, 4))
        column_, first_, count_, row_, start_ = (
            context.cast(builder, arguments[n], kinds[n], types.intp) for n in (1, 2, 3, 5, 6)
        )
        read = _at(builder, source_, column_, builder.extract_value(source_.shape, 1), first_)
        written = _at(builder, out_, row_, builder.extract_value(out_.shape, 1), start_)
        eight = ir.VectorType(read.type.pointee, LANES).as_pointer()
        with runs(builder, count_) as k:
            numbers = builder.load(builder.bitcast(builder.gep(read, [k]), eight), align=2)
            builder.store(numbers, builder.bitcast(builder.gep(written, [k]), eight), align=2)
        return context.get_dummy_value()

    return types.void(source, column, first, count, out, row, start), generate


@contextmanager
def runs(builder: Any, count: Any) -> Iterator[Any]:
    """A loop over runs of `LANES` of so many numbers; the last run may repeat some of the one before."""
    whole = count.type
    last = builder.sub(count, whole(LANES))
    with cgutils.for_range(builder, builder.sdiv(builder.add(last, whole(2 * LANES - 1)), whole(LANES))) as loop:
        k = builder.mul(loop.index, whole(LANES))
        yield builder.select(builder.icmp_signed(">", k, last), last, k)


def load(builder: Any, place: Any, kind: Any) -> Any:
    """A vector of float32 from an address, which need not be a multiple of its size."""
    return builder.load(builder.bitcast(place, kind.as_pointer()), align=4)


def store(builder: Any, numbers: Any, place: Any) -> None:
    """The opposite of `load`."""
    builder.store(numbers, builder.bitcast(place, numbers.type.as_pointer()), align=4)


def read_eight(builder: Any, place: Any) -> Any:
    """Eight numbers as float32, from an address of float32 or of bfloat16's bits; see `bfloat16_numba`."""
    if place.type.pointee == ir.FloatType():
        return load(builder, place, EIGHT)
    bits = builder.load(builder.bitcast(place, ir.VectorType(place.type.pointee, LANES).as_pointer()), align=2)
    wide = ir.VectorType(ir.IntType(32), LANES)
    return builder.bitcast(builder.shl(builder.zext(bits, wide), ir.Constant(wide, [16] * LANES)), EIGHT)


def write_eight(builder: Any, numbers: Any, place: Any) -> None:
    """The opposite of `read_eight`, rounded to nearest, ties to even."""
    if place.type.pointee == ir.FloatType():
        store(builder, numbers, place)
        return
    wide, short = ir.VectorType(ir.IntType(32), LANES), ir.VectorType(place.type.pointee, LANES)
    one, half, upper = (ir.Constant(wide, [number] * LANES) for number in (1, 0x7FFF, 16))
    bits = builder.bitcast(numbers, wide)
    odd = builder.and_(builder.lshr(bits, upper), one)
    rounded = builder.lshr(builder.add(bits, builder.add(half, odd)), upper)
    builder.store(builder.trunc(rounded, short), builder.bitcast(place, short.as_pointer()), align=2)


def product_and_sum(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """What is added to a product: a · b + c."""
    return builder.fadd(c, builder.fmul(a, b, flags=_FUSED), flags=_FUSED)


def _at(builder: Any, array: Any, row: Any, width: Any, column: Any = None) -> Any:
    """Address of an element of a two-dimensional array."""
    place = builder.mul(row, width)
    return builder.gep(array.data, [place if column is None else builder.add(place, column)])


def larger(builder: Any, a: Any, b: Any) -> Any:
    """The larger of each pair of numbers."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def constant(number: float) -> Any:
    """`LANES` times the same."""
    return ir.Constant(EIGHT, [float(number)] * LANES)


def everywhere(builder: Any, one: Any, lanes: int) -> Any:
    """The same number in all lanes of a vector."""
    unset, index = ir.Constant(ir.VectorType(one.type, lanes), ir.Undefined), ir.IntType(32)
    first = builder.insert_element(unset, one, index(0))
    return builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(index, lanes), [0] * lanes))
