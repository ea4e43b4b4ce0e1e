r"""Sums and products of two tensors of codes, by the range of the output.

In float32, each operation rounded, but for the fused one:

.. math::

    v = \mathrm{fma}(q_a - (z_a + z_b s_b / s_a),\ s_a / s_b,\ q_b), \qquad
    a + b = v\,s_b                                                                     \tag{1}

The range of y is divided by :math:`s_b`. So b counts as it is, and its zero point moves that of a.
Of a product both sides are reals, unless b has no zero point; then its scale joins that of a:

.. math::

    v = (q_a - z_a) s_a \cdot (q_b - z_b) s_b, \qquad
    v = (q_a - z_a)(s_a s_b) \cdot q_b \ \text{ if } z_b = 0                           \tag{2}

References
----------
OpenVINO 2026.4.1, ``src/common/low_precision_transformations/src`` (``add.cpp``, ``multiply.cpp``);
the order of operations is measured.
"""

import numpy as np

from refquant.numerics.fused import fused_multiply_add
from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.arithmetic.fake_quantize import reals_by_range
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import storage

__all__ = ["add_by_range", "mul_by_range"]

Float = np.float32


def _operand(case: Case, name: str) -> tuple[Array, Array, Array]:
    """Return codes, scale and zero point as float32."""
    inputs = case.inputs
    parts = (inputs[name], inputs[f"{name}_scale"], inputs[f"{name}_zero_point"])
    return tuple(part.astype(Float) for part in parts)  # type: ignore[return-value]  # three of them


def _codes(case: Case, v: Array, unit: Array | np.float32) -> Outputs:
    y = case.inputs["y_scale"], int(case.inputs["y_zero_point"])
    codes = reals_by_range(v, y, case.types["y"], unit=unit)
    return {"y": codes.astype(storage(case.types["y"]))}


def add_by_range(case: Case) -> Outputs:
    """Return the codes of a + b, eq. (1)."""
    (a, sa, za), (b, sb, zb) = _operand(case, "a"), _operand(case, "b")
    with np.errstate(all="ignore"):
        return _codes(case, fused_multiply_add(a - (za + zb * sb / sa), sa / sb, b), sb)


def mul_by_range(case: Case) -> Outputs:
    """Return the codes of a times b, eq. (2)."""
    (a, sa, za), (b, sb, zb) = _operand(case, "a"), _operand(case, "b")
    with np.errstate(all="ignore"):
        v = ((a - za) * (sa * sb)) * b if zb == 0 else ((a - za) * sa) * ((b - zb) * sb)
    return _codes(case, v, Float(1))
