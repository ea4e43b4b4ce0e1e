r"""Percentile: cut the same small share of the elements off each end.

Of N elements, sorted, the percentile P in (0, 100] drops d from each end and keeps the
range of the rest:

.. math::

    d = \lfloor N\,(100 - P) / 200 \rfloor                                              \tag{1}

    lo^* = x_{(d+1)}, \qquad hi^* = x_{(N-d)}                                           \tag{2}

Elements are not kept but counted in a histogram with bins of width w, so the two order
statistics are known up to the bin they fall in. We take the bin's outer edge, cut to the
data, so that no more than d elements are lost at an end:

.. math::

    lo^* - w < lo \le lo^*, \qquad hi^* \le hi \le hi^* + w                             \tag{3}

P = 100 drops nothing, and (2) is min-max *exactly*, for the histogram knows its extremes.
(1) is computed with the decimal digits of P as written: 99.9 of 2000 elements drops 1 an
end, although the nearest float64 to 99.9 is a little above it.

How others write it: onnxruntime cuts (100 - P)/200 an end too (P = 99.999 of 2048 bins),
from a histogram over [-amax, amax]; TensorRT cuts 100 - P off the absolute values.

References
----------
Wu et al., "Integer Quantization for Deep Learning Inference: Principles and Empirical
Evaluation", arXiv:2004.09602, on calibration.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from refquant.calibration import histogram as hist
from refquant.calibration.batch import Range, require_data
from refquant.calibration.histogram_state import HistogramState
from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams

__all__ = ["Percentile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile(HistogramState):
    """Range that holds ``percentile`` percent of the elements, tails cut evenly.

    ``percentile`` in (0, 100]; ``bins`` in [2, 65536] bounds the memory.

    >>> x = np.append(np.linspace(0, 1, 999), 50).astype(np.float32)
    >>> [float(v) for v in Percentile(percentile=99.0).update(x).range()]
    [0.0, 1.0]
    >>> [float(v) for v in Percentile(percentile=100.0).update(x).range()]
    [0.0, 50.0]
    """

    options: ClassVar[tuple[str, ...]] = ("percentile", "bins")

    percentile: float = 99.99

    def __post_init__(self) -> None:
        """Refuse a percentile that keeps nothing, or bins that cannot hold two signs."""
        HistogramState.__post_init__(self)
        if not 0 < self.percentile <= 100:
            raise ValueError(f"percentile must be in (0, 100], got {self.percentile}")

    def range(self) -> Range:
        """Return ``(lo, hi)``: eqs. (1) to (3); no data is a ``ValueError``."""
        held = self.histogram
        require_data(held.count)
        tail = (100 - Fraction(str(self.percentile))) / 200
        drop = int(held.count * tail)  # eq. (1): int() floors what is not negative
        seen = np.cumsum(held.counts)  # elements up to and including each bin
        lowest = int(np.searchsorted(seen, drop, side="right"))  # holds x_(d+1)
        highest = int(np.searchsorted(seen, held.count - drop, side="left"))  # holds x_(N-d)
        marks = hist.edges(held)
        lo, hi = max(marks[lowest], held.lo), min(marks[highest + 1], held.hi)
        return np.float32(lo), np.float32(hi)

    def qparams(self, *, dtype: str, symmetric: bool, contract: Contract) -> QParams:
        """Return the parameters ``contract`` chooses for ``range()``."""
        lo, hi = self.range()
        return choose_qparams(lo, hi, dtype=dtype, symmetric=symmetric, contract=contract)
