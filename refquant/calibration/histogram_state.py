"""What the observers that look at a histogram share: how it grows, and how two become one.

They differ in the range they read from it. Each inherits ``update`` and ``merge`` from here, adds
its options, and defines ``range``.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from refquant.calibration import histogram as hist
from refquant.calibration.batch import check_batch, check_mergeable, require_integer

__all__ = ["HistogramState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramState:
    """The histogram of everything seen; ``bins`` in [2, 65536] bounds the memory.

    ``options`` are the names of the settings, which two states must share to be merged.

    >>> a, b = HistogramState(bins=4), HistogramState(bins=4)
    >>> both = a.update(np.array([0.5], np.float32)).merge(b.update(np.array([3.0], np.float32)))
    >>> both.histogram.counts.tolist()
    [1, 0, 0, 1]
    """

    options: ClassVar[tuple[str, ...]] = ("bins",)

    bins: int = 2048
    histogram: hist.Histogram = hist.EMPTY

    def __post_init__(self) -> None:
        """Refuse bins that cannot hold two signs."""
        require_integer("bins", self.bins, low=2, high=65536)

    def update(self, batch: NDArray[np.float32]) -> Self:
        """Return the state after ``batch`` (any shape, not empty, finite)."""
        x = check_batch(batch)
        return replace(self, histogram=hist.add(self.histogram, x, bins=self.bins))

    def merge(self, other: Self) -> Self:
        """Return the state of both data sets: exact, in any order."""
        check_mergeable(self, other, settings=self.options)
        merged = hist.merge(self.histogram, other.histogram, bins=self.bins)
        return replace(self, histogram=merged)
