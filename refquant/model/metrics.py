r"""How far two results are apart, how good they are, and how large a model is.

With a reference :math:`r` and a result :math:`t`, all elements of an array taken together:

.. math::

    \mathrm{SQNR} = 10 \log_{10} \frac{\sum r^2}{\sum (r - t)^2}\ \mathrm{dB}              \tag{1}

    \cos = \frac{\sum r\,t}{\sqrt{\sum r^2 \sum t^2}}                                      \tag{2}

Signal-to-noise says how large the error is, 6.02 dB a bit; the cosine whether the direction is
kept, whatever the length. Sums run in float64. For codes there is one honest number, the largest
difference: 0 means the same arithmetic.

Both are made of four sums, `Moments`. Sums add: data may come in pieces, with numbers for each
piece and for all of them.

Source: Widrow and Kollár, "Quantization Noise", Cambridge 2008, for (1).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import DTYPES, Graph

__all__ = [
    "Moments",
    "accuracy",
    "agreement",
    "cosine",
    "max_code_difference",
    "moments",
    "pooled",
    "sqnr_db",
    "tensor_bytes",
]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Moments:
    """The sums of (1) and (2) over some elements, and the largest :math:`|r - t|` among them.

    >>> Moments(signal=25.0, other=29.25, product=27.0, noise=0.25, largest=0.5).sqnr_db
    20.0
    """

    signal: float
    other: float
    product: float
    noise: float
    largest: float

    @property
    def sqnr_db(self) -> float:
        """Eq. (1): equal arrays have ``inf``, a signal of zeros with noise ``-inf``."""
        if math.isnan(self.noise) or math.isnan(self.signal):
            return math.nan
        if self.noise == 0:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal > 0 else -math.inf

    @property
    def cosine(self) -> float:
        """Eq. (2), in [-1, 1] whatever the rounding; NaN if one side is all zeros."""
        # One root: of equal arrays it is exact. float32 squared twice is within float64's range.
        lengths = math.sqrt(self.signal * self.other)
        if not 0 < lengths < math.inf:
            lengths = math.sqrt(self.signal) * math.sqrt(self.other)
        if not lengths > 0:
            return math.nan
        return min(max(self.product / lengths, -1.0), 1.0)


def moments(reference: Array, test: Array) -> Moments:
    """Return the sums of eq. (1) and (2) over two float arrays of one shape.

    >>> moments(np.float32([3.0, 4.0]), np.float32([3.0, 4.5])).noise
    0.25
    """
    r, t = _pair(reference, test, "float")
    return Moments(
        signal=float((r * r).sum()),
        other=float((t * t).sum()),
        product=float((r * t).sum()),
        noise=float(((r - t) ** 2).sum()),
        largest=float(np.abs(r - t).max(initial=0.0)),
    )


def pooled(pieces: Sequence[Moments]) -> Moments:
    """Return the sums over all ``pieces`` together, each rounded once; of none all are 0.

    >>> pooled([Moments(1.0, 2.0, 3.0, 4.0, 5.0)] * 2)
    Moments(signal=2.0, other=4.0, product=6.0, noise=8.0, largest=5.0)
    """
    return Moments(
        signal=math.fsum(m.signal for m in pieces),
        other=math.fsum(m.other for m in pieces),
        product=math.fsum(m.product for m in pieces),
        noise=math.fsum(m.noise for m in pieces),
        largest=max((m.largest for m in pieces), default=0.0),
    )


def sqnr_db(reference: Array, test: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB: eq. (1).

    Equal arrays have ``inf``, a signal of zeros with noise ``-inf``, anything NaN gives NaN.

    >>> round(sqnr_db(np.float32([3.0, 4.0]), np.float32([3.0, 4.5])), 6)
    20.0
    """
    return moments(reference, test).sqnr_db


def cosine(reference: Array, test: Array) -> float:
    """Return the cosine of the angle between both arrays: eq. (2); NaN if one is all zeros.

    Rounding may carry the quotient beyond 1; what is returned is in [-1, 1].

    >>> cosine(np.float32([1.0, 0.0]), np.float32([3.0, 4.0]))
    0.6
    """
    return moments(reference, test).cosine


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
    `ValueError` for scores that are NaN: nothing is the largest of them.

    >>> accuracy(np.float32([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    right = _right(scores, labels)
    if np.isnan(scores).any():
        bad = int(np.flatnonzero(np.isnan(scores).any(axis=1))[0])
        raise ValueError(
            f"scores must be numbers, but those of sample {bad} hold NaN: the model computes it; "
            "look at the data, or quantize with more bits"
        )
    return float(right.mean())


def agreement(reference: Array, test: Array) -> float:
    """Return the part of the samples, in [0, 1], for which both have the same largest score.

    >>> agreement(np.float32([[1, 2], [4, 3]]), np.float32([[5, 9], [0, 1]]))
    0.5
    """
    if reference.ndim != 2 or reference.shape[1] == 0:
        raise ValueError(f"scores must be (samples, classes), got {reference.shape}")
    return float(_right(test, reference.argmax(axis=1)).mean())


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


def _right(scores: Array, labels: Array) -> Array:
    """Return for each sample whether its largest score, the first of equal ones, is the label's."""
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or scores.shape[1] == 0:
        raise ValueError(
            f"scores must be (samples, classes) and labels (samples,), got {scores.shape} and "
            f"{labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be integers, got {labels.dtype}")
    if len(labels) == 0:
        raise ValueError("accuracy needs at least one sample, got 0")
    found: Array = scores.argmax(axis=1) == labels
    return found


def _pair(reference: Array, test: Array, kind: str) -> tuple[Array, Array]:
    """Return both as float64, or int64 for ``kind`` integer; they must fit each other."""
    if reference.shape != test.shape:
        raise ValueError(f"arrays must have one shape, got {reference.shape} and {test.shape}")
    letters, wide = ("f", np.float64) if kind == "float" else ("iu", np.int64)
    for array in (reference, test):
        if array.dtype.kind not in letters:
            raise ValueError(f"arrays must be {kind}, got {array.dtype}; dequantize codes first")
    return reference.astype(wide), test.astype(wide)
