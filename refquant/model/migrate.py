r"""Scales that move between layers before anything is rounded: SmoothQuant's and AWQ's.

For each group of `refquant.model.channel_groups` a scale s, one number a channel of x, is found on
what the **float** model makes of the calibration data, as the authors of both do:

* ``smooth``: from the largest magnitudes of x and of the weights (SmoothQuant);
* AWQ: by the search of `refquant.algorithms.awq`, with the rounding that the recipe will do. The
  weights in the loss are those of all readers of x.

Then x becomes x / s, by constants alone. What AWQ clips is decided later, layer by layer.

The data pass through the float graph once, by the `refquant.model.frontier`; scales that a
checkpoint has are not searched again. The mean of :math:`|x|` is summed token by token in float64,
so it does not depend on how the data were cut.

A channel that the data never showed (all zeros) keeps s = 1 in ``smooth``: SmoothQuant's own 1e-5
would make it 100,000 times larger on the day that it shows.

A group is left alone where AWQ is not the algorithm of all its readers, or where one of them is a
convolution with kernels larger than 1: its taps share channels. The record says which.

References
----------
Xiao et al., "SmoothQuant", arXiv:2211.10438, eq. (4); Lin et al., "AWQ", arXiv:2306.00978, eq. (4).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.awq import output_loss, search_scale
from refquant.algorithms.hessian import Hessian
from refquant.algorithms.rtn import min_max, rtn
from refquant.algorithms.smoothquant import smoothing_scale
from refquant.algorithms.weight import QuantizedWeight
from refquant.contracts import Contract
from refquant.model.channel_groups import Group, channel_groups, rescaled, taps_last
from refquant.model.checkpoint import Checkpoint
from refquant.model.frontier import Frontier, Held
from refquant.model.graph import Graph
from refquant.model.recipe_rules import Weights
from refquant.model.weight_matrix import layout, matrix_of

__all__ = ["awq_scales", "smooth_scales", "wants_scales"]

F32 = NDArray[np.float32]
Record = dict[str, Any]
Find = Callable[[Group, Iterator[F32]], tuple[F32, Record]]


def smooth_scales(
    graph: Graph, held: Held, *, alpha: float, sums: str, store: Checkpoint | None
) -> tuple[Graph, list[Record]]:
    """Return the float32 ``graph`` smoothed, and what was done to each group.

    `ValueError` if there is no group, for then SmoothQuant is another name for nothing.

    >>> from refquant.model.build import Builder
    >>> from refquant.model.frontier import hold
    >>> b = Builder("g")
    >>> h = b.node("MatMul", [b.input("x", ("N", 1)), b.constant("w", np.float32([[8]]))], name="h")
    >>> y = b.node("MatMul", [h, b.constant("v", np.float32([[2]]))], name="y")
    >>> g = b.graph([y])
    >>> held = hold(g, {"x": np.float32([[1]])})  # h is 8, its reader's weight 2: s = 2
    >>> done, records = smooth_scales(g, held, alpha=0.5, sums="ordered", store=None)
    >>> done.constants["w"].item(), done.constants["v"].item(), records[0]["value"]
    (4.0, 4.0, 'h')
    """
    groups = channel_groups(graph)
    if not groups:
        raise ValueError(
            "transforms.smooth: no norm and no linear layer of this model can take scales; "
            "remove it"
        )

    def find(group: Group, batches: Iterator[F32]) -> tuple[F32, Record]:
        weights = [taps_last(n, graph.constants[n.inputs[1]]) for n in group.readers]
        axes = (0, *range(2, 4)) if group.readers[0].op == "Conv" else None
        largest = np.maximum.reduce([_largest(batch, axes) for batch in batches])
        if not np.isfinite(largest).all():
            raise ValueError(f"value {group.value!r}: not finite; look at data and constants")
        s = smoothing_scale(largest, weights, alpha=alpha)
        s = np.where(largest > 0, s, np.float32(1))
        return s, {"method": "smoothquant", "alpha": alpha}

    return _migrated(graph, groups, find, held, sums=sums, store=store)


def awq_scales(
    graph: Graph,
    rules: Mapping[str, Weights],
    held: Held,
    *,
    contract: Contract,
    sums: str,
    store: Checkpoint | None,
) -> tuple[Graph, list[Record]]:
    """Return the float32 ``graph`` with AWQ's scales, and what was found for each group.

    Groups with no reader in ``rules`` that is for AWQ are not looked at.

    >>> from refquant.contracts import preset
    >>> from refquant.model.build import Builder
    >>> from refquant.model.frontier import hold
    >>> b = Builder("g")
    >>> h = b.node("MatMul", [b.input("x", ("N", 1)), b.constant("w", np.ones((1, 2), np.float32))])
    >>> y = b.node("MatMul", [h, b.constant("v", np.float32([[2], [1]]))], name="y")
    >>> g = b.graph([y])
    >>> rules = {"y": Weights(bits=4, symmetric=False, algorithm="awq")}
    >>> _, records = awq_scales(g, rules, hold(g, {"x": np.float32([[1]])}), sums="ordered",
    ...                         contract=preset("ort"), store=None)
    >>> records[0]["readers"], records[0]["ratio"]
    (['y'], 0.0)
    """
    groups = [g for g in channel_groups(graph) if _searched(graph, g, rules)]

    def find(group: Group, batches: Iterator[F32]) -> tuple[F32, Record]:
        return _awq_scale(graph, group, rules[group.readers[0].name], contract, batches)

    return _migrated(graph, groups, find, held, sums=sums, store=store)


def _awq_scale(
    graph: Graph, group: Group, rules: Weights, contract: Contract, batches: Iterator[F32]
) -> tuple[F32, Record]:
    """Return the scale of one group, all of whose readers have ``rules``, and its record."""
    assert rules.awq is not None, "_searched: the algorithm is AWQ"
    first = group.readers[0]
    matrices = [matrix_of(n, graph.constants[n.inputs[1]]) for n in group.readers]
    k = matrices[0].shape[1]
    size = layout(first, graph.constants[first.inputs[1]].shape, rules).group_size or k

    def rounding(w: F32) -> QuantizedWeight:
        return rtn(w, group_size=size, dtype=rules.dtype, symmetric=rules.symmetric,
                   contract=contract, clip=min_max)  # fmt: skip

    total, state = np.zeros(k), Hessian(k)
    for batch in batches:
        tokens = _tokens(first.op, batch, k)
        state = _updated(state, tokens, group)
        for token in np.abs(tokens):
            total += token
    loss = output_loss(matrices, state.matrix() / 2)
    found = search_scale(
        matrices,
        (total / state.count).astype(np.float32),
        loss=loss,
        rounding=rounding,
        group_size=size,
        flavour=rules.awq.flavour,
    )
    plain = loss([rounding(w).dequantize() for w in matrices])
    best = float(np.nanmin(found.losses))
    return found.scale, {"method": "awq", "ratio": found.ratio, "loss_before": plain, "loss": best}


def wants_scales(rules: Mapping[str, Weights]) -> bool:
    """Say whether a node is for AWQ with its search of scales.

    >>> wants_scales({"y": Weights(algorithm="awq")}), wants_scales({"y": Weights()})
    (True, False)
    """
    return any(own.awq is not None and own.awq.scale for own in rules.values())


def _migrated(
    graph: Graph,
    groups: tuple[Group, ...] | list[Group],
    find: Find,
    held: Held,
    *,
    sums: str,
    store: Checkpoint | None,
) -> tuple[Graph, list[Record]]:
    """Find the scale of each group by ``find``, in order, and apply all of them."""
    keys = {group.value: f"scale/{group.value}" for group in groups}
    there = {} if store is None else {v: store.load(key) for v, key in keys.items()}
    missing = [g.readers[0].name for g in groups if there.get(g.value) is None]
    frontier = Frontier(graph, held, missing, sums) if missing else None
    scales: dict[str, F32] = {}
    records: list[Record] = []
    for group in groups:
        loaded = there.get(group.value)
        if loaded is not None:
            s, record = loaded[0]["scale"], loaded[1]
        else:
            assert frontier is not None, "it is missing"
            s, found = find(group, frontier.inputs(group.readers[0]))
            names = [node.name for node in group.readers]
            about = {"value": group.value, "maker": group.maker.name, "readers": names}
            record = {**about, **found, "least": float(s.min()), "largest": float(s.max())}
            if store is not None:
                store.save(keys[group.value], {"scale": s}, record)
        scales[group.value] = s
        records.append(record)
    return rescaled(graph, scales), records


def _searched(graph: Graph, group: Group, rules: Mapping[str, Weights]) -> bool:
    """Say whether AWQ looks for a scale of this group: its readers agree, and have no kernels."""
    own = [rules.get(node.name) for node in group.readers]
    if any(r is None or r.awq is None or not r.awq.scale or r != own[0] for r in own):
        return False
    return all(
        node.op != "Conv" or graph.constants[node.inputs[1]][0, 0].size == 1
        for node in group.readers
    )


def _tokens(op: str, batch: F32, k: int) -> F32:
    """Return the rows of channels of ``batch``: axis 1 of a convolution's input, the last else."""
    moved = np.moveaxis(batch, 1, -1) if op == "Conv" else batch
    return np.ascontiguousarray(moved).reshape(-1, k)


def _largest(batch: F32, axes: tuple[int, ...] | None) -> F32:
    kept = tuple(range(batch.ndim - 1)) if axes is None else axes[: batch.ndim - 1]
    return np.asarray(np.abs(batch).max(axis=kept), np.float32)


def _updated(state: Hessian, tokens: F32, group: Group) -> Hessian:
    try:
        return state.update(tokens)
    except ValueError as error:
        raise ValueError(
            f"calibration, value {group.value!r}: {error}; look at the data and the constants"
        ) from error
