r"""Histogram MSE: choose the two ends of the range that cost the least squared error.

A wide range makes the step coarse (error ~ s^2/12 for everything); a narrow one clips (a
large error for a few). With J the mean squared error of ``refquant.calibration.objective``
over a histogram of the data,

.. math::

    (lo, hi) = \arg\min_{a \in A,\ b \in B} J(a, b)                                     \tag{1}

    A = \{ lo'\, 2^{-k/K} \},\quad B = \{ hi'\, 2^{-k/K} \},\quad k = 0, 1, \dots        \tag{2}

with K candidates an octave, from the data's extremes (with zero: lo' = min(min x, 0),
hi' = max(max x, 0)) down to one bin width. J is flat at its minimum: with K = 8 no end is
more than 4.5 % from a candidate.

Search: start at (lo', hi'); scan A with b fixed, then B with a fixed; repeat while J falls.
Each round lowers J strictly on a finite set, so the search ends; the min-max range is its
start, so the result is **never worse than min-max by J**. It is the best in either
coordinate, not always the best of all pairs. Symmetric ranges have one number to choose,
T = max(-lo, hi), and one scan finds the best.

How others write it: torch.ao ``HistogramObserver`` walks inwards by quantiles and stops at
the first step that does not help; it keeps 2048 bins, too, but interpolates them when the
range grows.

References
----------
Sung, Shin, Hwang, "Resiliency of Deep Neural Networks under Quantization",
arXiv:1511.06488 (L2 error minimisation).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from refquant.calibration import histogram as hist
from refquant.calibration.batch import Range, require_data, require_integer
from refquant.calibration.histogram_state import HistogramState
from refquant.calibration.objective import check_bits, expected_error, uniform_grid
from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams
from refquant.numerics.ranges import dtype_range

__all__ = ["HistogramMse"]

Cost = Callable[[float, float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramMse(HistogramState):
    """Range of least expected squared error, both ends chosen.

    ``bins`` in [2, 65536] bounds the memory; ``steps`` in [1, 64] is K of eq. (2).

    >>> x = np.append(np.linspace(-1, 1, 10_000), 10).astype(np.float32)
    >>> lo, hi = HistogramMse().update(x).range(num_bits=4)
    >>> bool(-1 <= lo < 0 and 1 < hi < 5)
    True
    """

    options: ClassVar[tuple[str, ...]] = ("bins", "steps")

    steps: int = 8

    def __post_init__(self) -> None:
        """Refuse options outside their ranges."""
        HistogramState.__post_init__(self)
        require_integer("steps", self.steps, low=1, high=64)

    def range(self, *, num_bits: int = 8, symmetric: bool = False) -> Range:
        """Return the best ``(lo, hi)``, ``lo <= 0 <= hi``, for codes of ``num_bits``: eq. (1).

        The best range depends on the codes; ``qparams`` asks for those of its dtype.
        Zeros only give (0, 0). No data is a ``ValueError``, and so is one bit with ``symmetric``.
        """
        held = self.histogram
        require_data(held.count)
        check_bits(num_bits, symmetric=symmetric)

        def cost(lo: float, hi: float) -> float:
            grid = uniform_grid(lo, hi, num_bits=num_bits, symmetric=symmetric)
            return expected_error(held, grid, norm=2.0)

        lo, hi = min(held.lo, 0.0), max(held.hi, 0.0)
        if symmetric:
            shrunk = list(_candidates(max(-lo, hi), held, self.steps))
            best = min(shrunk, key=lambda t: cost(-t, t))  # the first, widest, wins a tie
            lo, hi = max(lo, -best), min(hi, best)
        else:
            lo, hi = _descend(cost, lo, hi, held, self.steps)
        return np.float32(lo), np.float32(hi)

    def qparams(self, *, dtype: str, symmetric: bool, contract: Contract) -> QParams:
        """Return the parameters ``contract`` chooses for the best range for ``dtype``."""
        qmin, qmax = dtype_range(dtype)
        lo, hi = self.range(num_bits=(qmax - qmin).bit_length(), symmetric=symmetric)
        return choose_qparams(lo, hi, dtype=dtype, symmetric=symmetric, contract=contract)


def _descend(
    cost: Cost, lo: float, hi: float, held: hist.Histogram, steps: int
) -> tuple[float, float]:
    """Coordinate descent from the widest range; strict improvement only, so it ends."""
    lows = list(_candidates(lo, held, steps))
    highs = list(_candidates(hi, held, steps))
    best = cost(lo, hi)
    while True:
        lo = min(lows, key=lambda a: (cost(a, hi), a != lo))
        hi = min(highs, key=lambda b: (cost(lo, b), b != hi))
        if not cost(lo, hi) < best:
            return lo, hi
        best = cost(lo, hi)


def _candidates(end: float, held: hist.Histogram, steps: int) -> Iterator[float]:
    """Eq. (2) for one end, from ``end`` itself inwards, rounded to float32."""
    yield end
    width = float(np.ldexp(1.0, held.exponent))
    k = 1
    while abs(end) * 2.0 ** (-k / steps) >= width:
        yield float(np.float32(end * 2.0 ** (-k / steps)))
        k += 1
