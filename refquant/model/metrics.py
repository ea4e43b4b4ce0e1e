r"""How far two results are apart, how good they are, and how large a model is.

With a reference :math:`r` and a result :math:`t`, all elements of an array taken together:

.. math::

    \mathrm{SQNR} = 10 \log_{10} \frac{\sum r^2}{\sum (r - t)^2}\ \mathrm{dB}              \tag{1}

    \cos = \frac{\sum r\,t}{\sqrt{\sum r^2 \sum t^2}}                                      \tag{2}

Signal-to-noise says how large the error is, 6.02 dB a bit; the cosine whether the direction is
kept, whatever the length. Sums run in float64. For codes there is one honest number, the largest
difference: 0 means the same arithmetic.

Source: Widrow and Kollár, "Quantization Noise", Cambridge 2008, for (1).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import DTYPES, Graph

__all__ = ["accuracy", "agreement", "cosine", "max_code_difference", "sqnr_db", "tensor_bytes"]

Array = NDArray[Any]


def sqnr_db(reference: Array, test: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB: eq. (1).

    Equal arrays have ``inf``, a signal of zeros with noise ``-inf``, anything NaN gives NaN.

    >>> round(sqnr_db(np.float32([3.0, 4.0]), np.float32([3.0, 4.5])), 6)
    20.0
    """
    r, t = _pair(reference, test, "float")
    signal, noise = float((r * r).sum()), float(((r - t) ** 2).sum())
    if math.isnan(noise) or math.isnan(signal):
        return math.nan
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def cosine(reference: Array, test: Array) -> float:
    """Return the cosine of the angle between both arrays: eq. (2); NaN if one is all zeros.

    Rounding may carry the quotient beyond 1; what is returned is in [-1, 1].

    >>> cosine(np.float32([1.0, 0.0]), np.float32([3.0, 4.0]))
    0.6
    """
    r, t = _pair(reference, test, "float")
    lengths = math.sqrt(float((r * r).sum())) * math.sqrt(float((t * t).sum()))
    if not lengths > 0:
        return math.nan
    return min(max(float((r * t).sum()) / lengths, -1.0), 1.0)


def max_code_difference(reference: Array, test: Array) -> int:
    """Return the largest absolute difference of two arrays of codes, 0 for empty ones.

    >>> max_code_difference(np.int8([-128, 5]), np.int8([127, 5]))
    255
    """
    r, t = _pair(reference, test, "integer")
    return int(np.abs(r - t).max(initial=0))


def accuracy(scores: Array, labels: Array) -> float:
    """Return the part of the samples, in [0, 1], whose largest score is at the label.

    ``scores`` is (samples, classes), of equal scores the first counts; ``labels`` is (samples,).

    >>> accuracy(np.float32([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or scores.shape[1] == 0:
        raise ValueError(
            f"scores must be (samples, classes) and labels (samples,), got {scores.shape} and "
            f"{labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be integers, got {labels.dtype}")
    if len(labels) == 0:
        raise ValueError("accuracy needs at least one sample, got 0")
    return float((scores.argmax(axis=1) == labels).mean())


def agreement(reference: Array, test: Array) -> float:
    """Return the part of the samples, in [0, 1], for which both have the same largest score.

    >>> agreement(np.float32([[1, 2], [4, 3]]), np.float32([[5, 9], [0, 1]]))
    0.5
    """
    if reference.ndim != 2 or reference.shape[1] == 0:
        raise ValueError(f"scores must be (samples, classes), got {reference.shape}")
    return accuracy(test, reference.argmax(axis=1))


def tensor_bytes(graph: Graph) -> Mapping[str, int]:
    """Return the bytes that each constant of ``graph`` takes in a file; sub-byte codes are packed.

    >>> from refquant.model.graph import Quant, Value
    >>> x, w = Value("float32", ("N",)), Value("int4", (5,), Quant(0.5, 0))
    >>> g = Graph("g", ("x",), ("x",), {"x": x, "w": w}, (), {"w": np.zeros(5, np.int8)}, {}, {})
    >>> dict(tensor_bytes(g))
    {'w': 3}
    """
    return {
        name: -(-array.size * DTYPES[graph.values[name].dtype].bits // 8)
        for name, array in graph.constants.items()
    }


def _pair(reference: Array, test: Array, kind: str) -> tuple[Array, Array]:
    """Return both as float64, or int64 for ``kind`` integer; they must fit each other."""
    if reference.shape != test.shape:
        raise ValueError(f"arrays must have one shape, got {reference.shape} and {test.shape}")
    letters, wide = ("f", np.float64) if kind == "float" else ("iu", np.int64)
    for array in (reference, test):
        if array.dtype.kind not in letters:
            raise ValueError(f"arrays must be {kind}, got {array.dtype}; dequantize codes first")
    return reference.astype(wide), test.astype(wide)
