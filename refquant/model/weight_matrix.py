r"""A layer as the papers have it: a matrix (outputs, inputs), and the rows it is multiplied with.

Algorithms know matrices, :math:`y = x W^T` with W (n, k) and x (tokens, k). Layers of a graph are
that in a few layouts: ::

    operator            constant            W                        a token
    Gemm, transB        (n, k)              itself                   a row of x
    MatMul, Gemm        (k, n)              transposed               a row of the last axis
    Conv                (n, C, KH, KW)      (n, C KH KW)             the window of one output
    GRU, LSTM           (D, G H, I)         (D G H, I)               a row of x; a state, of R
    Gather              (V, ...)            (V, ...)                 none: rows are looked up

A convolution is the product of its weight with the windows of its input, one column a tap:

.. math::

    x_{t,\,(c, u, v)} = X_{c,\ i_t s_h + u d_h - p_h,\ j_t s_w + v d_w - p_w}               \tag{1}

with strides s, dilations d and padding p of zeros. Convolutions with ``group`` other than 1 are
several products, each with a few inputs; they are left to rounding, and so is `ConvTranspose`.

**Groups** are runs of columns of W. For a matrix the group size divides k; one that is larger than
k is one group a row, and one that does not divide is refused. Of a convolution's kernels a group
holds as many as divide the channels and stay within ``group_size``, for a box of the constant is
all that a file can say (docs/spec/rq-format.md, section 2).

References
----------
Frantar et al., "GPTQ", arXiv:2210.17323, the published code (convolutions unfolded to products).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.weight import QuantizedWeight, group_indices
from refquant.model.coded import Coded
from refquant.model.graph import Node
from refquant.model.quantize_weights import row_axes
from refquant.model.recipe_rules import Weights
from refquant.numerics.blocks import parameter_shape
from refquant.ops.windows import pad_spatial, plan_conv, taps

__all__ = ["Layout", "coded_of", "constant_of", "layout", "matrix_of", "tokens_of"]

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the weight of a node is cut: ``group_size`` columns (None: a row); as a block of it."""

    group_size: int | None
    block_shape: tuple[int, ...]


def layout(node: Node, shape: tuple[int, ...], rules: Weights) -> Layout:
    """Return how the weight of ``node``, of ``shape``, is cut by ``rules``.

    `ValueError`: one scale for a whole tensor, a grouped convolution, and a group size that does
    not divide the columns of a matrix.

    >>> conv = Node("c", "Conv", ("x", "w"), ("y",))
    >>> layout(conv, (8, 12, 3, 3), Weights(granularity="group", group_size=64))
    Layout(group_size=54, block_shape=(1, 6, 3, 3))
    """
    if rules.granularity == "per_tensor":
        raise ValueError(
            f"node {node.name!r}: algorithm {rules.algorithm!r} gives each row its own scales, got "
            "granularity 'per_tensor'; use 'per_channel' or 'group'"
        )
    if node.op == "ConvTranspose":
        raise ValueError(
            f"node {node.name!r}: a transposed convolution is no product of windows for algorithm "
            f'{rules.algorithm!r}; add an override with weights.algorithm = "rtn"'
        )
    if node.attributes.get("group", 1) != 1:
        raise ValueError(
            f"node {node.name!r}: a convolution in {node.attributes['group']} groups is several "
            f"small products, not one for algorithm {rules.algorithm!r}; add an override with "
            'weights.algorithm = "rtn"'
        )
    rows = row_axes(node, len(shape))
    if rules.granularity == "per_channel":
        return Layout(None, tuple(1 if i in rows else d for i, d in enumerate(shape)))
    block, room = [1] * len(shape), rules.group_size or 1
    for i in reversed(range(len(shape))):
        if i not in rows:
            block[i] = _part(node, shape[i], room)
            room = room // block[i] if block[i] == shape[i] else 1
    return Layout(math.prod(block), tuple(block))


def matrix_of(node: Node, w: NDArray[Any]) -> NDArray[Any]:
    """Return the weight ``w`` of ``node`` as a matrix (n, k), contiguous.

    >>> matrix_of(Node("y", "MatMul", ("x", "w"), ("y",)), np.array([[1, 2, 3]])).tolist()
    [[1], [2], [3]]
    """
    rows = row_axes(node, w.ndim)
    turned = w if rows[0] == 0 else np.moveaxis(w, rows[0], 0)
    count = math.prod(turned.shape[: len(rows)])
    return np.ascontiguousarray(turned.reshape(count, -1))


def constant_of(node: Node, matrix: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the ``matrix`` as the constant of ``shape`` that `matrix_of` has made it of.

    >>> constant_of(Node("y", "MatMul", ("x", "w"), ("y",)), np.array([[1], [2]]), (1, 2)).tolist()
    [[1, 2]]
    """
    rows = row_axes(node, len(shape))[0] == 0
    return np.ascontiguousarray((matrix if rows else matrix.T).reshape(shape))


def tokens_of(node: Node, x: F32, w_shape: tuple[int, ...]) -> F32:
    """Return the rows (tokens, k) that a batch ``x`` gives the matrix of ``node``: eq. (1).

    >>> conv = Node("c", "Conv", ("x", "w"), ("y",), {"pads": (1, 1)})
    >>> tokens_of(conv, np.float32([[[1, 2, 3]]]), (1, 1, 3)).tolist()
    [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 0.0]]
    """
    if node.op != "Conv":
        return x.reshape(-1, x.shape[-1])
    given = {key: node.attributes.get(key) for key in ("strides", "pads", "dilations")}
    window = plan_conv("Conv", x, np.empty(w_shape, np.int8), **_tuples(given), group=1)
    views = [view.reshape(*view.shape[:2], -1) for view in taps(pad_spatial(x, window, 0), window)]
    stacked = np.stack(views, axis=-1)  # (N, C, outputs, taps)
    return np.ascontiguousarray(stacked.transpose(0, 2, 1, 3)).reshape(-1, math.prod(w_shape[1:]))


def coded_of(node: Node, q: QuantizedWeight, shape: tuple[int, ...], cut: Layout) -> Coded:
    """Return the codes ``q`` of the matrix in the layout of the constant, of ``shape``.

    `ValueError` where the groups of ``q`` are in another order and the constant is a convolution's
    with kernels: a file can put the channels of one into any order, not the taps.

    >>> ints = np.array([[1, 2]])
    >>> q = QuantizedWeight(ints, np.float32([[1]]), np.int32([[0]]), np.array([0, 0]), 4, True)
    >>> product = Node("y", "MatMul", ("x", "w"), ("y",))
    >>> coded_of(product, q, (2, 1), Layout(None, (2, 1))).codes.tolist()
    [[1], [2]]
    """
    axes = row_axes(node, len(shape))
    rows = axes[0] == 0
    grid = parameter_shape(shape, cut.block_shape)
    g_idx = None
    k = q.codes.shape[1]
    if not np.array_equal(q.g_idx, group_indices(k, group_size=cut.group_size)):
        if math.prod(shape[len(axes) + 1 :]) != 1:
            raise ValueError(
                f"node {node.name!r}: act_order makes groups of taps that are no neighbours, which "
                'no file can say of a convolution; use groups = "static"'
            )
        along = tuple(k if i == (len(axes) if rows else 0) else 1 for i in range(len(shape)))
        g_idx = q.g_idx.astype(np.int32).reshape(along)
    zero_point = q.zero_point
    if zero_point.dtype.kind in "iu":
        zero_point = zero_point.astype(np.int32)
    dtype = f"{'int' if q.signed else 'uint'}{q.num_bits}"
    parts = [constant_of(node, a, to)
             for a, to in ((q.codes, shape), (q.scale, grid), (zero_point, grid))]  # fmt: skip
    return Coded(dtype, parts[0], parts[1], parts[2], cut.block_shape, g_idx)


def _part(node: Node, size: int, room: int) -> int:
    """Return how many of ``size`` a block takes: all that divide them, at most ``room``."""
    if node.op == "Conv":
        return max(part for part in range(1, min(room, size) + 1) if size % part == 0)
    if room < size and size % room:
        raise ValueError(
            f"node {node.name!r}: group_size divides the {size} inputs of the layer, got {room}; "
            "use another one, or granularity per_channel, or algorithm rtn, by an override of this "
            "node"
        )
    return min(room, size)


def _tuples(given: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value is None else tuple(value) for key, value in given.items()}
