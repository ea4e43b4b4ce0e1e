r"""Entropy: the threshold at which the quantized distribution looks most like the data's.

Fold the histogram to absolute values: counts :math:`h_0 \dots h_{n-1}`, bin width w, N
elements. For b bits there are :math:`L = 2^{b-1}` levels on the positive side. A threshold
keeps i of the n bins, :math:`i = L, \dots, n`:

.. math::

    P_j = h_j \quad (j < i - 1), \qquad
    P_{i-1} = h_{i-1} + \sum_{k \ge i} h_k                                              \tag{1}

    g(0) = 0, \quad g(j) = 1 + \Big\lfloor \frac{(j - 1)(L - 1)}{i - 1} \Big\rfloor, \qquad
    Q_j = [P_j > 0]\, \frac{\sum_{k<i,\ g(k) = g(j)} h_k}
                           {\#\{k < i : g(k) = g(j),\ P_k > 0\}}                        \tag{2}

    D(i) = \frac{1}{N} \sum_{P_j > 0} P_j \log \frac{P_j}{Q_j}                          \tag{3}

    T = \min(i^* w,\ \max_j |x_j|), \quad i^* = \arg\min_i D(i), \qquad
    (lo, hi) = (\max(\min x, -T),\ \min(\max x, T))                                     \tag{4}

(1) is the data as the codes see them: what is clipped lands in the last bin. (2) is what L
levels can tell: each level spreads its elements evenly over its occupied bins; the clipped
ones are *not* in it, so clipping costs. (3) is the Kullback-Leibler divergence.

The field agrees on the idea and on few details. Ours, each chosen so that nothing has to be
repaired afterwards:

* Q is not scaled up to sum N again. The usual form does, and is then blind to *how much* was
  clipped: if all that is left stands in one bin, P and Q are both that bin and D = 0. Evenly
  spread data in [0.5, 1] get T = 0.5 from it. (3) adds log(N / sum Q) >= 0, the information
  in the lost share; D >= 0 still, and D = 0 only if nothing is lost;
* bin 0 is a level by itself, as zero has a code by itself. Otherwise the zeros a ReLU leaves
  are spread over a whole level, and D is about them alone. Some give bin 0 the count of its
  neighbour instead;
* every other bin belongs to a level, and levels differ by at most one bin (onnxruntime
  truncates i/L and drops the remainder);
* no smoothing: where Q is zero and P is not, D is infinite (others add epsilon to empty
  bins). i = n clips nothing and is always finite, so the minimum exists;
* every i is tried; of equal divergences the widest wins; n < L gives T = max|x|;
* an asymmetric format gets the same T, cut to the data at both ends by (4).

The verdict is about shape, not error: long tails are cut harder than the squared error
would, and few elements in many bins are judged poorly. Logarithms are float64 ``numpy.log``:
thresholds whose divergences are equal up to its rounding may be decided differently on
another CPU.

References
----------
Migacz, "8-bit Inference with TensorRT", GPU Technology Conference 2017.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.calibration import histogram as hist
from refquant.calibration.batch import Range, require_data
from refquant.calibration.histogram_state import HistogramState
from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams
from refquant.numerics.ranges import dtype_range

__all__ = ["Entropy", "divergence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entropy(HistogramState):
    """Range whose quantized distribution is nearest in Kullback-Leibler divergence.

    ``bins`` in [2, 65536] bounds the memory (about half of them serve the absolute values
    when the data have both signs).

    >>> x = np.append(np.linspace(-1, 1, 10_000), 4).astype(np.float32)
    >>> lo, hi = Entropy(bins=1024).update(x).range()
    >>> bool(lo == -1 and 1 <= hi < 1.1)
    True
    """

    def range(self, *, num_bits: int = 8) -> Range:
        """Return ``(lo, hi)`` within the data for codes of ``num_bits``: eq. (4).

        No data is a ``ValueError``, and so is one bit: L = 1 level is zero's own, and (2) has
        none for the rest.
        """
        held = self.histogram
        require_data(held.count)
        if not 2 <= num_bits <= 16:
            raise ValueError(
                f"num_bits must be in [2, 16] for 'entropy', got {num_bits}; with one bit zero is "
                "its only level, so use 'mse_histogram' or 'mse_grid'"
            )
        counts = hist.fold(held)
        kept = _best(counts, levels=2 ** (num_bits - 1))
        threshold = float(np.ldexp(float(kept), held.exponent))
        return np.float32(max(held.lo, -threshold)), np.float32(min(held.hi, threshold))

    def qparams(self, *, dtype: str, symmetric: bool, contract: Contract) -> QParams:
        """Return the parameters ``contract`` chooses for the range for ``dtype``."""
        qmin, qmax = dtype_range(dtype)
        lo, hi = self.range(num_bits=(qmax - qmin).bit_length())
        return choose_qparams(lo, hi, dtype=dtype, symmetric=symmetric, contract=contract)


def divergence(counts: NDArray[np.int64], kept: int, *, levels: int) -> float:
    """Return D(``kept``) >= 0 in nats: eqs. (1) to (3); infinite where Q misses some of P.

    ``counts`` are those of the absolute values, ``2 <= levels <= kept <= len(counts)``.

    >>> h = np.array([9, 4, 4, 4, 4], np.int64)
    >>> divergence(h, 5, levels=2)
    0.0
    >>> round(divergence(h, 2, levels=2), 4)  # (16 log(16/4)) / 25: P = 9, 16 against Q = 9, 4
    0.8872
    """
    inside = counts[:kept]
    p = inside.astype(np.float64)
    p[-1] += float(counts[kept:].sum())
    occupied = p > 0
    level = np.zeros(kept, np.int64)
    level[1:] = 1 + np.arange(kept - 1) * (levels - 1) // max(kept - 1, 1)
    mass = np.bincount(level, weights=inside, minlength=levels)
    shares = np.bincount(level, weights=occupied, minlength=levels)
    q = (mass[level] / np.maximum(shares[level], 1))[occupied]
    if (q == 0).any():
        return float("inf")
    p = p[occupied]
    return float(np.sum(p * np.log(p / q)) / p.sum())


def _best(counts: NDArray[np.int64], *, levels: int) -> int:
    """Return i* of eq. (4): the widest of the best."""
    n = counts.size
    if n <= levels:
        return n
    tried = range(n, levels - 1, -1)  # from wide to narrow: min() keeps the first of equals
    return min(tried, key=lambda kept: divergence(counts, kept, levels=levels))
