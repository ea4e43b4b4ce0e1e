r"""QuantizeLinear of float16: the same axes, and the precision of what lies between.

.. math::

    q = \operatorname{clamp}(\operatorname{round}(\mathrm{fl}(x \oslash s)) + z)    \tag{1}

where fl rounds to ``intermediate``: float16, the type of x and s, which ONNX demands unless the
attribute ``precision`` says otherwise; or float32, what most kernels convert to first.

Left out: fused sums, which nobody computes in float16, and division in float64: a quotient of two
float16 is a tie of 8-bit codes, or farther from it than float32 rounds.

References
----------
ONNX, QuantizeLinear-23, attribute ``precision``; ``docs/spec/operators.md`` section 2.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AXES
from refquant.formats.affine import QParams, quantize
from refquant_conformance import oracle
from refquant_conformance.arithmetic import quantize as single
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs, contract_of
from refquant_conformance.arithmetic.quantize_by_range import (
    in_range,
    in_range_exactly,
    range_again,
)
from refquant_conformance.arithmetic.quantize_parameters import spread
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import add, divide, float16, multiply
from refquant_conformance.types import INTEGERS, code_range

__all__ = ["HALVES", "QUANTIZE_F16"]

_OWN = ("rounding", "scale_op", "zero_point_at", "overflow", "nan")
_LEFT_OUT = ("before_scaling", "fused", "divide_f64")
_SCALES = tuple(float(np.float16(s)) for s in (1.0, 0.25, 0.1, 1 / 3, 0.0375, 1 / 255, 3.7))

HALVES: Array = np.arange(2**16, dtype=np.uint16).view(np.float16)
"""Every float16 by its bits."""


def _compute(case: Case, axes: Axes) -> Outputs | None:
    x, scale, zero_point = case.inputs["x"], case.inputs["scale"], spread(case)[1]
    if axes["nan"] == "error" and np.isnan(x).any():
        return None
    if not np.isfinite(scale) or not scale > 0:
        return None
    if axes["scale_op"] == "by_range":
        return in_range(case)
    contract = contract_of({**axes, "clamp": "after_rounding"})
    with np.errstate(all="ignore"):
        if axes["intermediate"] == "float32":
            qparams = QParams(scale.astype(np.float32), zero_point, None, case.types["y"])
            return {"y": quantize(x.astype(np.float32), qparams, contract=contract)}
        v = x / scale
        if axes["scale_op"] == "reciprocal_f32":
            v = x * (np.float16(1) / scale)
        late = zero_point
        if axes["zero_point_at"] == "before_rounding":
            v, late = v + zero_point.astype(np.float16), np.zeros_like(zero_point)
        contract = replace(contract, zero_point_at="after_rounding", scale_op="divide_f32")
        qparams = QParams(np.float32(1), late, None, case.types["y"])
        codes = quantize(v.astype(np.float32), qparams, contract=contract)
    if axes["nan"] == "zero_point":
        codes = np.where(np.isnan(x), zero_point, codes).astype(codes.dtype)
    return {"y": codes}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    x = float(case.inputs["x"].reshape(-1)[index])
    scale, z = float(case.inputs["scale"]), int(spread(case)[1])
    qmin, qmax = code_range(case.types[output])
    known = {**axes, "clamp": "after_rounding"}
    if not 0 < scale < math.inf:
        return None
    if axes["scale_op"] == "by_range":
        nan = bool(np.isnan(case.inputs["x"]).any())
        return None if nan and axes["nan"] == "error" else in_range_exactly(case, index)
    try:
        if axes["intermediate"] == "float32":
            return oracle.quantize_exact(
                x, scale=scale, zero_point=z, qmin=qmin, qmax=qmax, axes=known
            )
        if axes["scale_op"] == "divide_f32":
            v = divide(x, scale, bits=16)
        else:
            v = multiply(x, divide(1.0, scale, bits=16), bits=16)
        if axes["zero_point_at"] == "before_rounding":
            v = add(v, float16(Fraction(z)), bits=16)
            if math.isnan(v) and axes["nan"] == "zero_point":
                return z
            z = 0
        known |= {"zero_point_at": "after_rounding", "scale_op": "divide_f32"}
        return oracle.quantize_exact(v, scale=1.0, zero_point=z, qmin=qmin, qmax=qmax, axes=known)
    except ArithmeticError:
        return None


def _probes(scheme: str) -> Sequence[Case]:
    qmin, qmax = code_range(OPERATORS["quantize_linear"].schemes[scheme]["y"])
    real = HALVES[~np.isnan(HALVES)][::13]
    points = sorted({qmin, qmax, 0, 1, (qmin + qmax + 1) // 2})
    found = []
    for scale in _SCALES:
        steps = np.arange(qmin - qmax, qmax - qmin) + 0.5
        ties = (steps * scale).astype(np.float16)
        around = [np.nextafter(ties, np.float16(side * np.inf)) for side in (1, -1)]
        x = np.concatenate([ties, *around, real])
        found += [single.case_of(scheme, x, scale, z) for z in points]
    nan = np.array([np.nan], np.float16)
    return [*found, *(single.case_of(scheme, nan, 0.5, z) for z in points)]


def _relevant(case: Case) -> tuple[str, ...]:
    known = ("intermediate", *_OWN)
    return known if np.isnan(case.inputs["x"]).any() else known[:-1]


QUANTIZE_F16 = Arithmetic(
    op="quantize_linear",
    schemes=tuple(
        scheme
        for scheme, types in OPERATORS["quantize_linear"].schemes.items()
        if types["x"] == "float16" and types["y"] in INTEGERS
    ),
    axes=MappingProxyType(
        {
            "intermediate": ("float16", "float32"),
            **{axis: tuple(v for v in AXES[axis] if v not in _LEFT_OUT) for axis in _OWN},
            "scale_op": ("divide_f32", "reciprocal_f32", "by_range"),
        }
    ),
    spec=MappingProxyType(
        {
            **{"intermediate": "float16", "rounding": "half_even", "scale_op": "divide_f32"},
            **{"zero_point_at": "after_rounding", "overflow": "saturate", "nan": None},
        }
    ),
    clause="ONNX QuantizeLinear-23: the division is done in the type of y_scale, or in precision",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=single.element,
    relevant=_relevant,
    again=range_again,
    equal=single.nan_of_unsigned("f16_u"),
)
