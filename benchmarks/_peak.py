"""What one core could do at best: a loop of integer multiply-adds between registers.

The same instructions as in the int8 tiles, with nothing to load and nothing to store.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from refquant_runtime import isa
from refquant_runtime.kernels.arithmetic import ARITHMETIC
from refquant_runtime.kernels.emit import emit_loop

__all__ = ["multiply_adds", "operations"]

SUMS = 12
"""Independent chains: latency times throughput of any CPU we know, and they fit 16 registers."""


def operations(steps: int) -> int | None:
    """Return the multiplications and additions of ``multiply_adds(steps, 1)``.

    ``None`` for the portable instruction set, whose loops LLVM chooses.
    """
    arithmetic = ARITHMETIC.get(("int8", isa.chosen()))
    return None if arithmetic is None else 2 * 4 * arithmetic.columns * SUMS * steps


@intrinsic
def _multiply_adds(typing_context: Any, steps: Any, seed: Any) -> Any:
    """``steps`` times SUMS multiply-adds between registers; returns a lane to keep them alive."""
    arithmetic = ARITHMETIC["int8", isa.chosen()]
    sums = arithmetic.accumulator

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = arithmetic.flips(builder, args[1])

        def body(step: Any, carried: list[Any]) -> list[Any]:
            if isa.chosen() != "avx2":
                return [arithmetic.multiply_add(builder, c, words, words) for c in carried]
            # vpmaddwd takes int16; a product of constants would leave the loop, so the sums
            # themselves are multiplied.
            wide = ir.VectorType(ir.IntType(16), 2 * sums.count)
            seed = builder.sext(
                builder.bitcast(words, ir.VectorType(ir.IntType(8), wide.count)), wide
            )
            return [
                arithmetic.multiply_add(builder, c, builder.bitcast(c, wide), seed) for c in carried
            ]

        last = emit_loop(builder, args[0], [ir.Constant(sums, None)] * SUMS, body)
        total = last[0]
        for vector_sum in last[1:]:
            total = builder.add(total, vector_sum)
        return builder.extract_element(total, ir.IntType(32)(0))

    return types.int32(types.int64, types.int32), codegen


@njit(nogil=True)
def multiply_adds(steps: int, seed: int) -> int:
    """Run the peak loop."""
    return int(_multiply_adds(steps, seed))
