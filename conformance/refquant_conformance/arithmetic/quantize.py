r"""QuantizeLinear: which code a real gets, by six axes.

.. math::

    q = \operatorname{clamp}(\operatorname{round}(x \oslash s) \oplus z)    \tag{1}

The axes are those of a contract that the outer world can see when scale and zero point are given:
``rounding``, ``scale_op``, ``zero_point_at``, ``clamp``, ``overflow`` and ``nan``. One more value
of ``scale_op``, ``by_range``, decides all of it: ``fake_quantize`` says how; one more of
``rounding``, and the axis ``codes``, are those of ``quantize_by_four``. The probes are near-ties,
edges and special values for a few scales and zero points; NaN is asked in cases of its own, because
a contract may refuse it.

References
----------
ONNX, QuantizeLinear-21; ``docs/spec/operators.md`` section 2.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AXES
from refquant.formats.affine import QParams, quantize
from refquant_conformance import oracle
from refquant_conformance.arithmetic import quantize_by_four as four
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal, Outputs, contract_of
from refquant_conformance.arithmetic.quantize_by_range import (
    in_range,
    in_range_exactly,
    range_again,
)
from refquant_conformance.arithmetic.quantize_parameters import parameters_of_each, spread
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import INTEGERS, code_range, storage

__all__ = [
    "QUANTIZE",
    "case_of",
    "element",
    "nan_of_unsigned",
    "relevant",
    "ruler",
]

_AXES = ("rounding", "scale_op", "zero_point_at", "clamp", "overflow", "nan")
_SCALES = tuple(
    float(np.float32(s)) for s in (1.0, 0.25, 0.1, 1 / 3, 0.0375, 1 / 255, 0.003, 2.0**-14 / 3)
)


def case_of(
    scheme: str, x: Array, scale: Array | float, zero_point: Array | int, **params: int | None
) -> Case:
    """Return the case of a quantizer: scale and zero point in the types of the scheme.

    >>> case_of("f32_u8", np.float32([0.5]), 0.25, 3).inputs["zero_point"]
    array(3, dtype=uint8)
    """
    types = types_of("quantize_linear", scheme)
    inputs = {
        "x": x,
        "scale": np.asarray(scale, storage(types["scale"])),
        "zero_point": np.asarray(zero_point, storage(types["zero_point"])),
    }
    shape = {"axis": None, "block_size": 0, **params}
    return Case("quantize_linear", scheme, inputs, shape, types=types)


def ruler(case: Case, dtype: str) -> QParams | None:
    """Return the parameters of a case as the reference has them; None for what is no scale."""
    scale, zero_point = spread(case)
    shape = case.inputs["x"].shape
    wide = [np.broadcast_to(v, shape) for v in (scale.astype(np.float32), zero_point)]
    blocks = tuple(1 for _ in shape)
    try:
        if scale.ndim == 0:
            return QParams(scale.astype(np.float32), zero_point, None, dtype)
        return QParams(wide[0], wide[1], blocks, dtype)
    except ValueError:
        return None


def _compute(case: Case, axes: Axes) -> Outputs | None:
    x, qparams = case.inputs["x"], ruler(case, case.types["y"])
    if qparams is None or bool((qparams.scale < 0).any()):
        return None
    if axes["nan"] == "error" and np.isnan(x).any():
        return None
    if axes["scale_op"] == "by_range":
        return in_range(case)
    if axes.get(four.CODES) == "narrow":
        made = _compute(case, {**axes, four.CODES: "full"})
        return None if made is None else {"y": four.narrowed(made["y"], case)}
    if axes["overflow"] == four.INT64:
        made = _compute(case, {**axes, "overflow": "saturate"})
        return made and {"y": four.cast_to_int64(made["y"], case, spread(case)[0], axes)}
    if axes["rounding"] == four.BY_FOUR:
        return {"y": four.by_four(case, *spread(case)).astype(storage(case.types["y"]))}
    with np.errstate(all="ignore"):  # infinities and NaN are what is asked
        return {"y": quantize(x, qparams, contract=contract_of(axes))}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    if axes["scale_op"] == "by_range":
        nan = bool(np.isnan(case.inputs["x"]).any())
        return None if nan and axes["nan"] == "error" else in_range_exactly(case, index)
    scale, zero_point = parameters_of_each(case, index)
    qmin, qmax = code_range(case.types[output])
    if axes.get(four.CODES) == "narrow":
        found = _exact(case, {**axes, four.CODES: "full"}, output, index)
        return found if found is None or qmin == 0 else max(found, qmin + 1)
    if axes["rounding"] == four.BY_FOUR:
        return four.by_four_exactly(case, index, scale, zero_point)
    x = float(case.inputs["x"].reshape(-1)[index])
    if axes["overflow"] == four.INT64:
        found = _exact(case, {**axes, "overflow": "saturate"}, output, index)
        return four.cast_to_int64_exactly(found, x, scale, axes, qmin)
    known = {axis: value for axis, value in axes.items() if value is not None}
    try:
        return oracle.quantize_exact(
            x, scale=scale, zero_point=zero_point, qmin=qmin, qmax=qmax, axes=known
        )
    except ArithmeticError:
        return None


def element(case: Case, index: int) -> Case:
    """Return the case of one element, with its own scale and zero point."""
    scale, zero_point = parameters_of_each(case, index)
    alone = {
        "x": case.inputs["x"].reshape(-1)[index : index + 1],
        "scale": np.asarray(scale, case.inputs["scale"].dtype),
    }
    if "zero_point" in case.inputs:
        alone["zero_point"] = np.asarray(zero_point, case.inputs["zero_point"].dtype)
    params = {"axis": None, "block_size": 0}
    return replace(case, inputs=alone, params=params)


def _ties(scale: float, zero_point: int, scheme: str) -> Array:
    """Return floats at and around ties of one quantizer, its edges, and numbers far beyond."""
    qmin, qmax = code_range(types_of("quantize_linear", scheme)["y"])
    middle = np.arange(-40, 40, dtype=np.float64) + 0.5
    ends = [np.arange(end - zero_point - 4, end - zero_point + 4) + 0.5 for end in (qmin, qmax)]
    steps = np.concatenate([middle, *ends])
    at = (steps * scale).astype(np.float32)
    around = [at]
    for toward in (np.float32(-np.inf), np.float32(np.inf)):
        near = at
        for _ in range(2):
            near = np.nextafter(near, toward)
            around.append(near)
    far = [sign * scale * 2.0**k for k in (8, 9, 16, 23, 24, 30, 31, 32, 40) for sign in (1, -1)]
    special = [0.0, -0.0, 1e-40, -1e-40, 3e38, -3e38, math.inf, -math.inf]
    with np.errstate(over="ignore"):
        return np.concatenate([*around, np.array([*special, *far], np.float32)])


def relevant(case: Case) -> tuple[str, ...]:
    """Return the axes that can matter: what NaN becomes matters where there is one."""
    names = _AXES if np.isnan(case.inputs["x"]).any() else tuple(a for a in _AXES if a != "nan")
    return (*names, four.CODES)


def _probes(scheme: str) -> Sequence[Case]:
    qmin, qmax = code_range(types_of("quantize_linear", scheme)["y"])
    zero_points = sorted({qmin, qmax, 0, min(1, qmax), (qmin + qmax + 1) // 2, qmin + 1})
    pairs = list(product(_SCALES, zero_points))
    if scheme.endswith(("_channel", "_block")):  # what is new there is where parameters are found
        pairs = pairs[:: 5 if len(pairs) % 5 else 7]
    found = [_fine(scheme, _ties(s, z, scheme), s, z) for s, z in pairs]
    below = np.full(7, np.nextafter(np.float32(0.5), np.float32(0)))  # 0.5 is added, and it is 1
    found.append(_fine(scheme, below, 1.0, 0))
    nan = np.array([np.nan], np.float32)
    return [*found, *(_fine(scheme, nan, 0.5, z) for z in zero_points)]


def _fine(scheme: str, x: Array, scale: float, zero_point: int) -> Case:
    """Return the case of ``x``; of finer scales, with these parameters and with others."""
    qmax = code_range(types_of("quantize_linear", scheme)["y"])[1]
    # With 0 and 0, one case is for those who have no zero point.
    points = np.array([zero_point, qmax if zero_point else 0])
    scales = np.array([scale, 1.0], np.float32)
    if scheme.endswith("_channel"):
        return case_of(scheme, np.stack([x, x]), scales, points, axis=0)
    if scheme.endswith("_block"):
        rows = np.concatenate([x, x])[None, :]
        shape = {"axis": 1, "block_size": x.size}
        return case_of(scheme, rows, scales[None, :], points[None, :], **shape)
    return case_of(scheme, x, scale, zero_point)


def nan_of_unsigned(start: str) -> tuple[Equal, ...]:
    """Return what no zero point of unsigned codes tells apart, for schemes that begin so."""
    schemes = tuple(s for s in OPERATORS["quantize_linear"].schemes if s.startswith(start))
    return (
        Equal("nan", ("qmin", "zero"), "qmin is 0", schemes),
        Equal("nan", ("qmin", "int32_min"), "-2^31 + z is below every code", schemes),
        Equal("nan", ("zero", "int32_min"), "-2^31 + z is below every code", schemes),
    )


QUANTIZE = Arithmetic(
    op="quantize_linear",
    schemes=tuple(
        scheme
        for scheme, types in OPERATORS["quantize_linear"].schemes.items()
        if types["x"] == "float32" and types["y"] in INTEGERS
    ),
    axes=MappingProxyType(
        # An offset is no zero point of this operator.
        {
            **{axis: tuple(v for v in AXES[axis] if v != "before_scaling") for axis in _AXES},
            "scale_op": (*AXES["scale_op"], "by_range"),
            "rounding": (*AXES["rounding"], four.BY_FOUR),
            "overflow": (*AXES["overflow"], four.INT64),
            four.CODES: ("full", "narrow"),
        }
    ),
    spec=MappingProxyType(
        {
            "rounding": "half_even",
            "scale_op": "divide_f32",
            "zero_point_at": "after_rounding",
            "clamp": None,
            "overflow": "saturate",
            "nan": None,
            four.CODES: "full",
        }
    ),
    clause="ONNX QuantizeLinear-21: saturate((x / y_scale) + y_zero_point), round half to even",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=element,
    relevant=relevant,
    again=lambda axes: range_again(axes) or four.out_of_place(axes),
    equal=(
        *(same := nan_of_unsigned("f32_u")),
        Equal(four.CODES, ("full", "narrow"), "unsigned codes: one range", same[0].schemes),
    ),
)
