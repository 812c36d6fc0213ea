"""A square of 8 × 8 sums of products, each row of them in one vector register: numba's own loops do not become that."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_SIDE = 8
_FUSED = ("contract",)  # a product and the sum it goes into may be one instruction


@intrinsic
def square_products(typingctx: Any, mine: Any, other: Any, nothing: Any, top: Any, left: Any, sums: Any) -> Any:  # noqa: ARG001
    """sums[8·i + j] = Σₖ mine[k] · other[top + i, k, left + j] for i, j < 8; rows outside are those of `nothing`.

    `mine` is (C,), `other` (h, C, w) with 0 ≤ `left` ≤ w − 8, `nothing` (C, w) zeros, `sums` (≥ 64,); all float32,
    contiguous. Nothing is checked.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        mine_, other_, nothing_, sums_ = (
            cgutils.create_struct_proxy(kinds[n])(context, builder, arguments[n]) for n in (0, 1, 2, 5)
        )
        top_, left_ = (context.cast(builder, arguments[n], kinds[n], types.intp) for n in (3, 4))
        height, channels, width = (builder.extract_value(other_.shape, n) for n in range(3))
        eight, lane = ir.VectorType(ir.FloatType(), _SIDE), ir.IntType(32)
        unset, firsts = ir.Constant(eight, ir.Undefined), ir.Constant(ir.VectorType(lane, _SIDE), [0] * _SIDE)
        rows = []
        for i in range(_SIDE):
            at = builder.add(top_, top_.type(i))
            inside = builder.and_(builder.icmp_signed(">=", at, at.type(0)), builder.icmp_signed("<", at, height))
            there = builder.gep(other_.data, [builder.mul(at, builder.mul(channels, width))])
            rows.append(builder.gep(builder.select(inside, there, nothing_.data), [left_]))
        totals = [cgutils.alloca_once_value(builder, ir.Constant(eight, [0.0] * _SIDE)) for _ in rows]
        with cgutils.for_range(builder, channels) as loop:
            one = builder.load(builder.gep(mine_.data, [loop.index]))
            every = builder.shuffle_vector(builder.insert_element(unset, one, lane(0)), unset, firsts)
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
