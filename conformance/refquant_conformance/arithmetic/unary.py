r"""Functions of one code: logistic, hyperbolic tangent, leaky ReLU, as tables of 256 codes.

.. math::

    y = \operatorname{quantize}(f(s_x (q - z_x)))    \tag{1}

Two axes. ``function``: f in float32, ``stepwise`` as the specification writes it, or
``rounded_once``, the float32 nearest to the true value. ``table``: how the result becomes a code,

* ``quotient``: half_even(f / s_y) + z_y;
* ``reciprocal_half_away``: half_away(f * f32(1 / s_y)) + z_y;
* ``reciprocal_zero_point_first``: half_even(f32(f * f32(1 / s_y)) + z_y);
* ``fused_reciprocal``: half_even(f * f32(1 / s_y)) + z_y, f of the real f32(s_x q - f32(s_x z_x)).

A leaky ReLU has f = f32(alpha x) below zero, nothing to round above, and two more ways that form no
real at all: a multiplier for each side of zero, ``two_multipliers`` with 31 bits and two roundings
(``gemmlowp_double``), ``two_multipliers_8_bits`` with 8 bits after the point and ties up.

References
----------
``docs/spec/operators.md`` sections 1 and 4; LiteRT ``kernels/internal/common.h`` and
``reference/leaky_relu.h``; XNNPACK ``src/reference/unary-elementwise.cc`` and ``src/qs8-vlrelu``.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.numerics import elementary
from refquant.numerics.requantize import requantize
from refquant.numerics.rounding import round_half_away
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.elementwise import fused_real, rule
from refquant_conformance.arithmetic.pool_probes import unary_case
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_elementwise import fused_real_exact
from refquant_conformance.oracle_functions import FUNCTIONS
from refquant_conformance.oracle_requantize import requantize_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import add, divide, multiply, round_exact
from refquant_conformance.types import code_range, storage

__all__ = ["QLINEAR_LEAKY_RELU", "QLINEAR_SIGMOID", "QLINEAR_TANH", "every_code"]

_TABLES: tuple[AxisValue, ...] = (
    *("quotient", "reciprocal_half_away", "reciprocal_zero_point_first", "fused_reciprocal"),
)
_SLOPES: tuple[AxisValue, ...] = ("two_multipliers", "two_multipliers_8_bits")
_ENDS = {
    "qlinear_sigmoid": ((1 / 256, 0), (0.004, 7), (1 / 128, 60)),
    "qlinear_tanh": ((1 / 128, 128), (0.01, 99), (0.0079, 130)),
    "qlinear_leaky_relu": ((0.05, 128), (0.1, 100), (0.2, 7), (0.04, 131), (0.3, 60)),
}
_SCALES = (0.05, 1 / 16, 0.1, 0.0234375, 0.2, 0.031, 0.013)
_TELLING = {
    "qlinear_sigmoid": (
        *("0x1.ae328cp-6", "0x1.21ee94p-4", "0x1.5a32bap-4", "0x1.1d5dacp-5", "0x1.7dc4f4p-6"),
        *("0x1.f993d2p-6", "0x1.613b02p-4", "0x1.405df4p-5", "0x1.5a7016p-7", "0x1.5bf4eap-5"),
        *("0x1.2483b4p-4", "0x1.53ffd4p-4", "0x1.d12ff2p-6"),
    ),
    "qlinear_tanh": (
        *("0x1.499d34p-6", "0x1.c685e4p-5", "0x1.0cc8a8p-6", "0x1.3097aep-5", "0x1.252088p-5"),
        *("0x1.e8f06ep-7", "0x1.612b7ep-7", "0x1.697ee4p-5", "0x1.99404ap-6"),
    ),
    "qlinear_leaky_relu": (),
}
"""Scales of x for which a code lies so near a tie that evaluations and tables part."""


def _of_reals(v: Array, how: AxisValue, y: tuple[float, int]) -> Array:
    """Return codes, not clamped, of float32 results."""
    sy, zy = np.float32(y[0]), np.float32(y[1])
    with np.errstate(all="ignore"):
        if how == "quotient":
            return np.asarray(np.rint(v / sy) + zy)
        steps = v * (np.float32(1) / sy)
        if how == "reciprocal_half_away":
            return np.asarray(round_half_away(steps) + zy)
        if how == "fused_reciprocal":
            return np.asarray(np.rint(steps) + zy)
        return np.asarray(np.rint(steps + zy))


def _evaluated(name: str, x: Array, how: AxisValue) -> Array:
    if how == "stepwise":
        return np.asarray(elementary.sigmoid(x) if name == "sigmoid" else elementary.tanh(x))
    with np.errstate(over="ignore", under="ignore"):
        wide = x.astype(np.float64)
        made = 1 / (1 + np.exp(-wide)) if name == "sigmoid" else np.tanh(wide)
        return made.astype(np.float32)


def _compute(case: Case, axes: Axes) -> Outputs:
    (sx, zx), y = rule(case, "x"), rule(case, "y")
    offset = case.inputs["x"].astype(np.int64) - zx
    real = offset.astype(np.float32) * np.float32(sx)
    if axes["table"] == "fused_reciprocal":
        real = fused_real(case.inputs["x"], (sx, zx))
    if case.op == "qlinear_leaky_relu":
        codes = _leaky(case, offset, real, axes["table"])
    else:
        name = case.op.removeprefix("qlinear_")
        codes = _of_reals(_evaluated(name, real, axes["function"]), axes["table"], y)
    limits = code_range(case.types["y"])
    return {"y": np.clip(codes, *limits).astype(storage(case.types["y"]))}


def _leaky(case: Case, offset: Array, real: Array, how: AxisValue) -> Array:
    y, alpha = rule(case, "y"), np.float32(float(case.params["alpha"]))  # type: ignore[arg-type]  # a number
    sx, sy = case.inputs["x_scale"], case.inputs["y_scale"]
    if how not in _SLOPES:
        return _of_reals(np.where(real < 0, alpha * real, real), how, y)
    up = np.float32(sx / sy)
    if how == "two_multipliers":
        down = np.float32(np.float32(sx * alpha) / sy)
        moved = [requantize(offset, np.float64(m), mode="gemmlowp_double") for m in (up, down)]
        return np.where(offset >= 0, *moved) + y[1]
    slopes = [int(np.rint(np.float32(256) * m)) for m in (up, np.float32(up * alpha))]
    return (np.where(offset >= 0, *slopes) * offset + 256 * y[1] + 128) >> 8


def _exact(case: Case, axes: Axes, output: str, index: int) -> int:
    (sx, zx), (sy, zy) = rule(case, "x"), rule(case, "y")
    offset = int(case.inputs["x"].reshape(-1)[index]) - zx
    low, high = code_range(case.types["y"])
    real, how = multiply(float(offset), sx), axes["table"]
    if how == "fused_reciprocal":
        real = fused_real_exact((offset + zx, sx, zx))
    if case.op == "qlinear_leaky_relu":
        alpha = float(np.float32(float(case.params["alpha"])))  # type: ignore[arg-type]  # a number
        if how in _SLOPES:
            return min(max(_slope_exactly(offset, alpha, sx, (sy, zy), how), low), high)
        v = multiply(alpha, real) if real < 0 else real
    else:
        v = FUNCTIONS[case.op.removeprefix("qlinear_"), str(axes["function"])](real)
    if how == "quotient":
        code = round_exact(Fraction(divide(v, sy)), "half_even") + zy
    else:
        steps = multiply(v, divide(1.0, sy))
        if how in ("reciprocal_half_away", "fused_reciprocal"):
            rule_of = "half_away" if how == "reciprocal_half_away" else "half_even"
            code = round_exact(Fraction(steps), rule_of) + zy
        else:
            code = round_exact(Fraction(add(steps, float(zy))), "half_even")
    return min(max(code, low), high)


def _slope_exactly(
    offset: int, alpha: float, sx: float, y: tuple[float, int], how: AxisValue
) -> int:
    """Return the code, not clamped, by a multiplier for each side of zero."""
    up = divide(sx, y[0])
    if how == "two_multipliers":
        m = up if offset >= 0 else divide(multiply(sx, alpha), y[0])
        return requantize_exact(offset, m, mode="gemmlowp_double") + y[1]
    m = up if offset >= 0 else multiply(up, alpha)
    eight = round_exact(Fraction(m) * 256, "half_even")
    return round_exact(Fraction(eight * offset + 256 * y[1], 256), "half_up")


def every_code(op: str, scheme: str, x: tuple[float, int], y: tuple[float, int]) -> Case:
    """Return the case of all codes, one after the other; of a leaky ReLU with slope 0.1.

    >>> every_code("qlinear_tanh", "i8", (0.5, 0), (1 / 128, 0)).inputs["x"].shape
    (256,)
    """
    qmin, qmax = code_range(types_of(op, scheme)["x"])
    case = unary_case(op, scheme, np.arange(qmin, qmax + 1), (x, y))
    return replace(case, params={"alpha": 0.1}) if op == "qlinear_leaky_relu" else case


def _probes(op: str, scheme: str) -> Sequence[Case]:
    """Return all codes for some scales; half with the output that engines fix."""
    shift = -128 if scheme == "i8" else 0
    found = []
    for k, sx in enumerate(_SCALES):
        for sy, zy in _ENDS[op]:
            zx = (128, 100, 131)[k % 3]
            found.append(every_code(op, scheme, (sx, zx + shift), (sy, zy + shift)))
    for text in _TELLING[op]:
        for sy, zy in _ENDS[op]:
            x = (float.fromhex(text), 128 + shift)
            found.append(every_code(op, scheme, x, (sy, zy + shift)))
    if op == "qlinear_leaky_relu":
        for alpha in (0.25, 0.01, 0.3):
            ties = every_code(op, scheme, (0.25, 128 + shift), (0.5, 128 + shift))
            found.append(replace(ties, params={"alpha": alpha}))
    return found


def _element(case: Case, index: int) -> Case:
    return replace(
        case, inputs={**case.inputs, "x": case.inputs["x"].reshape(-1)[index : index + 1]}
    )


def _of(op: str, axes: dict[str, tuple[AxisValue, ...]], clause: str) -> Arithmetic:
    return Arithmetic(
        op=op,
        schemes=("u8", "i8"),
        axes=MappingProxyType(axes),
        spec=MappingProxyType(dict.fromkeys(axes)),
        clause=clause,
        compute=_compute,
        exact=_exact,
        probes=lambda scheme: _probes(op, scheme),
        element=_element,
    )


_BOTH: dict[str, tuple[AxisValue, ...]] = {
    "function": ("stepwise", "rounded_once"),
    "table": _TABLES,
}

QLINEAR_SIGMOID = _of(
    "qlinear_sigmoid", _BOTH, "onnxruntime QLinearSigmoid: dequantize, 1 / (1 + exp(-x)), quantize"
)
QLINEAR_TANH = _of(
    "qlinear_tanh",
    {**_BOTH, "table": _TABLES[:3]},  # no input of 8 bits was found that tells the fourth apart
    "ONNX Tanh between DequantizeLinear and QuantizeLinear",
)
QLINEAR_LEAKY_RELU = _of(
    "qlinear_leaky_relu",
    {"table": (*_TABLES, *_SLOPES)},
    "onnxruntime QLinearLeakyRelu: dequantize, x if x >= 0 else alpha * x, quantize",
)
