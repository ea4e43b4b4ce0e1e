r"""DynamicQuantizeLinear: scale, zero point and codes of a tensor, from the tensor.

.. math::

    s = \frac{hi - lo}{n}, \qquad z = \operatorname{clamp}(\operatorname{round}(q_{min} - lo / s)),
    \qquad lo = \min(0, x), \ hi = \max(0, x)                                              \tag{1}

and the codes by (s, z) as in QuantizeLinear. Four axes of its own: ``range_scale`` (divide by n in
float32 or float64, or multiply by 1/n), ``zero_range`` (the scale of nothing but zeros: 1, 0, or
1/n; the zero point is then 0), ``nan_in_range`` (NaN is ignored, or makes the scale NaN) and
``range_zero_point`` (how z rounds, and whether before or after the subtraction).

``range_scale`` = ``fbgemm_limits`` is another (1), PyTorch's: the range is widened so that s is at
least 6.1e-5, z is counted from the end that adds smaller terms, in float64 by the s that is not yet
a float32. It has values of ``zero_range`` and ``range_zero_point`` of its own, and beside it codes
may be one fused multiply-add (``zero_point_at`` = ``fused``). ``nan_in_range`` = ``refused``: as
it says.

What (1) says of a scale that is 0, infinite or NaN is what IEEE 754 makes of it.

References
----------
ONNX, DynamicQuantizeLinear-11; ``docs/spec/operators.md`` section 2.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts import Contract, preset
from refquant.contracts.axes import AXES
from refquant.formats.affine import QParams, quantize
from refquant.formats.parameters import choose_qparams
from refquant.numerics.rounding import round_to_integer
from refquant_conformance import oracle
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal, Outputs, contract_of
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.oracle_parameters import choose_exact, dynamic_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import code_range

__all__ = ["DYNAMIC", "dynamic_case"]

_CODES: dict[str, tuple[str, ...]] = {
    "rounding": ("half_even", "half_away", "half_up", "half_down"),
    "scale_op": ("divide_f32", "reciprocal_f32", "divide_f64"),
    "zero_point_at": ("after_rounding", "before_rounding", "fused"),
    "nan": ("qmin", "qmax", "zero_point", "zero"),
}
_RANGE: dict[str, tuple[str, ...]] = {
    "range_scale": ("divide_f32", "multiply_f32", "divide_f64", "fbgemm_limits"),
    "zero_range": ("one", "zero", "one_step"),
    "nan_in_range": ("ignored", "propagates", "refused"),
    "range_zero_point": ("half_even", "half_away", "half_even_before"),
}
Float = np.float32
_LIMITS = "fbgemm_limits"
_FBGEMM = replace(preset("fbgemm"), zero_point_dtype="parameter_dtype")
_FBGEMM_AXES = {axis: getattr(_FBGEMM, axis) for axis in (*AXES, "zero_range_scale")}


def dynamic_case(scheme: str, x: Array) -> Case:
    """Return the case of a tensor.

    >>> dynamic_case("f32_u8", np.zeros(2, np.float32)).types["scale"]
    'float32'
    """
    types = types_of("dynamic_quantize_linear", scheme)
    return Case("dynamic_quantize_linear", scheme, {"x": x}, {}, types=types)


def _parameters(x: Array, qmin: int, qmax: int, axes: Axes) -> tuple[Float, int]:
    """Return (s, z) of (1), in float32 operation by operation."""
    inside = min(max(0, qmin), qmax)
    if axes["nan_in_range"] == "propagates" and np.isnan(x).any():
        return Float(np.nan), inside
    zero, steps = Float(0), Float(qmax - qmin)
    lo = np.fmin.reduce(x, axis=None, initial=zero)  # fmin and fmax ignore NaN
    hi = np.fmax.reduce(x, axis=None, initial=zero)
    if axes["range_scale"] == _LIMITS:
        dtype = "uint8" if qmin == 0 else "int8"
        q = choose_qparams(lo, hi, dtype=dtype, symmetric=False, contract=_FBGEMM)
        return Float(q.scale), int(q.zero_point)
    if axes["range_scale"] == "divide_f64":
        scale = Float((np.float64(hi) - np.float64(lo)) / np.float64(steps))
    elif axes["range_scale"] == "multiply_f32":
        scale = Float(hi - lo) * Float(Float(1) / steps)
    else:
        scale = Float(hi - lo) / steps
    if scale == 0:
        one_step = Float(Float(1) / steps)
        instead = {"one": Float(1), "zero": zero, "one_step": one_step}
        return instead[str(axes["zero_range"])], inside
    low = lo / scale
    if np.isnan(low):
        return scale, inside
    if axes["range_zero_point"] == "half_even_before":
        real = Float(qmin) - np.rint(low)
    else:
        rule = str(axes["range_zero_point"])
        real = np.asarray(round_to_integer(np.asarray(Float(qmin) - low), rule=rule))[()]
    return scale, int(np.clip(real, qmin, qmax))


def _codes(x: Array, scale: Float, zero_point: int, dtype: str, contract: Contract) -> Array:
    """Return the codes by any scale, also one that is no scale."""
    v: Array
    if 2.0**-126 <= scale < np.inf:
        qparams = QParams(scale, np.int32(zero_point), None, dtype)
        return quantize(x, qparams, contract=contract)
    if contract.scale_op == "reciprocal_f32":
        v = x * (Float(1) / scale)
    elif contract.scale_op == "divide_f64" and 0 < scale < np.inf:
        # Both are exact, so the quotient is the same, and the scale no longer subnormal.
        larger = Float(2.0**64)
        return _codes(x * larger, Float(scale * larger), zero_point, dtype, contract)
    else:
        v = x / scale
    one = QParams(Float(1), np.int32(zero_point), None, dtype)
    return quantize(np.asarray(v, Float), one, contract=contract)


def _refused(x: Array, axes: Axes) -> bool:
    """Return whether there is a NaN that is refused, or a range without parameters."""
    if axes["range_scale"] == _LIMITS and np.isinf(x).any():
        return True
    return axes["nan_in_range"] == "refused" and bool(np.isnan(x).any())


def _again(axes: Axes) -> bool:
    """Return whether another choice computes the same, or the values do not belong together."""
    if axes["nan_in_range"] == "refused" and axes["nan"] != "qmin":
        return True
    if axes["range_scale"] != _LIMITS:
        return axes["zero_point_at"] == "fused" and axes["scale_op"] != "reciprocal_f32"
    of_divisions = (axes["zero_range"], axes["range_zero_point"]) != ("one", "half_even")
    return of_divisions or axes["nan_in_range"] == "propagates"


def _compute(case: Case, axes: Axes) -> Outputs | None:
    x, dtype = case.inputs["x"], case.types["y"]
    qmin, qmax = code_range(dtype)
    if _refused(x, axes):
        return None
    contract = contract_of({axis: axes[axis] for axis in _CODES})
    with np.errstate(all="ignore"):
        scale, zero_point = _parameters(x, qmin, qmax, axes)
        codes = _codes(x, scale, zero_point, dtype, contract)
    return {"y": codes, "scale": np.asarray(scale), "zero_point": np.asarray(zero_point, dtype)}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | float | None:
    x = [float(v) for v in case.inputs["x"].reshape(-1)]
    qmin, qmax = code_range(case.types["y"])
    real = [v for v in x if v == v]
    ends, missing = (min(real, default=0.0), max(real, default=0.0)), len(real) < len(x)
    if _refused(case.inputs["x"], axes):
        return None
    if axes["range_scale"] == _LIMITS:
        scale, zero_point = choose_exact(
            *ends, qmin=qmin, qmax=qmax, symmetric=False, axes=_FBGEMM_AXES
        )
    else:
        scale, zero_point = dynamic_exact(*ends, qmin=qmin, qmax=qmax, nan=missing, axes=axes)
    if output != "y":
        return {"scale": scale, "zero_point": zero_point}[output]
    known = {"overflow": "saturate", "clamp": "after_rounding", **axes}
    if not (math.isfinite(x[index]) and 2.0**-126 <= scale < math.inf):
        known["zero_point_at"] = "after_rounding"  # fused or not, nothing but an end or NaN is made
    return oracle.quantize_exact(
        x[index], scale=scale, zero_point=zero_point, qmin=qmin, qmax=qmax, axes=known
    )


def _element(case: Case, index: int) -> Case:
    """Return the case of the range and one element."""
    x = case.inputs["x"].reshape(-1)
    if not x.size:
        return case
    ends = [v for v in (np.fmin.reduce(x), np.fmax.reduce(x)) if not np.isnan(v)]
    return dynamic_case(case.scheme, np.array([*ends, x[index]], np.float32))


def _ranges() -> list[tuple[float, float]]:
    """Return ranges whose zero point is a tie, or whose scale the three formulas tell apart."""
    ties = [(-(k + 0.5) * s, (254.5 - k) * s) for k in (2, 3, 100, 127) for s in (1.0, 0.25)]
    awkward = [(-1.0, 1.55), (-0.1, 0.2), (-3.3, 7.1), (0.0, 2.7), (-5.9, 0.0), (-0.003, 0.77)]
    return [*ties, *awkward, *((-1 / k, 1.0 + 1 / k) for k in range(3, 30))]


def _probes(scheme: str) -> Sequence[Case]:
    qmin, qmax = code_range(types_of("dynamic_quantize_linear", scheme)["y"])
    found = []
    for lo, hi in _ranges():
        ends = np.array([lo, hi], np.float32)
        scale = (ends[1] - ends[0]) / np.float32(qmax - qmin)
        inside = np.arange(np.ceil(lo / scale), np.floor(hi / scale)) + 0.5
        ties = np.clip((inside * scale).astype(np.float32), *ends)
        near = [np.nextafter(ties, np.float32(side * np.inf)) for side in (1, -1)]
        x = np.clip(np.concatenate([ends, ties, *near, [0.0, -0.0]]), *ends)
        found.append(dynamic_case(scheme, x.astype(np.float32)))
    nan = [[np.nan, 1.0, -3.0, 0.5], [np.nan, 1.0, -2.0]]
    return [
        *found,
        *(dynamic_case(scheme, np.array(x, np.float32)) for x in ([0.0, 0.0], [-0.0], *nan)),
    ]


def _relevant(case: Case) -> tuple[str, ...]:
    x = case.inputs["x"]
    some, none = np.isnan(x).any(), not x.any()
    dropped = {
        *(() if some or none else ("nan",)),
        *(() if some else ("nan_in_range",)),
        *(() if none or some else ("zero_range",)),
    }
    return tuple(axis for axis in (*_RANGE, *_CODES) if axis not in dropped)


DYNAMIC = Arithmetic(
    op="dynamic_quantize_linear",
    schemes=tuple(OPERATORS["dynamic_quantize_linear"].schemes),
    axes=MappingProxyType({**_RANGE, **_CODES}),
    spec=MappingProxyType(
        {
            **{"range_scale": "divide_f32", "zero_range": None, "nan_in_range": None},
            **{"range_zero_point": "half_even", "rounding": "half_even"},
            **{"scale_op": "divide_f32", "zero_point_at": "after_rounding", "nan": None},
        }
    ),
    clause="ONNX DynamicQuantizeLinear-11: y_scale = (max(x) - min(x)) / (qmax - qmin)",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=_element,
    relevant=_relevant,
    again=_again,
    equal=(
        Equal(
            "range_zero_point",
            ("half_even", "half_even_before"),
            "qmin is 0, and half to even is an odd function",
            ("f32_u8",),
        ),
        Equal("nan", ("qmin", "zero"), "qmin is 0", ("f32_u8",)),
    ),
)
