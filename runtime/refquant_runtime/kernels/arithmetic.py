r"""How each instruction set multiplies: four bytes become a vector, and multiply-add means this.

One step of a tile (see ``emit``) consumes four bytes a row: four int8 values, whose dot product
with four weights is added to a sum, or one float32.

int8.  ``vpdpbusd`` multiplies unsigned by signed bytes and adds four products to an int32 without
saturation.  Signed activations are made unsigned by flipping their top bit, :math:`a + 128`,
whose surplus :math:`128 \sum_k w[k, n]` the caller folds into its bias.  Without that
instruction bytes widen to int16 and ``vpmaddwd`` adds products in pairs: the products of
0..255 and -128..127 are at most :math:`2^{15}`, a pair at most :math:`2^{16}`, exact in int32.
(``vpmaddubsw``, which adds pairs in int16, is not: it saturates at 255*127*2.)

float32.  One multiplication and one addition, each rounded, and no fused multiply-add, so that
every CPU gives the same bits.

References
----------
Intel 64 and IA-32 Architectures Software Developer's Manual, vol. 2: VPDPBUSD, PMADDWD.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils

__all__ = ["ARITHMETIC", "STEP", "Arithmetic"]

_I8, _I16, _I32 = (ir.IntType(bits) for bits in (8, 16, 32))
_F32 = ir.FloatType()
STEP = 4
"""Bytes of a row, and of a column of weights, that one step of the k loop consumes."""


class Arithmetic(NamedTuple):
    """How one instruction set multiplies.  ``columns``: outputs a vector of sums belongs to."""

    columns: int
    accumulator: ir.VectorType
    flips: Callable[[Any, Any], Any]  # (builder, flip) -> what broadcast wants of it
    broadcast: Callable[[Any, Any, Any], Any]  # (builder, pointer, flips) -> activations
    weights: Callable[[Any, Any], Any]  # (builder, pointer) -> vector of weights
    multiply_add: Callable[[Any, Any, Any, Any], Any]  # (builder, sums, activations, weights)
    finish: Callable[[Any, Any], Any]  # (builder, sums) -> one sum a column


def _load(builder: Any, p: Any, kind: Any) -> Any:
    """Load with no alignment assumed: as fast as an aligned load, and it cannot fault."""
    value = builder.load(builder.bitcast(p, kind.as_pointer()))
    value.align = 1
    return value


def _splat(builder: Any, scalar: Any, count: int) -> Any:
    """Repeat one value over a vector."""
    kind = ir.VectorType(scalar.type, count)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, _I32(0))
    lanes = ir.Constant(ir.VectorType(_I32, count), [0] * count)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), lanes)


def _declare(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def _opaque_splat(builder: Any, flip: Any, count: int) -> Any:
    """``flip`` in every lane, behind an empty assembly statement that LLVM cannot see through.

    Otherwise it xors the scalars first and broadcasts the result, which costs three instructions
    a row where AVX-512 has one (``vpxord`` with a broadcast operand): 288 instead of 432 GOPS.
    """
    vector = _splat(builder, flip, count)
    same = ir.FunctionType(vector.type, [vector.type])
    return builder.asm(same, "", "=v,0", [vector], False)


def _flipped_words(builder: Any, p: Any, flips: Any) -> Any:
    """The four activations at ``p`` in every lane, their top bits flipped by ``flips``."""
    return builder.xor(_splat(builder, _load(builder, p, _I32), flips.type.count), flips)


def _identity(builder: Any, sums: Any) -> Any:
    return sums


def _dot_product_bytes(bits: int) -> Arithmetic:
    """``vpdpbusd``, in AVX512-VNNI (512 bits) or AVX-VNNI (256 bits).

    Declared on int32 vectors, as LLVM had it until version 21; newer ones upgrade it.
    """
    columns = bits // 32
    sums = ir.VectorType(_I32, columns)
    name = f"llvm.x86.avx512.vpdpbusd.{bits}"

    def multiply_add(builder: Any, c: Any, a: Any, w: Any) -> Any:
        return builder.call(_declare(builder, name, sums, [sums, sums, sums]), [c, a, w])

    return Arithmetic(
        columns,
        sums,
        lambda builder, flip: _opaque_splat(builder, flip, columns),
        _flipped_words,
        lambda builder, p: _load(builder, p, sums),
        multiply_add,
        _identity,
    )


def _widening_pairs() -> Arithmetic:
    """AVX2: bytes widen to int16, ``vpmaddwd`` adds pairs; a column's two halves meet last."""
    columns = 4
    sums, codes = ir.VectorType(_I32, 2 * columns), ir.VectorType(_I8, 4 * columns)
    wide = ir.VectorType(_I16, 4 * columns)

    def multiply_add(builder: Any, c: Any, a: Any, w: Any) -> Any:
        pairs = _declare(builder, "llvm.x86.avx2.pmadd.wd", sums, [wide, wide])
        return builder.add(c, builder.call(pairs, [a, w]))

    def broadcast(builder: Any, p: Any, flips: Any) -> Any:
        return builder.zext(builder.bitcast(_flipped_words(builder, p, flips), codes), wide)

    def finish(builder: Any, c: Any) -> Any:
        lanes = ir.VectorType(_I32, columns)
        even, odd = ([2 * i + half for i in range(columns)] for half in (0, 1))
        unused = ir.Constant(sums, ir.Undefined)
        return builder.add(
            builder.shuffle_vector(c, unused, ir.Constant(lanes, even)),
            builder.shuffle_vector(c, unused, ir.Constant(lanes, odd)),
        )

    return Arithmetic(
        columns,
        sums,
        lambda builder, flip: _opaque_splat(builder, flip, columns),
        broadcast,
        lambda builder, p: builder.sext(_load(builder, p, codes), wide),
        multiply_add,
        finish,
    )


def _two_roundings(bits: int) -> Arithmetic:
    """float32: a multiplication, then an addition.  No fast-math flag, so LLVM cannot fuse."""
    columns = bits // 32
    sums = ir.VectorType(_F32, columns)
    return Arithmetic(
        columns,
        sums,
        lambda builder, flip: None,
        lambda builder, p, flips: _splat(builder, _load(builder, p, _F32), columns),
        lambda builder, p: _load(builder, p, sums),
        lambda builder, c, a, w: builder.fadd(c, builder.fmul(a, w)),
        _identity,
    )


ARITHMETIC = {
    ("int8", "avx512vnni"): _dot_product_bytes(512),
    ("int8", "avxvnni"): _dot_product_bytes(256),
    ("int8", "avx2"): _widening_pairs(),
    ("f32", "avx512vnni"): _two_roundings(512),
    ("f32", "avx2"): _two_roundings(256),
}
