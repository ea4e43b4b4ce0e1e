r"""The inner loop of depthwise convolution, as LLVM IR: sums over taps, vectors along channels.

.. math::

    acc[c] = \sum_{t} (x_t[c] \oplus flip) \cdot w[t, c]                               \tag{1}

For each block of :data:`BLOCK` channels the sums stay in registers while the taps go by; plain
numba loops would store and reload them, and test ten pointers for overlap at every pixel. The IR
has generic vectors only, so LLVM makes the best of any CPU. int8 widens to int32 (exact: eight by
nine bits); float32 multiplies, then adds, each rounded, taps ascending.

Rows of ``w`` and ``acc`` have ``channels`` elements, a multiple of :data:`BLOCK`; reading past the
end of a row of ``x`` is harmless, the weights there are zero (float: the sums are not stored).
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["BLOCK", "padded_channels", "tap_sums_f32", "tap_sums_i8"]

BLOCK = 32
_I8, _I16, _I32, _I64, _F32 = (
    ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType(),
)  # fmt: skip


def padded_channels(channels: int) -> int:
    """Return the number of channels, rounded up to whole blocks.

    >>> padded_channels(1), padded_channels(32), padded_channels(33)
    (32, 32, 64)
    """
    return -(-channels // BLOCK) * BLOCK


def _load(builder: Any, base: Any, index: Any, element: Any) -> Any:
    """Load a block of elements from ``base`` (typed pointer) at an element index."""
    vector = ir.VectorType(element, BLOCK)
    place = builder.bitcast(builder.gep(base, [index]), vector.as_pointer())
    value = builder.load(place)
    value.align = element.width // 8 if isinstance(element, ir.IntType) else 4
    return value


def _splat(builder: Any, scalar: Any) -> Any:
    vector = ir.VectorType(scalar.type, BLOCK)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, _I32(0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(_I32, BLOCK), [0] * BLOCK)
    )


def _multiply_i8(builder: Any, x: Any, w: Any, flip: Any) -> Any:
    wide = ir.VectorType(_I32, BLOCK)
    codes = builder.xor(x, _splat(builder, builder.trunc(flip, _I8)))
    return builder.mul(builder.zext(codes, wide), builder.sext(w, wide))


def _emit(builder: Any, args: Any, *, integer: bool) -> None:
    """Emit eq. (1): channels in the outer loop, taps in the inner one."""
    x, offsets, taps, w, channels, flip, acc = args
    kind = ir.VectorType(_I32 if integer else _F32, BLOCK)
    before = builder.block
    outer, inner, last, done = (
        builder.append_basic_block(name) for name in ("block", "tap", "block.end", "sums.end")
    )
    builder.branch(outer)

    builder.position_at_end(outer)
    channel = builder.phi(_I64)
    channel.add_incoming(_I64(0), before)
    builder.branch(inner)

    builder.position_at_end(inner)
    tap, sums = builder.phi(_I64), builder.phi(kind)
    tap.add_incoming(_I64(0), outer)
    sums.add_incoming(ir.Constant(kind, None), outer)
    row = builder.sext(builder.load(builder.gep(offsets, [tap])), _I64)
    x_block = _load(builder, x, builder.add(row, channel), _I8 if integer else _F32)
    w_at = builder.add(builder.mul(tap, channels), channel)
    w_block = _load(builder, w, w_at, _I16 if integer else _F32)
    if integer:
        result = builder.add(sums, _multiply_i8(builder, x_block, w_block, flip))
    else:
        result = builder.fadd(sums, builder.fmul(x_block, w_block))  # two roundings, no fusing
    tap_next = builder.add(tap, _I64(1))
    tap.add_incoming(tap_next, inner)
    sums.add_incoming(result, inner)
    builder.cbranch(builder.icmp_signed("<", tap_next, taps), inner, last)

    builder.position_at_end(last)
    place = builder.bitcast(builder.gep(acc, [channel]), kind.as_pointer())
    builder.store(result, place).align = 4
    channel_next = builder.add(channel, _I64(BLOCK))
    channel.add_incoming(channel_next, last)
    builder.cbranch(builder.icmp_signed("<", channel_next, channels), outer, done)
    builder.position_at_end(done)


@intrinsic
def tap_sums_i8(
    context: Any, x: Any, offsets: Any, taps: Any, w: Any, channels: Any, flip: Any, acc: Any
) -> Any:
    """Sums of uint8* ``x`` by int16* ``w`` into int32* ``acc``; ``offsets``: int32*, bytes."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        _emit(builder, args, integer=True)
        return ctx.get_dummy_value()

    pointer = types.CPointer
    return (
        types.void(
            pointer(types.uint8), pointer(types.int32), types.int64, pointer(types.int16),
            types.int64, types.int64, pointer(types.int32),
        ),
        codegen,
    )  # fmt: skip


@intrinsic
def tap_sums_f32(
    context: Any, x: Any, offsets: Any, taps: Any, w: Any, channels: Any, flip: Any, acc: Any
) -> Any:
    """Sums of float32* ``x`` by ``w`` into ``acc``; ``offsets`` count elements."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        _emit(builder, args, integer=False)
        return ctx.get_dummy_value()

    floats = types.CPointer(types.float32)
    return (
        types.void(
            floats, types.CPointer(types.int32), types.int64, floats, types.int64, types.int64,
            floats,
        ),
        codegen,
    )  # fmt: skip
