r"""What every dot product does: from codes to an accumulator, from there to codes of the output.

.. math::

    acc = \sum_k (a_k - z_a)(b_k - z_b) + bias, \qquad
    y = \operatorname{clamp}(\operatorname{requantize}(acc, m) + z_y)    \tag{1}

Three axes. ``accumulator``: sums modulo 2^32, sums that refuse to leave int32, or sums of two
products saturated to int16 (``vpmaddubsw``). ``multiplier``: how m is formed of three scales,

.. math::

    (s_a s_b) / s_y \text{ in float32 or float64}, \qquad (s_a / s_y)\,s_b, \qquad
    (s_b / s_y)\,s_a \text{ in float32}, \qquad
    \mathrm{f64}(\mathrm{f32}(s_a s_b)) / \mathrm{f64}(s_y), \qquad
    (s_a s_b)\,(1 / s_y) \text{ in float32}                                \tag{2}

and ``requantize``: how the product is rounded. A contract has the first and the last; it implies
the second. ``int32_exact`` of a contract says that no sum leaves int32: who computes one that does,
computes modulo 2^32, so that is what it implies here.

Each function has an exact twin in ``oracle_products``.

References
----------
``docs/spec/operators.md``, sections 3 and 4; Intel SDM, VPMADDUBSW.
"""

from collections.abc import Sequence

import numpy as np

from refquant.contracts import AXES, Contract
from refquant.contracts.axes import AxisValue
from refquant.numerics.casts import wrap
from refquant.numerics.dot import matmul_exact
from refquant.numerics.requantize import REQUANTIZE_MODES, ZERO_POINT_MODES, requantize
from refquant.ops.rescale import FLOAT_MODES
from refquant_conformance.arithmetic.base import Axes, Equal
from refquant_conformance.oracle_products import accumulate_exact, multiplier_exact, rescale_exact
from refquant_conformance.protocol import Array
from refquant_conformance.types import code_range

__all__ = [
    *("ACCUMULATORS", "RESCALE_AXES", "accumulated", "again", "equal_modes", "formed", "implied"),
    *("rescaled", "rescaled_exactly", "summed_exactly"),
]

ACCUMULATORS: tuple[AxisValue, ...] = ("int32_wrap", "int32_exact", "i16_pair_saturate")
RESCALE_AXES: dict[str, tuple[AxisValue, ...]] = {
    "requantize": tuple(mode for mode in AXES["requantize"] if mode in REQUANTIZE_MODES),
    "multiplier": (
        *("product_f32", "product_f64", "product_f32_ratio_f64"),
        *("input_ratio_f32", "weight_ratio_f32", "product_by_reciprocal_f32"),
    ),
    "accumulator": ACCUMULATORS,
}
"""The axes of a dot product of codes."""

_LOW, _HIGH = -(2**31), 2**31 - 1


def implied(contract: Contract) -> Axes:
    """Return the axes that the contract's ``requantize`` and ``accumulator`` imply.

    >>> from refquant.contracts import preset
    >>> sorted(implied(preset("tflite_builtin")).values())
    ['int32_wrap', 'product_f64']
    """
    single = contract.requantize in (*FLOAT_MODES, "gemmlowp_double_f32")
    return {
        "multiplier": "product_f32" if single else "product_f64",
        "accumulator": "int32_wrap",
    }


def again(axes: Axes) -> bool:
    """Return whether another choice computes the same for every input.

    Modes that round m to float32 do not see whether a float32 product was divided in float32 or in
    float64: a quotient of two float32, rounded to float64 and then to float32, is rounded once.
    And ``gemmlowp_double`` of an m that is a float32 is ``gemmlowp_double_f32``.

    >>> again({"requantize": "float_rne", "multiplier": "product_f32_ratio_f64"})
    True
    """
    mode, how = axes["requantize"], axes["multiplier"]
    narrow = mode in (*FLOAT_MODES, "gemmlowp_double_f32", "rndnu", "rndnu16")
    if mode == "gemmlowp_double":
        return how.endswith("_f32") if isinstance(how, str) else False
    return narrow and how == "product_f32_ratio_f64"


def equal_modes(schemes: tuple[str, ...]) -> tuple[Equal, ...]:
    """Return the modes that no input tells apart where both are defined."""
    why = (
        "one function, written twice (docs/concepts/requantization.md), but where one is undefined"
    )
    pairs = (("gemmlowp_double", "tosa_double"), ("single", "tosa_single"))
    return tuple(Equal("requantize", pair, why, schemes) for pair in pairs)


def accumulated(
    a: Array,
    b: Array,
    *,
    zero_points: tuple[Array, Array],
    bias: Array | None,
    types: tuple[str, str],
    accumulator: AxisValue,
) -> Array | None:
    """Return eq. (1) for codes ``a`` (M, K) and ``b`` (K, N), int64; None where it is refused.

    ``zero_points`` broadcast against a and b, ``bias`` (N,) against the result.

    >>> zero = np.array(0)
    >>> a, b = np.array([[255, 255]]), np.array([[127], [127]])
    >>> [accumulated(a, b, zero_points=(zero, zero), bias=None, types=("uint8", "int8"),
    ...              accumulator=how).tolist() for how in ("int32_wrap", "i16_pair_saturate")]
    [[[64770]], [[32767]]]
    """
    x, w = (v.astype(np.int64) for v in (a, b))
    za, zb = (np.asarray(z, np.int64) for z in zero_points)
    if accumulator == "i16_pair_saturate":
        up = 128 if code_range(types[0])[0] < 0 else 0
        down = 128 if code_range(types[1])[0] == 0 else 0
        x, za, w, zb = x + up, za + up, w - down, zb - down
        zx, zw = np.broadcast_to(za, x.shape), np.broadcast_to(zb, w.shape)
        total = _pairs(x, w) - x @ zw - zx @ (w - zw)
    else:
        total = matmul_exact((x - za).astype(np.int32), (w - zb).astype(np.int32))
    if bias is not None:
        total = total + bias.astype(np.int64)
    if accumulator == "int32_exact":
        return None if total.size and (total.min() < _LOW or total.max() > _HIGH) else total
    return wrap(total, num_bits=32, signed=True)


def _pairs(x: Array, w: Array) -> Array:
    """Return the sum of products, two neighbours at a time saturated to int16."""
    if x.shape[1] % 2:
        x, w = np.pad(x, ((0, 0), (0, 1))), np.pad(w, ((0, 1), (0, 0)))
    total = np.zeros((x.shape[0], w.shape[1]), np.int64)
    for k in range(0, x.shape[1], 2):
        total += np.clip(x[:, k : k + 2] @ w[k : k + 2], -(2**15), 2**15 - 1)
    return total


def formed(scales: tuple[Array, Array, Array], how: AxisValue) -> Array:
    """Return m of the scales of a, b and y, eq. (2); those of b may be one a column.

    >>> float(formed((np.float32(0.5), np.float32(0.25), np.float32(2)), "product_f32"))
    0.0625
    """
    sa, sb, sy = (np.asarray(s, np.float32) for s in scales)
    with np.errstate(over="ignore", under="ignore"):
        if how == "product_f32":
            return np.asarray((sa * sb) / sy)
        if how == "product_by_reciprocal_f32":
            return np.asarray((sa * sb) * (np.float32(1) / sy))
        if how == "product_f64":
            return np.asarray(sa.astype(np.float64) * sb.astype(np.float64) / sy.astype(np.float64))
        if how == "product_f32_ratio_f64":
            return np.asarray((sa * sb).astype(np.float64) / sy.astype(np.float64))
        return np.asarray((sa / sy) * sb if how == "input_ratio_f32" else (sb / sy) * sa)


def rescaled(
    acc: Array, multiplier: Array, *, zero_point: int, limits: tuple[int, int], axes: Axes
) -> Array | None:
    """Return clamp(requantize(acc, m) + zy), int64; None where the mode refuses.

    >>> rescaled(np.array([-6, 6]), np.array(0.25), zero_point=10, limits=(-128, 127),
    ...          axes={"requantize": "gemmlowp_double"}).tolist()
    [8, 12]
    """
    mode = str(axes["requantize"])
    early = zero_point if mode in ZERO_POINT_MODES else None
    try:
        moved = requantize(acc, multiplier, mode=mode, zero_point=early)
    except ValueError:
        return None
    return np.clip(moved + zero_point, *limits)


def summed_exactly(
    a: Sequence[int],
    b: Sequence[int],
    *,
    zero_points: tuple[int, int],
    bias: int,
    types: tuple[str, str],
    accumulator: AxisValue,
) -> int | None:
    """Return the twin of ``accumulated`` for one output, by the oracle."""
    signed = (code_range(types[0])[0] < 0, code_range(types[1])[0] < 0)
    try:
        return accumulate_exact(
            a,
            b,
            zero_points=zero_points,
            bias=bias,
            accumulator=str(accumulator),
            signed=signed,
        )
    except OverflowError:
        return None


def rescaled_exactly(
    acc: int,
    scales: tuple[float, float, float],
    *,
    zero_point: int,
    limits: tuple[int, int],
    axes: Axes,
) -> int | None:
    """Return the twin of ``formed`` and ``rescaled`` for one output, by the oracle."""
    try:
        return rescale_exact(
            acc,
            multiplier=multiplier_exact(scales, str(axes["multiplier"])),
            zero_point=zero_point,
            limits=limits,
            mode=str(axes["requantize"]),
        )
    except (ValueError, ArithmeticError):
        return None
