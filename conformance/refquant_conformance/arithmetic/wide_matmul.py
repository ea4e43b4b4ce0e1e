r"""Products of 16-bit rows and 8-bit columns: sums of up to 48 bits, and the way back to int16.

.. math::

    y_{mn} = \operatorname{clamp}_{16} \Bigl( \operatorname{requantize}\bigl(
        \textstyle\sum_k a_{mk} b_{kn},\ s_a s_{b,n} / s_y \bigr) \Bigr)           \tag{1}

The axis ``requantize`` has the modes that take 48 bits (``docs/spec/operators.md`` section 4).
Cases have scales :math:`s_a` and :math:`s_y` that are powers of two, so that the multiplier is one
number however it is computed.

Left out: zero points, which are 0 in 16x8 networks; a bias.

References
----------
LiteRT ``kernels/internal/reference/integer_ops/fully_connected.h``; TOSA 1.0, RESCALE.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.numerics.dot import matmul_exact
from refquant.numerics.requantize import requantize
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_requantize import requantize_exact
from refquant_conformance.protocol import Array, Case

__all__ = ["WIDE_MATMUL", "wide_case"]

_MODES = ("tflite_int64", "float64_half_away", "scale16")


def wide_case(a: Array, b: Array, b_scale: Array, *, a_scale: float, y_scale: float) -> Case:
    """Return the case of rows ``a`` (m, k) and columns ``b`` (k, n), one ``b_scale`` a column."""
    inputs: dict[str, Array] = {
        "a": a.astype(np.int16),
        "a_scale": np.asarray(a_scale, np.float32),
        "b": b.astype(np.int8),
        "b_scale": np.asarray(b_scale, np.float32),
        "y_scale": np.asarray(y_scale, np.float32),
    }
    return Case("wide_matmul", "i16_i8", inputs, {}, types=types_of("wide_matmul", "i16_i8"))


def _multipliers(case: Case) -> Array:
    a, b, y = (case.inputs[f"{name}_scale"].astype(np.float64) for name in ("a", "b", "y"))
    return np.asarray(np.broadcast_to(a * b / y, (case.inputs["b"].shape[1],)))


def _compute(case: Case, axes: Axes) -> Outputs | None:
    acc = matmul_exact(np.ascontiguousarray(case.inputs["a"]), case.inputs["b"].copy())
    try:
        whole = requantize(acc, _multipliers(case), mode=str(axes["requantize"]))
    except ValueError:
        return None
    return {"y": np.clip(whole, -(2**15), 2**15 - 1).astype(np.int16)}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    a, b = case.inputs["a"], case.inputs["b"]
    row, column = divmod(index, b.shape[1])
    acc = sum(x * w for x, w in zip(a[row].tolist(), b[:, column].tolist(), strict=True))
    m = float(_multipliers(case)[column])
    try:
        whole = requantize_exact(acc, m, mode=str(axes["requantize"]))
    except (OverflowError, ValueError):
        return None
    return min(max(whole, -(2**15)), 2**15 - 1)


def _probes(scheme: str) -> Sequence[Case]:
    rng = np.random.default_rng(16)
    found = []
    for k, exponent in ((8, 8), (64, 12), (512, 15)):
        a = rng.integers(-(2**15), 2**15, (24, k))
        b = rng.integers(-127, 128, (k, 6))
        scale = rng.uniform(1, 2, 6)
        scale[0] = 2 - 2.0**-20  # of 31 bits the upper 15 are ones: rounding carries, or does not
        found.append(wide_case(a, b, scale, a_scale=2.0**-exponent, y_scale=1.0))
    ties = np.arange(-40, 40)[:, None]
    found.append(wide_case(ties, np.ones((1, 1)), np.ones(1), a_scale=0.25, y_scale=1.0))
    return found


def _element(case: Case, index: int) -> Case:
    """Return the case of one row and one column."""
    row, column = divmod(index, case.inputs["b"].shape[1])
    scale = np.broadcast_to(case.inputs["b_scale"], (case.inputs["b"].shape[1],))
    inputs = {
        **case.inputs,
        "a": case.inputs["a"][row : row + 1],
        "b": case.inputs["b"][:, column : column + 1],
        "b_scale": scale[column : column + 1],
    }
    return replace(case, inputs=inputs)


WIDE_MATMUL = Arithmetic(
    op="wide_matmul",
    schemes=("i16_i8",),
    axes=MappingProxyType({"requantize": _MODES}),
    spec=MappingProxyType({"requantize": "tflite_int64"}),
    clause="operators.md section 4: modes of 48 bits",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=_element,
)
"""The family (1)."""
