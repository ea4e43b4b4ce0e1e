r"""APoT: sums of a few powers of two, so that the large weights have marks too.

Powers of two crowd at zero: more bits add marks only there, where they do no good. A sum of n
powers, each from a menu of its own, costs n shifts and spreads the marks. With k bits a menu
(k = 2) and b = k n bits:

.. math::

    p_i \in \{0,\ 2^{-i},\ 2^{-(i + n)},\ \ldots,\ 2^{-(i + (2^k - 2) n)}\},\ i = 0..n-1  \tag{1}

    \mathcal{L} = \gamma \cdot \Bigl\{ \sum_{i=0}^{n-1} p_i \Bigr\}, \qquad
    \gamma = 1 / \max                                                           \tag{2}

    \hat w = \operatorname{sign}(w) \cdot \alpha \cdot
    \operatorname{nearest}_{\mathcal{L}}(|w| / \alpha)                            \tag{3}

For b = 3 and 5, which 2 does not divide, the authors' code gives one more menu of a single power:
``MENUS`` is (1) for 2, 4, 6 bits and theirs for 3 and 5 (times 2: only ratios matter).

Layout of a signed code of b + 1 bits::

    | S: 1 bit | place in the ascending levels: b bits |        alpha: f32 a tensor

The place is ours: hardware holds the n menu entries, k bits each. On a midpoint (float32) the lower
magnitude wins; the authors' argmin goes through an unordered set. Beyond alpha saturates; zero has
S = 0. NaN and infinities are refused.
Left out: the normalization of weights before (mean 0, deviation 1), alpha's training.

References
----------
Li, Dong and Wang, "Additive Powers-of-Two Quantization", ICLR 2020, arXiv 1909.13144, section 2.2;
yhhhli/APoT_Quantization ``ImageNet/models/quant_layer.py`` (``build_power_value``).
"""

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.checks import code_array
from refquant.formats.codebook import float32_input, nearest

__all__ = ["CARD", "MENUS", "dequantize", "levels", "menus", "quantize"]

F32 = NDArray[np.float32]
Codes = NDArray[np.uint8]
Menus = tuple[tuple[float, ...], ...]


def menus(*, terms: int, term_bits: int) -> Menus:
    """Return the menus of eq. (1): ``terms`` of them, of 2^``term_bits`` entries, zero first.

    >>> menus(terms=2, term_bits=2)
    ((0.0, 1.0, 0.25, 0.0625), (0.0, 0.5, 0.125, 0.03125))
    """
    if min(terms, term_bits) < 1 or terms * term_bits > 7:
        raise ValueError(f"terms * term_bits must be in 1..7, got {terms} * {term_bits}")
    return tuple(
        (0.0, *(2.0 ** -(i + j * terms) for j in range(2**term_bits - 1))) for i in range(terms)
    )


MENUS: Mapping[int, Menus] = MappingProxyType(
    {
        2: menus(terms=1, term_bits=2),
        3: ((0.0, 1.0, 0.5, 0.125), (0.0, 0.25)),
        4: menus(terms=2, term_bits=2),
        5: ((0.0, 1.0, 0.25, 2.0**-5), (0.0, 0.5, 0.125, 2.0**-6), (0.0, 2.0**-4)),
        6: menus(terms=3, term_bits=2),
    }
)
"""The menus of the authors, by the number of bits of a magnitude."""


def levels(parts: Menus) -> F32:
    """Return the levels of eq. (2), ascending from 0 to 1, float32.

    >>> levels(MENUS[3]).tolist()
    [0.0, 0.10000000149011612, 0.20000000298023224, 0.30000001192092896, 0.4000000059604645, \
0.6000000238418579, 0.800000011920929, 1.0]
    """
    sums = sorted({sum(choice) for choice in itertools.product(*parts)})  # exact: few bits
    raw = np.array(sums, np.float32)
    return np.asarray(raw * (np.float32(1) / raw[-1]), np.float32)


def quantize(w: ArrayLike, *, parts: Menus, alpha: float) -> Codes:
    """Return the codes of ``w`` (float32, finite, any shape), uint8: eq. (3).

    ``alpha`` is positive: the magnitude of the last level. The sign is the bit above the place.

    >>> quantize(np.array([1, -0.6, 0.2, -0.01], np.float32), parts=MENUS[2], alpha=1.0).tolist()
    [3, 6, 1, 0]
    """
    values = float32_input(w, finite=True)
    if not 0 < np.float32(alpha) < np.inf:
        raise ValueError(f"alpha must be a positive finite float32, got {alpha}")
    marks = levels(parts)
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.minimum(np.abs(values) / np.float32(alpha), np.float32(1))
    place = nearest(np.asarray(ratio, np.float32), marks, ties="low")
    sign = (values < 0) & (place > 0)
    return np.asarray(place + np.where(sign, _sign(marks), 0), np.uint8)


def dequantize(codes: Codes, *, parts: Menus, alpha: float) -> F32:
    """Return the reals that the codes mean, float32 of their shape: one product each.

    >>> dequantize(np.array([3, 6, 1, 0], np.uint8), parts=MENUS[2], alpha=2.0).tolist()
    [2.0, -1.0, 0.5, 0.0]
    """
    marks = levels(parts)
    bit = _sign(marks)
    known = code_array(codes, low=0, high=2 * bit - 1)
    if (known % bit >= marks.size).any():
        raise ValueError(f"codes must be a sign and a place in {marks.size} levels")
    with np.errstate(under="ignore"):
        magnitude = marks[known % bit] * np.float32(alpha)
    return np.asarray(np.where(known >= bit, -magnitude, magnitude), np.float32)


def _sign(marks: F32) -> int:
    """Return the bit of the sign: the first power of two that is no place."""
    return 1 << (marks.size - 1).bit_length()


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    alpha = float(np.abs(x).max()) or 1.0
    codes = quantize(x, parts=MENUS[4], alpha=alpha)
    sums = {sum(choice): choice for choice in itertools.product(*MENUS[4])}
    ascending = sorted(sums)
    texts = [
        f"0b{int(code):05b} = " + " + ".join(number(p) for p in sums[ascending[int(code) % 16]])
        for code in codes
    ]
    return [
        Step("alpha", "max |w|", number(alpha)),
        Step("gamma", "1 / (1 + 1/2)", number(1 / ascending[-1])),
        *value_steps(x, texts, dequantize(codes, parts=MENUS[4], alpha=alpha)),
    ]


CARD = Card(
    name="apot",
    title="APoT: sums of powers of two",
    bits_per_value=5.0,
    block_size=0,
    layout="1 sign bit | b bits: place in the ascending levels | alpha f32 a tensor",
    equation="w = sign * alpha * gamma * (p_0 + p_1 + ..)",
    source="arXiv 1909.13144, section 2.2; yhhhli/APoT_Quantization",
    explain=_explain,
)
