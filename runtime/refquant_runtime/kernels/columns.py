"""Sixteen columns at a time, down a matrix ``[rows][16]``: what softmax does to the scores.

As LLVM IR: numba's loops over sixteen elements are unrolled into scalars, because it cannot know
that the rows and the sixteen numbers beside them lie apart. The IR has generic vectors only, so
LLVM makes the best of any CPU; each element's operations are in the order of the rows.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["WIDTH", "divide_columns", "largest_columns", "subtract_columns", "sum_columns"]

WIDTH = 16
_F32, _I64 = ir.FloatType(), ir.IntType(64)
_ROW = ir.VectorType(_F32, WIDTH)
Combine = Callable[[Any, Any, Any], Any]  # builder, the sixteen numbers, a row


def _place(builder: Any, base: Any, index: Any) -> Any:
    return builder.bitcast(builder.gep(base, [index]), _ROW.as_pointer())


def _load(builder: Any, base: Any, index: Any) -> Any:
    value = builder.load(_place(builder, base, index))
    value.align = 4
    return value


def _walk(combine: Combine, *, fold: bool) -> Any:
    """Make the intrinsic that combines every row with sixteen numbers.

    ``fold``: the result replaces the numbers, else the row.
    """

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows, count, numbers = args
        before = builder.block
        first = _load(builder, numbers, _I64(0))
        body, done = builder.append_basic_block("row"), builder.append_basic_block("rows.end")
        some = builder.icmp_signed(">", count, _I64(0))
        builder.cbranch(some, body, done)
        builder.position_at_end(body)
        row, held = builder.phi(_I64), builder.phi(_ROW)
        row.add_incoming(_I64(0), before)
        held.add_incoming(first, before)
        at = builder.mul(row, _I64(WIDTH))
        result = combine(builder, held, _load(builder, rows, at))
        if not fold:
            builder.store(result, _place(builder, rows, at)).align = 4
        held.add_incoming(result if fold else held, body)
        following = builder.add(row, _I64(1))
        row.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", following, count), body, done)
        builder.position_at_end(done)
        if fold:
            last = builder.phi(_ROW)
            last.add_incoming(first, before)
            last.add_incoming(result, body)
            builder.store(last, _place(builder, numbers, _I64(0))).align = 4
        return ctx.get_dummy_value()

    floats = types.CPointer(types.float32)
    return types.void(floats, types.int64, floats), codegen


def _larger(builder: Any, most: Any, row: Any) -> Any:
    """The row's where it is larger, or NaN."""
    wins = builder.or_(
        builder.fcmp_ordered(">", row, most), builder.fcmp_unordered("uno", row, row)
    )
    return builder.select(wins, row, most)


@intrinsic
def largest_columns(context: Any, rows: Any, count: Any, numbers: Any) -> Any:
    """Raise the sixteen numbers to the largest of their columns; NaN wins."""
    return _walk(_larger, fold=True)


@intrinsic
def sum_columns(context: Any, rows: Any, count: Any, numbers: Any) -> Any:
    """Add to the sixteen numbers their columns, from the first row on."""
    return _walk(lambda builder, sums, row: builder.fadd(sums, row), fold=True)


@intrinsic
def subtract_columns(context: Any, rows: Any, count: Any, numbers: Any) -> Any:
    """Subtract the sixteen numbers from every row."""
    return _walk(lambda builder, less, row: builder.fsub(row, less), fold=False)


@intrinsic
def divide_columns(context: Any, rows: Any, count: Any, numbers: Any) -> Any:
    """Divide every row by the sixteen numbers."""
    return _walk(lambda builder, by, row: builder.fdiv(row, by), fold=False)
