r"""MSE grid: shrink the range by a few fixed factors and keep the best.

The classic search for weights, here on a histogram, so that data of any length fit:

.. math::

    f_i = 1 - \frac{i}{g}, \qquad i = 0, 1, \dots, \lfloor g\,m \rfloor                 \tag{1}

    f = \arg\min_i J_p(f_i\,lo',\ f_i\,hi'), \qquad (lo, hi) = (f\,lo',\ f\,hi')        \tag{2}

with ``grid`` g, ``max_shrink`` m, ``norm`` p, lo' = min(min x, 0), hi' = max(max x, 0), and
J_p the expected |error|^p of ``refquant.calibration.objective``. f_0 = 1 is the min-max
range, so the result is **never worse than min-max by J_p**; of equal costs the widest wins.

p = 2.4 punishes clipping a little more than the mean square does. One factor serves both
ends; where the tails differ, ``mse_histogram`` does better.

How others write it: compressed-tensors / llm-compressor ``mse`` (m = 0.2, g = 100,
p = 2.4: our defaults; it stops after 5 factors without gain, we try all) and GPTQ
(m = 0.8), both on the weights themselves instead of a histogram.

References
----------
Frantar et al., "GPTQ", arXiv:2210.17323: the quantizer of the published code.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from refquant.calibration.batch import Range, require_data, require_integer
from refquant.calibration.histogram_state import HistogramState
from refquant.calibration.objective import check_bits, expected_error, uniform_grid
from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams
from refquant.numerics.ranges import dtype_range

__all__ = ["MseGrid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MseGrid(HistogramState):
    """Range of least expected |error|^norm among evenly spaced shrink factors.

    ``bins`` in [2, 65536] bounds the memory; ``grid`` in [1, 10000]; ``max_shrink`` in
    [0, 1); ``norm`` in [1, 16].

    >>> x = np.append(np.linspace(-1, 1, 100_000), 1.5).astype(np.float32)
    >>> [round(float(v), 4) for v in MseGrid(max_shrink=0.5).update(x).range(num_bits=2)]
    [-0.69, 1.035]
    """

    options: ClassVar[tuple[str, ...]] = ("bins", "grid", "max_shrink", "norm")

    grid: int = 100
    max_shrink: float = 0.2
    norm: float = 2.4

    def __post_init__(self) -> None:
        """Refuse options outside their ranges."""
        HistogramState.__post_init__(self)
        require_integer("grid", self.grid, low=1, high=10_000)
        if not 0 <= self.max_shrink < 1:
            raise ValueError(f"max_shrink must be in [0, 1), got {self.max_shrink}")
        if not 1 <= self.norm <= 16:
            raise ValueError(f"norm must be in [1, 16], got {self.norm}")

    def range(self, *, num_bits: int = 8, symmetric: bool = False) -> Range:
        """Return the best ``(lo, hi)``, ``lo <= 0 <= hi``, for codes of ``num_bits``: eq. (2).

        The best range depends on the codes; ``qparams`` asks for those of its dtype.
        Zeros only give (0, 0). No data is a ``ValueError``, and so is one bit with ``symmetric``.
        """
        held = self.histogram
        require_data(held.count)
        check_bits(num_bits, symmetric=symmetric)

        def cost(ends: Range) -> float:
            lo, hi = float(ends[0]), float(ends[1])
            grid = uniform_grid(lo, hi, num_bits=num_bits, symmetric=symmetric)
            return expected_error(held, grid, norm=self.norm)

        lo, hi = min(held.lo, 0.0), max(held.hi, 0.0)
        last = int(self.grid * Fraction(str(self.max_shrink)))  # 100 * 0.29 is 29: as written
        factors = [1 - i / self.grid for i in range(last + 1)]
        # Rounded to float32 before they are judged: the range returned is the one tried.
        return min(((np.float32(f * lo), np.float32(f * hi)) for f in factors), key=cost)

    def qparams(self, *, dtype: str, symmetric: bool, contract: Contract) -> QParams:
        """Return the parameters ``contract`` chooses for the best range for ``dtype``."""
        qmin, qmax = dtype_range(dtype)
        lo, hi = self.range(num_bits=(qmax - qmin).bit_length(), symmetric=symmetric)
        return choose_qparams(lo, hi, dtype=dtype, symmetric=symmetric, contract=contract)
