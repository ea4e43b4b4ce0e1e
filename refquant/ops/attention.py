r"""Attention: each position takes a weighted mean of what other positions offer.

A query q is compared with every key k; the softmax of the scores weighs the values v. For query i,
key j, head h, with H query heads and G key heads (H a multiple of G: grouped queries):

.. math::

    s_{ij} &= f_{32}(f_{32}(q_i \cdot k_j)\, \sigma) + m_{ij}, \qquad
    \sigma = f_{32}(1 / \sqrt d) \text{ unless given}                           \tag{1} \\
    y_i &= \textstyle\sum_j p_{ij}\, v_j, \qquad p_i = \mathrm{softmax}(s_i)     \tag{2} \\
    g(h) &= \lfloor h\, G / H \rfloor \quad \text{(the key head of query head h)} \tag{3}

Both dot products ascend (in d, in j); the mask m is added if there is one; ``is_causal`` then sets
the score to minus infinity where j > i. A query that may see nothing is NaN.

ONNX lets an implementation multiply q and k by the root of the scale each; here the score is
multiplied, once.

Left out: past keys and values, boolean masks (add 0 or a large negative number), ``softcap``,
``qk_matmul_output_mode``.

References
----------
ONNX ``Attention`` (23); Vaswani et al., "Attention is all you need", 2017, eq. 1; Ainslie et al.,
"GQA", 2023; ``docs/spec/operators.md`` section 7.
"""

import math

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.dot import matmul_f32
from refquant.numerics.elementary import softmax
from refquant.ops.heads import join_heads, split_heads
from refquant.ops.rescale import need_float32

__all__ = ["attention"]

Float = NDArray[np.float32]


def attention(
    q: Float,
    k: Float,
    v: Float,
    mask: Float | None = None,
    *,
    is_causal: int = 0,
    q_num_heads: int = 0,
    kv_num_heads: int = 0,
    scale: float | None = None,
    sums: str = "ordered",
) -> Float:
    """Return eqs. (1) to (3): (N, H, T, d), or (N, T, H * d) for operands of 3 axes.

    ``q`` (N, H, T, d), ``k`` (N, G, S, d), ``v`` (N, G, S, e), or all with 3 axes and the numbers
    of heads as attributes; ``mask`` float32, broadcast to (N, H, T, S). ``sums``: see
    `refquant.numerics.dot`.

    >>> q = np.zeros((1, 1, 2, 1), np.float32)
    >>> v = np.array([[[[2], [4]]]], np.float32)
    >>> attention(q, q, v).tolist(), attention(q, q, v, is_causal=1).tolist()
    ([[[[3.0], [3.0]]]], [[[[2.0], [3.0]]]])
    """
    op = "Attention"
    need_float32(op, q=q, k=k, v=v, **({} if mask is None else {"mask": mask}))
    if not q.ndim == k.ndim == v.ndim:
        raise ValueError(
            f"{op}: q, k, v must have equal numbers of axes, got {q.ndim}, {k.ndim}, {v.ndim}"
        )
    heads = split_heads(op, "q", q, q_num_heads)
    keys, values = split_heads(op, "k", k, kv_num_heads), split_heads(op, "v", v, kv_num_heads)
    group = _check(heads, keys, values)
    keys, values = np.repeat(keys, group, axis=1), np.repeat(values, group, axis=1)  # eq. (3)
    factor = np.float32(1 / math.sqrt(heads.shape[-1]) if scale is None else scale)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scores = matmul_f32(heads, keys.swapaxes(-1, -2), sums=sums) * factor
        if mask is not None:
            scores = _masked(scores, mask)
    if is_causal:
        later = np.arange(keys.shape[2]) > np.arange(heads.shape[2])[:, None]
        scores = np.where(later, np.float32(-np.inf), scores)
    y = matmul_f32(softmax(scores), values, sums=sums)
    return y if q.ndim == 4 else join_heads(y)


def _masked(scores: Float, mask: Float) -> Float:
    try:
        fits = np.broadcast_shapes(scores.shape, mask.shape) == scores.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"Attention: the mask must broadcast to {scores.shape}, got {mask.shape}")
    return scores + mask


def _check(q: Float, k: Float, v: Float) -> int:
    """Return how many query heads share a key head."""
    same = q.shape[0] == k.shape[0] == v.shape[0] and k.shape[1:3] == v.shape[1:3]
    if (
        not same
        or q.shape[3] != k.shape[3]
        or 0 in (q.shape[3], v.shape[3], k.shape[1], k.shape[2])
    ):
        raise ValueError(
            f"Attention: q, k, v must be (N, H, T, d), (N, G, S, d), (N, G, S, e) with d, e, G, S "
            f">= 1, got {q.shape}, {k.shape}, {v.shape}"
        )
    if q.shape[1] % k.shape[1]:
        raise ValueError(
            f"Attention: the {q.shape[1]} query heads must be a multiple of the {k.shape[1]} key "
            "heads"
        )
    return int(q.shape[1] // k.shape[1])
