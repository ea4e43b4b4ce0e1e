r"""The search for scale and minimum, of Q2_K, Q4_K, Q5_K: try grids, solve for each, keep the best.

Rounding to the grid that spans a sub-block exactly is not the best one can do: a slightly smaller
grid, which clips the largest value, often has less error. So a few grids t are tried, and for the
codes l of each, the best scale s and minimum m of x ~ s l + m are solved for in closed form. With
weights w and :math:`\langle a \rangle = \sum_i w_i a_i`:

.. math::

    l_i &= \operatorname{clamp}(\operatorname{round}((x_i - m)\,\kappa_t)),\quad
        \kappa_t = (l_{max} + r + \delta t) / (x_{max} - m)                        \tag{1} \\
    s &= \frac{\langle 1 \rangle \langle x l \rangle - \langle x \rangle \langle l \rangle}
              {\langle 1 \rangle \langle l^2 \rangle - \langle l \rangle^2},\quad
    m = \frac{\langle l^2 \rangle \langle x \rangle - \langle l \rangle \langle x l \rangle}
             {\langle 1 \rangle \langle l^2 \rangle - \langle l \rangle^2}         \tag{2}

The m of eq. (1) is the best one *so far*, which begins as min(0, min x): the grids move with it,
which is easily overlooked. If eq. (2) has m > 0, then m = 0 and :math:`s = \langle x l \rangle /
\langle l^2 \rangle`: a minimum is stored without a sign.

ggml's ``make_qkx2_quants`` and ``make_qkx3_quants`` are one function here: given weights, they
compute the same. Arithmetic and layout as in ``k_search.py``: (elements, sub-blocks). Left out:
``make_qkx1_quants``, which no type uses any more.

References
----------
ggml ``src/ggml-quants.c``: ``make_qkx2_quants``, ``make_qkx3_quants``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import nearest_int
from refquant.formats.ggml.k_search import sequential_sum

__all__ = ["Grids", "fit_scale_min", "rms_plus_magnitude"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Grids:
    """The candidates of eq. (1): codes 0 to ``nmax``, t = 0 to ``steps``, and the error's power.

    >>> Grids(nmax=15, start=-1.0, delta=0.1, steps=20).span(10).tolist()
    15.0
    """

    nmax: int
    start: float
    delta: float
    steps: int
    absolute_error: bool = False

    def span(self, t: int) -> np.float32:
        """Return l_max + r + delta t of eq. (1), each sum rounded to float32 as in C."""
        step = np.float32(self.delta) * np.float32(t)
        return np.float32(np.float32(self.start) + step) + np.float32(self.nmax)


def fit_scale_min(x: F32, weights: F32, grids: Grids) -> tuple[F32, F32, U8]:
    """Return for each column of ``x`` the scale s, the minimum as -m >= 0, and the codes: eq. (2).

    ``x`` and ``weights`` are (elements, sub-blocks). The first grid spans the sub-block (0
    included) and keeps s = 1 / kappa; a candidate replaces it if its weighted error is less. A
    constant column (also one of zeros) has scale 0 and codes 0.

    >>> x = np.array([[0], [1], [2], [3]], np.float32)
    >>> [(part + 0).ravel().tolist() for part in fit_scale_min(x, x, Grids(3, -0.5, 0.1, 15))]
    [[1.0], [0.0], [0, 1, 2, 3]]
    """
    fit = _Fit(x, weights, grids)
    best_kappa, best_base = np.float32(grids.nmax) / (fit.highest - fit.lowest), fit.lowest.copy()
    best_scale, best_minimum = 1 / best_kappa, fit.lowest.copy()
    fit.round(best_kappa, best_base)
    least = fit.error(best_scale, best_minimum)
    for t in range(grids.steps + 1):
        kappa = grids.span(t) / (fit.highest - best_minimum)
        fit.round(kappa, best_minimum)
        scale, minimum, solvable = fit.solve()
        error = fit.error(scale, minimum)
        better = solvable & (error < least)
        np.copyto(best_base, best_minimum, where=better)  # before it changes: the codes' own base
        np.copyto(best_kappa, kappa, where=better)
        np.copyto(best_scale, scale, where=better)
        np.copyto(best_minimum, minimum, where=better)
        np.copyto(least, error, where=better)
    fit.round(best_kappa, best_base)
    flat = fit.highest == fit.lowest
    fit.codes[:, flat], best_scale[flat], best_minimum[flat] = 0, 0, fit.lowest[flat]
    return best_scale, -best_minimum, fit.codes.astype(np.uint8)


def rms_plus_magnitude(x: F32) -> F32:
    """Return sqrt(mean of x^2) + |x|, the weights of Q4_K and Q5_K without importance.

    >>> rms_plus_magnitude(np.array([[3], [-4], [0], [0]], np.float32)).ravel().tolist()
    [5.5, 6.5, 2.5, 2.5]
    """
    mean_square = sequential_sum(x * x) / np.float32(len(x))
    return np.asarray(np.sqrt(mean_square) + np.abs(x), np.float32)


class _Fit:
    """The sums of one set of columns, and work space: the search allocates nothing of that size."""

    def __init__(self, x: F32, weights: F32, grids: Grids) -> None:
        self.x, self.weights, self.grids = x, weights, grids
        self.lowest, self.highest = np.minimum(x.min(axis=0), np.float32(0)), x.max(axis=0)
        self.sum_w, self.sum_x = sequential_sum(weights), sequential_sum(weights * x)
        self.codes, self.term, self.weighted = (np.empty_like(x) for _ in range(3))

    def round(self, kappa: F32, base: F32) -> None:
        """Set the codes of eq. (1), as float32, with m = ``base``."""
        codes = np.multiply(np.subtract(self.x, base, out=self.codes), kappa, out=self.codes)
        farthest = np.maximum(np.abs(self.highest - base), np.abs(self.lowest - base))
        if (farthest * np.abs(kappa) < 2.0**22).all():  # rint is nearest_int then, and faster;
            np.rint(codes, out=codes)  # the comparison is false for NaN
        else:
            codes[...] = nearest_int(codes)
        np.maximum(codes, np.float32(0), out=codes)
        np.minimum(codes, np.float32(self.grids.nmax), out=codes)

    def error(self, scale: F32, minimum: F32) -> F32:
        """Return the weighted error of the codes, squared or absolute."""
        term = np.multiply(self.codes, scale, out=self.term)
        np.subtract(np.add(term, minimum, out=term), self.x, out=term)
        if self.grids.absolute_error:
            np.abs(term, out=term)
        else:
            np.multiply(term, term, out=term)
        return sequential_sum(np.multiply(self.weights, term, out=term))

    def solve(self) -> tuple[F32, F32, NDArray[np.bool_]]:
        """Return s and m of eq. (2), m at most 0, and where the equations have a solution."""
        weighted = np.multiply(self.weights, self.codes, out=self.weighted)
        sum_l = sequential_sum(weighted)
        sum_l2 = sequential_sum(np.multiply(weighted, self.codes, out=self.term))
        sum_xl = sequential_sum(np.multiply(weighted, self.x, out=self.term))
        determinant = self.sum_w * sum_l2 - sum_l * sum_l
        scale = np.asarray((self.sum_w * sum_xl - self.sum_x * sum_l) / determinant, np.float32)
        minimum = np.asarray((sum_l2 * self.sum_x - sum_l * sum_xl) / determinant, np.float32)
        above = minimum > 0
        scale = np.where(above, np.asarray(sum_xl / sum_l2, np.float32), scale)
        return scale, np.where(above, np.float32(0), minimum), determinant > 0
