r"""QuantizeLinear: which code a real gets, by six axes.

.. math::

    q = \operatorname{clamp}(\operatorname{round}(x \oslash s) \oplus z)    \tag{1}

The axes are those of a contract that the outer world can see when scale and zero point are given:
``rounding``, ``scale_op``, ``zero_point_at``, ``clamp``, ``overflow`` and ``nan``. The probes are
near-ties, edges and special values for a few scales and zero points; NaN is asked alone, because a
contract may refuse it.

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
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs, contract_of
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import INTEGERS, code_range, storage

__all__ = ["QUANTIZE", "case_of", "parameters_of_each"]

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


def _qparams(case: Case) -> QParams:
    scale = case.inputs["scale"].astype(np.float32)
    zero_point = case.inputs.get("zero_point", np.zeros(scale.shape, np.int32)).astype(np.int32)
    blocks = None
    if scale.ndim:
        shape = case.inputs["x"].shape
        axis = int(case.params["axis"] or 0)  # type: ignore[arg-type]  # an axis is an integer
        size = int(case.params.get("block_size") or 0)  # type: ignore[arg-type]  # as above
        blocks = tuple((size or 1) if i == axis else n for i, n in enumerate(shape))
        if size:
            blocks = tuple(size if i == axis else 1 for i in range(len(shape)))
        else:
            wide = tuple(n if i == axis else 1 for i, n in enumerate(shape))
            scale, zero_point = scale.reshape(wide), zero_point.reshape(wide)
    return QParams(scale, zero_point, blocks, case.types["y"])


def parameters_of_each(case: Case, index: int) -> tuple[float, int]:
    """Return scale and zero point of element ``index`` of the flattened ``x``."""
    scale = case.inputs["scale"].astype(np.float32)
    zero_point = case.inputs.get("zero_point", np.zeros(scale.shape, np.int64))
    if scale.ndim == 0:
        return float(scale), int(zero_point)
    place = list(np.unravel_index(index, case.inputs["x"].shape))
    axis = int(case.params["axis"] or 0)  # type: ignore[arg-type]  # an axis is an integer
    size = int(case.params.get("block_size") or 0)  # type: ignore[arg-type]  # as above
    if not size:
        return float(scale[place[axis]]), int(zero_point[place[axis]])
    place[axis] //= size
    return float(scale[tuple(place)]), int(zero_point[tuple(place)])


def _compute(case: Case, axes: Axes) -> Outputs | None:
    x = case.inputs["x"]
    if axes["nan"] == "error" and np.isnan(x).any():
        return None
    with np.errstate(all="ignore"):  # infinities and NaN are what is asked
        return {"y": quantize(x, _qparams(case), contract=contract_of(axes))}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    scale, zero_point = parameters_of_each(case, index)
    qmin, qmax = code_range(case.types[output])
    x = float(case.inputs["x"].reshape(-1)[index])
    known = {axis: value for axis, value in axes.items() if value is not None}
    try:
        return oracle.quantize_exact(
            x, scale=scale, zero_point=zero_point, qmin=qmin, qmax=qmax, axes=known
        )
    except ArithmeticError:
        return None


def _element(case: Case, index: int) -> Case:
    """Return the case of one element, with its own scale and zero point."""
    scale, zero_point = parameters_of_each(case, index)
    alone = {
        "x": case.inputs["x"].reshape(-1)[index : index + 1],
        "scale": np.asarray(scale, case.inputs["scale"].dtype),
        "zero_point": np.asarray(zero_point, case.inputs["zero_point"].dtype),
    }
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


def _probes(scheme: str) -> Sequence[Case]:
    fine = scheme.rpartition("_")[2]
    qmin, qmax = code_range(types_of("quantize_linear", scheme)["y"])
    zero_points = sorted({qmin, qmax, 0, min(1, qmax), (qmin + qmax + 1) // 2, qmin + 1})
    found = []
    for scale, zero_point in product(_SCALES, zero_points):
        x = _ties(scale, zero_point, scheme)
        if fine == "channel":
            two = np.array([scale, 1.0], np.float32)
            both = np.stack([x, x])
            found.append(case_of(scheme, both, two, np.array([zero_point, qmax]), axis=0))
        elif fine == "block":
            rows = x[: x.size // 2 * 2].reshape(1, -1)
            size = rows.shape[1] // 2
            two = np.array([[scale, 1.0]], np.float32)
            points = np.array([[zero_point, qmax]])
            found.append(case_of(scheme, rows, two, points, axis=1, block_size=size))
        else:
            found.append(case_of(scheme, x, scale, zero_point))
    whole = scheme.removesuffix("_channel").removesuffix("_block")
    if whole == scheme:
        nan = np.array([np.nan], np.float32)
        found += [case_of(scheme, nan, 0.5, zero_point) for zero_point in zero_points]
    return found


QUANTIZE = Arithmetic(
    op="quantize_linear",
    schemes=tuple(
        scheme
        for scheme, types in OPERATORS["quantize_linear"].schemes.items()
        if types["x"] == "float32" and types["y"] in INTEGERS
    ),
    axes=MappingProxyType(
        # An offset is no zero point of this operator.
        {axis: tuple(v for v in AXES[axis] if v != "before_scaling") for axis in _AXES}
    ),
    spec=MappingProxyType(
        {
            "rounding": "half_even",
            "scale_op": "divide_f32",
            "zero_point_at": "after_rounding",
            "clamp": None,
            "overflow": "saturate",
            "nan": None,
        }
    ),
    clause="ONNX QuantizeLinear-21: saturate((x / y_scale) + y_zero_point), round half to even",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=_element,
)
