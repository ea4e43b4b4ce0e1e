r"""BitNet b1.58: weights of three values by their mean, activations of 8 bits by their maximum.

A network that is trained with ternary weights needs no threshold: dividing by the mean magnitude
and rounding puts zero where |w| is at most half the mean. Everything is float32, and what is
computed first is the *inverse* scale, so that decoding divides:

.. math::

    s^{-1} = 1 / \max(\operatorname{mean}|W|,\ 10^{-5}), \qquad
    q = \operatorname{clamp}(\operatorname{round\_half\_even}(W s^{-1}),\ -1,\ 1)      \tag{1}

    s^{-1} = (1 / \max(\max_k |x_k|,\ 10^{-5})) \cdot 127, \qquad
    q = \operatorname{clamp}(\operatorname{round\_half\_even}(x\, s^{-1}),\ -128,\ 127) \tag{2}

    \hat x = q / s^{-1}                                                          \tag{3}

(1) is for a whole weight matrix, (2) for each token, a row along the last axis. The reciprocal in
(2) is rounded before the product: so PyTorch computes ``127.0 / tensor``.

Layout::

    weights: i8 -1, 0, 1 | inverse_scale f32, one      activations: i8 | inverse_scale f32 a token

The mean is exact (``math.fsum``), then rounded; PyTorch's sum has another order, so its last bits
may differ: ``mean`` takes theirs. All zeros: the floor 1e-5 is the mean, the codes are 0.
NaN and infinities are refused (they would be cast to an integer). A token of no values has the
floor; a matrix of none has it too. Left out: I2_S and other packings, the normalization before (2).

References
----------
Ma et al., "The Era of 1-bit LLMs", 2024, arXiv 2402.17764, section 2; microsoft/unilm
``bitnet/The-Era-of-1-bit-LLMs__Training_Tips_Code_FAQ.pdf``, figure 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.checks import code_array, parameter_array, tensor_number
from refquant.formats.codebook import float32_input

__all__ = ["CARD", "BitNetCodes", "dequantize", "quantize_activations", "quantize_weights"]

F32 = NDArray[np.float32]

FLOOR = np.float32(1e-5)


@dataclass(frozen=True, slots=True, eq=False)
class BitNetCodes:
    """Codes int8; ``inverse_scale`` broadcasts against them, and decoding divides by it."""

    codes: NDArray[np.int8]
    inverse_scale: F32


def quantize_weights(w: ArrayLike, *, mean: float | None = None) -> BitNetCodes:
    """Return ``w`` (float32, finite, any shape) as ternaries: eq. (1).

    ``mean`` None is the exact mean of the magnitudes.

    >>> q = quantize_weights(np.array([0.5, -1.5, 0.3, 1.7], np.float32))
    >>> q.codes.tolist(), float(q.inverse_scale)
    ([0, -1, 0, 1], 1.0)
    """
    values = float32_input(w, finite=True)
    if mean is None:
        mean = math.fsum(np.abs(values).reshape(-1).tolist()) / max(1, values.size)
    inverse = np.float32(1) / np.maximum(tensor_number(mean, name="mean"), FLOOR)
    with np.errstate(over="ignore", under="ignore"):
        codes = np.clip(np.rint(values * inverse), -1, 1).astype(np.int8)
    return BitNetCodes(codes, np.asarray(inverse, np.float32))


def quantize_activations(x: ArrayLike) -> BitNetCodes:
    """Return ``x`` (float32, finite, (..., K)) as int8, one scale a token: eq. (2).

    >>> q = quantize_activations(np.array([[1.0, -2.0], [0.0, 0.0]], np.float32))
    >>> q.codes.tolist(), q.inverse_scale.tolist()
    ([[64, -127], [0, 0]], [[63.5], [12700000.0]])
    """
    values = float32_input(x, finite=True)
    if values.ndim < 1:
        raise ValueError("x must have a last axis, the values of a token; got a scalar")
    largest = np.abs(values).max(axis=-1, keepdims=True, initial=np.float32(0))
    inverse = np.float32(1) / np.maximum(largest, FLOOR) * np.float32(127)
    with np.errstate(under="ignore"):
        codes = np.clip(np.rint(values * inverse), -128, 127).astype(np.int8)
    return BitNetCodes(codes, np.asarray(inverse, np.float32))


def dequantize(quantized: BitNetCodes) -> F32:
    """Return the reals that the codes mean, float32 of their shape: eq. (3).

    >>> dequantize(BitNetCodes(np.array([1, 0], np.int8), np.array(4.0, np.float32))).tolist()
    [0.25, 0.0]
    """
    codes = code_array(quantized.codes, low=-128, high=127)
    inverse = parameter_array(quantized.inverse_scale, name="inverse_scale", shape=codes.shape)
    with np.errstate(all="ignore"):  # an inverse scale of 0, which no encoder writes: IEEE's answer
        return np.asarray(codes.astype(np.float32) / inverse, np.float32)


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    q = quantize_weights(x)
    return [
        Step("inverse scale", "1 / max(mean |w|, 1e-5)", number(q.inverse_scale)),
        *value_steps(x, [f"{int(code):+d}" if code else "0" for code in q.codes], dequantize(q)),
    ]


CARD = Card(
    name="bitnet_b158",
    title="BitNet b1.58: ternary by the mean magnitude",
    bits_per_value=math.log2(3),
    block_size=0,
    layout="codes -1, 0, 1 | inverse scale f32 a tensor",
    equation="w = code / inverse_scale",
    source="arXiv 2402.17764; unilm bitnet FAQ, figure 3",
    explain=_explain,
)
