"""Real multipliers as an int32 and a power of two: ``docs/spec/operators.md`` section 4."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.graph import Node
from refquant_runtime.kernels.requantize import MODES
from refquant_runtime.lower.context import Lowering

__all__ = [
    "fixed_multiplier", "float_multiplier", "mode_of", "need_int32_when_shifted",
    "quantize_multiplier", "real_multiplier",
]  # fmt: skip

Array = NDArray[Any]


def quantize_multiplier(real: Array) -> tuple[Array, Array]:
    """Return ``(m, shift)`` int32 with real = m * 2^(shift - 31) and 2^30 <= m < 2^31.

    >>> [array.tolist() for array in quantize_multiplier(np.array([0.5, 1e-12]))]
    [[1073741824, 0], [0, 0]]
    """
    fraction, exponent = np.frexp(np.asarray(real, np.float64))
    m = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    carry = m == 2**31
    m, shift = np.where(carry, m // 2, m), exponent + carry
    tiny = shift < -31
    return (
        np.where(tiny, 0, m).astype(np.int32),
        np.where(tiny, 0, shift).astype(np.int32),
    )


def float_multiplier(ctx: Lowering, node: Node, sx: Array, sw: Array, sy: Array) -> Array:
    """Return ``f32(f32(sx * sw) / sy)``; refuse an infinite one."""
    with np.errstate(over="ignore", under="ignore"):
        multiplier = np.asarray(np.asarray(sx * sw, np.float32) / sy, np.float32)
    if not np.isfinite(multiplier).all():
        raise UnsupportedError(
            f"{ctx.graph.path}: node {node.name!r}: its multiplier sx * sw / sy is infinite; "
            "give the output a larger scale"
        )
    return multiplier


def mode_of(ctx: Lowering, node: Node) -> int:
    """Return the epilogue of a product's contract; refuse one that has none."""
    arithmetic = ctx.arithmetic(node)
    if arithmetic.requantize not in MODES:
        raise UnsupportedError(
            f"{ctx.graph.path}: node {node.name!r}: contract {arithmetic.name!r} is not executed "
            f"for {node.op}; quantize with one of ort, xnnpack"
        )
    return MODES[arithmetic.requantize]


def need_int32_when_shifted(ctx: Lowering, node: Node, bound: Array, shift: Array) -> None:
    """Refuse a node whose accumulator, up to ``bound``, leaves int32 when shifted left."""
    left = np.maximum(np.asarray(shift, np.int64), 0)
    if (np.asarray(bound, np.float64) * 2.0**left > 2.0**31 - 1).any():
        raise UnsupportedError(
            f"{ctx.graph.path}: node {node.name!r}: its multiplier is above 1 and the shifted "
            "accumulator can leave int32; give the output a larger scale"
        )


def real_multiplier(
    ctx: Lowering, node: Node, requantize: str, sx: Array, sw: Array, sy: Array
) -> Array:
    """Return ``sx * sw / sy`` in float64, each operand as the mode has it."""
    if requantize == "gemmlowp_double_f32":
        return float_multiplier(ctx, node, sx, sw, sy).astype(np.float64)
    wide = np.float64(sx) * np.asarray(sw, np.float64) / np.float64(sy)
    return np.asarray(wide, np.float64)


def fixed_multiplier(
    ctx: Lowering, node: Node, requantize: str, real: Array, bound: Array
) -> tuple[Array, Array]:
    """Return what the kernel of a mode that is not float32 multiplies by, and its shift.

    Refuse a node whose accumulator, up to ``bound``, or its product can leave int32.
    """
    if requantize != "float64_half_away":
        m, shift = quantize_multiplier(real)
        need_int32_when_shifted(ctx, node, bound, shift)
        return m, shift
    if (np.asarray(bound, np.float64) * real + 1 > 2.0**31 - 1).any():
        raise UnsupportedError(
            f"{ctx.graph.path}: node {node.name!r}: its rescaled accumulator can leave int32; "
            "give the output a larger scale"
        )
    return real, np.zeros(real.shape, np.int32)
