r"""Eight ways to choose the scale of an MX block (ONNX's in three roundings), all in production.

An MX block stores small floats that share one power of two, 2^e. The OCP text names one way to
choose e from the largest magnitude a of the block; the field uses eight, and they disagree on
ordinary numbers (a = 7 in MXFP4 is stored as 6 or as 8). With the largest number M of the element
format, its exponent e_M = floor(log2 M) and its m mantissa bits, every rule is a quantity v, its
exponent, and a bar that the significand 1 <= t < 2 of v must reach to get one more:

.. math::

    v = t \cdot 2^{f}, \qquad e = f + [t \text{ reaches the bar}] - o      \tag{1}

    \text{code} = \operatorname{clamp}(e, -127, 127) + 127                      \tag{2}

::

    rule          v                    bar (goes up if)      o     who
    floor         a                    never                 e_M   OCP MX 1.0, microxcaling, ggml
    ceil          a                    t > 1                 e_M   torchao (option)
    even          a                    t >= 2 - 2^-(m+1)     e_M   torchao, compressed-tensors
    rceil         a / M                t > 1                 0     ModelOpt, torchao, AutoRound, MLX
    rceil_v2      a / 7.25             t > 1                 0     AutoRound (MXFP4 only)
    round         a / M                t >= sqrt(2)          0     MLX to 0.30
    oas           bf16((a / M) * C)    never                 0     qwix; a / M below 2^-63 becomes 1
    onnx_up       a / M                t > 1                 0     ONNX Cast to FLOAT8E8M0
    onnx_down     a / M                never                 0     the same, round_mode
    onnx_nearest  a / M                t >= 1.5              0     the same, round_mode

Quotients and products are float32. ``rceil`` loses nothing by that: a significand is below 2, so
the float32 after M * 2^k divides to more than half a step above 2^k. C of ``oas`` is
2 (2 - 2^-m) / (2 - 2^-(m+1)): 12/7 for FP4 and 60/31 for FP8, the two that qwix has.

**The float32 logarithm.** A bit field is exact; ``floor(log2f(a))`` is not. Just below a power of
two the true logarithm is nearer to an integer than float32 can say: log2(2^16 - 2^-8) rounds to 16,
and the block gets twice the scale. ``log2="float32"`` is that arithmetic, with a logarithm that is
rounded correctly (a libm may differ by a unit in the last place, and then decides differently for a
few more values). It changes those rules near their bars only.

Left out: scales chosen by search (AutoRound ``opt_rtn``), and stochastic ones.

References
----------
OCP Microscaling Formats 1.0, section 6.3; microxcaling ``mx_ops.py``; torchao ``mx_tensor.py``;
ModelOpt ``mxfp4_tensor.py``, ``mxfp8_tensor.py``; compressed-tensors ``mxfp_utils.py``; AutoRound
``data_type/mxfp.py``; MLX ``backend/cpu/quantized.cpp``; qwix ``_src/core/qarray.py`` (arXiv
2603.08713); ONNX ``Cast``, attribute ``round_mode``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.numerics.minifloat import decode, encode
from refquant.numerics.minifloat_formats import float_format
from refquant.numerics.rounding import round_half_away

__all__ = ["SCALE_RULES", "ScaleRule", "exponents", "scale_codes"]

F32 = NDArray[np.float32]
NAN_CODE = 0xFF
_OAS_SMALLEST = np.float32(2.0**-63)  # sqrt of the smallest normal float32: below, qwix has 1
_SQRT2_ABOVE = np.float32(1.4142135623730951)  # rounds to 1.41421354; sqrt(2) lies above it


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """One line of the table above. ``v`` and ``bar`` are the columns, as keys.

    >>> SCALE_RULES["rceil"].v, SCALE_RULES["rceil"].bar
    ('a / M', 't > 1')
    """

    name: str
    v: str
    bar: str

    @property
    def uses_logarithm(self) -> bool:
        """Whether any producer computes this rule by a logarithm; the others read the bits."""
        return self.name in ("floor", "ceil", "rceil", "rceil_v2", "round")


SCALE_RULES: Mapping[str, ScaleRule] = MappingProxyType(
    {
        row.name: row
        for row in (
            ScaleRule("floor", "a", "never"),
            ScaleRule("ceil", "a", "t > 1"),
            ScaleRule("even", "a", "t >= 2 - 2^-(m+1)"),
            ScaleRule("rceil", "a / M", "t > 1"),
            ScaleRule("rceil_v2", "a / 7.25", "t > 1"),
            ScaleRule("round", "a / M", "t >= sqrt(2)"),
            ScaleRule("oas", "bf16((a / M) * C)", "never"),
            ScaleRule("onnx_up", "a / M", "t > 1"),
            ScaleRule("onnx_down", "a / M", "never"),
            ScaleRule("onnx_nearest", "a / M", "t >= 1.5"),
        )
    }
)


def exponents(
    amax: ArrayLike,
    *,
    rule: str,
    max_value: float,
    mantissa_bits: int,
    log2: str = "exact",
    zero_v: float = 0.0,
) -> NDArray[np.int32]:
    """Return the exponents e of blocks with the largest magnitudes ``amax``: eq. (1), not clamped.

    ``amax`` is float32 >= 0 of any shape. ``max_value`` is M, ``mantissa_bits`` m of the element.
    ``log2`` is ``exact`` or ``float32``; the latter is refused for rules nobody computes so.
    Infinity has the exponent 128 of its bits, or 1000 where a logarithm makes it infinite. A block
    of zeros has the exponent of ``zero_v`` in the place of v; -1000 stands for that of v = 0, and
    for that of NaN.

    >>> a = np.array([4.9, 6.1, 7.0, 8.0], np.float32)
    >>> for rule in ("floor", "ceil", "even", "round"):
    ...     exponents(a, rule=rule, max_value=6.0, mantissa_bits=1).tolist()
    [0, 0, 0, 1]
    [1, 1, 1, 1]
    [0, 0, 1, 1]
    [0, 0, 0, 0]
    """
    if rule not in SCALE_RULES:
        raise ValueError(f"scale_rule must be one of {', '.join(SCALE_RULES)}; got {rule!r}")
    if log2 not in ("exact", "float32"):
        raise ValueError(f"log2 must be exact or float32, got {log2!r}")
    if rule == "rceil_v2" and max_value != 6:
        raise ValueError(f"scale_rule rceil_v2 is for elements up to 6 (FP4), got {max_value}")
    row = SCALE_RULES[rule]
    if log2 == "float32" and not row.uses_logarithm:
        raise ValueError(f"scale_rule {rule!r} reads bits: log2 must be exact, got {log2!r}")
    a = np.asarray(amax)
    if a.dtype != np.float32 or bool((a < 0).any()):
        raise ValueError(f"amax must be float32 and not negative, got {a.dtype}: {a}")
    v = _quantity(a, row.v, max_value=max_value, mantissa_bits=mantissa_bits)
    v = np.where((a == 0) & (v == 0), np.float32(zero_v), v)
    some = np.isfinite(v) & (v > 0)
    known = np.where(some, v, np.float32(1))
    if log2 == "exact":
        e = _by_bits(known, row.bar, mantissa_bits)
    else:
        e = _by_logarithm(known, row.bar)
    offset = math.frexp(max_value)[1] - 1 if row.v == "a" else 0
    e = np.where(np.isinf(v), 128 if log2 == "exact" else 1000, e) - offset
    return np.asarray(np.where(some | np.isinf(v), e, -1000), np.int32)


def scale_codes(
    amax: ArrayLike,
    *,
    rule: str,
    max_value: float,
    mantissa_bits: int,
    log2: str = "exact",
    zero_v: float = 0.0,
    infinity: str = "nan",
) -> NDArray[np.uint8]:
    """Return the E8M0 codes, uint8 of the shape of ``amax``: eq. (2).

    No rule defines the scale of a block of zeros, so producers differ: it is that of v =
    ``zero_v``, the smallest (code 0) for 0.0. NaN gets 0xFF; so does infinity with
    ``infinity="nan"``, and with ``saturate`` it gets eq. (2). Denormals are numbers like any other.

    >>> amax = np.array([7.0, 0.0, np.inf, np.nan, 1e-45], np.float32)
    >>> scale_codes(amax, rule="even", max_value=6.0, mantissa_bits=1).tolist()
    [128, 0, 255, 255, 0]
    """
    if infinity not in ("nan", "saturate"):
        raise ValueError(f"infinity must be nan or saturate, got {infinity!r}")
    a = np.asarray(amax)
    e = exponents(
        a, rule=rule, max_value=max_value, mantissa_bits=mantissa_bits, log2=log2, zero_v=zero_v
    )
    codes = np.clip(e, -127, 127) + 127
    unknown = np.isnan(a) | (np.isinf(a) & (infinity == "nan"))
    return np.asarray(np.where(unknown, NAN_CODE, codes), np.uint8)


def _quantity(a: F32, v: str, *, max_value: float, mantissa_bits: int) -> F32:
    """Return the quantity of column v, in float32."""
    if v == "a":
        return a
    divisor = np.float32(7.25 if v == "a / 7.25" else max_value)
    with np.errstate(under="ignore"):
        quotient: F32 = a / divisor
    if v != "bf16((a / M) * C)":
        return quotient
    quotient = np.where(quotient < _OAS_SMALLEST, np.float32(1), quotient)
    top, middle = 2 - 2.0**-mantissa_bits, 2 - 2.0 ** -(mantissa_bits + 1)
    bf16 = float_format("bf16")
    with np.errstate(over="ignore"):  # for M < 2 only
        product = quotient * np.float32(2 * top / middle)
    return decode(encode(product, bf16, overflow="inf"), bf16)


def _by_bits(v: F32, bar: str, mantissa_bits: int) -> NDArray[np.int32]:
    """Return the exponent and its step up from the significand itself."""
    half, above = np.frexp(v)  # v = half * 2^above, half in [0.5, 1)
    t = half * np.float32(2)
    up = {
        "never": np.zeros(v.shape, np.bool_),
        "t > 1": t > 1,
        "t >= 1.5": t >= np.float32(1.5),
        "t >= sqrt(2)": t > _SQRT2_ABOVE,
        "t >= 2 - 2^-(m+1)": t >= np.float32(2 - 2.0 ** -(mantissa_bits + 1)),
    }[bar]
    return np.asarray(above - 1 + up, np.int32)


def _by_logarithm(v: F32, bar: str) -> NDArray[np.int32]:
    """Return the exponent and its step up from the logarithm, rounded to float32."""
    # float64's error is 10^-7 of the distance of any of these logarithms to a float32 midpoint.
    logarithm = np.log2(v.astype(np.float64)).astype(np.float32)
    if bar == "never":
        return np.floor(logarithm).astype(np.int32)
    if bar == "t > 1":
        return np.ceil(logarithm).astype(np.int32)
    return round_half_away(logarithm).astype(np.int32)
