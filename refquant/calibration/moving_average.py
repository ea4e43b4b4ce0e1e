r"""Moving average: each batch pulls the range a little towards its own.

With momentum :math:`m` (the weight of the past) and the t-th batch :math:`X_t`:

.. math::

    lo_1 = \min X_1, \qquad lo_t = m\, lo_{t-1} + (1 - m) \min X_t                      \tag{1}

and the same for ``hi``. A rare outlier fades; a range that drifts, as in training, is
followed. The range may therefore be *smaller* than the data: values outside are clipped.

Order matters, by design: (1) forgets, so neither permuting the batches nor cutting them
differently leaves the result alone. Two machines cannot reproduce one machine's order, so
a merge must be a convention. Ours weighs each state by its number of updates:

.. math::

    lo = \frac{n_a\, lo_a + n_b\, lo_b}{n_a + n_b}                                      \tag{2}

(2) is exactly commutative, associative up to float64 rounding, stays inside the two
ranges' hull up to float64 rounding, and is *not* what (1) would give on the batches one
after the other. Where that matters, use another observer.

Arithmetic is float64 inside, because thousands of float32 roundings would drift; the
result is rounded to float32 once.

How others write it: torch.ao ``MovingAverageMinMaxObserver`` and onnxruntime use the
*averaging constant* 1 - m = 0.01 (onnxruntime averages the samples of a batch first);
optimum-quanto uses the momentum 0.9, our default, because a calibration set has tens of
batches and 0.99 would hardly leave the first.

References
----------
Jacob et al., CVPR 2018 (arXiv:1712.05877), section 3.1.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from refquant.calibration.batch import Range, check_batch, check_mergeable, require_data
from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams

__all__ = ["MovingAverage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingAverage:
    """Exponential moving average of the batches' minima and maxima.

    ``momentum`` in [0, 1); 0 keeps the last batch only. ``updates`` counts batches.

    >>> state = MovingAverage(momentum=0.5).update(np.array([0.0, 4.0], np.float32))
    >>> [float(v) for v in state.update(np.array([0.0, 2.0], np.float32)).range()]
    [0.0, 3.0]
    """

    options: ClassVar[tuple[str, ...]] = ("momentum",)

    momentum: float = 0.9
    lo: float = 0.0
    hi: float = 0.0
    updates: int = 0

    def __post_init__(self) -> None:
        """Refuse a momentum that never learns or diverges."""
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")

    def update(self, batch: NDArray[np.float32]) -> Self:
        """Return the state after ``batch`` (any shape, not empty, finite): eq. (1)."""
        x = check_batch(batch)
        lo, hi = float(x.min()), float(x.max())
        if self.updates:
            # Products first, then the sum: each step is monotone, so lo <= hi survives rounding.
            lo = self.momentum * self.lo + (1 - self.momentum) * lo
            hi = self.momentum * self.hi + (1 - self.momentum) * hi
        return type(self)(momentum=self.momentum, lo=lo, hi=hi, updates=self.updates + 1)

    def merge(self, other: Self) -> Self:
        """Return the mean weighted by updates: eq. (2). Not the average of one stream."""
        check_mergeable(self, other, settings=("momentum",))
        if not self.updates or not other.updates:  # the empty state is neutral, exactly
            return self if self.updates else other
        total = self.updates + other.updates
        lo = (self.updates * self.lo + other.updates * other.lo) / total
        hi = (self.updates * self.hi + other.updates * other.hi) / total
        return type(self)(momentum=self.momentum, lo=lo, hi=hi, updates=total)

    def range(self) -> Range:
        """Return ``(lo, hi)`` rounded to float32; no data is a ``ValueError``."""
        require_data(self.updates)
        return np.float32(self.lo), np.float32(self.hi)

    def qparams(self, *, dtype: str, symmetric: bool, contract: Contract) -> QParams:
        """Return the parameters ``contract`` chooses for ``range()``."""
        lo, hi = self.range()
        return choose_qparams(lo, hi, dtype=dtype, symmetric=symmetric, contract=contract)
