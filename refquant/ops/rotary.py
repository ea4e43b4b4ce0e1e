r"""RotaryEmbedding: a position as an angle.

Pairs of elements of a head are turned by an angle that grows with the position p; the dot product
of two turned vectors then depends on the difference of their positions only:

.. math::

    y_a = \cos_{p,i}\, x_a - \sin_{p,i}\, x_b, \qquad
    y_b = \sin_{p,i}\, x_a + \cos_{p,i}\, x_b                                    \tag{1}

Three roundings each: both products, then the sum. With r turned elements (all of the head, or its
first r) pair i is (a, b) = (2i, 2i + 1) if ``interleaved``, else (i, i + r/2). Files differ in
which: GGUF's Llama weights are interleaved, Hugging Face's are not, permuted in between.

Cosines and sines are constants of the model: nobody's library computes an angle here.

References
----------
ONNX ``RotaryEmbedding`` (23); Su et al., "RoFormer", 2021, eq. 34; ``docs/spec/operators.md``
section 7.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.ops.heads import join_heads, split_heads
from refquant.ops.rescale import need_float32

__all__ = ["rotary_embedding"]

Float = NDArray[np.float32]


def rotary_embedding(
    x: Float,
    cos: Float,
    sin: Float,
    positions: NDArray[Any],
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> Float:
    """Return eq. (1) for ``x`` (N, heads, T, d), or (N, T, heads * d) with ``num_heads``.

    ``cos``, ``sin`` (P, r/2); ``positions`` int32 (N, T) in [0, P); ``rotary_embedding_dim`` is r,
    0 for all of the head.

    >>> x = np.array([[[[1, 2]]]], np.float32)
    >>> zero, one = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    >>> rotary_embedding(x, zero, one, np.zeros((1, 1), np.int32)).tolist()
    [[[[-2.0, 1.0]]]]
    """
    op = "RotaryEmbedding"
    need_float32(op, x=x, cos=cos, sin=sin)
    heads = split_heads(op, "x", x, num_heads)
    r = rotary_embedding_dim or heads.shape[-1]
    _check(heads, cos, sin, positions, r)
    c, s = cos[positions][:, None], sin[positions][:, None]  # (N, 1, T, r/2)
    y = heads.copy()
    half = r // 2
    first = (..., slice(0, r, 2) if interleaved else slice(0, half))
    second = (..., slice(1, r, 2) if interleaved else slice(half, r))
    a, b = heads[first], heads[second]
    with np.errstate(over="ignore", invalid="ignore"):
        y[first] = c * a - s * b
        y[second] = s * a + c * b
    return y if x.ndim == 4 else join_heads(y)


def _check(x: Float, cos: Float, sin: Float, positions: NDArray[Any], r: int) -> None:
    op = "RotaryEmbedding"
    if r % 2 or not 0 < r <= x.shape[-1]:
        raise ValueError(
            f"{op}: attribute rotary_embedding_dim must be even and at most the head's "
            f"{x.shape[-1]}, got {r}"
        )
    if cos.ndim != 2 or cos.shape != sin.shape or cos.shape[1] != r // 2:
        raise ValueError(
            f"{op}: cos and sin must be (positions, {r // 2}), got {cos.shape} and {sin.shape}"
        )
    if positions.dtype != np.int32 or positions.shape != (x.shape[0], x.shape[2]):
        raise ValueError(
            f"{op}: positions must be int32 {(x.shape[0], x.shape[2])}, got {positions.dtype} "
            f"{positions.shape}"
        )
    if positions.size and not 0 <= positions.min() <= positions.max() < len(cos):
        raise ValueError(
            f"{op}: positions must be in [0, {len(cos) - 1}], got {int(positions.min())} to "
            f"{int(positions.max())}; shorten the sequence"
        )
