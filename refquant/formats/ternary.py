r"""Ternary weights: minus, nothing, plus, and one scale.

With three values a product is an addition, a subtraction, or nothing. The best scale for a choice
of the non-zero places I is the mean of their magnitudes, and the best I are the largest ones:

.. math::

    \min_{\alpha, t} \|w - \alpha t\|^2, \quad t_i \in \{-1, 0, 1\}: \qquad
    \alpha = \frac{1}{|I|} \sum_{i \in I} |w_i|                                    \tag{1}

    \|w - \alpha t\|^2 = \|w\|^2 - \frac{1}{|I|}\Bigl(\sum_{i \in I} |w_i|\Bigr)^2    \tag{2}

TWN cuts at a threshold that is near the best for normal and uniform weights; ``optimal`` tries
every cut of the sorted magnitudes:

.. math::

    I = \{i : |w_i| > \Delta\}, \qquad \Delta = 0.7 \cdot \operatorname{mean}|w|       \tag{3}

Layout::

    codes: i8, -1, 0 or 1 | scale: f32 a channel (``axis``) or a tensor (``axis=None``)

Means are of exact sums (``math.fsum``), and the scale is rounded to float32; the authors' code sums
in float32. Cuts are compared in float64; of equal ones, the one with the fewest non-zeros. All
zeros: scale 0, codes 0. NaN and infinities are refused, a channel of nothing has scale 0.
Left out: two scales (TTQ), training, bits (``ggml`` TQ1_0 and TQ2_0 pack ternaries).

References
----------
Li and Liu, "Ternary Weight Networks", 2016, arXiv 1605.04711, sections 2.2 and 2.3.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.checks import code_array, parameter_array
from refquant.formats.codebook import float32_input

__all__ = ["CARD", "METHODS", "Ternary", "dequantize", "quantize"]

F32 = NDArray[np.float32]

METHODS = ("twn", "optimal")


@dataclass(frozen=True, slots=True, eq=False)
class Ternary:
    """Codes int8 of the tensor's shape; ``scale`` broadcasts against them."""

    codes: NDArray[np.int8]
    scale: F32


def quantize(w: ArrayLike, *, method: str, axis: int | None) -> Ternary:
    """Return ``w`` (float32, finite, any shape) as ternaries, one scale a channel or tensor.

    ``method`` is ``twn``, eq. (3), or ``optimal``, the least eq. (2).

    >>> w = np.array([4, -3, 1, 0.5], np.float32)
    >>> t = quantize(w, method="twn", axis=None)
    >>> t.codes.tolist(), float(t.scale)
    ([1, -1, 0, 0], 3.5)
    """
    values = float32_input(w, finite=True)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if axis is not None and not -values.ndim <= axis < values.ndim:
        raise ValueError(f"axis must be None or an axis of w, shape {values.shape}; got {axis}")
    rows = values.reshape(1, -1) if axis is None else np.moveaxis(values, axis, 0)
    cut: Callable[[list[float]], float] = _twn_cut if method == "twn" else _optimal_cut
    codes, scales = np.zeros(rows.shape, np.int8), np.zeros(rows.shape[0], np.float32)
    for channel, row in enumerate(rows):
        magnitudes = np.abs(row).reshape(-1).tolist()
        threshold = cut(magnitudes) if magnitudes else 0.0
        chosen = [m for m in magnitudes if m > threshold]
        scales[channel] = math.fsum(chosen) / len(chosen) if chosen else 0.0
        codes[channel] = np.sign(row) * (np.abs(row).astype(np.float64) > threshold)
    if axis is None:
        return Ternary(codes.reshape(values.shape), np.asarray(scales[0], np.float32))
    shape = [1] * values.ndim
    shape[axis] = -1
    return Ternary(np.moveaxis(codes, 0, axis), scales.reshape(shape))


def dequantize(ternary: Ternary) -> F32:
    """Return the reals that the codes mean, float32 of their shape: a sign and the scale.

    >>> dequantize(Ternary(np.array([1, 0, -1], np.int8), np.array(3.5, np.float32))).tolist()
    [3.5, 0.0, -3.5]
    """
    codes = code_array(ternary.codes, low=-1, high=1)
    scale = parameter_array(ternary.scale, name="scale", shape=codes.shape)
    with np.errstate(invalid="ignore"):  # 0 * inf is NaN
        return np.asarray(codes.astype(np.float32) * scale, np.float32)


def _twn_cut(magnitudes: list[float]) -> float:
    """Return the threshold of eq. (3)."""
    return 0.7 * (math.fsum(magnitudes) / len(magnitudes))


def _optimal_cut(magnitudes: list[float]) -> float:
    """Return the magnitude that the best choice lies above: the largest subtrahend of eq. (2).

    Magnitudes that are equal belong together: within a run, (A + t v)^2 / (K + t) is convex in t.
    """
    descending = sorted(magnitudes, reverse=True)
    best, cut, total = 0.0, descending[0], 0.0
    for count, magnitude in enumerate(descending, 1):
        total += magnitude
        following = descending[count] if count < len(descending) else 0.0
        if magnitude > following and total * total / count > best:
            best, cut = total * total / count, following
    return cut


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    t = quantize(x, method="twn", axis=None)
    threshold = _twn_cut(np.abs(x).tolist())
    return [
        Step("threshold", "0.7 * mean |w|", number(threshold)),
        Step("scale", "mean of |w| above it", number(t.scale)),
        *value_steps(x, [f"{int(code):+d}" if code else "0" for code in t.codes], dequantize(t)),
    ]


CARD = Card(
    name="ternary_twn",
    title="Ternary weight networks",
    bits_per_value=math.log2(3),
    block_size=0,
    layout="codes -1, 0, 1 | scale f32 a tensor or channel",
    equation="w = code * scale",
    source="arXiv 1605.04711, sections 2.2 and 2.3",
    explain=_explain,
)
