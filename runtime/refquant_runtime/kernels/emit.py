r"""The one loop of all tiles, as LLVM IR.

A *tile* computes MR x NR sums at once and keeps them in registers.  With rows ``a_r`` and a
panel of packed weights ``w`` the whole of it is

.. math::

    c_{r,n} = \sum_{t<taps} \sum_{k<kc} a_r[t, k] \cdot w[t\,kc + k, n]              \tag{1}

where one step ``k`` consumes four bytes a row: four int8 values (their dot product with four
weights) or one float32.  Both kinds of tile therefore share addresses, loops and packing; what
differs is an ``Arithmetic`` (see ``arithmetic``).  Sums are added in the order of eq. (1), k
ascending, as in a plain loop: for float32 this decides the bits.

References
----------
The register-tile scheme: Goto and van de Geijn, "Anatomy of High-Performance Matrix
Multiplication", ACM TOMS 34(3), 2008, section 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from refquant_runtime.kernels.arithmetic import STEP, Arithmetic

__all__ = ["emit_loop", "emit_tile"]

_I64 = ir.IntType(64)


def emit_tile(
    builder: Any, arithmetic: Arithmetic, *, mr: int, nr: int, a: Any, offsets: Any, scale: int,
    taps: Any, steps: Any, w: Any, c: Any, ldc: Any, flip: Any,
) -> None:  # fmt: skip
    """Emit eq. (1): two nested loops with all MR x NR sums in registers, then the stores.

    ``a``, ``w``, ``c`` are i8*; ``offsets`` is i32* and counts ``scale`` bytes; ``taps`` and
    ``steps`` are i64, both at least 1; ``ldc`` is i64, sums from row to row of ``c`` (0: NR);
    ``flip`` is i32 (unused by float32).
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
    given = builder.icmp_signed("!=", ldc, _I64(0))
    pitch = builder.mul(builder.select(given, ldc, _I64(nr)), _I64(STEP))
    for i, vector in enumerate(sums):
        row = builder.gep(c, [builder.mul(pitch, _I64(i // vectors))])
        place = builder.gep(row, [_I64(i % vectors * width)])
        _store(builder, arithmetic.finish(builder, vector), place)


def _store(builder: Any, vector: Any, place: Any) -> None:
    builder.store(vector, builder.bitcast(place, vector.type.as_pointer())).align = STEP


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
