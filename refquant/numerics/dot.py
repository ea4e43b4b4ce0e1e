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

Eq. (1) is what a model *is*. Who only wants to know about how large its activations are, to
calibrate or to compare schemes, may ask for ``sums="blas"``: the same products, in whatever order,
with whatever fused steps the machine's library takes. Such a result is near,

.. math::

    |\hat c_{mn} - c_{mn}| \le \gamma_{2K} \sum_k |a_{mk}\, b_{kn}|, \qquad
    \gamma_n = \frac{n\, 2^{-24}}{1 - n\, 2^{-24}},                                     \tag{3}

and differs between machines. It is never the default (``docs/decisions/010-fast-sums.md``).

References
----------
``docs/spec/operators.md`` sections 1 and 3; eq. (3): Higham, "Accuracy and Stability of Numerical
Algorithms", 2nd ed., section 3.1 (each of the two within gamma_K of the exact sum).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SUMS", "check_sums", "matmul_exact", "matmul_f32", "sum_f32"]

SUMS = ("ordered", "blas")
"""Eq. (1), or eq. (3)."""

_TILE = 1 << 16  # elements of a result held in cache while k runs: outputs are independent
_WIDTH = 1 << 12  # several rows share what they read of b
_BUFFER = 512  # NumPy copies operands whose rows are shorter than about a third of its buffer


def matmul_f32(
    a: NDArray[np.float32], b: NDArray[np.float32], *, sums: str = "ordered"
) -> NDArray[np.float32]:
    """Return ``a @ b``, (..., M, K) x (..., K, N) -> (..., M, N), in the order of eq. (1).

    Leading axes broadcast. Overflow gives infinities, as in IEEE arithmetic; K = 0 gives +0.0.
    ``sums="blas"``: eq. (3), not the order of eq. (1), not the same on every machine.

    >>> a = np.array([[1e8, 1.0, -1e8]], np.float32)
    >>> matmul_f32(a, np.ones((3, 1), np.float32)).tolist()
    [[0.0]]
    """
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    check_sums(sums)
    _check_shapes(a, b)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*lead, a.shape[-2], b.shape[-1])
    if b.ndim == 2:  # the rows of all leading axes meet one b
        a, lead = a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), ()
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if sums == "blas":
            product: NDArray[np.float32] = np.matmul(a, b)
            return product.reshape(shape)
        a, b = (_stacked(x, lead) for x in (a, b))
        total = np.zeros((len(a), a.shape[-2], b.shape[-1]), np.float32)
        for index, rows, columns in _tiles(total.shape):
            _rank_one_updates(a[index, rows], b[index, :, columns], total[index, rows, columns])
    return total.reshape(shape)


def _stacked(x: NDArray[np.float32], lead: tuple[int, ...]) -> NDArray[np.float32]:
    """Return ``x`` broadcast to ``lead``, which becomes one axis."""
    size = x.shape[-2:]
    return np.broadcast_to(x, (*lead, *size)).reshape(math.prod(lead), *size)


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice, slice]]:
    """Cut (matrices, rows, columns) into boxes of at most `_TILE` elements, wide ones."""
    width = max(1, min(shape[2], max(_WIDTH, _TILE // max(1, shape[1]))))
    height = max(1, min(shape[1], _TILE // width))
    depth = max(1, _TILE // (width * height))
    for i in range(0, shape[0], depth):
        for m in range(0, shape[1], height):
            for n in range(0, shape[2], width):
                yield slice(i, i + depth), slice(m, m + height), slice(n, n + width)


def _rank_one_updates(
    a: NDArray[np.float32], b: NDArray[np.float32], total: NDArray[np.float32]
) -> None:
    """Add ``a @ b`` to ``total``, every output taking its k-th step at the same time."""
    product = np.empty_like(total)
    b = np.ascontiguousarray(b)  # of a transposed matrix, every row would be gathered from afar
    before = np.setbufsize(_BUFFER)
    try:
        for k in range(a.shape[-1]):
            np.multiply(a[..., :, k, None], b[..., None, k, :], out=product)
            np.add(total, product, out=total)
    finally:
        np.setbufsize(before)


def sum_f32(x: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the sum along ``axis``, which stays with length 1: ascending, from +0.0.

    One float32 rounding a step, as in eq. (1); the sum of nothing is +0.0.

    >>> sum_f32(np.array([1e8, 1.0, -1e8], np.float32), 0).tolist()
    [0.0]
    """
    x = np.moveaxis(np.asarray(x, np.float32), axis, -1)
    if x.shape[-1] == 0:
        return np.moveaxis(np.zeros((*x.shape[:-1], 1), np.float32), -1, axis)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        # accumulate gives every partial sum, so it cannot take another order (`sum` is pairwise);
        # adding 0 turns the -0.0 of a sum of -0.0 into the +0.0 that starting at +0.0 gives
        total: NDArray[np.float32] = np.add.accumulate(x, axis=-1)[..., -1:] + np.float32(0)
    return np.moveaxis(total, -1, axis)


def check_sums(sums: str) -> None:
    """Refuse an order of sums that is none.

    >>> check_sums("ordered")
    """
    if sums not in SUMS:
        raise ValueError(f"sums must be one of {', '.join(SUMS)}; got {sums!r}")


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
