r"""The coordinate descent of ggml's K-quants: change one code at a time, while the fit improves.

For x ~ s l and weights w, the best scale of given codes leaves the error

.. math::

    \sum_i w_i (x_i - s l_i)^2 = \langle x^2 \rangle - \langle x l \rangle^2 / \langle l^2 \rangle
                                                                                   \tag{1}

so codes are better if :math:`\langle x l \rangle^2 / \langle l^2 \rangle` is greater. Take element
i out of both sums (a prime marks them); the scale that the others want, and the code it gives i:

.. math::

    l_i \leftarrow \operatorname{round}\!\left(
        x_i \cdot \frac{\langle l^2 \rangle'}{\langle x l \rangle'}\right)         \tag{2}

The new code is kept if eq. (1) gets better. At most five rounds, over the elements in order; each
change is seen by the next element, so this cannot be done for all elements at once, but for all
columns. A round that changes nothing would be repeated for ever: a column that is done may wait
for the others. Arithmetic and layout as in ``k_search.py``: float32, products from left to right,
arrays (elements, columns).

References
----------
ggml ``src/ggml-quants.c``: ``make_q3_quants`` and ``make_qp_quants``.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import nearest_int
from refquant.formats.ggml.k_search import GROUP_MAX_EPS, sequential_sum, signed_max

__all__ = ["fit_positive", "fit_signed"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]

_ROUNDS = 5


def fit_signed(x: F32, *, nmax: int) -> tuple[F32, U8]:
    """Return scale and codes plus ``nmax`` of each column of ``x``, weights x^2: for Q3_K.

    Codes are -nmax to nmax - 1; they start with scale = -(value of largest magnitude) / nmax. A
    column below ``GROUP_MAX_EPS`` has scale 0 and stored codes 0.

    >>> x = np.array([[4], [2], [-1], [0]], np.float32)
    >>> [part.ravel().tolist() for part in fit_signed(x, nmax=4)]
    [[-1.0], [0, 2, 5, 4]]
    """
    largest = signed_max(x)
    zero = np.abs(largest) < GROUP_MAX_EPS
    kappa = -np.float32(nmax) / np.where(zero, np.float32(1), largest)
    codes = np.clip(nearest_int(np.asarray(kappa * x, np.float32)), -nmax, nmax - 1)
    weights = x * x
    sum_xl, sum_l2 = _sums(weights * x, weights, codes)
    for _ in range(_ROUNDS):
        changed = False
        for i in range(len(x)):
            w, wx, code = weights[i], weights[i] * x[i], codes[i]
            xl = sum_xl - wx * code.astype(np.float32)
            l2 = sum_l2 - w * code.astype(np.float32) * code.astype(np.float32)
            new = np.clip(nearest_int(x[i] * l2 / xl), -nmax, nmax - 1)
            new_xl, new_l2 = _with(wx, w, new, xl, l2)
            better = (xl > 0) & (new != code) & (new_l2 > 0)
            better &= new_xl * new_xl * sum_l2 > sum_xl * sum_xl * new_l2  # eq. (1)
            changed |= _accept(better, (code, new), (sum_xl, new_xl), (sum_l2, new_l2))
        if not changed:
            break
    scale = np.where(sum_l2 > 0, sum_xl / sum_l2, np.float32(0))
    stored = np.where(zero, 0, codes + nmax).astype(np.uint8)
    return np.where(zero, np.float32(0), scale), stored


def fit_positive(x: F32, weights: F32, *, nmax: int) -> tuple[F32, U8]:
    """Return scale and codes 0 to ``nmax`` of each column of ``x`` >= 0: the block's own scale.

    Nine grids, kappa = (nmax + t / 10) / max for t = -4 to 4, are compared by weighted squared
    error; the best one's codes begin the descent. A column below ``GROUP_MAX_EPS``, and one whose
    weights are all 0, has scale 0. (Rounding may leave an x below 0; its code then wraps modulo
    256, as a C ``uint8_t`` does.)

    >>> x = np.array([[3], [2], [1], [0]], np.float32)
    >>> [part.ravel().tolist() for part in fit_positive(x, np.ones_like(x), nmax=3)]
    [[1.0], [3, 2, 1, 0]]
    """
    largest = np.zeros(x.shape[1], np.float32)
    for row in x:
        largest = np.where(largest > row, largest, row)
    zero = largest < GROUP_MAX_EPS
    codes = _best_grid(x, weights, np.where(zero, np.float32(1), largest), nmax)
    sum_xl, sum_l2 = _sums(weights * x, weights, codes)
    codes &= 255
    for _ in range(_ROUNDS):
        changed = False
        for i in range(len(x)):
            w, wx, code = weights[i], weights[i] * x[i], codes[i]
            xl = sum_xl - wx * code.astype(np.float32)
            l2 = sum_l2 - w * code.astype(np.float32) * code.astype(np.float32)
            new = np.minimum(nearest_int(x[i] * l2 / xl), nmax)
            new_xl, new_l2 = _with(wx, w, new, xl, l2)
            better = (xl > 0) & (l2 > 0) & (new != code)
            better &= new_xl * new_xl * sum_l2 > sum_xl * sum_xl * new_l2  # eq. (1)
            changed |= _accept(better, (code, new & 255), (sum_xl, new_xl), (sum_l2, new_l2))
        if not changed:
            break
    scale = np.where(sum_l2 > 0, sum_xl / sum_l2, np.float32(0))
    return np.where(zero, np.float32(0), scale), np.where(zero, 0, codes).astype(np.uint8)


def _best_grid(x: F32, weights: F32, largest: F32, nmax: int) -> I32:
    """Return the codes of the grid of least weighted squared error."""
    best_kappa = np.asarray(np.float32(nmax) / largest, np.float32)
    codes = nearest_int(best_kappa * x) & 255  # not limited to nmax, in ggml as here
    least = _squared_error(x, weights, best_kappa, codes)
    for t in (-4, -3, -2, -1, 1, 2, 3, 4):
        span = np.float32(0.1) * np.float32(t) + np.float32(nmax)
        kappa = np.asarray(span / largest, np.float32)
        codes = np.minimum(nearest_int(kappa * x), nmax)
        error = _squared_error(x, weights, kappa, codes)
        better = error < least
        np.copyto(least, error, where=better)
        np.copyto(best_kappa, kappa, where=better)
    return np.minimum(nearest_int(best_kappa * x), nmax)


def _squared_error(x: F32, weights: F32, kappa: F32, codes: I32) -> F32:
    unit = np.asarray(1 / kappa, np.float32)
    difference = x - unit * codes.astype(np.float32)
    return sequential_sum(weights * difference * difference)


def _sums(wx: F32, w: F32, codes: I32) -> tuple[F32, F32]:
    """Return the sums of w x l and of w l l."""
    real = codes.astype(np.float32)
    return sequential_sum(wx * real), sequential_sum(w * real * real)


def _with(wx: F32, w: F32, new: I32, xl: F32, l2: F32) -> tuple[F32, F32]:
    """Return the two sums with the new code of element i put in."""
    real = new.astype(np.float32)
    return xl + wx * real, l2 + w * real * real


def _accept(better: NDArray[np.bool_], *pairs: tuple[F32 | I32, F32 | I32]) -> bool:
    """Overwrite the first of each pair by the second, where ``better``; return if anywhere."""
    for old, new in pairs:
        np.copyto(old, new, where=better)
    return bool(better.any())
