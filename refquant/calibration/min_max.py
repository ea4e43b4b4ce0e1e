r"""Min-max: the range is what was seen, so nothing is ever clipped.

.. math::

    lo = \min_i x_i, \qquad hi = \max_i x_i                                             \tag{1}

    \mathrm{merge}: \quad lo = \min(lo_a, lo_b), \quad hi = \max(hi_a, hi_b)            \tag{2}

Minimum and maximum are exact, associative and commutative, so the merge is exact in any
order. The price is robustness: one outlier of 100 makes every step 100 times coarser than
data in [-1, 1] need.

Left out: a range per channel. It is the same two reductions over blocks
(``refquant.numerics.blocks.reduce_blocks``), and weights, which need it, are at hand whole.

References
----------
Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference: a
whitepaper", arXiv:1806.08342.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from refquant.calibration.batch import Range, check_batch, check_mergeable, require_data
from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams

__all__ = ["MinMax"]


@dataclass(frozen=True, slots=True)
class MinMax:
    """Running minimum and maximum of everything seen.

    ``lo``, ``hi`` are values of the data (float32 values, held as Python floats);
    ``count`` is the number of elements. The empty state has ``lo = inf, hi = -inf``, the
    neutral elements of (2).

    >>> state = MinMax().update(np.array([1.0, -2.0], np.float32))
    >>> [float(v) for v in state.update(np.array([[3.0]], np.float32)).range()]
    [-2.0, 3.0]
    """

    options: ClassVar[tuple[str, ...]] = ()

    lo: float = np.inf
    hi: float = -np.inf
    count: int = 0

    def update(self, batch: NDArray[np.float32]) -> Self:
        """Return the state after ``batch`` (any shape, not empty, finite): eq. (1)."""
        x = check_batch(batch)
        seen = type(self)(lo=float(x.min()), hi=float(x.max()), count=x.size)
        return self.merge(seen)

    def merge(self, other: Self) -> Self:
        """Return the state of both data sets: eq. (2), exact, in any order."""
        check_mergeable(self, other, settings=())
        lo, hi = min(self.lo, other.lo), max(self.hi, other.hi)
        return type(self)(lo=lo, hi=hi, count=self.count + other.count)

    def range(self) -> Range:
        """Return ``(lo, hi)``; no data is a ``ValueError``."""
        require_data(self.count)
        return np.float32(self.lo), np.float32(self.hi)

    def qparams(self, *, dtype: str, symmetric: bool, contract: Contract) -> QParams:
        """Return the parameters ``contract`` chooses for ``range()``."""
        lo, hi = self.range()
        return choose_qparams(lo, hi, dtype=dtype, symmetric=symmetric, contract=contract)
