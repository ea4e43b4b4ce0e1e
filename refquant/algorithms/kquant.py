r"""The K-quant search: try grids, solve each for the best scale and minimum, keep the least error.

The ruler from the smallest to the largest weight of a group spends a code on each end. One a step
shorter or longer may serve the many in between better; which, nobody knows beforehand. So a few are
tried, and each gets the best scale and minimum that *its codes* can have.

With weights of the error :math:`v_i \ge 0` and :math:`\langle a \rangle = \sum_i v_i a_i` over a
group of x, find codes q in 0 ... L, a scale s and a minimum m of

.. math::

    \min_{q, s, m}\ E = \sum_i v_i\,(s\,q_i + m - x_i)^2                                \tag{1}

For given codes (1) is a line through weighted points, :math:`\partial E / \partial s = \partial E /
\partial m = 0`:

.. math::

    s = \frac{\langle 1 \rangle \langle x q \rangle - \langle x \rangle \langle q \rangle}{D},
    \quad
    m = \frac{\langle q^2 \rangle \langle x \rangle - \langle q \rangle \langle x q \rangle}{D},
    \quad D = \langle 1 \rangle \langle q^2 \rangle - \langle q \rangle^2               \tag{2}

and the codes come from rulers t = 0 ... T of :math:`L + r + \delta t` steps,

.. math::

    q_i = \operatorname{clamp}\big(\operatorname{rint}((x_i - m)\,\kappa_t),\ 0,\ L\big), \quad
    \kappa_t = \frac{L + r + \delta t}{x_{max} - m}                                     \tag{3}

where m is the best so far, at first :math:`x_{min}`, so that the rulers move with it. The start, s
= (max - min) / L, is a candidate; of equal errors the first. At the end each code is the nearest
for the s and m that were found, and a group whose error, as stored, is not below the start's keeps
the start: never worse than its min-max ruler, by (1).

**What is v?** With ``importance`` h, one number a column, the mean square of that column's input,
:math:`h_j = H_{jj} / 2`: then (1) is the error of the layer's output as if inputs were
uncorrelated. Without data, :math:`v_i = \sqrt{\operatorname{mean}_{group} x^2} + |x_i|`: large
weights count more. With ``magnitude`` h is multiplied by :math:`\sqrt{\operatorname{mean}_{group}
x^2 + x_i^2}`, as ggml does.

::

    w (n, k)  -->  groups of g columns  -->  codes u8 | s f32 | z = -m / s f32     w^ = (q - z) s

Arithmetic is float32, sums one after the other, as ggml's: with ``minimum = "not_positive"``, which
its formats need, scales, minima and codes of (3) are its own before it rounds scales to 6 bits. Our
zero points have signs: ``any``. Groups are brought near 1 by a power of two, which changes no bit.
A group below 2^-100 is zeros; a constant one comes back exactly.

Left out: two levels of scales (`refquant.formats.ggml`), Q2_K's absolute error.

References
----------
ggml ``src/ggml-quants.c``: ``make_qkx2_quants``, ``make_qkx3_quants``; llama.cpp pull request 4861.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.rtn import check_weight
from refquant.algorithms.weight import QuantizedWeight, group_indices

__all__ = ["MINIMA", "PLAIN", "WEIGHTED", "Search", "error_weights", "kquant", "search"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

MINIMA = ("any", "not_positive")
_TINY = np.float32(2.0**-100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """r, delta and T of eq. (3); which ``minimum`` there may be; ``magnitude`` of x in v.

    >>> Search(start=-1.0, delta=0.1, steps=-1)
    Traceback (most recent call last):
    ValueError: start and delta must be finite, steps >= 0 and minimum one of any, not_positive; \
got -1.0, 0.1, -1, 'any'
    """

    start: float
    delta: float
    steps: int
    minimum: str = "any"
    magnitude: bool = False

    def __post_init__(self) -> None:
        """Refuse what names no rulers."""
        finite = np.isfinite(self.start) and np.isfinite(self.delta)
        if not finite or self.steps < 0 or self.minimum not in MINIMA:
            raise ValueError(
                "start and delta must be finite, steps >= 0 and minimum one of any, not_positive; "
                f"got {self.start}, {self.delta}, {self.steps}, {self.minimum!r}"
            )


PLAIN = Search(start=-1.0, delta=0.1, steps=20)
"""The rulers of Q4_K without data."""

WEIGHTED = Search(start=-0.9, delta=0.05, steps=36)
"""The rulers of Q4_K with importance."""


def kquant(
    w: F32, *, num_bits: int, group_size: int | None, importance: F32 | None, settings: Search
) -> QuantizedWeight:
    """Return ``w``, float32 (n, k), in groups along its rows with float zero points: eq. (1)-(3).

    ``group_size`` divides k (None: a row), ``num_bits`` is 1 to 8, ``importance`` float32 (k,),
    finite, not negative, not all zero: `ValueError` else, and for weights that are no matrix.

    >>> w = np.array([[-1, 0, 1, 2.75]], np.float32)  # nobody looks at the last input
    >>> h = np.array([1, 1, 1, 0], np.float32)
    >>> q = kquant(w, num_bits=2, group_size=4, importance=h, settings=WEIGHTED)
    >>> q.codes.tolist(), q.dequantize().tolist()
    ([[0, 1, 2, 3]], [[-1.0, 0.0, 1.0, 2.0]])
    """
    w = check_weight(w)
    if type(num_bits) is not int or not 1 <= num_bits <= 8:
        raise ValueError(f"num_bits must be an integer from 1 to 8, got {num_bits!r}")
    n, k = w.shape
    g_idx = group_indices(k, group_size=group_size)
    size = k if group_size is None else group_size
    h = None if importance is None else _checked(importance, k)
    x = np.ascontiguousarray(w.reshape(-1, size).T)  # (g, groups): sums run over axis 0
    amax = np.abs(x).max(axis=0)
    exponent = np.where(amax < _TINY, 0, np.frexp(amax)[1])
    x = np.where(amax < _TINY, np.float32(0), np.ldexp(x, -exponent))
    rows = None if h is None else np.ascontiguousarray(np.tile(h, n).reshape(-1, size).T)
    v = error_weights(x, rows, magnitude=settings.magnitude)
    scale, zero, codes = _stored(x, v, num_bits, settings)
    parts = np.ldexp(scale, exponent).reshape(n, -1), zero.reshape(n, -1), g_idx
    return QuantizedWeight(codes.T.reshape(n, k).copy(), *parts, num_bits, signed=False)


def error_weights(x: F32, importance: F32 | None, *, magnitude: bool) -> F32:
    """Return v of eq. (1) for columns ``x``, float32 (elements, groups), and h of their shape.

    >>> error_weights(np.array([[3], [-4], [0], [0]], np.float32), None, magnitude=True).tolist()
    [[5.5], [6.5], [2.5], [2.5]]
    """
    mean_square = _total(x * x) / np.float32(len(x))
    if importance is None:
        return np.asarray(np.sqrt(mean_square) + np.abs(x), np.float32)
    if not magnitude:
        return importance
    return np.asarray(importance * np.sqrt(mean_square + x * x), np.float32)


def search(x: F32, v: F32, *, num_bits: int, settings: Search) -> tuple[F32, F32, U8]:
    """Return scale s, minimum m and the codes of eq. (3) of each column of ``x``, ``v``.

    A column with max = min (of ``not_positive``: and no more than 0) has scale 0 and codes 0.

    >>> x = np.array([[0], [1], [2], [3]], np.float32)
    >>> [part.ravel().tolist() for part in search(x, x, num_bits=2, settings=PLAIN)]
    [[1.0], [0.0], [0, 1, 2, 3]]
    """
    top, signed = np.float32((1 << num_bits) - 1), settings.minimum == "any"
    low, high = x.min(axis=0), x.max(axis=0)
    low = low if signed else np.minimum(low, np.float32(0))
    with np.errstate(all="ignore"):  # flat columns divide by 0; what is no number is never better
        kappa, base, minimum = top / (high - low), low, low
        scale = 1 / kappa
        least = _error(x, v, _codes(x, kappa, base, top), scale, minimum)
        for t in range(settings.steps + 1):
            step = np.float32(settings.start) + np.float32(settings.delta) * np.float32(t)
            tried = (np.float32(step) + top) / (high - minimum)
            codes = _codes(x, tried, minimum, top)
            s, m, solvable = _line(x, v, codes, signed)
            error = _error(x, v, codes, s, m)
            better = solvable & (s > 0) & (error < least)
            kappa, base = np.where(better, tried, kappa), np.where(better, minimum, base)
            scale, minimum = np.where(better, s, scale), np.where(better, m, minimum)
            least = np.where(better, error, least)
        codes = _codes(x, kappa, base, top)
    flat = high == low
    found = np.where(flat, np.float32(0), codes).astype(np.uint8)
    return np.where(flat, np.float32(0), scale), np.where(flat, low, minimum), found


def _stored(x: F32, v: F32, num_bits: int, settings: Search) -> tuple[F32, F32, U8]:
    """Return s, z = -m / s and the nearest codes, or the min-max ruler where that is no worse."""
    top = np.float32((1 << num_bits) - 1)
    low, high = x.min(axis=0), x.max(axis=0)
    scale, minimum, _ = search(x, v, num_bits=num_bits, settings=settings)
    flat, one = high == low, np.float32(1)
    plain = (np.where(flat, one, (high - low) / top), low)
    found = (np.where(flat, one, scale), minimum)
    (s0, z0, q0, e0), (s1, z1, q1, e1) = (_nearest(x, v, s, m, top) for s, m in (plain, found))
    take = ~flat & (e1 < e0)
    s, z, q = np.where(take, s1, s0), np.where(take, z1, z0), np.where(take, q1, q0)
    # A constant c: |c| (1 - 0) or |c| (0 - 1), exactly; zeros are 0 (0 - 0), of scale 1.
    s = np.where(flat & (low != 0), np.abs(low), s)
    z, q = np.where(flat, low < 0, z), np.where(flat, low > 0, q)
    return s, z.astype(np.float32), q.astype(np.uint8)


def _nearest(x: F32, v: F32, s: F32, m: F32, top: np.float32) -> tuple[F32, F32, F32, F32]:
    """Return s, z, the nearest codes, and E of what they mean."""
    z = np.asarray(-m / s, np.float32)
    q = np.asarray(np.clip(np.rint(x / s + z), np.float32(0), top), np.float32)
    return s, z, q, _total(v * ((q - z) * s - x) ** 2)


def _codes(x: F32, kappa: F32, base: F32, top: np.float32) -> F32:
    return np.asarray(np.clip(np.rint((x - base) * kappa), np.float32(0), top), np.float32)


def _error(x: F32, v: F32, codes: F32, scale: F32, minimum: F32) -> F32:
    return _total(v * (scale * codes + minimum - x) ** 2)


def _line(x: F32, v: F32, codes: F32, signed: bool) -> tuple[F32, F32, NDArray[np.bool_]]:
    """Return s and m of eq. (2), and where there are such."""
    weighted = v * codes
    sum_v, sum_x, sum_q = _total(v), _total(v * x), _total(weighted)
    sum_qq, sum_xq = _total(weighted * codes), _total(weighted * x)
    d = sum_v * sum_qq - sum_q * sum_q
    s = np.asarray((sum_v * sum_xq - sum_x * sum_q) / d, np.float32)
    m = np.asarray((sum_qq * sum_x - sum_q * sum_xq) / d, np.float32)
    if not signed:
        alone = np.asarray(sum_xq / sum_qq, np.float32)
        s, m = np.where(m > 0, alone, s), np.minimum(m, np.float32(0))
    return s, m, d > 0


def _total(terms: F32) -> F32:
    """Return the sum over axis 0, float32, one row after the other."""
    total = np.zeros(terms.shape[1:], np.float32)
    for row in terms:
        total += row
    return total


def _checked(importance: F32, k: int) -> F32:
    """Return h with a largest element of 0.5 to 1: a power of two changes nothing."""
    h = np.asarray(importance)
    if h.dtype != np.float32 or h.shape != (k,):
        raise ValueError(f"importance must be float32 ({k},), got {h.dtype} {h.shape}")
    bad = np.flatnonzero(~(np.isfinite(h) & (h >= 0)))
    if bad.size:
        raise ValueError(f"importance must be finite and >= 0, got {h[bad[0]]} at column {bad[0]}")
    if not h.any():
        raise ValueError("importance is 0 everywhere: no input was ever nonzero; calibrate anew")
    return np.asarray(np.ldexp(h, -np.frexp(h.max())[1]), np.float32)
