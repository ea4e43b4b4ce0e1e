r"""Matrix products of what codes mean, in float32, and the codes of the result.

.. math::

    r = \sum_k s_a (a_k - z_a)\; s_b (b_k - z_b) + bias\, (s_a s_b), \qquad
    y = \operatorname{clamp}(\operatorname{rint}(r / s_y) + z_y)    \tag{1}

Each factor is one float32 product; the order of the sum, and where the bias enters it, says
``real_sums``. With ``by_range_of_reals`` the order is ``reals_fused``, and r becomes a code by the
range of y: eq. (3) and (4) of ``fake_quantize``, with d = 1 and no shift.

References
----------
ONNX, DequantizeLinear-21, MatMul-13, Gemm-13, QuantizeLinear-21.
"""

from fractions import Fraction

import numpy as np

from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.arithmetic.fake_quantize import sums_by_range
from refquant_conformance.arithmetic.product_axes import limits_of
from refquant_conformance.arithmetic.real_sums import real_sums
from refquant_conformance.arithmetic.rules import real_quantized, rule
from refquant_conformance.oracle_elementwise import quantized_exact
from refquant_conformance.oracle_fake_quantize import sum_by_range_exact
from refquant_conformance.oracle_real_sums import real_sum_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import float32, multiply
from refquant_conformance.types import code_range, storage

__all__ = ["matmul_of_reals", "matmul_of_reals_exactly"]

Float = np.float32
_ONE = np.ones((), Float)


def matmul_of_reals(case: Case, order: str) -> Outputs:
    """Return the codes of eq. (1)."""
    inputs = case.inputs
    a, b = (
        (inputs[n].astype(Float) - inputs[f"{n}_zero_point"].astype(Float)) * inputs[f"{n}_scale"]
        for n in ("a", "b")
    )
    bias = None
    if "bias" in inputs:
        bias = inputs["bias"].astype(Float) * (inputs["a_scale"] * inputs["b_scale"])
    if order == "by_range_of_reals":
        y = _in_range(case, real_sums(a, b, order="reals_fused", start=bias))
    else:
        real = real_sums(a, b, order=order, start=bias)
        y = real_quantized(real, rule(case, "y"), limits_of(case))
    return {"y": y.astype(storage(case.types["y"]))}


def _in_range(case: Case, real: Array) -> Array:
    return sums_by_range(
        real,
        np.zeros(real.shape[1]),
        (_ONE, _ONE, case.inputs["y_scale"]),
        zero_point=rule(case, "y")[1],
        codes=case.types["y"],
        limits=limits_of(case),
    )


def matmul_of_reals_exactly(case: Case, order: str, index: int) -> int:
    """Return one element of ``matmul_of_reals`` by the oracle."""
    inputs = case.inputs
    row, column = divmod(index, inputs["b"].shape[1])
    (sa, za), zb, sb = rule(case, "a"), inputs["b_zero_point"], inputs["b_scale"]
    z, s = int(zb.reshape(-1)[column % zb.size]), float(sb.reshape(-1)[column % sb.size])
    bias = 0.0
    if "bias" in inputs:
        bias = multiply(float32(int(inputs["bias"][column])), multiply(sa, s))
    real = real_sum_exact(
        [multiply(float(int(code) - za), sa) for code in inputs["a"][row]],
        [multiply(float(int(code) - z), s) for code in inputs["b"][:, column]],
        order="reals_fused" if order == "by_range_of_reals" else order,
        shape=(inputs["a"].shape[0], inputs["b"].shape[1]),
        at=(row, column),
        start=bias,
    )
    if order == "by_range_of_reals":
        sy, zy = rule(case, "y")
        return sum_by_range_exact(
            Fraction(real),
            0,
            [(0, 1.0)],
            scales=(1.0, sy),
            zero_point=zy,
            codes=code_range(case.types["y"]),
            limits=limits_of(case),
        )
    return quantized_exact(real, rule(case, "y"), limits_of(case))
