r"""Vector arithmetic of each instruction set, as LLVM IR, and the one loop that uses it.

A *tile* computes MR x NR sums at once and keeps them in registers.  With rows ``a_r`` and a
panel of packed weights ``w`` the whole of it is

.. math::

    c_{r,n} = \sum_{t<taps} \sum_{k<kc} a_r[t, k] \cdot w[t\,kc + k, n]              \tag{1}

where one step ``k`` consumes four bytes a row: four int8 values (their dot product with four
weights) or one float32.  Both kinds of tile therefore share addresses, loops and packing; what
differs is an ``Arithmetic``: how four bytes become a vector, and what multiply-add means.

int8.  ``vpdpbusd`` multiplies unsigned by signed bytes and adds four products to an int32 without
saturation.  Signed activations are made unsigned by flipping their top bit, :math:`a + 128`,
whose surplus :math:`128 \sum_k w[k, n]` the caller folds into its bias.  Without that
instruction bytes widen to int16 and ``vpmaddwd`` adds products in pairs: the products of
0..255 and -128..127 are below :math:`2^{15}`, a pair below :math:`2^{16}`, exact in int32.
(``vpmaddubsw``, which adds pairs in int16, is not: it saturates at 255*127*2.)

float32.  One multiplication and one addition, each rounded, k ascending: the order of a plain
loop, and no fused multiply-add, so that every CPU gives the same bits.

References
----------
Intel 64 and IA-32 Architectures Software Developer's Manual, vol. 2: VPDPBUSD, PMADDWD.
The register-tile scheme: Goto and van de Geijn, "Anatomy of High-Performance Matrix
Multiplication", ACM TOMS 34(3), 2008, section 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils

__all__ = ["ARITHMETIC", "STEP", "Arithmetic", "emit_loop", "emit_tile"]

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
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


def emit_tile(
    builder: Any, arithmetic: Arithmetic, *, mr: int, nr: int, a: Any, offsets: Any, scale: int,
    taps: Any, steps: Any, w: Any, c: Any, flip: Any,
) -> None:  # fmt: skip
    """Emit eq. (1): two nested loops with all MR x NR sums in registers, then the stores.

    ``a``, ``w``, ``c`` are i8*; ``offsets`` is i32* and counts ``scale`` bytes; ``taps`` and
    ``steps`` are i64, both at least 1; ``flip`` is i32 (unused by float32).
    """
    vectors = nr // arithmetic.columns
    width = nr * STEP // vectors
    flips = arithmetic.flips(builder, flip)

    def one_tap(tap: Any, carried: list[Any]) -> list[Any]:
        table = builder.gep(offsets, [builder.mul(tap, _I64(mr))])
        rows = [_row(builder, a, table, r, scale) for r in range(mr)]

        def one_step(k: Any, carried: list[Any]) -> list[Any]:
            panel, *sums = carried
            places = [builder.gep(panel, [_I64(width * j)]) for j in range(vectors)]
            weights = [arithmetic.weights(builder, place) for place in places]
            for r in range(mr):
                place = builder.gep(rows[r], [builder.mul(k, _I64(STEP))])
                activations = arithmetic.broadcast(builder, place, flips)
                for j in range(vectors):
                    i = r * vectors + j
                    sums[i] = arithmetic.multiply_add(builder, sums[i], activations, weights[j])
            return [builder.gep(panel, [_I64(nr * STEP)]), *sums]

        return emit_loop(builder, steps, carried, one_step)

    zeros = [ir.Constant(arithmetic.accumulator, None)] * (mr * vectors)
    _, *sums = emit_loop(builder, taps, [w, *zeros], one_tap)
    for i, vector in enumerate(sums):
        final = arithmetic.finish(builder, vector)
        place = builder.gep(c, [_I64(i * width)])
        builder.store(final, builder.bitcast(place, final.type.as_pointer())).align = STEP


def _row(builder: Any, a: Any, table: Any, r: int, scale: int) -> Any:
    """Where row ``r`` begins: ``a + scale * table[r]`` bytes."""
    elements = builder.sext(builder.load(builder.gep(table, [_I64(r)])), _I64)
    return builder.gep(a, [builder.mul(elements, _I64(scale))])


def emit_loop(
    builder: Any, count: Any, carried: list[Any], body: Callable[[Any, list[Any]], list[Any]]
) -> list[Any]:
    """Emit ``for i in range(count): carried = body(i, carried)``, count >= 1; return the last.

    The loop is never unrolled: the body already is MR x NV multiply-adds, a second copy only
    costs registers.
    """
    before, start = builder.block, builder.append_basic_block("loop")
    builder.branch(start)
    builder.position_at_end(start)
    index = builder.phi(_I64)
    phis = [builder.phi(value.type) for value in carried]
    results = body(index, list(phis))
    following, end = builder.add(index, _I64(1)), builder.block
    after = builder.append_basic_block("after")
    branch = builder.cbranch(builder.icmp_signed("<", following, count), start, after)
    module = builder.module
    never = module.add_metadata(["llvm.loop.unroll.disable"])
    loop = module.add_metadata([never, f"loop {len(module.metadata)}"])
    loop.operands = (loop, never)  # LLVM knows a loop's metadata by its pointing at itself
    branch.set_metadata("llvm.loop", loop)
    for phi, first, result in zip(
        [index, *phis], [_I64(0), *carried], [following, *results], strict=True
    ):
        phi.add_incoming(first, before)
        phi.add_incoming(result, end)
    builder.position_at_end(after)
    return results
