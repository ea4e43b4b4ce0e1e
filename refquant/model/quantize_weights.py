r"""Weights become codes: blocks, ranges, scales.

A weight tensor is known whole, so its ranges need no calibration data. Where its rows are depends
on the operator: axis 0 of `Conv`, `Gather` and `Gemm` with ``transB``, axis 1 of `ConvTranspose`
(of each of its groups), axes 0 and 1 of `GRU` and `LSTM`, the last axis otherwise. A granularity is
a block shape (`refquant.numerics.blocks`), and a **group** runs along the other axes:
``[group_size, 1]`` of ``[K, N]``; for a convolution as many whole kernels as fit,
``[1, max(1, group_size // (KH*KW)), KH, KW]``, and rows or parts of rows of a kernel that does not
fit, so that no block holds more than ``group_size`` weights.

The observer ``minmax`` spans each block. ``mse_grid`` tries, for each block, the ranges

.. math::

    (f_i\,lo,\ f_i\,hi), \qquad f_i = 1 - i / 100, \quad i = 0 \dots 80                    \tag{1}

and keeps the one of least :math:`\sum (w - \hat w)^2`; of equal ones the widest, so it is never
worse than ``minmax`` by that measure.

Depthwise weights (one input channel each) keep 8 bits per channel unless an override says
otherwise: they are few, and each is summed with too few others for its error to average out.

Source: Krishnamoorthi, arXiv:1806.08342, section 3; (1): Frantar et al., "GPTQ", arXiv:2210.17323,
the quantizer of the published code.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams, fake_quantize
from refquant.model.build import Builder
from refquant.model.channels import channel_axis, channel_count, groups_of
from refquant.model.graph import Graph, Node, Quant
from refquant.model.recipe import Weights
from refquant.numerics.blocks import per_tensor, reduce_blocks

__all__ = [
    "WEIGHTED",
    "add_codes",
    "add_float",
    "has_constant_weight",
    "is_depthwise",
    "row_axes",
    "weight_block",
    "weight_qparams",
]

Float = NDArray[np.float32]

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""The operators that compute with codes, too; their weight is the second input."""

_FACTORS = tuple(1 - i / 100 for i in range(81))


def has_constant_weight(graph: Graph, node: Node) -> bool:
    """Say whether ``node`` has a float32 weight, and perhaps a bias, that are constants.

    The weight of a `MatMul` is a matrix; a bias is a vector with an element a channel.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> y = b.node("MatMul", [b.input("x", ("N", 2)), b.constant("w", np.ones((2, 3), np.float32))])
    >>> g = b.graph([y])
    >>> has_constant_weight(g, g.nodes[0])
    True
    """
    if node.op not in WEIGHTED:
        return False
    weight, bias = graph.constants.get(node.inputs[1]), (*node.inputs, "")[2]
    if weight is None or (node.op == "MatMul" and weight.ndim != 2):
        return False
    channels = (channel_count(node, weight.shape),)
    return not bias or (bias in graph.constants and graph.constants[bias].shape == channels)


def row_axes(node: Node, ndim: int) -> tuple[int, ...]:
    """Return the axes of a weight of ``ndim`` axes that nothing is summed over: those of its rows.

    >>> row_axes(Node("g", "GRU", ("x", "w", "r"), ("y", "h")), 3)
    (0, 1)
    """
    if node.op in ("GRU", "LSTM"):
        return (0, 1)
    return (0,) if node.op == "Gather" else (channel_axis(node, ndim),)


def is_depthwise(node: Node, shape: tuple[int, ...]) -> bool:
    """Say whether each output channel reads one of several input channels.

    >>> is_depthwise(Node("c", "Conv", ("x", "w"), ("y",), {"group": 8}), (8, 1, 3, 3))
    True
    """
    convolution = node.op in ("Conv", "ConvTranspose")
    return convolution and node.attributes.get("group", 1) != 1 and shape[1] == 1


def weight_block(node: Node, shape: tuple[int, ...], rules: Weights) -> tuple[int, ...] | None:
    """Return the block of the weight of ``node`` that shares a scale; None: all of it.

    >>> conv = Node("c", "Conv", ("x", "w"), ("y",))
    >>> weight_block(conv, (64, 32, 3, 3), Weights(granularity="group", group_size=32))
    (1, 3, 3, 3)
    """
    rows = row_axes(node, len(shape))
    if rules.granularity == "per_tensor":
        return None
    if rules.granularity == "per_channel":
        each = tuple(1 if i in rows else d for i, d in enumerate(shape))
        return (each[0] // groups_of(node), *each[1:]) if node.op == "ConvTranspose" else each
    block, room = [1] * len(shape), rules.group_size or 1
    for i in reversed(range(len(shape))):
        if i not in rows:
            block[i] = max(1, min(room, shape[i]))
            room //= block[i]
    return tuple(block)


def weight_qparams(
    w: Float,
    rules: Weights,
    *,
    block: tuple[int, ...] | None,
    contract: Contract,
    name: str = "w",
) -> QParams:
    """Return the parameters of the weight ``w``, one scale for each ``block``.

    ``w`` is float32, finite, not empty; `ValueError` with its ``name`` otherwise.

    >>> from refquant.contracts import preset
    >>> w = np.array([[1.0, -2.0], [0.5, 4.0]], np.float32)
    >>> p = weight_qparams(w, Weights(), block=(1, 2), contract=preset("onnx"))
    >>> (p.scale * 127).tolist(), p.dtype
    ([[2.0], [4.0]], 'int8')
    """
    if w.size == 0 or not np.isfinite(w).all():
        bad = int(np.count_nonzero(~np.isfinite(w)))
        raise ValueError(
            f"weight {name!r} must be finite and not empty, got {bad} NaN or infinity in {w.size} "
            "elements; train or clean the model first"
        )
    whole = per_tensor(w.shape) if block is None else block
    lo, hi = (reduce_blocks(w, whole, fn) for fn in ("min", "max"))
    if block is None:
        lo, hi = lo.reshape(()), hi.reshape(())
    if rules.observer == "minmax":
        return _chosen(lo, hi, rules, block, contract)
    best, least = np.ones(lo.shape, np.float32), np.full(lo.shape, np.inf)
    for factor in np.asarray(_FACTORS, np.float32):
        tried = _chosen(lo * factor, hi * factor, rules, block, contract)
        error = (fake_quantize(w, tried, contract=contract).astype(np.float64) - w) ** 2
        cost = _sum_blocks(error, whole).reshape(lo.shape)
        best, least = np.where(cost < least, factor, best), np.minimum(cost, least)
    return _chosen(lo * best, hi * best, rules, block, contract)


def add_codes(
    b: Builder, name: str, codes: NDArray[Any], qparams: QParams, *, suffix: str = ""
) -> str:
    """Add the constant ``name`` of ``codes`` and its parameters to ``b``; return its name.

    The parameters are called ``name/scale`` and ``name/zero_point``; a zero point that is 0
    everywhere is the number 0. The same constant twice is added once; another one of the same name
    is called ``name/suffix``.

    >>> b = Builder("g")
    >>> p = QParams(np.float32([[0.5], [2]]), np.int32([[0], [0]]), (1, 2), "int8")
    >>> add_codes(b, "w", np.int8([[1, 2], [3, 4]]), p)
    'w'
    >>> sorted(b.constants)
    ['w', 'w/scale']
    """
    scale, zero_point = np.asarray(qparams.scale), np.asarray(qparams.zero_point)
    block = qparams.block_shape
    plain_zero = block is None or not zero_point.any()
    quant = Quant(
        float(scale) if block is None else b.free(f"{name}/scale"),
        int(zero_point.reshape(-1)[0]) if plain_zero else b.free(f"{name}/zero_point"),
        block,
    )
    if name in b.constants:
        held = b.values[name]
        same = (held.dtype, held.quant) == (qparams.dtype, quant)
        if same and np.array_equal(b.constants[name], codes) and _holds(b, quant, qparams):
            return name
        return add_codes(b, b.free(f"{name}/{suffix}"), codes, qparams)
    if isinstance(quant.scale, str):
        b.constant(quant.scale, scale)
    if isinstance(quant.zero_point, str):
        b.constant(quant.zero_point, zero_point)
    return b.constant(name, codes, dtype=qparams.dtype, quant=quant)


def add_float(b: Builder, graph: Graph, name: str) -> str:
    """Add the float32 constant ``name`` of ``graph`` unless it is there; return its name.

    If codes have the name, the float32 constant is called ``name/float``.

    >>> b = Builder("g")
    >>> w = b.constant("w", np.zeros(2, np.float32))
    >>> g = b.graph([b.node("Add", [b.input("x", ("N", 2)), w])])
    >>> add_float(Builder("h"), g, "w")
    'w'
    """
    if name not in graph.constants:
        return name
    if name in b.constants and b.values[name].quant is not None:
        name, array = b.free(f"{name}/float"), graph.constants[name]
    else:
        array = graph.constants[name]
    return name if name in b.constants else b.constant(name, array)


def _chosen(
    lo: Any, hi: Any, rules: Weights, block: tuple[int, ...] | None, contract: Contract
) -> QParams:
    return choose_qparams(
        lo,
        hi,
        dtype=rules.dtype,
        symmetric=rules.symmetric,
        contract=contract,
        block_shape=block,
    )


def _sum_blocks(x: NDArray[np.float64], block: tuple[int, ...]) -> NDArray[np.float64]:
    for axis, size in enumerate(block):
        x = np.add.reduceat(x, np.arange(0, x.shape[axis], size), axis=axis)
    return x


def _holds(b: Builder, quant: Quant, qparams: QParams) -> bool:
    """Say whether the parameters named in ``quant`` are those of ``qparams``."""
    named = ((quant.scale, qparams.scale), (quant.zero_point, qparams.zero_point))
    return all(not isinstance(n, str) or np.array_equal(b.constants[n], a) for n, a in named)
