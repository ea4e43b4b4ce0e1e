r"""The triangular factor that GPTQ walks along, with the same bits everywhere.

GPTQ needs of the Hessian only the upper triangular U with

.. math::

    (H + \lambda I)^{-1} = U^T U, \qquad
    \lambda = damp \cdot \frac{1}{k} \sum_j H_{jj}                                      \tag{1}

Published codes invert H by one Cholesky factorization and factor the inverse by another. One is
enough. Reverse the order of rows and columns (J), factor, and invert the triangle:

.. math::

    J (H + \lambda I) J = L L^T \quad\Rightarrow\quad U = J L^{-1} J                    \tag{2}

because :math:`(H + \lambda I)^{-1} = J L^{-T} L^{-1} J`, and J on both sides of a lower triangle is
an upper one. The factorization goes by blocks: a diagonal block element by element, in column
order; the panel below it by the block's inverse; what remains by

.. math::

    A_{22} \leftarrow A_{22} - L_{21} L_{21}^T                                          \tag{3}

and the inverse by halves:

.. math::

    \begin{pmatrix} A & 0 \\ B & C \end{pmatrix}^{-1} =
    \begin{pmatrix} A^{-1} & 0 \\ -C^{-1} (B A^{-1}) & C^{-1} \end{pmatrix}             \tag{4}

LAPACK would do the same, in an order that depends on the CPU and the number of threads. Here all
products are ``matmul_sliced``'s, the rest is element by element, so no bit depends on either.

**Damping.** A Hessian of fewer tokens than columns is singular; :math:`\lambda` mends that. If a
pivot is still not positive, damp grows by ``damp_increment`` until the factorization succeeds or
damp reaches 1, which is an error: codes from there would be a silently bad model.

References
----------
Frantar et al., "GPTQ", arXiv:2210.17323, section 3.3 step 3; GPTQModel ``damp_auto_increment``.
"""

import math

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.sliced_matmul import matmul_sliced

__all__ = ["inverse_factor"]

F64 = NDArray[np.float64]

BLOCK = 128


def inverse_factor(h: F64, *, damp: float, damp_increment: float) -> tuple[F64, float]:
    """Return U of eq. (1), float64 (k, k), upper triangular, and the damp that was used.

    ``h`` is float64 (k, k), symmetric and finite, which ``gptq`` checks. ``damp`` in [0, 1),
    ``damp_increment`` at least 0.001, or 0, which tries once.
    ``ValueError`` if no damp below 1 makes h positive definite.

    >>> u, damp = inverse_factor(np.array([[4.0, 0.0], [0.0, 16.0]]), damp=0.0, damp_increment=0.0)
    >>> u.tolist(), damp
    ([[0.5, 0.0], [0.0, 0.25]], 0.0)
    """
    if not 0 <= damp < 1 or not (damp_increment == 0 or damp_increment >= 0.001):
        raise ValueError(
            "damp must be in [0, 1) and damp_increment 0 or at least 0.001 (a thousand attempts), "
            f"got {damp} and {damp_increment}"
        )
    k = h.shape[0]
    mean = math.fsum(np.diag(h).tolist()) / k  # fsum: one rounding, whatever the order
    tried = 0
    while (now := damp + tried * damp_increment) < 1:
        a = np.array(h[::-1, ::-1], np.float64)
        a[np.arange(k), np.arange(k)] += now * mean
        if (lower := _cholesky(a)) is not None:
            return np.ascontiguousarray(_inverse(lower)[::-1, ::-1]), now
        tried += 1
        if damp_increment == 0:
            break
    raise ValueError(
        f"h must be positive definite after damping, but is not with damp {damp} and "
        f"damp_increment {damp_increment}, after {tried} attempts; use more calibration data"
    )


def _cholesky(a: F64) -> F64 | None:
    """Return L, or None where a pivot is not positive; overwrites ``a``: eq. (3)."""
    k = a.shape[0]
    lower = np.zeros_like(a)
    for start in range(0, k, BLOCK):
        stop = min(start + BLOCK, k)
        block = _small_cholesky(a[start:stop, start:stop])
        if block is None:
            return None
        lower[start:stop, start:stop] = block
        if stop < k:
            panel = matmul_sliced(a[stop:, start:stop], _small_inverse(block).T)
            lower[stop:, start:stop] = panel
            a[stop:, stop:] -= matmul_sliced(panel, panel.T)
    return lower


def _inverse(lower: F64) -> F64:
    """Return the inverse of a lower triangle by halves: eq. (4)."""
    k = lower.shape[0]
    if k <= BLOCK:
        return _small_inverse(lower)
    half = (k // BLOCK + 1) // 2 * BLOCK
    result = np.zeros_like(lower)
    first, second = _inverse(lower[:half, :half]), _inverse(lower[half:, half:])
    result[:half, :half], result[half:, half:] = first, second
    result[half:, :half] = -matmul_sliced(second, matmul_sliced(lower[half:, :half], first))
    return result


def _small_cholesky(a: F64) -> F64 | None:
    """Return L of one block, column by column, each step element by element."""
    a = a.copy()
    lower = np.zeros_like(a)
    for j in range(a.shape[0]):
        if not (a[j, j] > 0 and np.isfinite(a[j, j])):
            return None
        column = a[j:, j] / np.sqrt(a[j, j])  # the square root is correctly rounded everywhere
        lower[j:, j] = column
        a[j + 1 :, j + 1 :] -= column[1:, None] * column[None, 1:]
    return lower


def _small_inverse(lower: F64) -> F64:
    """Return the inverse of one lower block by forward substitution, element by element."""
    inverse = np.eye(lower.shape[0])
    for j in range(lower.shape[0]):
        inverse[j] /= lower[j, j]
        inverse[j + 1 :] -= lower[j + 1 :, j, None] * inverse[None, j]
    return inverse
