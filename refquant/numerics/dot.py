r"""Matrix products with a stated order: one float32, one exact.

A float32 sum depends on its order, so a reference must say which one it takes. Ours is the
plainest: ascending k from +0.0, each product and each sum rounded once to float32,

.. math::

    s_0 = +0, \qquad s_{k+1} = f_{32}(s_k + f_{32}(a_{mk}\, b_{kn})).           \tag{1}

No fused multiply-add, no blocking. Integer sums do not depend on their order as long as they are
exact:

.. math::

    c_{mn} = \sum_k a_{mk}\, b_{kn}, \qquad K \max|a| \max|b| < 2^{53},         \tag{2}

where the bound lets float64 hold every partial sum, whatever the order BLAS takes.

References
----------
``docs/spec/operators.md`` sections 1 and 3.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["matmul_exact", "matmul_f32"]


def matmul_f32(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``a @ b``, (..., M, K) x (..., K, N) -> (..., M, N), in the order of eq. (1).

    Leading axes broadcast. Overflow gives infinities, as in IEEE arithmetic; K = 0 gives +0.0.

    >>> a = np.array([[1e8, 1.0, -1e8]], np.float32)
    >>> matmul_f32(a, np.ones((3, 1), np.float32)).tolist()
    [[0.0]]
    """
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    _check_shapes(a, b)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    total = np.zeros((*lead, a.shape[-2], b.shape[-1]), np.float32)
    product = np.empty_like(total)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for k in range(a.shape[-1]):  # one rank-1 update: every output takes its k-th step
            np.multiply(a[..., :, k, None], b[..., None, k, :], out=product)
            np.add(total, product, out=total)
    return total


def matmul_exact(a: NDArray[np.integer[Any]], b: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the integer product ``a @ b``, (..., M, K) x (..., K, N) -> (..., M, N): eq. (2).

    float64 is only the vehicle: BLAS is fast and its sums are exact below the bound. Operands
    beyond the bound are refused; int16 codes stay below it up to K = 2**23.

    >>> matmul_exact(np.full((1, 3), -128, np.int8), np.full((3, 1), -128, np.int8)).tolist()
    [[49152]]
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind not in "iu" or b.dtype.kind not in "iu":
        raise ValueError(f"a and b must be integers, got {a.dtype} and {b.dtype}")
    _check_shapes(a, b)
    bound = a.shape[-1] * _largest(a) * _largest(b)
    if bound >= 1 << 53:
        raise ValueError(f"K * max|a| * max|b| must be below 2**53, got {bound}")
    c: NDArray[np.int64] = np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.int64)
    return c


def _largest(a: NDArray[np.integer[Any]]) -> int:
    """Return max|a| as a Python int, which cannot overflow."""
    return max(abs(int(a.min())), abs(int(a.max()))) if a.size else 0


def _check_shapes(a: NDArray[Any], b: NDArray[Any]) -> None:
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"shapes must be (..., M, K) and (..., K, N), got {a.shape} and {b.shape}")
