r"""A histogram whose bins are the marks of a dyadic ruler, so that merging is exact.

Most streaming histograms cut [min, max] of the first batch into equal bins, then
*interpolate* the counts when the range grows: counts become estimates, and the result
depends on the order of the batches. Here the bins never move. A bin is an interval between
two marks of a ruler that starts at zero and whose step is a power of two:

.. math::

    \text{bin } i \text{ at exponent } e = [\, i\,2^e,\ (i + 1)\,2^e \,), \qquad
    i = \lfloor x\, 2^{-e} \rfloor                                                      \tag{1}

Doubling the step joins bins in pairs, and no element has to be looked at again:

.. math::

    \lfloor x\, 2^{-(e+1)} \rfloor = \lfloor \lfloor x\, 2^{-e} \rfloor / 2 \rfloor     \tag{2}

The step is the smallest at which the range of the data, with zero, fits in ``bins`` bins:

.. math::

    e(lo, hi) = \min \{ e \ge -149 : \lfloor hi'\, 2^{-e} \rfloor
        - \lfloor lo'\, 2^{-e} \rfloor < bins \}, \quad
    lo' = \min(lo, 0),\ hi' = \max(hi, 0)                                               \tag{3}

``e`` depends on minimum and maximum only, and by (2) counts at ``e`` are the same whether
elements were binned at ``e`` or at any smaller exponent first. So the histogram is a
*function of the multiset of elements*: merging is exact, associative and commutative, and
neither order nor batch size can be seen in it. No count is ever lost or split.

How coarse is it? At ``e - 1`` the data did not fit, hence, if e > -149,

.. math::

    2^e < 2\,(hi' - lo') / (bins - 1)                                                   \tag{4}

Zero is always a mark, because quantization keeps it exact and every range below reaches
it; two bins suffice (one below zero, one above), so (3) has a solution with e <= 128.
2^-149 is the smallest float32: a finer ruler would separate nothing.
All marks are multiples of 2^-149 with at most 17 significant bits: exact in float32.
Memory: at most ``bins`` 64-bit counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EMPTY", "Histogram", "add", "edges", "fold", "merge"]

Counts = NDArray[np.int64]
FINEST = -149  # 2**-149 is the smallest positive float32


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of the bins ``first, first + 1, ...`` of eq. (1) at ``exponent``.

    ``lo``, ``hi``: exact minimum and maximum; ``counts`` covers exactly the bins from that
    of ``min(lo, 0)`` to that of ``max(hi, 0)``, and is read-only.
    """

    lo: float
    hi: float
    exponent: int
    first: int
    counts: Counts

    @property
    def count(self) -> int:
        """Number of elements seen."""
        return int(self.counts.sum())

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same bins and counts."""
        if not isinstance(other, Histogram):
            return NotImplemented
        mine = (self.lo, self.hi, self.exponent, self.first)
        same = mine == (other.lo, other.hi, other.exponent, other.first)
        return same and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        """Agrees with ``==``; the state is immutable."""
        return hash((self.lo, self.hi, self.exponent, self.first, self.counts.tobytes()))


def add(histogram: Histogram, x: NDArray[np.float32], *, bins: int) -> Histogram:
    """Return the histogram after the finite elements of ``x``; ``bins >= 2`` is a capacity.

    >>> h = add(EMPTY, np.array([0.5, 1.0, 3.0], np.float32), bins=4)
    >>> h.exponent, h.counts.tolist(), edges(h).tolist()
    (0, [1, 1, 0, 1], [0.0, 1.0, 2.0, 3.0, 4.0])
    >>> h = add(h, np.array([-1.0], np.float32), bins=4)
    >>> h.exponent, h.counts.tolist(), edges(h).tolist()
    (1, [1, 2, 1], [-2.0, 0.0, 2.0, 4.0])
    """
    lo, hi = float(x.min()), float(x.max())
    exponent = _exponent(lo, hi, bins=bins)
    index = _bin(x.astype(np.float64).ravel(), exponent)
    first, length = _window(lo, hi, exponent)
    counts = np.bincount(index - first, minlength=length).astype(np.int64)
    return merge(histogram, Histogram(lo, hi, exponent, first, counts), bins=bins)


def merge(a: Histogram, b: Histogram, *, bins: int) -> Histogram:
    """Return the histogram of both data sets, exactly: eqs. (2) and (3).

    >>> a = add(EMPTY, np.array([0.5, 1.0], np.float32), bins=4)
    >>> b = add(EMPTY, np.array([100.0], np.float32), bins=4)
    >>> merge(a, b, bins=4) == add(a, np.array([100.0], np.float32), bins=4)
    True
    """
    lo, hi = min(a.lo, b.lo), max(a.hi, b.hi)
    exponent = _exponent(lo, hi, bins=bins)
    first, length = _window(lo, hi, exponent)
    counts = np.zeros(length, np.int64)
    for part in (a, b):
        index = part.first + np.flatnonzero(part.counts)
        # Eq. (2), repeated: an arithmetic shift floors. Indices have 17 bits, so 62 is "all".
        index >>= min(exponent - part.exponent, 62)
        np.add.at(counts, index - first, part.counts[part.counts > 0])
    counts.flags.writeable = False
    return Histogram(lo, hi, exponent, first, counts)


def edges(histogram: Histogram) -> NDArray[np.float64]:
    """Return the ``len(counts) + 1`` marks between the bins (float64; exact).

    The last may be 2^128, beyond float32, when the data reach float32's maximum.

    >>> edges(add(EMPTY, np.array([-1.0, 2.0], np.float32), bins=4)).tolist()
    [-1.0, 0.0, 1.0, 2.0, 3.0]
    """
    index = histogram.first + np.arange(histogram.counts.size + 1, dtype=np.float64)
    return np.ldexp(index, histogram.exponent)


def fold(histogram: Histogram) -> Counts:
    """Return the counts of the absolute values: bin j holds those in [j, j + 1] steps.

    Bin i >= 0 counts at j = i, bin i < 0 at j = -1 - i.

    >>> fold(add(EMPTY, np.array([-1.5, 0.5, 1.5, 1.0], np.float32), bins=4)).tolist()
    [1, 3]
    """
    negative = -histogram.first  # number of bins below zero
    above, below = histogram.counts[negative:], histogram.counts[:negative][::-1]
    folded = np.zeros(max(above.size, below.size), np.int64)
    folded[: above.size] += above
    folded[: below.size] += below
    return folded


def _bin(x: NDArray[np.float64], exponent: int) -> Counts:
    """Eq. (1). Scaling by a power of two is exact in float64, from 2^-149 to 2^128."""
    index: Counts = np.floor(np.ldexp(x, -exponent)).astype(np.int64)
    return index


def _window(lo: float, hi: float, exponent: int) -> tuple[int, int]:
    """First bin and number of bins of the data and zero."""
    first = int(_bin(np.array([min(lo, 0.0)]), exponent)[0])
    last = int(_bin(np.array([max(hi, 0.0)]), exponent)[0])
    return first, last - first + 1


def _exponent(lo: float, hi: float, *, bins: int) -> int:
    """Eq. (3)."""
    width = max(hi, 0.0) - min(lo, 0.0)
    if width == 0:  # nothing seen, or zeros only: the finest ruler, so that all can follow
        return FINEST
    # Data that fit are narrower than bins steps: 2^e > width / bins. Start just below that.
    exponent = max(FINEST, int(np.frexp(width / bins)[1]) - 1)
    while _window(lo, hi, exponent)[1] > bins:
        exponent += 1
    return exponent


EMPTY = Histogram(np.inf, -np.inf, FINEST, 0, np.zeros(1, np.int64))
EMPTY.counts.flags.writeable = False
