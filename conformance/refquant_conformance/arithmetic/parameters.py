r"""Choosing parameters: scale and zero point of a tensor's range, by the axes of a contract.

.. math::

    x \mapsto (lo, hi) = (\min x, \max x) \mapsto (s, z)    \tag{1}

Two families: symmetric parameters have the axes of eq. (1), asymmetric ones those of eq. (2) in
``refquant.formats.parameters``; both have values of ``parameters_small``. A range that is none
(empty, infinite, NaN) is refused. Left out: float zero points and offsets, which are no int32; and
how an observer finds a range narrower than (1): no operator of the catalogue says which is asked.

References
----------
``docs/spec/operators.md`` section 2.1.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from types import MappingProxyType

import numpy as np

from refquant.contracts import Contract
from refquant.contracts.axes import AXES, AxisValue
from refquant.formats.parameters import choose_qparams
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal, Outputs, contract_of
from refquant_conformance.arithmetic.parameters_small import (
    BELOW,
    KEPT,
    belongs_elsewhere,
    kept,
    kept_exactly,
)
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.oracle_parameters import choose_exact
from refquant_conformance.protocol import Array, Case, Param
from refquant_conformance.types import code_range

__all__ = ["ASYMMETRIC", "SYMMETRIC", "choose_case", "code_of"]

_GIVEN = (1.0, 0.1, 1e-5, 1e-7, 2.0**-23, 2.0**-126)
_SMALL: dict[str, tuple[AxisValue, ...]] = {
    "small_range": (*AXES["small_range"], *KEPT),
    "zero_range_scale": tuple(float(np.float32(v)) for v in _GIVEN),
}
_SCALE: dict[str, tuple[AxisValue, ...]] = {
    "parameter_dtype": AXES["parameter_dtype"],
    # "of_range" changes the inverse only, which is no output.
    "inverse": ("of_scale", "stored", "stored_by_reciprocal"),
    "scale_dtype": AXES["scale_dtype"],
}
_SYMMETRIC_AXES: dict[str, tuple[AxisValue, ...]] = {
    "symmetric_scale": tuple(v for v in AXES["symmetric_scale"] if v != "none"),
    "weight_range": AXES["weight_range"],
    "zero_point": ("integer", "none", BELOW),
    **_SCALE,
    **_SMALL,
}
_ASYMMETRIC_AXES: dict[str, tuple[AxisValue, ...]] = {
    "zero_point_from": AXES["zero_point_from"],
    "zero_point_rounding": AXES["zero_point_rounding"],
    "zero_point_dtype": AXES["zero_point_dtype"],
    "range_includes_zero": AXES["range_includes_zero"],
    **_SCALE,
    **_SMALL,
}


def code_of(scheme: str) -> str:
    """Return the type of the codes of a scheme.

    >>> code_of("asymmetric_i4"), code_of("symmetric_u8")
    ('int4', 'uint8')
    """
    kind = scheme.rpartition("_")[2]
    return {"u": "uint", "i": "int"}[kind[0]] + kind[1:]


def choose_case(scheme: str, x: Array) -> Case:
    """Return the case of a tensor.

    >>> choose_case("symmetric_i8", np.float32([1, 2])).params["symmetric"]
    True
    """
    params: dict[str, Param] = {
        "code": code_of(scheme),
        "symmetric": scheme.startswith("symmetric"),
    }
    types = types_of("choose_qparams", scheme)
    return Case("choose_qparams", scheme, {"x": x}, params, types=types)


def _contract(axes: Axes) -> Contract:
    """Return a contract with these axes; what a choice of parameters needs besides follows."""
    needed: dict[str, AxisValue] = {"scale_op": "reciprocal_f32"}
    if axes.get("symmetric_scale") == "signed_amax_over_qmin":
        needed["negative_scale"] = True
    return contract_of({**axes, **needed})


def _compute(case: Case, axes: Axes) -> Outputs | None:
    x = case.inputs["x"]
    if not x.size or not np.isfinite(x).all():
        return None
    if axes["small_range"] in KEPT:
        return kept(case, axes, lambda: _compute(case, {**axes, "small_range": "replace"}))
    if axes.get("zero_point") == BELOW:
        made = _compute(case, {**axes, "zero_point": "integer"})
        unsigned = np.int32(code_range(str(case.params["code"]))[0] == 0)
        return made and {**made, "zero_point": made["zero_point"] - unsigned}
    no_lower_side = not code_range(str(case.params["code"]))[0] and axes.get("zero_point") == "none"
    if no_lower_side and axes["symmetric_scale"] == "signed_amax_over_qmin":
        return None  # no codes on the side of the edge
    try:
        qparams = choose_qparams(
            x.min(),
            x.max(),
            dtype=str(case.params["code"]),
            symmetric=bool(case.params["symmetric"]),
            contract=_contract(axes),
        )
    except ValueError:
        return None
    return {
        "scale": np.asarray(qparams.scale, np.float32),
        "zero_point": np.asarray(qparams.zero_point, np.int32),
    }


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | float | None:
    x = [float(v) for v in case.inputs["x"].reshape(-1)]
    if not x or not all(abs(v) < np.inf for v in x):
        return None
    qmin, qmax = code_range(str(case.params["code"]))
    if axes["small_range"] in KEPT:
        found = kept_exactly(case, axes, (min(x), max(x)))
        if found is not None:
            return found[output == "zero_point"]
        axes = {**axes, "small_range": "replace"}
    lower = axes.get("zero_point") == BELOW and qmin == 0 and output == "zero_point"
    if axes.get("zero_point") == BELOW:
        axes = {**axes, "zero_point": "integer"}
    try:
        scale, zero_point = choose_exact(
            min(x),
            max(x),
            qmin=qmin,
            qmax=qmax,
            symmetric=bool(case.params["symmetric"]),
            axes=axes,
        )
    except ArithmeticError:
        return None
    return scale if output == "scale" else zero_point - lower


def _element(case: Case, index: int) -> Case:
    x = case.inputs["x"]
    if x.size < 3:
        return case
    return choose_case(case.scheme, np.array([x.min(), x.max()], np.float32))


def ranges(scheme: str) -> list[tuple[float, float]]:
    """Return ranges whose parameters the axes tell apart: ties of z, awkward widths, tiny ones.

    The awkward ones are so wide that their scale is 1 or more: no rule about small ones matters.
    """
    qmin, qmax = code_range(code_of(scheme))
    n = qmax - qmin
    places = (1, 2, n // 2 - 1, n // 2, n - 3)
    ties = [(-(k + 0.5) * s, (n - k - 0.5) * s) for k in places for s in (2.0, 4.0)]
    large = 1024.0
    rough = [(-large / k, large + large / (k + 2)) for k in range(2, 40)]
    rough += [(-large - large / k, large / (k + 1)) for k in range(2, 12)]
    sided = [(0.7, 3.3), (-3.3, -0.7), (0.0, 2.7), (-2.7, 0.0), (1.0, 1.0), (-2.0, -2.0)]
    tiny = [(0.0, 0.0), (-1e-39, 2e-39), (0.0, 1e-30), (0.0, 3e-20), (-2e-8, 1e-8), (-4e-8, 5e-8)]
    small = [(-6e-6, 3e-6), (-2e-5, 4e-5), (0.0, 1e-4), (-1.1e-4, 0.0), (-1e-3, 5e-3), (-5e-3, 0.0)]
    point = [(1e-6, 1e-6), (2.0, float(np.nextafter(np.float32(2), np.float32(3))))]
    return [(-3e3, 3e3), *rough, *ties, *tiny, *small, *point, *sided, (0.0, 5e-3), (-1e-6, 0.5)]


def _probes(scheme: str) -> Sequence[Case]:
    return [choose_case(scheme, np.array(ends, np.float32)) for ends in ranges(scheme)]


def _matters(axes: dict[str, tuple[AxisValue, ...]]) -> Callable[[Case], tuple[str, ...]]:
    def relevant(case: Case) -> tuple[str, ...]:
        x = case.inputs["x"]
        if not x.size:
            return tuple(axes)
        qmin, qmax = code_range(str(case.params["code"]))
        if float(np.abs(x).max()) >= 2 * (qmax - qmin) and x.max() - x.min() >= 2 * (qmax - qmin):
            return tuple(axis for axis in axes if axis not in _SMALL)
        return tuple(axes)

    return relevant


def _schemes(kind: str) -> tuple[str, ...]:
    return tuple(s for s in OPERATORS["choose_qparams"].schemes if s.startswith(kind))


def _family(
    kind: str, axes: dict[str, tuple[AxisValue, ...]], equal: tuple[Equal, ...]
) -> Arithmetic:
    return Arithmetic(
        op="choose_qparams",
        schemes=_schemes(kind),
        axes=MappingProxyType(axes),
        spec=MappingProxyType(dict.fromkeys(axes)),
        clause="docs/spec/operators.md section 2.1; no outside text says how parameters are chosen",
        compute=_compute,
        exact=_exact,
        probes=_probes,
        element=_element,
        relevant=_matters(axes),
        again=belongs_elsewhere,
        equal=equal,
    )


_UNSIGNED = tuple(s for s in _schemes("symmetric") if code_of(s).startswith("u"))
_SIGNED = tuple(s for s in _schemes("symmetric") if s not in _UNSIGNED)

SYMMETRIC = _family(
    "symmetric",
    _SYMMETRIC_AXES,
    (
        *(
            Equal("zero_point", pair, "the middle of signed codes is 0", _SIGNED)
            for pair in combinations(("integer", "none", BELOW), 2)
        ),
        Equal("weight_range", ("full", "narrow"), "narrow is for signed codes", _UNSIGNED),
    ),
)
ASYMMETRIC = _family(
    "asymmetric",
    _ASYMMETRIC_AXES,
    (
        Equal(
            "zero_point_from",
            ("qmin", "qmin_after_rounding"),
            "qmin is 0, and both roundings are odd functions",
            tuple(s for s in _schemes("asymmetric") if code_of(s).startswith("u")),
        ),
    ),
)
