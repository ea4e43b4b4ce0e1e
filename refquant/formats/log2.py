r"""Log2: a probability as the number of times that 1 was halved.

Attention weights lie between 0 and 1, most of them near 0, and a few bits of evenly spaced codes
see only the largest. A logarithmic code has the same relative step everywhere, and a product with
such a value is a shift. With a scale s (1 for a softmax), and b bits:

.. math::

    q = \operatorname{clamp}(\operatorname{round}(-\log_2(x / s)),\ 0,\ 2^b - 1)     \tag{1}

    \hat x = s \cdot 2^{-q}                                                      \tag{2}

Layout: a code is b bits, unsigned: 0 means s, 1 means s/2, and so on; there is no sign and no zero.

Rounding in the log domain needs no logarithm. Let :math:`x / s = m \cdot 2^e` with
:math:`\tfrac12 \le m < 1`; then

.. math::

    \operatorname{round}(\log_2 (x/s)) = e \text{ if } m^2 > \tfrac12, \text{ else } e - 1 \tag{3}

which float64 decides exactly for a float32 m, and never on a tie, :math:`\sqrt{1/2}` being
irrational. A float32 logarithm, as in PyTorch, may round *to* a tie and differ for the neighbours
of :math:`\sqrt{1/2}`.

Zero becomes the largest code, so a small positive number; FQ-ViT keeps a mask beside the codes and
decodes to zero where -log2 rounds to 2^b or more, which ``zeros`` says here. Values above s are
code 0. Negative values, NaN and infinities are refused.
Left out: signed weights (``power_of_two``), bases other than 2.

References
----------
Lin et al., "FQ-ViT", IJCAI 2022, section 3.3 (``Log2Quantizer``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.checks import code_array
from refquant.formats.codebook import float32_input

__all__ = ["CARD", "dequantize", "nearest_exponent", "quantize", "zeros"]

F32 = NDArray[np.float32]
Codes = NDArray[np.uint8]


def nearest_exponent(magnitude: F32) -> NDArray[np.int32]:
    """Return the integer nearest to log2 of each ``magnitude`` (float32, > 0), exactly: eq. (3).

    >>> nearest_exponent(np.array([1, 1.41, 1.42, 3, 0.1], np.float32)).tolist()
    [0, 0, 1, 2, -3]
    """
    m, e = np.frexp(magnitude.astype(np.float64))
    return np.asarray(e - (m * m < 0.5), np.int32)  # m has 24 bits, so m * m is exact


def quantize(x: ArrayLike, *, num_bits: int, scale: float) -> Codes:
    """Return the codes of ``x`` (float32, finite, not negative, any shape), uint8: eq. (1).

    ``num_bits`` is 1 to 8; ``scale`` is a positive float32, and x / s a float32 quotient.

    >>> quantize(np.array([1, 0.5, 0.4, 0.3, 0], np.float32), num_bits=4, scale=1.0).tolist()
    [0, 1, 1, 2, 15]
    """
    below = _halvings(x, num_bits, scale)
    return np.asarray(np.clip(below, 0, 2**num_bits - 1), np.uint8)


def zeros(x: ArrayLike, *, num_bits: int, scale: float) -> NDArray[np.bool_]:
    """Return where eq. (1) without its clamp is beyond the codes: FQ-ViT decodes that to zero.

    >>> zeros(np.array([0.25, 0.0625, 0], np.float32), num_bits=2, scale=1.0).tolist()
    [False, True, True]
    """
    return np.asarray(_halvings(x, num_bits, scale) >= 2**num_bits, np.bool_)


def dequantize(codes: Codes, *, scale: float) -> F32:
    """Return the reals that the codes mean, float32 of their shape, exactly: eq. (2).

    >>> dequantize(np.array([0, 1, 4], np.uint8), scale=2.0).tolist()
    [2.0, 1.0, 0.125]
    """
    below = code_array(codes, low=0, high=255).astype(np.int32)
    if not 0 < np.float32(scale) < np.inf:
        raise ValueError(f"scale must be a positive finite float32, got {scale}")
    with np.errstate(under="ignore"):
        return np.asarray(np.ldexp(np.float32(scale), -below), np.float32)


def _halvings(x: ArrayLike, num_bits: int, scale: float) -> NDArray[np.int32]:
    """Return -round(log2(x / s)), and a number beyond every code for 0."""
    values = float32_input(x, finite=True)
    if not 1 <= num_bits <= 8:
        raise ValueError(f"num_bits must be in 1..8, got {num_bits}")
    if not 0 < np.float32(scale) < np.inf:
        raise ValueError(f"scale must be a positive finite float32, got {scale}")
    if (values < 0).any():
        raise ValueError(f"x must not be negative (see power_of_two), got {values.min()}")
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.asarray(values / np.float32(scale), np.float32)
    top = np.float32(np.finfo(np.float32).max)
    some = np.where(ratio > 0, np.minimum(ratio, top), np.float32(1))
    return np.where(ratio > 0, -nearest_exponent(some), 1 << 16).astype(np.int32)


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    codes = quantize(x, num_bits=4, scale=1.0)
    texts = [
        f"-log2 = {number(-np.log2(v)) if v > 0 else 'inf'} -> 0b{int(code):04b}"
        for v, code in zip(x.astype(np.float64), codes, strict=True)
    ]
    return [
        Step("scale", "1 for probabilities", "1"),
        *value_steps(x, texts, dequantize(codes, scale=1.0)),
    ]


CARD = Card(
    name="log2",
    title="Log2: halvings of a scale, for probabilities",
    bits_per_value=4.0,
    block_size=0,
    layout="b bits, unsigned: the number of halvings (no sign, no zero)",
    equation="x = scale * 2^-code",
    source="FQ-ViT (2022), section 3.3",
    explain=_explain,
)
