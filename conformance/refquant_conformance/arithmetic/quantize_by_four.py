r"""QuantizeLinear in vectors of four, where vectors and what is left over round differently.

``half_away_by_four`` is ncnn on x86: of each run of elements with one scale, the first
4 floor(n/4) are rounded by an addition in float32, the others as C's ``round`` does:

.. math::

    q = \operatorname{trunc}(v \oplus \pm\tfrac12) \text{ or } \operatorname{round}(v), \qquad
    v = x \otimes (1 \oslash s)                                                        \tag{1}

They differ where the sum is rounded: 0.49999997 + 0.5 is 1 in float32. What is no int32 is -2^31,
then the zero point is added and codes are clamped. The value needs ``reciprocal_f32``,
``after_rounding`` and ``int32_cast``; a clamp before rounding it has not.

One more value of ``overflow``, ``int64_cast``: a quotient that is no int64 is -2^63, and so becomes
the lowest code (PyTorch's fake_quantize with channels).

An axis of its own, ``codes``: ``narrow`` ones leave out the lowest code of signed types.

References
----------
ncnn ``src/layer/x86/quantize_x86.cpp``, ``x86_usability.h`` (``float2int8_sse``).
"""

from fractions import Fraction

import numpy as np

from refquant.numerics.rounding import round_half_away
from refquant_conformance.arithmetic.base import Axes
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import add, divide, multiply, round_exact
from refquant_conformance.types import code_range

__all__ = [
    *("BY_FOUR", "CODES", "INT64", "by_four", "by_four_exactly", "cast_to_int64"),
    *("cast_to_int64_exactly", "narrowed", "out_of_place"),
]

BY_FOUR, CODES, INT64 = "half_away_by_four", "codes", "int64_cast"
_LEAST = -(2**31)


def out_of_place(axes: Axes) -> bool:
    """Return whether ``half_away_by_four`` stands beside values that it does not have.

    >>> out_of_place({"rounding": "half_away_by_four", "scale_op": "divide_f32"})
    True
    """
    if axes.get("overflow") == INT64:
        late = (axes["zero_point_at"], axes["clamp"]) == ("after_rounding", "after_rounding")
        return not late or axes["rounding"] == BY_FOUR
    if axes["rounding"] != BY_FOUR:
        return False
    needed = {"scale_op": "reciprocal_f32", "zero_point_at": "after_rounding"}
    needed |= {"overflow": "int32_cast", "nan": "int32_min"}
    return axes.get("clamp") == "before_rounding" or any(
        axes.get(a) != v for a, v in needed.items()
    )


def _run(case: Case) -> int:
    """Return how many neighbours have one scale."""
    x = case.inputs["x"]
    if case.inputs["scale"].ndim == 0:
        return max(int(x.size), 1)
    return int(case.params.get("block_size") or 0) or int(x.shape[-1])  # type: ignore[arg-type]  # a number


def by_four(case: Case, scale: Array, zero_point: Array) -> Array:
    """Return the codes of eq. (1), int64; scale and zero point broadcast against x.

    >>> from refquant_conformance.adapters.samples import sample
    >>> from dataclasses import replace
    >>> x = np.full(5, np.nextafter(np.float32(0.5), np.float32(0)))
    >>> case = replace(sample("quantize_linear", "f32_i8"), inputs={"x": x, "scale": np.float32(1)})
    >>> by_four(case, np.float32(1), np.int64(0)).tolist()
    [1, 1, 1, 1, 0]
    """
    x = case.inputs["x"]
    with np.errstate(all="ignore"):
        v = x * (np.float32(1) / scale.astype(np.float32))
        run = _run(case)
        place = np.arange(x.size).reshape(x.shape) % run
        added = np.trunc(v + np.copysign(np.float32(0.5), v))
        whole = np.where(place < run // 4 * 4, added, round_half_away(v)).astype(np.float64)
        inside = (whole >= _LEAST) & (whole < -_LEAST)
    whole = np.where(inside, whole, _LEAST).astype(np.int64) + zero_point
    return np.clip(whole, *code_range(case.types["y"]))


def by_four_exactly(case: Case, index: int, scale: float, zero_point: int) -> int:
    """Return one element of ``by_four`` by the oracle."""
    run = _run(case)
    v = multiply(float(case.inputs["x"].reshape(-1)[index]), divide(1.0, scale))
    qmin, qmax = code_range(case.types["y"])
    if not abs(v) < -_LEAST:
        return min(max(_LEAST + zero_point, qmin), qmax)
    if index % run < run // 4 * 4:
        whole = round_exact(Fraction(add(v, 0.5 if v > 0 else -0.5)), "toward_zero") if v else 0
    else:
        whole = round_exact(Fraction(v), "half_away")
    return min(max(whole + zero_point, qmin), qmax)


def cast_to_int64(y: Array, case: Case, scale: Array, axes: Axes) -> Array:
    """Return codes that saturate, and the lowest one where the quotient is no int64."""
    x, wide = case.inputs["x"], axes["scale_op"] == "divide_f64"
    with np.errstate(all="ignore"):
        s = scale.astype(np.float32)
        inverse = axes["scale_op"] == "reciprocal_f32"
        v = x * (np.float32(1) / s) if inverse else x / (s.astype(np.float64) if wide else s)
        beyond = np.abs(v) >= 2.0**63
    return np.where(beyond, y.dtype.type(code_range(case.types["y"])[0]), y)


def cast_to_int64_exactly(
    found: int | None, x: float, scale: float, axes: Axes, low: int
) -> int | None:
    """Return one element of ``cast_to_int64`` by the oracle; ``found`` saturates."""
    if axes["scale_op"] == "reciprocal_f32":
        v = multiply(x, divide(1.0, scale))
    else:
        v = divide(x, scale, bits=64 if axes["scale_op"] == "divide_f64" else 32)
    return low if found is not None and abs(v) >= 2.0**63 else found


def narrowed(y: Array, case: Case) -> Array:
    """Return codes without the lowest one; unsigned codes have no narrow range, and stay."""
    qmin = code_range(case.types["y"])[0]
    return y if qmin == 0 else np.maximum(y, y.dtype.type(qmin + 1))
