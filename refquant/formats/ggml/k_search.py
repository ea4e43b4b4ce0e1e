r"""The searches of ggml's K-quants: which scale, and which minimum, fit a sub-block best.

Rounding to the grid that spans a sub-block exactly is not the best one can do: a slightly smaller
grid, which clips the largest value, often has less error. K-quants try a few grids (candidate t)
and, for the codes l of each, solve for the best scale (and minimum) in closed form. With weights w
and :math:`\langle a \rangle = \sum_i w_i a_i`, for x ~ s l + m:

.. math::

    l_i &= \operatorname{clamp}(\operatorname{round}((x_i - m)\,\kappa_t)),\quad
        \kappa_t = (l_{max} + r + \delta t) / (x_{max} - m)                        \tag{1} \\
    s &= \frac{\langle 1 \rangle \langle x l \rangle - \langle x \rangle \langle l \rangle}
              {\langle 1 \rangle \langle l^2 \rangle - \langle l \rangle^2},\quad
    m = \frac{\langle l^2 \rangle \langle x \rangle - \langle l \rangle \langle x l \rangle}
             {\langle 1 \rangle \langle l^2 \rangle - \langle l \rangle^2}         \tag{2}

(the m of eq. (1) is the best one *so far*, which begins as min(0, min x): the grids move with it),
and without a minimum, x ~ s l, with :math:`\kappa_t = -(l_{max} + t / 10) / x_{amax}`,

.. math::

    s = \langle x l \rangle / \langle l^2 \rangle                                  \tag{3}

The bytes depend on every rounding on the way, so this file keeps C's: float32 throughout, products
from left to right, no fused multiply-add, and sums one element after the other. Arrays have the
**element axis first**, (elements, sub-blocks): NumPy's ``add.reduce`` over axis 0 of such an array
adds row after row, which is C's order, with all sub-blocks at once. (Along the last axis it would
add pairwise: other bits.) The rows of one candidate fit the cache; that is all the speed there is.

Left out: ggml's search by coordinate descent (``k_descent.py``), and the modes that no type uses
(``rmse_type`` other than 1, ``make_qkx1_quants``). ggml's ``make_qkx2_quants`` and
``make_qkx3_quants`` are one function here: given weights, they compute the same.

References
----------
ggml ``src/ggml-quants.c``: ``make_qx_quants``, ``make_qkx2_quants``,
``make_qkx3_quants``; llama.cpp pull request 1684 (K-quants).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import nearest_int

__all__ = [
    "GROUP_MAX_EPS",
    "Grids",
    "final_codes",
    "fit_scale",
    "fit_scale_min",
    "sequential_sum",
    "signed_max",
]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

GROUP_MAX_EPS = np.float32(1e-15)
"""A sub-block whose largest magnitude is below this counts as all zeros (not in eq. 2)."""


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
    minimum above 0 is not allowed: it becomes 0, and s is then that of eq. (3). A constant column
    (also one of zeros) has scale 0 and codes 0.

    >>> x = np.array([[0], [1], [2], [3]], np.float32)
    >>> [(part + 0).ravel().tolist() for part in fit_scale_min(x, x, Grids(3, -0.5, 0.1, 15))]
    [[1.0], [0.0], [0, 1, 2, 3]]
    """
    nmax = np.float32(grids.nmax)
    lowest, highest = np.minimum(x.min(axis=0), np.float32(0)), x.max(axis=0)
    sum_w, sum_x = sequential_sum(weights), sequential_sum(weights * x)
    # Work space: the loop allocates nothing of this size.
    codes, term, weighted = np.empty_like(x), np.empty_like(x), np.empty_like(x)

    def codes_of(kappa: F32, base: F32) -> None:
        np.multiply(np.subtract(x, base, out=codes), kappa, out=codes)
        largest = np.maximum(np.abs(highest - base), np.abs(lowest - base)) * np.abs(kappa)
        if (largest < 2.0**22).all():  # then rint is nearest_int, and faster; false for NaN
            np.rint(codes, out=codes)
        else:
            codes[...] = nearest_int(codes)
        np.minimum(np.maximum(codes, np.float32(0), out=codes), nmax, out=codes)

    def error_of(scale: F32, minimum: F32) -> F32:
        np.add(np.multiply(codes, scale, out=term), minimum, out=term)
        np.subtract(term, x, out=term)
        np.abs(term, out=term) if grids.absolute_error else np.multiply(term, term, out=term)
        return sequential_sum(np.multiply(weights, term, out=term))

    best_kappa, best_base = nmax / (highest - lowest), lowest.copy()
    best_scale, best_minimum = 1 / best_kappa, lowest.copy()
    codes_of(best_kappa, lowest)
    least = error_of(best_scale, best_minimum)
    for t in range(grids.steps + 1):
        kappa = grids.span(t) / (highest - best_minimum)
        codes_of(kappa, best_minimum)
        sum_l = sequential_sum(np.multiply(weights, codes, out=weighted))
        sum_l2 = sequential_sum(np.multiply(weighted, codes, out=term))
        sum_xl = sequential_sum(np.multiply(weighted, x, out=term))
        scale, minimum, solvable = _solve(sum_w, sum_x, sum_l, sum_l2, sum_xl)
        error = error_of(scale, minimum)
        better = solvable & (error < least)
        np.copyto(best_base, best_minimum, where=better)  # before it changes: the codes' own base
        np.copyto(best_kappa, kappa, where=better)
        np.copyto(best_scale, scale, where=better)
        np.copyto(best_minimum, minimum, where=better)
        np.copyto(least, error, where=better)
    codes_of(best_kappa, best_base)
    flat = highest == lowest
    codes[:, flat], best_scale[flat], best_minimum[flat] = 0, 0, lowest[flat]
    return best_scale, -best_minimum, codes.astype(np.uint8)


def _solve(
    sum_w: F32, sum_x: F32, sum_l: F32, sum_l2: F32, sum_xl: F32
) -> tuple[F32, F32, NDArray[np.bool_]]:
    """Return s and m of eq. (2), m at most 0, and where the equations have a solution."""
    determinant = sum_w * sum_l2 - sum_l * sum_l
    scale = np.asarray((sum_w * sum_xl - sum_x * sum_l) / determinant, np.float32)
    minimum = np.asarray((sum_l2 * sum_x - sum_l * sum_xl) / determinant, np.float32)
    above = minimum > 0
    scale = np.where(above, sum_xl / sum_l2, scale)
    return scale, np.where(above, np.float32(0), minimum), determinant > 0


def fit_scale(x: F32, weights: F32, *, nmax: int) -> tuple[F32, U8]:
    """Return for each column of ``x`` the scale and the codes plus ``nmax``: eq. (3).

    Codes are -nmax to nmax - 1, and the value of largest magnitude gets about -nmax: the scale is
    negative if that value is positive. t runs from -9 to 9. A column below ``GROUP_MAX_EPS`` has
    scale 0 and (unlike a code 0, which is stored as ``nmax``) stored codes 0.

    >>> x = np.array([[4], [2], [-1], [0]], np.float32)
    >>> [part.ravel().tolist() for part in fit_scale(x, x * x, nmax=4)]
    [[-1.0], [0, 2, 5, 4]]
    """
    largest = signed_max(x)
    zero = np.abs(largest) < GROUP_MAX_EPS
    largest = np.where(zero, np.float32(1), largest)
    wx, finite = weights * x, np.isfinite(x).all()  # scales, the second level, may have overflowed
    codes, term = np.empty_like(x), np.empty_like(x)

    def codes_of(kappa: F32) -> F32:
        np.multiply(x, kappa, out=codes)
        if finite:
            np.rint(codes, out=codes)
        else:
            codes[...] = nearest_int(codes)
        np.maximum(codes, np.float32(-nmax), out=codes)
        return np.minimum(codes, np.float32(nmax - 1), out=codes)

    def sums_of(kappa: F32) -> tuple[F32, F32]:
        codes_of(kappa)
        sum_xl = sequential_sum(np.multiply(wx, codes, out=term))
        np.multiply(weights, codes, out=term)
        return sum_xl, sequential_sum(np.multiply(term, codes, out=term))

    best_kappa = -np.float32(nmax) / largest
    sum_xl, sum_l2 = sums_of(best_kappa)
    best_scale = np.where(sum_l2 != 0, sum_xl / sum_l2, np.float32(0))
    best = best_scale * sum_xl
    for t in (*range(-9, 0), *range(1, 10)):
        kappa = -(np.float32(nmax) + np.float32(0.1) * np.float32(t)) / largest
        sum_xl, sum_l2 = sums_of(kappa)
        better = (sum_l2 > 0) & (sum_xl * sum_xl > best * sum_l2)
        scale = sum_xl / sum_l2
        np.copyto(best_scale, scale, where=better)
        np.copyto(best, scale * sum_xl, where=better)
        np.copyto(best_kappa, kappa, where=better)
    stored = codes_of(best_kappa) + np.float32(nmax)
    return np.where(zero, np.float32(0), best_scale), np.where(zero, 0, stored).astype(np.uint8)


def final_codes(x: F32, searched: U8, scale: F32, minimum: F32, *, qmin: int, qmax: int) -> U8:
    """Return round((x + minimum) / scale) - qmin with the scale *as stored*, the last step.

    A decoder sees the rounded scale, so the codes are computed again with it. Where it is 0 the
    codes of the search remain; they mean 0 (or -minimum) whatever they are.

    >>> x, old = np.array([[0.9], [-0.1]], np.float32), np.zeros((2, 1), np.uint8)
    >>> half, zero = np.array([0.5], np.float32), np.zeros(1, np.float32)
    >>> final_codes(x, old, half, zero, qmin=0, qmax=3).ravel().tolist()
    [2, 0]
    """
    codes = np.clip(nearest_int((x + minimum) / scale), qmin, qmax) - qmin
    return np.where(scale != 0, codes, searched).astype(np.uint8)


def signed_max(x: F32) -> F32:
    """Return from each column the value of largest magnitude, the first of several; NaN is a 0.

    >>> signed_max(np.array([[1, np.nan], [-2, 0], [2, 0]], np.float32)).tolist()
    [-2.0, 0.0]
    """
    numbers = np.where(np.abs(x) > 0, x, np.float32(0))
    first = np.argmax(np.abs(numbers), axis=0)
    return np.asarray(np.take_along_axis(numbers, first[None], axis=0)[0], np.float32)


def sequential_sum(terms: F32) -> F32:
    """Return the sum over axis 0, one row after the other, beginning with 0."""
    return np.asarray(np.add.reduce(terms, axis=0, initial=np.float32(0)), np.float32)


def rms_plus_magnitude(x: F32) -> F32:
    """Return sqrt(mean of x^2) + |x|, the weights of Q4_K and Q5_K without importance.

    >>> rms_plus_magnitude(np.array([[3], [-4], [0], [0]], np.float32)).ravel().tolist()
    [5.5, 6.5, 2.5, 2.5]
    """
    mean_square = sequential_sum(x * x) / np.float32(len(x))
    return np.asarray(np.sqrt(mean_square) + np.abs(x), np.float32)
