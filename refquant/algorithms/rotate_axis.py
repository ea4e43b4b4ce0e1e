r"""Turning one axis of one constant: the pieces that rotations of whole graphs are made of.

A rotation of a value is a rotation of everything that touches it: the outputs of who writes it, the
inputs of who reads it. Each is one axis of a constant: ::

    constant               writes to the value       reads the value
    MatMul, Gemm (k, n)    axis 1                    axis 0
    Gemm transB (n, k)     axis 0                    axis 1
    Conv (n, k, ...)       axis 0                    axis 1
    bias, table, (..., n)  the last

With R as in `refquant.algorithms.rotation` on each block of b neighbours, and
:math:`M = I - 1 1^T / n`, which takes the mean away,

.. math::

    w &\leftarrow R\, w, \qquad R = I_{n/b} \otimes H_b \operatorname{diag}(s) / \sqrt b \tag{1} \\
    w &\leftarrow M\, w                                                                     \tag{2}

along that axis. (2) is what LayerNorm needs, which subtracts a mean that no rotation preserves:
taken away earlier, by whoever writes to the stream, it leaves an RMS norm behind,

.. math::

    \mathrm{LN}(x) = \gamma \circ \frac{M x}{\mathrm{rms}(M x)} + \beta                 \tag{3}

All is float64, every sum in a fixed order; whoever calls rounds once, at the end.

The signs s come from SHAKE-256 and not from a random generator of NumPy, whose streams may change
with its version.

References
----------
Ashkboos et al., "QuaRot", arXiv:2404.00456, section 4; Ashkboos et al., "SliceGPT",
arXiv:2401.15024, section 3.2 (eq. 3); FIPS 202 (SHAKE-256).
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.hadamard import walsh_hadamard

__all__ = ["centre_axis", "rotate_axis", "seeded_signs"]

F64 = NDArray[np.float64]
Signs = NDArray[np.int8]

_ROWS = 512  # as many vectors at a time as a cache holds: the same bits, sooner


def rotate_axis(w: F64, signs: Signs, *, axis: int, block_size: int) -> F64:
    """Return ``w`` float64 with each run of ``signs.size`` along ``axis`` turned by R: eq. (1).

    ``signs`` int8 +1 and -1. `ValueError` for sizes that do not divide, and as `hadamard_base`.

    >>> w = np.array([[3.0, 1.0, 0.0, 4.0]])
    >>> rotate_axis(w, np.int8([1, -1, 1, 1]), axis=1, block_size=2).round(3).tolist()
    [[1.414, 2.828, 2.828, -2.828]]
    """
    n, size = w.shape[axis], signs.size
    if size < 1 or n % size or block_size < 1 or size % block_size:
        raise ValueError(
            f"block_size must divide the signs, and these the {n} elements of axis {axis}, got "
            f"{block_size} and {size}"
        )
    moved = np.ascontiguousarray(np.moveaxis(w, axis, -1))
    rows = moved.reshape(-1, size // block_size, block_size)
    many = signs.astype(np.float64).reshape(-1, block_size)
    root = np.sqrt(np.float64(block_size))
    turned = np.empty_like(rows)
    for i in range(0, len(rows), _ROWS):
        part = slice(i, i + _ROWS)
        turned[part] = walsh_hadamard(rows[part] * many, transpose=False) / root
    return np.ascontiguousarray(np.moveaxis(turned.reshape(moved.shape), -1, axis))


def centre_axis(w: F64, *, axis: int) -> F64:
    """Return ``w`` float64 less its mean along ``axis``: eq. (2). The sum ascends.

    >>> centre_axis(np.array([[1.0, 3.0], [2.0, 2.0]]), axis=1).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    moved = np.moveaxis(w, axis, 0)
    total = np.zeros(moved.shape[1:])
    for row in moved:
        total = total + row
    return np.ascontiguousarray(np.moveaxis(moved - total / w.shape[axis], 0, axis))


def seeded_signs(n: int, *, seed: int, name: str) -> Signs:
    """Return n signs, int8, that ``seed`` and ``name`` say.

    Bit i of SHAKE-256 of the UTF-8 text ``refquant signs <seed> <name>``, the lowest bit of a byte
    first; a bit of 1 is -1.

    >>> seeded_signs(8, seed=0, name="x").tolist()
    [-1, -1, 1, 1, 1, 1, 1, 1]
    """
    text = f"refquant signs {seed} {name}".encode()
    data = np.frombuffer(hashlib.shake_256(text).digest(-(-n // 8)), np.uint8)
    bits = np.unpackbits(data, bitorder="little")[:n]
    return 1 - 2 * bits.astype(np.int8)
