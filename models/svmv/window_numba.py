"""Correlation of one pixel with a window around a place, and where in it the pixel matches best, in vector registers.

Rows of the window are vectors of `LANES` numbers, one row each, and stay in registers from the first product to the
mean displacement. What it computes is `correlation.correlate` and `volume.SoftArgmax`.
"""

from itertools import pairwise
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from svmv.correlation_numba import _corner
from svmv.jit import inlined
from svmv.vectors_numba import EIGHT, LANES, constant, everywhere, larger, load, product_and_sum, write_eight

WIDEST = 3  # radius: 2r+2 samples a row are a vector
_LEAST = -24.0  # e^-24 adds nothing to a sum that holds e^0
_TERMS = (1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)  # of e^y


@inlined
def look(own, at, other, x, y, radius, sharpness, out, start, pitch):  # type: ignore[no-untyped-def]
    """Correlate one pixel with the window around a place; the mean displacement under the softmax, px, across and down.

    Args:
        own: (C, w), float32, features of the pixel's row, a row of each channel after the other.
        at: the pixel's column.
        other: (h, C, w), features of the other picture; zero outside it. h and w ≥ `LANES`.
        x: of the place, px.
        y: of the place.
        radius: r, px, from 1 to `WIDEST`.
        sharpness: of the softmax.
        out: (w, n), float32 or the bits of bfloat16; the correlation is written there to [at, start + k]: 2r+1 rows
            of `LANES` numbers, of which 2r+1 mean something and the others are finite.
        start: see there.
        pitch: from row to row, from 2r+1 on; one row is written after the other, upper ones first.
    """
    side = 2 * radius + 2
    x0, fx = _corner(x, other.shape[2], side)
    y0, fy = _corner(y, other.shape[0], side)
    top, left = y0 - radius, x0 - radius
    if radius == 3:
        return _look_3(own, at, other, top, left, fx, fy, sharpness, out, start, pitch)
    if radius == 2:
        return _look_2(own, at, other, top, left, fx, fy, sharpness, out, start, pitch)
    return _look_1(own, at, other, top, left, fx, fy, sharpness, out, start, pitch)


def _looking(radius: int) -> Any:
    """`look` for one radius, given the window's upper left sample and the place's fractions; nothing is checked.

    Arrays are contiguous.
    """
    count = 2 * radius + 2

    @intrinsic
    def looking(  # type: ignore[no-untyped-def]
        typingctx,  # noqa: ARG001
        own,
        at,
        other,
        top,
        left,
        fx,
        fy,
        sharpness,
        out,
        start,
        pitch,
    ):
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            own_, other_, out_ = (
                cgutils.create_struct_proxy(kinds[n])(context, builder, arguments[n]) for n in (0, 2, 8)
            )
            at_, top_, left_, start_, pitch_ = (
                context.cast(builder, arguments[n], kinds[n], types.intp) for n in (1, 3, 4, 9, 10)
            )
            across, down, sharp = (everywhere(builder, arguments[n], LANES) for n in (5, 6, 7))
            dots = _products(builder, own_, at_, other_, top_, left_, count)
            between = [_mixed(builder, dot, _turned(builder, dot, 1), across) for dot in dots]
            cost = [_mixed(builder, upper, lower, down) for upper, lower in pairwise(between)]
            width = builder.extract_value(out_.shape, 1)
            target = builder.gep(out_.data, [builder.add(builder.mul(at_, width), start_)])
            for i, row in enumerate(cost):
                write_eight(builder, row, builder.gep(target, [builder.mul(pitch_, pitch_.type(i))]))
            return context.make_tuple(builder, signature.return_type, _peak(builder, cost, sharp, radius))

        place = types.UniTuple(types.float32, 2)
        return place(own, at, other, top, left, fx, fy, sharpness, out, start, pitch), generate

    return looking


def _within(builder: Any, number: Any, last: Any) -> Any:
    """An index brought between 0 and the last one."""
    number = builder.select(builder.icmp_signed(">", number, last), last, number)
    return builder.select(builder.icmp_signed("<", number, number.type(0)), number.type(0), number)


def _products(builder: Any, own: Any, at: Any, other: Any, top: Any, left: Any, count: int) -> list[Any]:
    """Of each row of the window, the mean over the channels of the pixel's products with it, at its `LANES` columns.

    Read where the picture is, as near as that comes to the window, and moved by what is missing.
    """
    height, channels, width = (builder.extract_value(other.shape, n) for n in range(3))
    pitch, whole = builder.extract_value(own.shape, 1), top.type
    inside = _within(builder, top, builder.sub(height, whole(count)))
    within = _within(builder, left, builder.sub(width, whole(LANES)))
    line = builder.mul(channels, width)
    corner = builder.add(builder.mul(inside, line), within)
    rows = [builder.gep(other.data, [builder.add(corner, builder.mul(line, whole(i)))]) for i in range(count)]
    totals = [cgutils.alloca_once_value(builder, constant(0.0)) for _ in rows]
    with cgutils.for_range(builder, channels) as loop:
        mine = builder.load(builder.gep(own.data, [builder.add(builder.mul(loop.index, pitch), at)]))
        every = everywhere(builder, mine, LANES)
        step = _kept(builder, builder.mul(loop.index, width))
        for row, total in zip(rows, totals, strict=True):
            read = load(builder, builder.gep(row, [step]), EIGHT)
            builder.store(product_and_sum(builder, every, read, builder.load(total)), total)
    _move_across(builder, totals, builder.sub(left, within))
    _move_down(builder, totals, builder.sub(top, inside))
    share = builder.fdiv(ir.Constant(ir.FloatType(), 1.0), builder.sitofp(channels, ir.FloatType()))
    scale = everywhere(builder, share, LANES)
    return [builder.fmul(builder.load(total), scale) for total in totals]


def _peak(builder: Any, cost: list[Any], sharp: Any, radius: int) -> list[Any]:
    """Mean displacement under the softmax of the correlation, across and down."""
    side = 2 * radius + 1
    seen = ir.Constant(ir.VectorType(ir.IntType(1), LANES), [k < side for k in range(LANES)])
    shown = [builder.select(seen, row, constant(-1e30)) for row in cost]
    best = shown[0]
    for row in shown[1:]:
        best = larger(builder, best, row)
    for distance in (4, 2, 1):
        best = larger(builder, best, _turned(builder, best, distance))
    best = everywhere(builder, builder.extract_element(best, ir.IntType(32)(0)), LANES)
    total = down = constant(0.0)
    for i, row in enumerate(shown):
        power = builder.fmul(builder.fsub(row, best), sharp)
        share = _exponential(builder, larger(builder, power, constant(_LEAST)))
        total = builder.fadd(total, share)
        down = product_and_sum(builder, share, constant(i - radius), down)
    columns = ir.Constant(EIGHT, [float(k - radius) for k in range(LANES)])
    across = builder.fmul(total, columns)
    total, across, down = (_summed(builder, x) for x in (total, across, down))
    return [builder.fdiv(across, total), builder.fdiv(down, total)]


def _exponential(builder: Any, x: Any) -> Any:
    """e^x for |x| ≤ 12, to 1e-5 of itself, and no less than 0 beyond: (e^(x/64))^64 by Taylor and six squarings."""
    y = builder.fmul(x, constant(1 / 64))
    e = constant(_TERMS[0])
    for term in _TERMS[1:]:
        e = product_and_sum(builder, e, y, constant(term))
    for _ in range(6):
        e = builder.fmul(e, e)
    return e


def _mixed(builder: Any, first: Any, second: Any, share: Any) -> Any:
    """Linear interpolation."""
    return product_and_sum(builder, builder.fsub(second, first), share, first)


def _kept(builder: Any, index: Any) -> Any:
    """An index that LLVM can't see through.

    It would unroll the loop and keep a pointer for each row and channel of it, more than there are registers; so it
    adds this index to each row's own.
    """
    kind = ir.FunctionType(index.type, [index.type])
    return builder.call(ir.InlineAsm(kind, "", "=r,0"), [index])


def _move_across(builder: Any, rows: list[Any], distance: Any) -> None:
    """Each lane of all rows, the number so many lanes after it; zero where there is none.

    Turned round by the distance's bits, in registers: a vector read across two that were just written waits for both.
    """
    with builder.if_then(builder.icmp_signed("!=", distance, distance.type(0)), likely=False):
        lanes = ir.Constant(ir.VectorType(distance.type, LANES), list(range(LANES)))
        source = builder.add(lanes, everywhere(builder, distance, LANES))
        first, end = (ir.Constant(source.type, [bound] * LANES) for bound in (0, LANES))
        there = builder.and_(builder.icmp_signed(">=", source, first), builder.icmp_signed("<", source, end))
        for row in rows:
            x = builder.load(row)
            for bit in (1, 2, 4):
                wanted = builder.icmp_signed("!=", builder.and_(distance, distance.type(bit)), distance.type(0))
                x = builder.select(wanted, _turned(builder, x, bit), x)
            builder.store(builder.select(there, x, constant(0.0)), row)


def _move_down(builder: Any, rows: list[Any], distance: Any) -> None:
    """Each row, the one so many rows after it; zero where there is none."""
    with builder.if_then(builder.icmp_signed("!=", distance, distance.type(0)), likely=False):
        count = len(rows)
        room = cgutils.alloca_once(builder, EIGHT, size=3 * count)
        for k in range(3 * count):
            there = builder.load(rows[k - count]) if count <= k < 2 * count else constant(0.0)
            builder.store(there, builder.gep(room, [distance.type(k)]))
        start = _within(builder, builder.add(distance, distance.type(count)), distance.type(2 * count))
        for k, row in enumerate(rows):
            builder.store(builder.load(builder.gep(room, [builder.add(start, distance.type(k))])), row)


def _turned(builder: Any, x: Any, distance: int) -> Any:
    """Each lane, the number so many lanes after it, the first ones after the last."""
    order = [(k + distance) % LANES for k in range(LANES)]
    return builder.shuffle_vector(x, x, ir.Constant(ir.VectorType(ir.IntType(32), LANES), order))


def _summed(builder: Any, x: Any) -> Any:
    """The sum of all lanes."""
    for distance in (4, 2, 1):
        x = builder.fadd(x, _turned(builder, x, distance))
    return builder.extract_element(x, ir.IntType(32)(0))


_look_1, _look_2, _look_3 = (_looking(radius) for radius in (1, 2, 3))
