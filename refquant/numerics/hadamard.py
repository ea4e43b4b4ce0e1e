r"""Hadamard matrices and the fast Walsh-Hadamard transform: outliers are spread, nothing is lost.

A Hadamard matrix has elements +1 and -1 only, and orthogonal rows:

.. math::

    H H^T = n I \qquad\Rightarrow\qquad (H / \sqrt n)^{-1} = H^T / \sqrt n              \tag{1}

A vector with one large element a becomes n elements of :math:`\pm a / \sqrt n`: the same length,
and the smallest largest element there can be. Four constructions:

.. math::

    H_{2^m} = \begin{pmatrix} 1 & 1 \\ 1 & -1 \end{pmatrix}^{\otimes m}
        && \text{Sylvester}                                                             \tag{2} \\
    H_{q+1} = \begin{pmatrix} 1 & -1 \\ 1 & I + Q \end{pmatrix}, \quad q = 3 \bmod 4
        && \text{Paley I}                                                               \tag{3} \\
    H_{2q+2} = \begin{pmatrix} 1 & 1 \\ 1 & -1 \end{pmatrix} \otimes
        \begin{pmatrix} 0 & 1 \\ 1 & Q \end{pmatrix} +
        \begin{pmatrix} 1 & -1 \\ -1 & -1 \end{pmatrix} \otimes I, \quad q = 1 \bmod 4
        && \text{Paley II}                                                              \tag{4} \\
    H_{4t} = \begin{pmatrix} A & B & C & D \\ -B & A & -D & C \\ -C & D & A & -B \\
        -D & -C & B & A \end{pmatrix}, \quad A^2 + B^2 + C^2 + D^2 = 4 t I
        && \text{Williamson}                                                            \tag{5}

with :math:`Q_{ij} = \chi(i - j)`, where :math:`\chi(d)` is 0, +1 or -1 for d zero, a square or no
square modulo the prime q, and symmetric circulant A to D, given by the halves of their first rows.
For n = K 2^m,

.. math::

    H_n = H_K \otimes H_{2^m}                                                           \tag{6}

**The transform** y = H x in :math:`n (m + K)` additions, in an order that is fixed: for h = 1, 2, 4
... below 2^m

::

    x[i], x[i + h]  <--  x[i] + x[i + h], x[i] - x[i + h]          i with bit h clear

then, of the K parts of length 2^m, sums of :math:`\pm` parts in ascending order, from the first.
Each result passes at most m + K - 1 additions, so that, with unit roundoff u of the dtype,

.. math::

    |\hat y - y| \le \gamma_{m + K - 1} \sum |x|, \qquad \gamma_k = k u / (1 - k u)     \tag{7}

Left out: n whose odd part is none of those below (28 = 4 * 7 is there, 44 = 4 * 11 is not).

References
----------
Sylvester 1867; Paley 1933; Williamson 1944, first rows as in Sloane's library of Hadamard matrices.
Ashkboos et al., "QuaRot", arXiv:2404.00456, whose code uses the same sizes; these are its matrices.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BASES",
    "hadamard_base",
    "hadamard_block",
    "hadamard_matrix",
    "random_signs",
    "rotate",
    "walsh_hadamard",
]

Float = TypeVar("Float", np.float32, np.float64)

BASES = (12, 20, 28, 36, 40, 52, 60, 108, 140, 156, 172)
"""The K of eq. (6) that are no power of two."""

_PALEY_I = (12, 20, 60, 108, 140)
_PALEY_II = (28, 36)
_WILLIAMSON = {  # the first (t + 1) / 2 elements of the first rows of A, B, C, D
    13: ("+-+--++", "+---+++", "++-+--+", "+----+-"),
    39: (
        "+++--+-+-----+--++--",
        "++++---+--++----+-+-",
        "+++--++-+---+-+--+--",
        "+---++-+-+-----+++-+",
    ),
    43: (
        "+---++--++++-+-+++-++-",
        "++-++++++----+-+--++-+",
        "+++-+-++--+-+-++++-+--",
        "++---++++-+--+--++----",
    ),
}


def hadamard_base(n: int) -> int:
    """Return K of n = K 2^m: 1, or one of `BASES`. ``ValueError`` if there is none.

    >>> hadamard_base(64), hadamard_base(384), hadamard_base(11008)
    (1, 12, 172)
    """
    # 40 before 20, as the published code does: only n = 20 itself has K = 20.
    for k in (*sorted(BASES, reverse=True), 1):
        m = n // k
        if n > 0 and n % k == 0 and m & (m - 1) == 0:
            return k
    raise ValueError(f"n must be K * 2**m with K 1 or one of {BASES}, got {n}; pad or split it")


def hadamard_block(n: int) -> int:
    """Return the order for vectors of ``n`` >= 1: n, or else the largest power of two dividing it.

    >>> hadamard_block(576), hadamard_block(88), hadamard_block(7)
    (576, 8, 1)
    """
    try:
        hadamard_base(n)
    except ValueError:
        if n < 1:
            raise
        return n & -n
    return n


def hadamard_matrix(n: int) -> NDArray[np.int8]:
    """Return H, int8 (n, n), elements +1 and -1: eq. (2) to (6). ``ValueError`` as `hadamard_base`.

    >>> hadamard_matrix(4).tolist()
    [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    """
    k = hadamard_base(n)
    h = _base_matrix(k)
    power = np.ones((1, 1), np.int8)
    while power.shape[0] < n // k:
        power = np.block([[power, power], [power, -power]])
    return np.kron(h, power)


def walsh_hadamard(x: NDArray[Float], *, transpose: bool) -> NDArray[Float]:
    """Return H x, or H^T x, of each vector along the last axis, in the dtype of x: eq. (6, 7).

    ``x`` is float32 or float64 (..., n). NaN spreads to all of its vector, and an infinity makes
    NaN or infinity of it. ``ValueError`` for another dtype, and as `hadamard_base`.

    >>> walsh_hadamard(np.float32([1, 2, 3, 4]), transpose=False).tolist()
    [10.0, -2.0, -4.0, 0.0]
    """
    if x.dtype not in (np.float32, np.float64) or x.ndim < 1:
        raise ValueError(f"x must be float32 or float64 (..., n), got {x.dtype} {x.shape}")
    n = x.shape[-1]
    k = hadamard_base(n)
    y = x.reshape(-1, k, n // k)
    h = 1
    with np.errstate(over="ignore", invalid="ignore"):
        while h < n // k:
            pairs = y.reshape(-1, k, n // k // (2 * h), 2, h)
            low, high = pairs[:, :, :, 0], pairs[:, :, :, 1]
            y = np.stack([low + high, low - high], axis=3).reshape(-1, k, n // k)
            h *= 2
        if k > 1:
            signs = _base_matrix(k).astype(x.dtype)
            signs = signs.T if transpose else signs
            total = signs[:, :1] * y[:, :1]
            for j in range(1, k):  # one rounding a term, in this order
                total = total + signs[:, j : j + 1] * y[:, j : j + 1]
            y = total
    return y.reshape(x.shape).copy()


def rotate(x: NDArray[Float], signs: NDArray[np.int8], *, inverse: bool) -> NDArray[Float]:
    r"""Return :math:`R x = H (signs \circ x) / \sqrt n`, or its inverse, along the last axis.

    ``signs`` is int8 (n,), +1 or -1: ones for the plain Hadamard rotation. The division by
    :math:`\sqrt n`, rounded in x's dtype, comes last; it is exact for n = 4^m. Same errors.

    >>> signs = np.int8([1, -1, 1, 1])
    >>> y = rotate(np.float32([0, 8, 0, 0]), signs, inverse=False)
    >>> y.tolist(), rotate(y, signs, inverse=True).tolist()
    ([-4.0, 4.0, -4.0, 4.0], [0.0, 8.0, 0.0, 0.0])
    """
    if signs.shape != x.shape[-1:] or signs.dtype != np.int8 or not (np.abs(signs) == 1).all():
        raise ValueError(
            f"signs must be +1 and -1, int8 {x.shape[-1:]}, got {signs.dtype} {signs.shape}"
        )
    if inverse:
        y = walsh_hadamard(x, transpose=True)
        return np.asarray(y / np.sqrt(x.dtype.type(signs.size)) * signs.astype(x.dtype), x.dtype)
    y = walsh_hadamard(x * signs.astype(x.dtype), transpose=False)
    return np.asarray(y / np.sqrt(x.dtype.type(signs.size)), x.dtype)


def random_signs(n: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Return n signs for `rotate`, drawn from ``rng``, which advances.

    Random signs make a rotation that no weights can be aligned with by accident.

    >>> sorted(set(random_signs(64, np.random.default_rng(0)).tolist()))
    [-1, 1]
    """
    return (2 * rng.integers(0, 2, n) - 1).astype(np.int8)


def _base_matrix(k: int) -> NDArray[np.int8]:
    if k == 1:
        return np.ones((1, 1), np.int8)
    if k in _PALEY_I:
        h = np.ones((k, k), np.int8)
        h[0, 1:] = -1
        h[1:, 1:] = _jacobsthal(k - 1) + np.eye(k - 1, dtype=np.int8)
        return h
    two, other = np.array([[1, 1], [1, -1]], np.int8), np.array([[1, -1], [-1, -1]], np.int8)
    if k in _PALEY_II:
        core = np.ones((k // 2, k // 2), np.int8)
        core[0, 0] = 0
        core[1:, 1:] = _jacobsthal(k // 2 - 1)
        return np.kron(two, core) + np.kron(other, np.eye(k // 2, dtype=np.int8))
    if k == 40:  # 39 is no prime
        return np.kron(two, _base_matrix(20))
    a, b, c, d = (_circulant(row) for row in _WILLIAMSON[k // 4])
    return np.block([[a, b, c, d], [-b, a, -d, c], [-c, d, a, -b], [-d, -c, b, a]])


def _jacobsthal(q: int) -> NDArray[np.int8]:
    """Return Q of eq. (3, 4) for the prime q."""
    character = np.full(q, -1, np.int8)
    character[np.arange(q) ** 2 % q] = 1
    character[0] = 0
    index = np.arange(q)
    return np.asarray(character[(index[:, None] - index) % q])


def _circulant(half: str) -> NDArray[np.int8]:
    """Return the symmetric circulant whose first row begins with ``half``."""
    row = np.array([1 if sign == "+" else -1 for sign in half + half[:0:-1]], np.int8)
    index = np.arange(row.size)
    return np.asarray(row[(index[None, :] - index[:, None]) % row.size])
