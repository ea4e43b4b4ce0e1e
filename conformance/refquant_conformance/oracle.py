r"""The exact oracle: what a contract's words mean, in integers and fractions.

Written from the text of ``docs/spec/operators.md``, one number at a time, without a look at the
reference that it judges and without a line of its code. A contract arrives as data: the mapping
from axis to value that stands in a ``.rq`` file.

.. math::

    q = \operatorname{clamp}(\operatorname{round}(\operatorname{fl}(x / s)) + z)    \tag{1}

Requantization has a file of its own, ``oracle_requantize``. Left out: everything whose inputs are
arrays of floats (dot products in float32), which needs no oracle beyond one rounding after the
other.

References
----------
``docs/spec/operators.md``, sections 2 to 4.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from refquant_conformance.oracle_requantize import quantize_multiplier_exact, requantize_exact
from refquant_conformance.rational import (
    add_f32,
    divide,
    float32,
    float64,
    multiply,
    round_exact,
)

__all__ = [
    "add_exact",
    "dequantize_exact",
    "float32",
    "float64",
    "matmul_exact",
    "quantize_exact",
    "quantize_multiplier_exact",
    "requantize_exact",
    "round_exact",
]

Axes = Mapping[str, str | bool | float]

_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1


def quantize_exact(
    x: float, *, scale: float, zero_point: int, qmin: int, qmax: int, axes: Axes
) -> int:
    """Return the code of the float32 ``x`` by the contract ``axes``: eq. (1), section 2.

    ``scale`` is a float32. NaN with ``nan = error`` raises ``ArithmeticError``; ``int32_min`` is
    for ``overflow = int32_cast`` only. ``wrap`` wraps to the range of the codes.

    >>> ort = {"rounding": "half_even", "scale_op": "divide_f32", "zero_point_at": "after_rounding",
    ...        "clamp": "after_rounding", "overflow": "saturate", "nan": "qmin"}
    >>> [quantize_exact(x, scale=0.25, zero_point=1, qmin=-128, qmax=127, axes=ort)
    ...  for x in (0.625, 1e30, math.nan)]
    [3, 127, -128]
    """
    v = _scaled(x, scale, str(axes["scale_op"]))
    fused = axes["zero_point_at"] == "fused"
    before = fused or axes["zero_point_at"] == "before_rounding"
    if fused and math.isfinite(x):
        inverse = divide(1.0, scale)
        v = float32(Fraction(x) * Fraction(inverse) + zero_point)
    elif before:
        # The sum has the precision of the quotient.
        wide = axes["scale_op"] == "divide_f64"
        v = _add_f64(v, zero_point) if wide else add_f32(v, float(zero_point))
    late = 0 if before else zero_point  # what is still to be added
    if math.isnan(v) and axes["nan"] != "int32_min":
        return _nan_code(str(axes["nan"]), zero_point, qmin, qmax)
    if axes["clamp"] == "before_rounding":
        v = v if math.isnan(v) else min(max(v, float(qmin - late)), float(qmax - late))
    if axes["overflow"] == "saturate":
        if math.isinf(v):
            return qmax if v > 0 else qmin
        return _clamp(round_exact(Fraction(v), str(axes["rounding"])) + late, qmin, qmax)
    rounded = round_exact(Fraction(v), str(axes["rounding"])) if math.isfinite(v) else _INT32_MIN
    if not _INT32_MIN <= rounded <= _INT32_MAX:
        rounded = _INT32_MIN
    total = _wrap(rounded + late, -(2**31), 2**31 - 1)
    return (_wrap if axes["overflow"] == "wrap" else _clamp)(total, qmin, qmax)


def dequantize_exact(q: int, *, scale: float, zero_point: int) -> float:
    """Return f32(f32(q - z) * s), operators.md section 2.

    >>> dequantize_exact(-7, scale=float32(Fraction(1, 10)), zero_point=3)
    -1.0
    """
    return multiply(float32(q - zero_point), scale)


def add_exact(
    qa: int,
    qb: int,
    *,
    scales: tuple[float, float, float],
    zero_points: tuple[int, int, int],
    qmin: int,
    qmax: int,
    axes: Axes,
) -> int:
    """Return the code of a + b by the axis ``add``, operators.md section 4.

    ``scales`` and ``zero_points`` are those of a, b and the result.

    >>> add_exact(5, 4, scales=(0.5, 0.5, 1.0), zero_points=(0, 0, 0), qmin=-128, qmax=127,
    ...           axes={"add": "tflite_shift20"})
    5
    """
    (sa, sb, sy), (za, zb, zy) = scales, zero_points
    if axes["add"] == "dequantize":
        real = add_f32(
            dequantize_exact(qa, scale=sa, zero_point=za),
            dequantize_exact(qb, scale=sb, zero_point=zb),
        )
        return quantize_exact(real, scale=sy, zero_point=zy, qmin=qmin, qmax=qmax, axes=axes)
    if axes["add"] == "tflite_shift20":
        twice = multiply(2.0, max(sa, sb), bits=64)
        ma, mb = divide(sa, twice, bits=64), divide(sb, twice, bits=64)
        mo = divide(twice, multiply(2.0**20, sy, bits=64), bits=64)
        a = requantize_exact((qa - za) << 20, ma, mode="gemmlowp_double")
        b = requantize_exact((qb - zb) << 20, mb, mode="gemmlowp_double")
        return _clamp(requantize_exact(a + b, mo, mode="gemmlowp_double") + zy, qmin, qmax)
    if axes["add"] != "xnnpack_shift20":
        raise ValueError(f"add must be a value of operators.md section 4; got {axes['add']!r}")
    ra, rb = Fraction(divide(sa, sy)), Fraction(divide(sb, sy))
    e = math.frexp(max(ra, rb))[1] - 1  # floor(log2): exact, the ratios are floats
    shift = 20 - e
    ma, mb = (round_exact(r * Fraction(2) ** shift, "half_even") for r in (ra, rb))
    total = ma * (qa - za) + mb * (qb - zb)
    # (total + 2^(shift-1)) >> shift is the nearest integer, ties up.
    return _clamp(zy + round_exact(Fraction(total, 2**shift), "half_up"), qmin, qmax)


def matmul_exact(
    x: Sequence[Sequence[int]],
    w: Sequence[Sequence[int]],
    *,
    x_zero_point: int = 0,
    w_zero_points: Sequence[int] = (),
) -> list[list[int]]:
    """Return sum_k (x[m][k] - zx) * (w[k][n] - zw[n]) in Python integers; (M, K), (K, N) -> (M, N).

    ``w_zero_points`` is empty (all 0) or has one entry for each column.

    >>> matmul_exact([[255, 0]], [[1, -128], [1, 127]], x_zero_point=128)
    [[-1, -32512]]
    """
    columns = [list(column) for column in zip(*w, strict=True)]
    zeros = list(w_zero_points) or [0] * len(columns)
    return [
        [
            sum((a - x_zero_point) * (b - zw) for a, b in zip(row, column, strict=True))
            for column, zw in zip(columns, zeros, strict=True)
        ]
        for row in x
    ]


def _scaled(x: float, scale: float, scale_op: str) -> float:
    if scale_op == "divide_f32":
        return divide(x, scale)
    if scale_op == "reciprocal_f32":
        return multiply(x, divide(1.0, scale))
    if scale_op == "divide_f64":
        return divide(x, scale, bits=64)
    raise ValueError(f"scale_op must be a value of operators.md section 2; got {scale_op!r}")


def _nan_code(policy: str, zero_point: int, qmin: int, qmax: int) -> int:
    if policy == "error":
        raise ArithmeticError("NaN has no code by this contract")
    return {"qmin": qmin, "qmax": qmax, "zero": 0, "zero_point": zero_point}[policy]


def _add_f64(v: float, z: int) -> float:
    return v if math.isnan(v) or math.isinf(v) else float64(Fraction(v) + z)


def _clamp(q: int, low: int, high: int) -> int:
    return min(max(q, low), high)


def _wrap(value: int, low: int, high: int) -> int:
    """Return the integer in [low, high] that is equal to ``value`` modulo the size of the range."""
    return (value - low) % (high - low + 1) + low
