"""Short runs of numbers in one vector register each, said outright.

Numba vectorises long loops over neighbours only; LLVM's other way, finding equal operations side by side (SLP), is
switched off in it. Addresses are not checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_SIDE = 8
_FUSED = ("contract",)  # a product and the sum it goes into may be one instruction


def _products(count: int) -> Any:
    """sums[8·i + j] = Σₖ mine[k] · other[top + i, k, left + j] for i < `count`, j < 8; rows outside are `nothing`'s.

    `mine` is (C,), `other` (h, C, w) with 0 ≤ `left` ≤ w − 8, `nothing` (C, w) zeros, `sums` (≥ 8·`count`,); all
    float32, contiguous. Nothing is checked.
    """

    @intrinsic
    def products(typingctx: Any, mine: Any, other: Any, nothing: Any, top: Any, left: Any, sums: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            mine_, other_, nothing_, sums_ = (
                cgutils.create_struct_proxy(kinds[n])(context, builder, arguments[n]) for n in (0, 1, 2, 5)
            )
            top_, left_ = (context.cast(builder, arguments[n], kinds[n], types.intp) for n in (3, 4))
            height, channels, width = (builder.extract_value(other_.shape, n) for n in range(3))
            eight = ir.VectorType(ir.FloatType(), _SIDE)
            rows = []
            for i in range(count):
                at = builder.add(top_, top_.type(i))
                inside = builder.and_(builder.icmp_signed(">=", at, at.type(0)), builder.icmp_signed("<", at, height))
                there = builder.gep(other_.data, [builder.mul(at, builder.mul(channels, width))])
                rows.append(builder.gep(builder.select(inside, there, nothing_.data), [left_]))
            totals = [cgutils.alloca_once_value(builder, ir.Constant(eight, [0.0] * _SIDE)) for _ in rows]
            with cgutils.for_range(builder, channels) as loop:
                every = _spread(builder, builder.load(builder.gep(mine_.data, [loop.index])), _SIDE)
                step = builder.mul(loop.index, width)
                for row, total in zip(rows, totals, strict=True):
                    read = builder.load(builder.bitcast(builder.gep(row, [step]), eight.as_pointer()))
                    read.align = 4
                    product = builder.fmul(every, read, flags=_FUSED)
                    builder.store(builder.fadd(builder.load(total), product, flags=_FUSED), total)
            for i, total in enumerate(totals):
                target = builder.gep(sums_.data, [top_.type(_SIDE * i)])
                builder.store(builder.load(total), builder.bitcast(target, eight.as_pointer())).align = 4
            return context.get_dummy_value()

        return types.void(mine, other, nothing, top, left, sums), generate

    return products


six_rows, eight_rows = _products(6), _products(8)


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
        carried = builder.load(builder.bitcast(_at(builder, source_, row_, whole(4)), four.as_pointer()))
        carried.align = 4
        height = builder.extract_value(shares_.shape, 1)
        each = [builder.load(_at(builder, shares_, whole(i), height, row_)) for i in range(4)]
        for share, distance in zip(each, (whole(0), whole(4), line_, builder.add(line_, whole(4))), strict=True):
            there = builder.gep(target_.data, [builder.add(place_, distance)])
            there = builder.bitcast(there, four.as_pointer())
            before = builder.load(there)
            before.align = 4
            product = builder.fmul(_spread(builder, share, 4), carried, flags=_FUSED)
            builder.store(builder.fadd(before, product, flags=_FUSED), there).align = 4
        return context.get_dummy_value()

    return types.void(target, place, line, source, shares, row), generate


def _at(builder: Any, array: Any, row: Any, width: Any, column: Any = None) -> Any:
    """Address of an element of a two-dimensional array."""
    place = builder.mul(row, width)
    return builder.gep(array.data, [place if column is None else builder.add(place, column)])


def _spread(builder: Any, one: Any, lanes: int) -> Any:
    """The same number in all lanes of a vector."""
    unset, index = ir.Constant(ir.VectorType(one.type, lanes), ir.Undefined), ir.IntType(32)
    first = builder.insert_element(unset, one, index(0))
    return builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(index, lanes), [0] * lanes))
