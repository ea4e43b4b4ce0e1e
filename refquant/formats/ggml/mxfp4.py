r"""MXFP4 as ggml has it: 32 E2M1 elements and a power of two, in ggml's order of nibbles.

LAYOUT, 17 bytes for 32 values::

      byte 0     1                                   17
      +----------+-------------+-------------+-   -+-------------+
      | e: E8M0  | c[16]  c[0] | c[17]  c[1] | ... | c[31] c[15] |    split halves: high, low
      +----------+-------------+-------------+-   -+-------------+

An element's code c is E2M1: sign, two bits of exponent, one of mantissa; in *doubled* numbers
:math:`v(c)` = 0, 1, 2, 3, 4, 6, 8, 12 and their negatives, so that h is half of the MX scale:

.. math::

    e &= \lfloor \mathrm{log2f}(\max|x|) \rfloor + 125, \quad e = 0 \text{ for zeros} \tag{1} \\
    h &= 2^{e - 128} \tag{2} \\
    c &= \operatorname{argmin}_c |v(c) \otimes h \ominus x|, \text{ the lowest} \tag{3} \\
    \hat x &= h \cdot v(c) \tag{4}

It is OCP's floor rule: the largest element is 4 to 8 in units of the scale, and 6 to 8 clips to 6.
Ties go to the smaller magnitude, not to even; -0 is never written. Against OCP's own order of
elements the nibbles are permuted, so bytes of other MXFP4 files must be repacked.

**log2f is a float.** Just below 2^k the logarithm rounds up to k, and eq. (1) is one too high:
for one float if k = 3 or -2, for 44 if k = 128. Such a block loses half of its resolution. For x
below 2^k, with u the distance from k to the next float32 below it,

.. math::

    \mathrm{log2f}(x) \text{ rounds to } k \iff \log_2 x \ge k - u/2                     \tag{5}

so no logarithm is computed: eq. (5) is a comparison of bits with a bound for each k.

Below 2^-125 e is negative, and C leaves its cast to a byte open. We do as x86, the low eight bits:
a scale near 2^127, whose codes are all 0. Arm saturates, e = 0. e = 255, which OCP calls NaN, is
2^128 to ggml. Left out: an importance, which ggml ignores; it is checked and ignored here too.

References
----------
ggml ``src/ggml-quants.c`` (``quantize_row_mxfp4_ref``), ``src/ggml-impl.h``
(``ggml_e8m0_to_fp32_half``); OCP Microscaling Formats 1.0, section 6.3.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.checks import row_length
from refquant.formats.ggml.blocks import (
    checked_importance,
    decode_rows,
    encode_rows,
    join_halves,
    split_halves,
)

__all__ = ["CARD", "DOUBLED", "decode", "encode", "floor_log2f", "half_scale", "nearest_codes"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

_MAGNITUDES = (0, 1, 2, 3, 4, 6, 8, 12)
DOUBLED = np.array([*_MAGNITUDES, *(-v for v in _MAGNITUDES)], np.float32)
"""Twice what each E2M1 code means; code 8 is +0.0 here, as in ggml's table of integers."""
DOUBLED.flags.writeable = False


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return float32 ``x`` (..., n) as MXFP4, uint8 (..., n / 32 * 17): eq. (1-3).

    n must be a multiple of 32; NaN and infinities are a ``ValueError``. Zeros give zero bytes.

    >>> x = np.zeros(32, np.float32)
    >>> x[:4], x[16] = (7.5, 2.5, -1.1, -0.1), 3.7  # e = 127: codes 7 (clips), 4 (tie), 10, 0; 6
    >>> encode(x)[:5].tolist()
    [127, 103, 4, 10, 0]
    """
    checked_importance(importance, n=row_length(x))

    def block(part: F32) -> U8:
        exponent = _exponents(part)
        codes = nearest_codes(part, half_scale(exponent)[:, None])
        return np.concatenate([exponent[:, None], join_halves(codes)], axis=1)

    return encode_rows(x, type="MXFP4", function=block)


def decode(data: U8) -> F32:
    """Return MXFP4 ``data``, uint8 (..., k * 17), as float32 (..., k * 32): eq. (4), exactly.

    12 * 2^127 is infinite.

    >>> decode(np.array([127, 0x67, 0x04, 0x0A] + [8] * 13, np.uint8))[[0, 1, 2, 3, 16]].tolist()
    [6.0, 2.0, -1.0, 0.0, 4.0]
    """

    def block(part: U8) -> F32:
        out = DOUBLED[split_halves(part[:, 1:])]
        out *= half_scale(part[:, 0])[:, None]
        return out

    return decode_rows(data, type="MXFP4", function=block)


def nearest_codes(x: F32, scale: F32) -> U8:
    """Return the E2M1 codes of ``x`` for half scales >= 0 that broadcast: eq. (3).

    The distance is a float32; of equal distances the smaller magnitude wins. A negative number of
    magnitude 0 has code 0.

    >>> x = np.array([0.5, 0.51, -5, -0.4, 99], np.float32)
    >>> nearest_codes(x, np.float32(1)).tolist()
    [0, 1, 12, 0, 7]
    """
    magnitude = np.abs(x)
    code = np.zeros(x.shape, np.uint8)
    best = magnitude.copy()
    for candidate, value in enumerate(_MAGNITUDES[1:], start=1):
        distance = np.abs(np.float32(value) * scale - magnitude)
        closer = distance < best
        code[closer] = candidate
        np.minimum(best, distance, out=best)
    # By symmetry the sign decides between c and c + 8, and never in favour of a zero.
    negative = (x < 0) & (code > 0)
    return code | (negative.astype(np.uint8) << np.uint8(3))


def half_scale(exponent: U8) -> F32:
    """Return half of what E8M0 codes mean, float32 2^(e - 128), for all codes: eq. (2).

    >>> half_scale(np.array([0, 1, 128, 255], np.uint8)).tolist()
    [2.938735877055719e-39, 5.877471754111438e-39, 1.0, 1.7014118346046923e+38]
    """
    return np.asarray(np.ldexp(np.float32(1), exponent.astype(np.int32) - 128), np.float32)


def floor_log2f(x: F32) -> I32:
    """Return the floor of the float32 nearest to log2 of positive ``x``, int32: eq. (5).

    >>> below = np.nextafter(np.array([2, 4, 8, 2.0**100], np.float32), np.float32(0))
    >>> floor_log2f(below).tolist()
    [0, 1, 3, 100]
    """
    k = np.frexp(x)[1].astype(np.int32)  # x < 2^k <= 2 x
    return np.asarray(np.where(x >= _ROUNDS_UP[k + 148], k, k - 1), np.int32)


def _rounds_up() -> F32:
    """Return for k = -148 to 128 the least float32 whose log2f is k: the bound of eq. (5).

    It is 2^(k - u/2), rounded up. Its distance from 2^k, u ln(2) / 2 to three digits, is far from
    a whole number of floats for every u = 2^-24 .. 2^-16, so float64 is enough to place it.
    """
    k = np.arange(-148, 129)
    next_below = np.nextafter(k.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
    u = np.where(k == 0, 0.0, k - next_below)  # below 0 the floats are so dense that none rounds up
    step = np.ldexp(1.0, np.maximum(k - 24, -149))  # between floats in [2^(k-1), 2^k)
    floats = np.floor(-np.expm1(-u / 2 * np.log(2)) * np.ldexp(1.0, k) / step)
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(1.0, k) - floats * step, np.float32)


_ROUNDS_UP = _rounds_up()


def _exponents(blocks: F32) -> U8:
    """Return e of each block, uint8 (m,): eq. (1)."""
    largest = np.abs(blocks).max(axis=1)
    exponent = floor_log2f(np.where(largest > 0, largest, np.float32(1))) + 125
    return np.where(largest > 0, exponent, 0).astype(np.uint8)  # modulo 256


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=32)
    data = encode(block)
    largest, e = np.abs(block).max(), int(data[0])
    steps = [
        Step("max |x|", f"of 32 values, {32 - len(values)} of them padding", number(largest)),
        Step("e", "floor(log2(max |x|)) - 2 + 127; 0 if all are zero", f"{e} = 0x{e:02x}"),
        Step("scale", f"2^({e} - 127)", number(2 * half_scale(data[:1]).astype(float)[0])),
        Step("c", "E2M1 nearest to x / scale, ties to the smaller magnitude", "s ee m"),
    ]
    with np.errstate(over="ignore"):
        codes = nearest_codes(block, half_scale(data[:1]))
    shown = [f"{c} = 0b{c >> 3}_{c >> 1 & 3:02b}_{c & 1}" for c in codes.tolist()]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="mxfp4_ggml",
    title="ggml MXFP4: E2M1 elements, E8M0 scale a block of 32",
    bits_per_value=4.25,
    block_size=32,
    layout="byte 0: e, E8M0\nbyte 1 + j: c[j] low nibble, c[j + 16] high nibble (not OCP's order)",
    equation="x = 2^(e - 127) * E2M1(c); e = floor(log2 max|x|) - 2 + 127, c nearest, ties down",
    source="ggml src/ggml-quants.c, quantize_row_mxfp4_ref",
    explain=_explain,
)
