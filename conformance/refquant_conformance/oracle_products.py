r"""The exact oracle of dot products: from codes to an accumulator, from there to codes.

Written from ``docs/spec/operators.md``, sections 3 and 4, one output at a time:

.. math::

    y = \operatorname{clamp}(\operatorname{requantize}(acc, m) + z_y), \qquad
    acc = \sum (a - z_a)(b - z_b) + bias                                             \tag{1}

in integers and fractions. What cannot be computed raises: ``OverflowError`` where a number leaves
int32, ``ValueError`` for a multiplier that the mode does not have.

References
----------
``docs/spec/operators.md``, sections 3 and 4; Intel SDM, VPMADDUBSW (sums of two products).
"""

from collections.abc import Sequence

from refquant_conformance.oracle_requantize import requantize_exact
from refquant_conformance.rational import divide, multiply

__all__ = ["accumulate_exact", "multiplier_exact", "rescale_exact"]

_LOW, _HIGH = -(2**31), 2**31 - 1


def accumulate_exact(
    a: Sequence[int],
    b: Sequence[int],
    *,
    zero_points: tuple[int, int],
    bias: int = 0,
    accumulator: str = "int32_exact",
    signed: tuple[bool, bool] = (True, True),
) -> int:
    """Return sum (a - za) (b - zb) + bias as ``accumulator`` keeps it, section 3.

    ``int32_exact`` raises ``OverflowError`` outside int32, ``int32_wrap`` takes the sum modulo
    2^32. ``i16_pair_saturate`` adds the products of two neighbours in int16, saturated, with codes
    of a counted from 0 and codes of b around 0 (``signed`` says which are already), then corrects
    for the zero points exactly, modulo 2^32.

    >>> pairs = {"zero_points": (0, 0), "signed": (False, True)}
    >>> [accumulate_exact([255, 255, 1], [127, 127, 1], accumulator=how, **pairs)
    ...  for how in ("int32_exact", "i16_pair_saturate")]
    [64771, 32768]
    """
    za, zb = zero_points
    if accumulator == "i16_pair_saturate":
        up, down = (128 if signed[0] else 0), (0 if signed[1] else 128)
        a, za = [code + up for code in a], za + up
        b, zb = [code - down for code in b], zb - down
        products = [x * y for x, y in zip(a, b, strict=True)]
        raw = sum(_clamp(sum(products[k : k + 2]), -(2**15), 2**15 - 1) for k in
                  range(0, len(products), 2))  # fmt: skip
        total = raw - zb * sum(a) - za * sum(b) + len(products) * za * zb + bias
        return _wrap(total)
    total = sum((x - za) * (y - zb) for x, y in zip(a, b, strict=True)) + bias
    if accumulator == "int32_wrap":
        return _wrap(total)
    if accumulator != "int32_exact":
        raise ValueError(f"accumulator must be one of section 3; got {accumulator!r}")
    if not _LOW <= total <= _HIGH:
        raise OverflowError(f"the sum {total} leaves int32")
    return total


def multiplier_exact(scales: tuple[float, float, float], formed: str) -> float:
    """Return m of the float32 ``scales`` (sx, sw, sy), formed as section 4 says.

    >>> multiplier_exact((0.5, 0.25, 2.0), "product_f32")
    0.0625
    """
    sx, sw, sy = scales
    if formed == "product_f32":
        return divide(multiply(sx, sw), sy)
    if formed == "product_by_reciprocal_f32":
        return multiply(multiply(sx, sw), divide(1.0, sy))
    if formed == "product_f64":
        return divide(multiply(sx, sw, bits=64), sy, bits=64)
    if formed == "product_f32_ratio_f64":
        return divide(multiply(sx, sw), sy, bits=64)
    if formed == "input_ratio_f32":
        return multiply(divide(sx, sy), sw)
    if formed == "weight_ratio_f32":
        return multiply(divide(sw, sy), sx)
    raise ValueError(f"multiplier must be formed as section 4 says; got {formed!r}")


def rescale_exact(
    acc: int,
    *,
    multiplier: float,
    zero_point: int,
    limits: tuple[int, int],
    mode: str,
) -> int:
    """Return clamp(requantize(acc, m) + zy), section 4.

    >>> rescale_exact(6, multiplier=0.25, zero_point=10, limits=(-128, 127), mode="float_rne")
    12
    """
    moved = requantize_exact(acc, multiplier, mode=mode, zero_point=zero_point) + zero_point
    return _clamp(moved, *limits)


def _clamp(q: int, low: int, high: int) -> int:
    return min(max(q, low), high)


def _wrap(value: int) -> int:
    """Return the int32 that is equal to ``value`` modulo 2^32."""
    return (value - _LOW) % 2**32 + _LOW
