r"""How much error does a range cause? The question both MSE observers minimise.

Quantize to the marks n s, integer n in [n_min, n_max]. In units of the step, u = x / s, a
number goes to :math:`n(u) = \mathrm{clip}(\mathrm{rint}(u), n_{min}, n_{max})`, and the
error is :math:`s\,|u - n(u)|`: rounding inside the range, clipping outside. Elements are
known up to their bin; within a bin we take them as evenly spread (torch's observer does,
too), so a bin [a, b) costs the mean of the error to the power p over it:

.. math::

    J = \frac{1}{N} \left(\frac{s}{w}\right)^p \sum_{bins} count\,
        \frac{G_p(b/s) - G_p(a/s)}{b/s - a/s}, \qquad
    G_p(u) = \int_0^u |t - n(t)|^p\,dt                                                  \tag{1}

in units of the bin width w, the same for every candidate: so data of 10^-40 and of 10^38 do
not leave float64, and scaling them by a power of two changes nothing but the unit.

The integrand has the same arch above every mark, so the integral is closed:

.. math::

    G_p(u) = \frac{2\,n\,(1/2)^{p+1} + \mathrm{sign}(r)\,|r|^{p+1}}{p + 1} + const,
        \qquad n = n(u),\ r = u - n                                                     \tag{2}

For p = 2 that is n/12 + r^3/3. A bin may be wider or narrower than a step: (1) does not
sample, so nothing aliases between the two rulers.

The grid of a candidate range (lo, hi), lo <= 0 <= hi, at b bits:

.. math::

    \text{asymmetric:}\quad s = \frac{hi - lo}{2^b - 1},\ n_{min} = \mathrm{rint}(lo/s),\
        n_{max} = n_{min} + 2^b - 1                                                     \tag{3}

    \text{symmetric:}\quad s = \frac{\max(-lo, hi)}{2^{b-1} - 1},\ -n_{min} = n_{max} = 2^{b-1} - 1
                                                                                        \tag{4}

Left out: what contracts do differently, below one step: float32 scales, tie rules, and the
extra code -2^(b-1) of a full symmetric range. Arithmetic is float64, because J compares
small differences of integrals; it decides the range only, which is float32. Candidates whose J
are equal up to rounding may be decided differently on another CPU.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.calibration.histogram import Histogram, edges

__all__ = ["Grid", "check_bits", "expected_error", "uniform_grid"]

Grid = tuple[float, int, int]


def check_bits(num_bits: int, *, symmetric: bool) -> None:
    """Raise unless ``num_bits`` is 1 to 16, or 2 to 16 for a symmetric range.

    With one bit eq. (4) has no mark but zero, so no step; eq. (3) has two marks.

    >>> check_bits(1, symmetric=False)
    >>> check_bits(1, symmetric=True)
    Traceback (most recent call last):
    ValueError: num_bits must be in [2, 16] for a symmetric range, got 1; one bit has no code \
on either side of zero: use an asymmetric range
    """
    if symmetric and num_bits == 1:
        raise ValueError(
            "num_bits must be in [2, 16] for a symmetric range, got 1; one bit has no code on "
            "either side of zero: use an asymmetric range"
        )
    if not 1 <= num_bits <= 16:
        raise ValueError(f"num_bits must be in [1, 16], got {num_bits}")


def uniform_grid(lo: float, hi: float, *, num_bits: int, symmetric: bool) -> Grid:
    """Return ``(s, n_min, n_max)`` of a range around zero: eq. (3), symmetric eq. (4).

    >>> uniform_grid(-1.0, 2.0, num_bits=2, symmetric=False)
    (1.0, -1, 2)
    >>> uniform_grid(-1.0, 2.0, num_bits=2, symmetric=True)
    (2.0, -1, 1)
    """
    if symmetric:
        n = 2 ** (num_bits - 1) - 1
        return max(-lo, hi) / n, -n, n
    s = (hi - lo) / (2**num_bits - 1)
    n_min = round(lo / s) if s else 0  # half to even, as eq. (3) says
    return s, n_min, n_min + 2**num_bits - 1


def expected_error(histogram: Histogram, grid: Grid, *, norm: float) -> float:
    """Return the mean error to the power ``norm`` > 0, in units of the bin width: eq. (1).

    A grid with step 0 maps all to zero; its error is infinite unless the data are zeros.

    >>> from refquant.calibration.histogram import EMPTY, add
    >>> h = add(EMPTY, np.arange(64, dtype=np.float32), bins=64)  # evenly spread in [0, 64)
    >>> round(12 * expected_error(h, (4.0, 0, 1000), norm=2.0), 9)  # s^2, w = 1
    16.0
    """
    s, n_min, n_max = grid
    if s == 0:
        return 0.0 if histogram.lo == histogram.hi == 0 else float("inf")
    u = edges(histogram) / s
    bin_width = float(np.ldexp(1.0, histogram.exponent)) / s  # in steps
    n = np.clip(np.rint(u), n_min, n_max)
    cost = np.diff(_antiderivative(u, n, norm)) / bin_width
    return float((histogram.counts @ cost) / histogram.count / bin_width**norm)


def _antiderivative(
    u: NDArray[np.float64], n: NDArray[np.float64], norm: float
) -> NDArray[np.float64]:
    """Eq. (2), without the constant."""
    r = u - n
    arch = 2 * n * 0.5 ** (norm + 1)
    integral: NDArray[np.float64] = (arch + np.sign(r) * np.abs(r) ** (norm + 1)) / (norm + 1)
    return integral
