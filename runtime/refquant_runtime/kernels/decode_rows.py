"""One row of codes to float32, eight at a time: what weight-only layers do before they multiply.

As LLVM IR: the row, its scales and its zero points lie in one block and the result in another, but
numba's loop would have to ask at every row of sixteen whether they overlap. Element by element it
is ``f32(f32(code - zero) * scale)``, the code being ``bits`` bits of a byte from ``shift`` on.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["LANES", "decode_row"]

LANES = 8
_I8, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
_CODES, _WIDE, _REALS = (ir.VectorType(kind, LANES) for kind in (_I8, _I32, _F32))


def _place(builder: Any, base: Any, index: Any, vector: Any) -> Any:
    return builder.bitcast(builder.gep(base, [index]), vector.as_pointer())


def _load(builder: Any, base: Any, index: Any, vector: Any) -> Any:
    value = builder.load(_place(builder, base, index, vector))
    value.align = 1 if vector is _CODES else 4
    return value


def _splat(builder: Any, scalar: Any) -> Any:
    empty = ir.Constant(_WIDE, ir.Undefined)
    first = builder.insert_element(empty, scalar, _I32(0))
    return builder.shuffle_vector(first, empty, ir.Constant(_WIDE, [0] * LANES))


@intrinsic
def decode_row(
    context: Any, line: Any, scale: Any, zero: Any, out: Any, n: Any, shift: Any, mask: Any,
    top: Any,
) -> Any:  # fmt: skip
    """Decode ``n`` codes, a multiple of 8, more than none; ``top``: the sign bit, or 0."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        line, scale, zero, out, n, *numbers = args
        shift, mask, top = (_splat(builder, number) for number in numbers)
        before = builder.block
        body, done = builder.append_basic_block("codes"), builder.append_basic_block("codes.end")
        builder.branch(body)
        builder.position_at_end(body)
        at = builder.phi(_I64)
        at.add_incoming(_I64(0), before)
        code = builder.zext(_load(builder, line, at, _CODES), _WIDE)
        code = builder.and_(builder.lshr(code, shift), mask)
        code = builder.sub(builder.xor(code, top), top)  # sign extension
        real = builder.fsub(builder.sitofp(code, _REALS), _load(builder, zero, at, _REALS))
        real = builder.fmul(real, _load(builder, scale, at, _REALS))
        builder.store(real, _place(builder, out, at, _REALS)).align = 4
        following = builder.add(at, _I64(LANES))
        at.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", following, n), body, done)
        builder.position_at_end(done)
        return ctx.get_dummy_value()

    bytes_, floats = types.CPointer(types.uint8), types.CPointer(types.float32)
    numbers = (types.int64, types.int32, types.int32, types.int32)
    return types.void(bytes_, floats, floats, floats, *numbers), codegen
