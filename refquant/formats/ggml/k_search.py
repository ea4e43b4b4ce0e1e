r"""The search for a scale alone, of Q3_K and Q6_K, and the arithmetic of all K-quant searches.

The codes l of a sub-block x ~ s l are -n to n - 1. A few grids t are tried, and for the codes of
each the best scale s is solved for in closed form, with weights w:

.. math::

    l_i &= \operatorname{clamp}(\operatorname{round}(x_i \kappa_t)), \quad
        \kappa_t = -(n + t / 10) / x_{amax}                                        \tag{1} \\
    s &= \sum_i w_i x_i l_i \Big/ \sum_i w_i l_i^2                                 \tag{2}

The best has the greatest :math:`(\sum w x l)^2 / \sum w l^2`, that is, the least squared error.

The bytes depend on every rounding on the way, so all searches keep C's: float32 throughout,
products from left to right, no fused multiply-add, and sums one element after the other. Arrays
have the **element axis first**, (elements, sub-blocks): NumPy's ``add.reduce`` over axis 0 of such
an array adds row after row, which is C's order, with all sub-blocks at once. (Along the last axis
it would add in pairs: other bits.) The arrays of one candidate fit the cache; that is all there is
to the speed.

That is what ggml computes on x86-64, where its quantizers are compiled without fused multiply-add.
On Arm compilers fuse by default, and other bytes come out in some blocks (llama.cpp's pull request
25353, which would forbid it, was open in 2026-08). Which products are fused is the compiler's
choice, so no flavour here imitates it. Left out: ``rmse_type`` other than 1, which no type uses.

References
----------
ggml ``src/ggml-quants.c``: ``make_qx_quants``; llama.cpp pull requests 1684 (K-quants), 25353.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import nearest_int

__all__ = ["GROUP_MAX_EPS", "final_codes", "fit_scale", "sequential_sum", "signed_max"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

GROUP_MAX_EPS = np.float32(1e-15)
"""A sub-block whose largest magnitude is below this counts as all zeros."""


def fit_scale(x: F32, weights: F32, *, nmax: int) -> tuple[F32, U8]:
    """Return for each column of ``x`` the scale and the codes plus ``nmax``: eq. (2).

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
    """Return the sum over axis 0, one row after the other, beginning with 0: C's order.

    >>> terms = np.array([[1e8], [1], [1], [1], [1], [1], [1], [1], [1]], np.float32)
    >>> sequential_sum(terms).tolist()  # each 1 is lost in turn
    [100000000.0]
    >>> sequential_sum(terms[::-1]).tolist()
    [100000008.0]
    """
    if terms.shape[1] == 1:  # NumPy drops this axis, and adds in pairs; accumulate never does
        return np.asarray(np.add.accumulate(terms, axis=0)[-1] + np.float32(0), np.float32)
    return np.asarray(np.add.reduce(terms, axis=0, initial=np.float32(0)), np.float32)
