r"""Hadamard: a rotation that spreads outliers, while the model runs.

Where a layer's inputs are turned by R and its weights by :math:`R^T` the product is the same, and
codes of 4 bits fit both better (docs/concepts/rotations.md). Most rotations disappear into the
weights; where a nonlinear function stands in between, this operator is what is left of them. On
each block of b elements along one axis, with H the Hadamard matrix of order b = K 2^m
(`refquant.numerics.hadamard`) and signs s, one an element:

.. math::

    y &= f_{32}\bigl(H\,(s \circ x) / \sqrt b\bigr)                               \tag{1} \\
    y &= s \circ f_{32}\bigl(H^T x / \sqrt b\bigr)
        && \text{with \texttt{inverse} = 1}                                       \tag{2}

::

    x   | x0 x1 x2 x3 | x4 x5 x6 x7 |      block_size = 4 of 8 elements
    s   |  +  -  -  + |  -  +  +  - |
    y   |  H4(s x)/2  |  H4(s x)/2  |

All inside is float64, in the one order of additions of `walsh_hadamard`, then a division by
:math:`\sqrt b` rounded to float64, and one rounding to float32: the same bits on every CPU. The
additions err by at most :math:`\gamma_{m+K-1}` of :math:`\sum |x|` in float64, so a result is
within half an ulp of float32, or next to it, of the exact one; sums of integers below 2^53 over a
power of two, which is what orders 4^m have, are exact.

A NaN makes its block NaN; an infinity makes NaN and infinities of it; other blocks stay finite.
A zero is -0 where IEEE 754 says so of the sums. y may leave float32 where all of x is near its
end, for y is up to :math:`\sqrt b` times as large: it is infinite then.

Left out: other orthogonal matrices. Not an ONNX operator: a file with it says ``refquant/2``.

References
----------
Ashkboos et al., "QuaRot", arXiv:2404.00456, section 4 (stages 1b and 2b: the rotations that stay);
``docs/spec/operators.md`` section 9.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.hadamard import hadamard_base, walsh_hadamard
from refquant.ops.rescale import need_float32

__all__ = ["hadamard"]

F32 = NDArray[np.float32]


def hadamard(
    x: F32, signs: F32 | None = None, *, axis: int = -1, block_size: int = 0, inverse: int = 0
) -> F32:
    """Return eq. (1), or eq. (2) with ``inverse`` 1, along ``axis`` of ``x``.

    ``signs``: +1 and -1, one an element of the axis; None is +1 for all. ``block_size`` 0 is all of
    the axis. `ValueError` for an order without a matrix (`hadamard_base`) and blocks that do not
    divide.

    >>> x = np.array([[0, 8, 0, 0]], np.float32)
    >>> hadamard(x).tolist()
    [[4.0, -4.0, 4.0, -4.0]]
    >>> signs = np.array([1, -1, 1, 1], np.float32)
    >>> hadamard(hadamard(x, signs), signs, inverse=1).tolist()
    [[0.0, 8.0, 0.0, 0.0]]
    >>> hadamard(np.ones(8, np.float32), block_size=4).tolist()
    [2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]
    """
    size = _checked(x, signs, axis, block_size, inverse)
    moved = np.moveaxis(x, axis, -1).astype(np.float64)
    if signs is not None and not inverse:
        moved = moved * signs
    blocks = moved.reshape(*moved.shape[:-1], moved.shape[-1] // size, size)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        turned = walsh_hadamard(blocks, transpose=bool(inverse)) / np.sqrt(np.float64(size))
        y = turned.reshape(moved.shape).astype(np.float32)
    if signs is not None and inverse:
        y = y * signs
    return np.ascontiguousarray(np.moveaxis(y, -1, axis))


def _checked(x: F32, signs: F32 | None, axis: int, block_size: int, inverse: int) -> int:
    """Return the order of the matrix."""
    op = "Hadamard"
    need_float32(op, x=x, **({} if signs is None else {"signs": signs}))
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{op}: attribute axis must be in [-{x.ndim}, {x.ndim - 1}], got {axis}")
    n = x.shape[axis]
    size = block_size or n
    if size < 1 or n % size:
        raise ValueError(
            f"{op}: attribute block_size must divide the {n} elements of axis {axis}, "
            f"got {block_size}"
        )
    try:
        hadamard_base(size)
    except ValueError as error:
        raise ValueError(f"{op}: attribute block_size: {error}") from error
    if signs is not None and (signs.shape != (n,) or not (np.abs(signs) == 1).all()):
        raise ValueError(f"{op}: signs must be +1 and -1, of shape ({n},), got {signs.shape}")
    if inverse not in (0, 1):
        raise ValueError(f"{op}: attribute inverse must be 0 or 1, got {inverse!r}")
    return size
