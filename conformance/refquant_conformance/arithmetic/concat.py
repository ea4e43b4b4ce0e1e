r"""Codes of two tensors in one: how a code becomes a code of another scale and zero point.

.. math::

    y = \operatorname{clamp}\Bigl(\operatorname{round}\Bigl(\frac{s_x (q - z_x)}{s_y}\Bigr)
        + z_y\Bigr)    \tag{1}

by the axis ``concat``:

* ``quotient``: real and quotient in float32, ties to even; ``quotient_half_away``: ties away;
* ``quotient_zero_point_first``: z_y is added to the quotient, in float32, before it is rounded;
* ``reciprocal``, ``reciprocal_half_away``, ``reciprocal_zero_point_first``: the real is multiplied
  by f32(1 / s_y) instead;
* ``by_range``: q - z_x in the range of y, divided by s_x, as OpenVINO has it: eq. (2) of
  :mod:`.fake_quantize`;
* ``ratio_half_away``: r = f32(s_x f32(1 / s_y)); half_away(f32(f32(q r) + f32(-z_x r))) + z_y, but
  a code stays what it is where both rules are equal.

References
----------
onnxruntime ``qlinear_concat.cc``; LiteRT ``reference/concatenation.h``;
``docs/spec/operators.md`` section 4 (``Requantize``).
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.numerics.rounding import round_half_away
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.elementwise import rule
from refquant_conformance.arithmetic.fake_quantize import reals_by_range
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_movement import requantized_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import code_range, storage

__all__ = ["QLINEAR_CONCAT", "concat_case"]

Rule = tuple[float, int]
_HOWS = (
    *("quotient", "quotient_half_away", "quotient_zero_point_first"),
    *("reciprocal", "reciprocal_half_away", "reciprocal_zero_point_first", "ratio_half_away"),
    "by_range",
)


def concat_case(
    scheme: str, a: Array, b: Array, rules: tuple[Rule, Rule, Rule], *, axis: int = 1
) -> Case:
    """Return the case of two tensors; ``rules`` are scale and zero point of a, b and y.

    >>> case = concat_case("u8", [[1]], [[2]], ((1, 0), (1, 0), (2, 0)))
    >>> case.inputs["b"].tolist(), float(case.inputs["y_scale"])
    ([[2]], 2.0)
    """
    types = types_of("qlinear_concat", scheme)
    given: dict[str, Array] = {"a": np.asarray(a), "b": np.asarray(b)}
    for name, (scale, zero_point) in zip(("a", "b", "y"), rules, strict=True):
        given[f"{name}_scale"] = np.asarray(scale)
        given[f"{name}_zero_point"] = np.asarray(zero_point)
    inputs = {name: array.astype(storage(types[name])) for name, array in given.items()}
    return Case("qlinear_concat", scheme, inputs, {"axis": axis}, types=types)


def _axis(case: Case) -> int:
    return int(case.params.get("axis", 1))  # type: ignore[arg-type]  # an axis is a number


def _moved(codes: Array, x: Rule, y: Rule, how: str, dtype: str) -> Array:
    """Return codes by the rule y, not clamped."""
    sx, sy = np.float32(x[0]), np.float32(y[0])
    with np.errstate(all="ignore"):
        if how == "ratio_half_away":
            if x == y:
                return codes
            ratio = sx * (np.float32(1) / sy)
            bias = np.float32(-x[1]) * ratio
            return np.asarray(round_half_away(codes.astype(np.float32) * ratio + bias) + y[1])
        offset = (codes.astype(np.int64) - x[1]).astype(np.float32)
        if how == "by_range":
            return reals_by_range(offset, (np.asarray(sy), y[1]), dtype, unit=sx)
        real = offset * sx
        by = how.partition("_")[0]
        steps = real * (np.float32(1) / sy) if by == "reciprocal" else real / sy
        if how.endswith("zero_point_first"):
            return np.asarray(np.rint(steps + np.float32(y[1])))
        rounded = round_half_away(steps) if how.endswith("half_away") else np.rint(steps)
        return np.asarray(rounded + y[1])


def _compute(case: Case, axes: Axes) -> Outputs:
    y, limits = rule(case, "y"), code_range(case.types["y"])
    how, dtype = str(axes["concat"]), case.types["y"]
    moved = [_moved(case.inputs[n], rule(case, n), y, how, dtype) for n in ("a", "b")]
    whole = np.clip(np.concatenate(moved, axis=_axis(case)), *limits)
    return {"y": whole.astype(storage(case.types["y"]))}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int:
    axis, sizes = _axis(case), [case.inputs[name].shape for name in ("a", "b")]
    shape = list(sizes[0])
    shape[axis] += sizes[1][axis]
    place = [int(v) for v in np.unravel_index(index, shape)]
    name = "a" if place[axis] < sizes[0][axis] else "b"
    place[axis] -= 0 if name == "a" else sizes[0][axis]
    code = int(case.inputs[name][tuple(place)])
    return requantized_exact(
        code, rule(case, name), rule(case, "y"), how=str(axes["concat"]),
        limits=code_range(case.types["y"]),
    )  # fmt: skip


def _row(case: Case, index: int) -> Case:
    """Return the case of the row that holds an element; of another axis, the whole case."""
    a, b = case.inputs["a"], case.inputs["b"]
    if a.ndim != 2 or _axis(case) != 1:
        return case
    row = index // (a.shape[1] + b.shape[1])
    parts = {"a": a[row : row + 1], "b": b[row : row + 1]}
    return replace(case, inputs={**case.inputs, **parts})


_TELLING = (
    ("0x1.c3c3b8p-2", "0x1.a0ad0ep-1"),
    ("0x1.d4fadcp-5", "0x1.7434d0p-4"),
    ("0x1.7b0c2cp-8", "0x1.56321ap-4"),
    ("0x1.e4ab60p-1", "0x1.9ad87ap-5"),
    ("0x1.29729ap-2", "0x1.948760p-2"),
    ("0x1.17631cp+0", "0x1.1f8e6ep-1"),
)
"""Scales of x and y for which a code lies so near a tie that the arithmetics part."""


def _probes(scheme: str) -> Sequence[Case]:
    """Return every code twice: by rules that make ties, and by rules that nearly do."""
    qmin, qmax = code_range(types_of("qlinear_concat", scheme)["a"])
    codes = np.arange(qmin, qmax + 1)[None]
    pairs = [(float.fromhex(x), float.fromhex(y)) for x, y in _TELLING]
    pairs += [(0.5, 1.0), (0.25, 0.5), (0.1, 0.04), (0.02, 0.3), (1 / 3, 1 / 3), (0.75, 0.5)]
    found = []
    for k, (sx, sy) in enumerate(pairs):
        other = pairs[(k + 1) % len(pairs)][0]
        rules = (
            (sx, qmin + 128),
            (other, qmin + 100 + k),
            (sy, qmin + 127 - max(0, k - len(_TELLING))),
        )
        found.append(concat_case(scheme, codes, codes[:, ::-1], rules))
    grid = np.arange(qmin, qmax + 1).reshape(2, 8, 16)
    rules = (0.1, qmin + 128), (0.3, qmin + 3), (0.2, qmin + 99)
    found.append(concat_case(scheme, codes, codes[:, ::-1], (rules[0],) * 3))
    for axis in (0, 1, 2):
        found.append(concat_case(scheme, grid, grid[::-1], rules, axis=axis))
    return found


QLINEAR_CONCAT = Arithmetic(
    op="qlinear_concat",
    schemes=("u8", "i8"),
    axes=MappingProxyType({"concat": _HOWS}),
    spec=MappingProxyType({"concat": None}),
    clause="onnxruntime QLinearConcat: the operands, requantized to the scale and zero point of "
    "the output; how is not said",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=_row,
)
