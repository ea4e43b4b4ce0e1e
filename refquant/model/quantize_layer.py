r"""One layer: from its weight, its rules and what it reads to codes, and how much they cost.

The algorithm is a function of `refquant.algorithms`; here it gets what it asks for. ::

    rtn       the weight                               blocks may be ragged
    gptq      the Hessian of its inputs                a table's scales are made beforehand
    awq       the inputs, some of them, and a Hessian  clip search; its scales have moved before
    hqq       the weight                               float zero points
    kquant    the weight, or its inputs' mean squares  float zero points
    adaround  the Hessian of its inputs                rtn's rulers

The cost of :math:`\hat W` is measured where the inputs are known on the outputs, with the same
Hessian, :math:`H = \frac{2}{T} \sum_t x_t x_t^T`,

.. math::

    loss = \frac{\sum_t \lVert (\hat W - W) x_t \rVert^2}{\sum_t \lVert W x_t \rVert^2}
         = \frac{\sum_i [(\hat W - W) H (\hat W - W)^T]_{ii}}{\sum_i [W H W^T]_{ii}}        \tag{1}

and else on the weights, as if H were the identity. 0.01 is an output SNR of 20 dB. In float64, in
an order that no CPU changes (`matmul_sliced`). An output of zeros has no ratio: None.

References
----------
Frantar et al., "GPTQ", arXiv:2210.17323, eq. (1) (the objective).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.awq import CLIP_GRID, MAX_SHRINK
from refquant.algorithms.awq_clip import clip_groups, search_clip
from refquant.algorithms.clipping import ordered_sum
from refquant.algorithms.gptq import GptqSettings, gptq
from refquant.algorithms.gptq_target import AffineTarget
from refquant.algorithms.hessian import Hessian
from refquant.algorithms.hqq import hqq
from refquant.algorithms.weight import QuantizedWeight
from refquant.contracts import Contract
from refquant.formats.affine import quantize
from refquant.model.coded import Coded, coded_reals, from_qparams
from refquant.model.encode_gptq import gptq_table
from refquant.model.encode_tables import encode_weight
from refquant.model.fit_layer import adaround_layer, clip_of, kquant_layer, rounded, seen_by_gptq
from refquant.model.graph import DTYPES, Node
from refquant.model.quantize_weights import weight_block, weight_qparams
from refquant.model.recipe_rules import Weights
from refquant.model.weight_matrix import Layout, coded_of, layout, matrix_of
from refquant.numerics.sliced_matmul import matmul_sliced

__all__ = ["Seen", "loss", "quantize_layer", "round_layer", "spread"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Tokens = Callable[[], Iterator[F32]]

_ROWS = 4096  # in float64 at a time: a vocabulary has 50,000


@dataclass(frozen=True, slots=True)
class Seen:
    """What a layer reads: its ``hessian``, and a function that gives the tokens once more."""

    hessian: Hessian
    tokens: Tokens


def quantize_layer(
    node: Node, w: F32, rules: Weights, *, contract: Contract, seen: Seen | None, name: str
) -> tuple[Coded, dict[str, Any]]:
    """Return the codes of the weight ``w`` of ``node`` and a record of what they cost: eq. (1).

    ``seen`` is None for an algorithm without data. The record is JSON: ``loss``, the ``measure``
    (``outputs`` or ``weights``), and what the algorithm had to decide. ``name`` is the weight's.

    >>> from refquant.contracts import preset
    >>> node = Node("y", "MatMul", ("x", "w"), ("y",))
    >>> w = np.array([[1.0], [7.0]], np.float32)
    >>> done = quantize_layer(node, w, Weights(bits=4), contract=preset("ort"), seen=None, name="w")
    >>> done[0].codes.tolist(), done[1]["loss"] < 0.01
    ([[1], [7]], True)
    """
    found: dict[str, Any] = {}
    if rules.algorithm == "rtn":
        coded = round_layer(node, w, rules, contract=contract, name=name)
    else:
        cut = layout(node, w.shape, rules)
        matrix = matrix_of(node, w)
        try:
            if rules.format != "affine":
                coded, found = _gptq_table(node, w, rules, cut, seen)
            else:
                q, found = _ALGORITHMS[rules.algorithm](matrix, rules, cut, contract, seen)
                coded = coded_of(node, q, w.shape, cut)
        except ValueError as error:
            raise ValueError(f"node {node.name!r}, weight {name!r}: {error}") from error
    h = None if seen is None else seen.hessian.matrix()
    cost = loss(matrix_of(node, w), matrix_of(node, coded_reals(coded)), h)
    return coded, {"loss": cost, "measure": "weights" if h is None else "outputs", **found}


def round_layer(node: Node, w: F32, rules: Weights, *, contract: Contract, name: str) -> Coded:
    """Return the weight ``w`` of ``node`` rounded to nearest; blocks may be ragged.

    >>> from refquant.contracts import preset
    >>> node = Node("y", "MatMul", ("x", "w"), ("y",))
    >>> w = np.array([[1.0], [7.0]], np.float32)
    >>> round_layer(node, w, Weights(bits=4), contract=preset("ort"), name="w").codes.tolist()
    [[1], [7]]
    """
    block = weight_block(node, w.shape, rules)
    if rules.format != "affine":
        return encode_weight(w, format=rules.format, block_shape=block, name=name)
    qparams = weight_qparams(w, rules, block=block, contract=contract, name=name)
    return from_qparams(quantize(w, qparams, contract=contract), qparams)


def loss(w: F32, rounded: F32, h: F64 | None) -> float | None:
    """Return eq. (1) of matrices (n, k), with ``h`` (k, k) or the identity; None for 0 / 0.

    >>> loss(np.float32([[1, 2]]), np.float32([[1, 1.5]]), None)
    0.05
    """
    error, size = _norm(rounded, w, h), _norm(w, np.zeros_like(w), h)
    return error / size if size > 0 else None


def spread(seen: Seen, samples: int) -> F32:
    """Return at most about ``samples`` tokens (samples, k), every so-many-th of all.

    >>> h = Hessian(1).update(np.float32([[1], [2], [3], [4]]))
    >>> spread(Seen(h, lambda: iter([np.float32([[1], [2], [3]]), np.float32([[4]])])), 2).tolist()
    [[1.0], [3.0]]
    """
    step, begin, taken = max(1, seen.hessian.count // samples), 0, []
    for batch in seen.tokens():
        first = -begin % step
        taken.append(batch[first::step])
        begin += len(batch)
    return np.concatenate(taken)


def _gptq(
    w: F32, rules: Weights, cut: Layout, contract: Contract, seen: Seen | None
) -> tuple[QuantizedWeight, dict[str, Any]]:
    assert seen is not None, "it needs data"
    settings, h = _gptq_settings(w.shape[1], rules, cut, seen), seen.hessian.matrix()
    target = AffineTarget(dtype=rules.dtype, symmetric=rules.symmetric, contract=contract,
                          clip=clip_of(rules, contract))  # fmt: skip
    result = gptq(w, h, target=target, settings=settings)
    dtype = DTYPES[rules.dtype]
    scale = np.stack([np.asarray(ruler.scale) for ruler in result.rulers], axis=1)
    zero_point = np.stack([np.asarray(ruler.zero_point) for ruler in result.rulers], axis=1)
    parts = result.codes, scale, zero_point, result.g_idx
    q = QuantizedWeight(*parts, num_bits=dtype.bits, signed=dtype.qmin < 0)
    return q, {"damp": result.damp, **seen_by_gptq(h, seen.hessian.count)}


def _gptq_settings(k: int, rules: Weights, cut: Layout, seen: Seen) -> GptqSettings:
    """Return what the recipe says of the walk over ``k`` columns, if there are data enough."""
    assert rules.gptq is not None, "Weights sets it"
    told, count = rules.gptq, seen.hessian.count
    if count < k and not told.few_tokens:
        raise ValueError(
            f"calibration has {count} tokens for {k} inputs: fewer cannot tell GPTQ which of them "
            "move together; pass more samples, or say few_tokens = true in [weights.gptq] "
            "(--few-tokens)"
        )
    return GptqSettings(group_size=cut.group_size, groups=told.groups, act_order=told.act_order,
                        block_size=told.block_size, damp=float(told.damp),
                        damp_increment=float(told.damp_increment))  # fmt: skip


def _gptq_table(
    node: Node, w: F32, rules: Weights, cut: Layout, seen: Seen | None
) -> tuple[Coded, dict[str, Any]]:
    assert seen is not None, "it needs data"
    k = matrix_of(node, w).shape[1]
    settings = _gptq_settings(k, rules, cut, seen)
    h = seen.hessian.matrix()
    coded, damp = gptq_table(node, w, h, format=rules.format, cut=cut, settings=settings)
    return coded, {"damp": damp, **seen_by_gptq(h, seen.hessian.count)}


def _awq(
    w: F32, rules: Weights, cut: Layout, contract: Contract, seen: Seen | None
) -> tuple[QuantizedWeight, dict[str, Any]]:
    assert seen is not None, "it needs data"
    assert rules.awq is not None, "Weights sets it"
    size = cut.group_size or w.shape[1]

    def rounding(weights: F32) -> QuantizedWeight:
        return rounded(weights, rules, size, contract)

    clipped = w
    if rules.awq.clip:
        x = spread(seen, rules.awq.samples)
        limit = search_clip(
            w,
            x,
            rounding=rounding,
            group_size=size,
            grid=CLIP_GRID,
            max_shrink=MAX_SHRINK,
            max_samples=len(x),
        )
        clipped = clip_groups(w, limit)
    share = float(np.count_nonzero(clipped != w)) / w.size
    return rounding(clipped), {"clipped": share, "tokens": seen.hessian.count}


def _hqq(
    w: F32, rules: Weights, cut: Layout, contract: Contract, seen: Seen | None
) -> tuple[QuantizedWeight, dict[str, Any]]:
    assert rules.hqq is not None, "Weights sets it"
    size = cut.group_size or w.shape[1]
    return hqq(w, num_bits=rules.bits, group_size=size, settings=rules.hqq.settings()), {}


def _from_rulers(
    w: F32, rules: Weights, cut: Layout, contract: Contract, seen: Seen | None
) -> tuple[QuantizedWeight, dict[str, Any]]:
    hessian, size = None if seen is None else seen.hessian, cut.group_size or w.shape[1]
    if rules.algorithm == "kquant":
        return kquant_layer(w, rules, size, hessian)
    return adaround_layer(w, rules, size, contract, hessian)


_ALGORITHMS: dict[str, Callable[..., tuple[QuantizedWeight, dict[str, Any]]]] = {
    "gptq": _gptq,
    "awq": _awq,
    "hqq": _hqq,
    "kquant": _from_rulers,
    "adaround": _from_rulers,
}


def _norm(a: F32, b: F32, h: F64 | None) -> float:
    """Return the sum of the diagonal of (a - b) h (a - b)^T, some rows at a time, in one order."""
    total: F64 = np.zeros(a.shape[1])
    for i in range(0, len(a), _ROWS):
        d = a[i : i + _ROWS].astype(np.float64) - b[i : i + _ROWS]
        product = (d if h is None else matmul_sliced(d, h)) * d
        total = ordered_sum(np.vstack([total, product]))
    return max(math.fsum(total.tolist()), 0.0)
