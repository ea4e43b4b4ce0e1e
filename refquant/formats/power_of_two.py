r"""Powers of two: weights that a multiplier can shift by.

A weight that is zero or a signed power of two needs no multiplication. b bits hold a sign and a
field f of b - 1 bits; with the largest exponent E (one for a tensor):

.. math::

    \hat w = 0 \text{ if } f = 0, \text{ else } (-1)^S \cdot 2^{E - (2^{b-1} - 1 - f)}     \tag{1}

Layout of a code::

    | S: 1 bit | f: b - 1 bits |    b = 4, E = 0: f = 0..7 means 0, 1/64, 1/32, .. 1/2, 1

Two roundings are in use, and they differ between 1.414 and 1.5 times a power of two, and at zero:

.. math::

    \text{log}: \quad k = \operatorname{round}(\log_2 |w|)                        \tag{2}

    \text{linear}: \quad k = \lfloor \log_2 (\tfrac43 |w|) \rfloor,
    \text{ the nearest power, ties to the larger}                                \tag{3}

``linear`` has the least error, and below half of the smallest power (the tie is the power) it is
zero. ``log`` knows zero as the code of 0.0 only: every other small value is the smallest power.
Above the largest power both saturate. -0 is 0 with S = 0; so is what rounds to zero, so the code
of S = 1, f = 0 does not occur. E comes from the largest magnitude, by the same rounding.
NaN and infinities are refused. Left out: training, the choice of which weights to round first.

References
----------
Miyashita et al., "Convolutional Neural Networks using Logarithmic Data Representation", 2016,
section 3 (log); Zhou et al., "Incremental Network Quantization", ICLR 2017, section 3.1 (linear).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import Card, Step, value_steps
from refquant.formats.codebook import float32_input
from refquant.formats.log2 import nearest_exponent
from refquant.numerics.blocks import is_integer

__all__ = ["CARD", "ROUNDINGS", "choose_max_exponent", "dequantize", "quantize"]

F32 = NDArray[np.float32]
Codes = NDArray[np.uint8]

ROUNDINGS = ("log", "linear")


def choose_max_exponent(w: ArrayLike, *, rounding: str) -> int:
    """Return E, the exponent that the largest magnitude of ``w`` rounds to; 0 if all are zero.

    >>> w = np.array([0.1, -1.45], np.float32)
    >>> choose_max_exponent(w, rounding="log"), choose_max_exponent(w, rounding="linear")
    (1, 0)
    """
    values = float32_input(w, finite=True)
    largest = np.abs(values).max(initial=np.float32(0))
    return int(_exponent(np.asarray(largest), rounding)) if largest else 0


def quantize(w: ArrayLike, *, num_bits: int, max_exponent: int, rounding: str) -> Codes:
    """Return the codes of ``w`` (float32, finite, any shape), uint8: eq. (2) or (3).

    ``num_bits`` is 2 to 8, ``rounding`` one of ``ROUNDINGS``.

    >>> w = np.array([1, -0.72, 0.01, 0.007, 0], np.float32)
    >>> quantize(w, num_bits=4, max_exponent=0, rounding="log").tolist()
    [7, 15, 1, 1, 0]
    >>> quantize(w, num_bits=4, max_exponent=0, rounding="linear").tolist()
    [7, 14, 1, 0, 0]
    """
    values = float32_input(w, finite=True)
    top, max_exponent = _top(num_bits), _max_exponent(max_exponent)
    magnitude = np.abs(values)
    some = np.where(magnitude > 0, magnitude, np.float32(1))
    field = _exponent(some, rounding) - max_exponent + top
    # From half of the smallest power, 2^(E - top), that power is nearer than zero.
    half_or_more = np.frexp(some)[1] - 1 >= max_exponent - top
    lowest = np.where(half_or_more | (rounding == "log"), 1, 0)
    field = np.where(magnitude > 0, np.clip(field, lowest, top), 0)
    sign = (values < 0) & (field > 0)
    return np.asarray(field | (sign.astype(np.int32) << (num_bits - 1)), np.uint8)


def dequantize(codes: Codes, *, num_bits: int, max_exponent: int) -> F32:
    """Return the reals that the codes mean, float32 of their shape, exactly: eq. (1).

    >>> dequantize(np.array([7, 14, 1, 0], np.uint8), num_bits=4, max_exponent=0).tolist()
    [1.0, -0.5, 0.015625, 0.0]
    """
    top, max_exponent = _top(num_bits), _max_exponent(max_exponent)
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu" or ((codes < 0) | (codes >> num_bits > 0)).any():
        raise ValueError(f"codes must be integers below 2**{num_bits}, got {codes.dtype}")
    field = codes.astype(np.int32) & top
    one = np.where(codes >> (num_bits - 1), np.float32(-1), np.float32(1))
    with np.errstate(over="ignore", under="ignore"):
        powers = np.ldexp(one, field - top + max_exponent)
    return np.where(field > 0, powers, np.float32(0)).astype(np.float32)


def _exponent(magnitude: F32, rounding: str) -> NDArray[np.int32]:
    """Return the exponents of positive ``magnitude``, unlimited: eq. (2) or (3)."""
    if rounding not in ROUNDINGS:
        raise ValueError(f"rounding must be one of {', '.join(ROUNDINGS)}; got {rounding!r}")
    if rounding == "log":
        return nearest_exponent(magnitude)
    m, e = np.frexp(magnitude)  # m in [1/2, 1): between 2^(e - 1) and 2^e, the middle is m = 3/4
    return np.asarray(e - (m < np.float32(0.75)), np.int32)


def _max_exponent(value: int) -> int:
    """Return the exponent of the largest power, one that float32 has."""
    if not is_integer(value) or not -149 <= value <= 127:
        raise ValueError(f"max_exponent must be an integer in [-149, 127], got {value!r}")
    return int(value)


def _top(num_bits: int) -> int:
    """Return the largest field."""
    if not 2 <= num_bits <= 8:
        raise ValueError(f"num_bits must be in 2..8 (a sign and a field), got {num_bits}")
    return (1 << (num_bits - 1)) - 1


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    top = choose_max_exponent(x, rounding="linear")
    codes = quantize(x, num_bits=4, max_exponent=top, rounding="linear")
    return [
        Step("max_exponent", "floor(log2(4/3 max |w|))", str(top)),
        *value_steps(
            x,
            [f"0b{int(code):04b}" for code in codes],
            dequantize(codes, num_bits=4, max_exponent=top),
        ),
    ]


CARD = Card(
    name="pow2",
    title="Powers of two: a sign and a shift",
    bits_per_value=4.0,
    block_size=0,
    layout="1 sign bit | b - 1 bits: 0 is zero, the largest is 2^max_exponent",
    equation="w = sign * 2^(max_exponent - (2^(b-1) - 1 - field)), 0 if field = 0",
    source="arXiv 1603.01025 (log); arXiv 1702.03044 (linear)",
    explain=_explain,
)
