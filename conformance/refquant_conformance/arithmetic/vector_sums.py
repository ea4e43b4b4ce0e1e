r"""Sums of codes by vector code: where it computes otherwise than one element at a time.

Two values of ``add`` are vector code for ``tflite_shift20``. With (M, s) the multiplier of an
operand, it computes of d = 2^20 (q - z)

.. math::

    \text{shifted first: } \operatorname{SRDHM}(d\,2^{s}, M), \qquad
    \text{floored: } \lfloor \operatorname{SRDHM}(d, M)\,2^{s} \rfloor    \tag{1}

for sixteen, or eight, elements at a time; the rest of the tensor, one by one, rounds twice. So the
code of a pair depends on where it stands. ``dequantize_fused`` is PyTorch's: reals
f32(s q - f32(s z)) by one fused multiply-add, their float32 sum times f32(1 / s_y), half to even.

References
----------
LiteRT, ``optimized/integer_ops/add.h``; PyTorch, ``aten/src/ATen/native/quantized/cpu``.
"""

import numpy as np

from refquant.numerics.fixedpoint import quantize_multiplier, rounding_divide_by_pot, srdhm
from refquant.numerics.fused import fused_multiply_add
from refquant_conformance.arithmetic.elementwise_probes import Rule
from refquant_conformance.arithmetic.rules import rule
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import code_range, storage

__all__ = ["FUSED", "LANES", "added_fused", "fused_real", "in_lanes", "operands"]

LANES = {"tflite_shift20_shifted_first_by_sixteen": 16, "tflite_shift20_floored_by_eight": 8}
"""The values of eq. (2), and how many elements at a time they take."""
FUSED = "dequantize_fused"


def operands(case: Case) -> dict[str, Array]:
    """Return a and b, broadcast against each other."""
    a, b = np.broadcast_arrays(case.inputs["a"], case.inputs["b"])
    return {"a": a, "b": b}


def fused_real(codes: Array, operand: Rule) -> Array:
    """Return f32(s q - f32(s z)) of codes, rounded once.

    >>> fused_real(np.array([3]), (0.5, 1)).tolist()
    [1.0]
    """
    scale, q = np.float32(operand[0]), codes.astype(np.float32)
    shift = np.float32(scale * np.float32(operand[1]))
    return fused_multiply_add(q, np.broadcast_to(scale, q.shape), np.broadcast_to(-shift, q.shape))


def added_fused(case: Case) -> Array:
    """Return the codes of a + b by fused reals."""
    a, b = (fused_real(codes, rule(case, name)) for name, codes in operands(case).items())
    (sy, zy), limits = rule(case, "y"), code_range(case.types["y"])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        steps = np.rint((a + b) * (np.float32(1) / np.float32(sy)))
    codes = np.clip(np.nan_to_num(steps.astype(np.float64)) + zy, *limits)
    return codes.astype(storage(case.types["y"]))


def in_lanes(case: Case, how: str) -> Array:
    """Return eq. (1) for every element."""
    rules = {name: rule(case, name) for name in ("a", "b", "y")}
    twice = 2 * max(rules["a"][0], rules["b"][0])
    total = np.zeros((), np.int64)
    for name, codes in operands(case).items():
        m, shift = (int(v) for v in quantize_multiplier(np.float64(rules[name][0] / twice)))
        d = (codes.astype(np.int64) - rules[name][1]) << 20
        if LANES[how] == 16:
            total = total + srdhm(d >> -shift, m)
        else:
            total = total + (srdhm(d, m).astype(np.int64) >> -shift)
    m, shift = (int(v) for v in quantize_multiplier(np.float64(twice / (2.0**20 * rules["y"][0]))))
    moved = rounding_divide_by_pot(srdhm(total << max(shift, 0), m), max(-shift, 0))
    return np.clip(moved + rules["y"][1], *code_range(case.types["y"]))
