r"""Bias correction of a model: what the codes of its weights add to means, its biases take away.

Codes are chosen first; then each layer, from the input on, gets the bias that gives its output the
mean that the float model's has (`refquant.algorithms.bias_correction`): ::

    Conv, Gemm        the third input; one is added where there is none
    MatMul --> Add    the Add's constant, a number a column
    MatMul alone, GRU, LSTM, Gather    no bias of a product: left as they are, and listed

**empirical** executes the float model once, and once the model with the codes' weights, layer after
layer, on the calibration data: a layer is corrected for what the corrected ones before it give,

.. math::

    b' = b - (E[\hat W \hat x + b] - E[W x + b])                                        \tag{1}

so that all means agree, padding and everything before included, in float64 sums of one order.
**analytic** needs no data: `refquant.model.correct_bias_analytic`.
What rounding activations does to means is not their business: both look at weights alone.

References
----------
Nagel et al., arXiv:1906.04721, section 4.2 and appendix C.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.model.bias_sites import Site, bias_of, place_of, rebuilt, record_of, sites_of
from refquant.model.coded import coded_reals
from refquant.model.correct_bias_analytic import correct_analytic
from refquant.model.execute_node import execute_node
from refquant.model.frontier import Held
from refquant.model.graph import Graph, Node
from refquant.model.quantize_layer import round_layer
from refquant.model.recipe import Recipe
from refquant.model.recipe_rules import Weights
from refquant.model.weight_slots import weight_slots

__all__ = ["correct_empirical", "corrected", "rounded_weights"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Record = dict[str, Any]
Results = list[list[NDArray[Any]]]  # of each batch, the outputs of one node


def corrected(
    original: Graph, graph: Graph, weights: Mapping[str, F32], recipe: Recipe, held: Held | None
) -> tuple[Graph, Record]:
    """Return ``graph`` with its biases as ``recipe.transforms`` says, and what the card adds.

    ``original`` is the model as it came, ``weights`` as in `correct_empirical`.

    >>> from refquant.model.recipe import recipe
    >>> g = Graph("g", (), (), {}, (), {}, {}, {})
    >>> corrected(g, g, {}, recipe("int4_rtn"), None)[1]
    {}
    """
    kind = None if recipe.transforms is None else recipe.transforms.bias_correction
    if kind is None:
        return graph, {}
    if kind == "analytic":
        done, record = correct_analytic(original, graph, weights)
    else:
        assert held is not None, "Recipe.walks asks for data"
        done, record = correct_empirical(graph, weights, held, sums=recipe.sums)
    return done, {"bias_correction": record}


def rounded_weights(
    graph: Graph, rules: Mapping[str, Weights], *, contract: Contract
) -> dict[str, F32]:
    """Return what the codes of rounding to nearest mean, of each slot in ``rules``.

    >>> from refquant.contracts import preset
    >>> rounded_weights(Graph("g", (), (), {}, (), {}, {}, {}), {}, contract=preset("ort"))
    {}
    """
    return {
        slot: coded_reals(
            round_layer(node, graph.constants[node.inputs[i]], rules[slot], contract=contract,
                        name=node.inputs[i])
        )
        for node, i, slot in weight_slots(graph)
        if slot in rules
    }  # fmt: skip


def correct_empirical(
    graph: Graph, weights: Mapping[str, F32], held: Held, *, sums: str
) -> tuple[Graph, Record]:
    """Return the float32 ``graph`` with the biases of eq. (1), and a record: JSON.

    ``weights``: what the codes of each slot mean, by `refquant.model.weight_slots.slot_name`.

    >>> from refquant.model.build import Builder
    >>> from refquant.model.frontier import hold
    >>> b = Builder("g")
    >>> x, w = b.input("x", ("N", 1)), b.constant("w", np.float32([[1.25]]))
    >>> g = b.graph([b.node("Gemm", [x, w], name="y")])
    >>> held = hold(g, {"x": np.float32([[2], [4]])})
    >>> done, record = correct_empirical(g, {"y": np.float32([[1]])}, held, sums="ordered")
    >>> done.constants["y.bias"].tolist(), record["corrected"]
    ([0.75], {'y': 0.75})
    """
    sites, left = sites_of(graph, weights)
    means: dict[str, F64] = {}
    biases: dict[str, F32] = {}

    def note(node: Node, run: Callable[[], Results]) -> Results:
        results = run()
        if node.name in sites:
            means[node.name] = _mean(node, [outputs[0] for outputs in results])
        return results

    def correct(node: Node, run: Callable[[], Results]) -> Results:
        results = run()
        if node.name not in sites:
            return results
        site = sites[node.name]
        shift = _mean(node, [outputs[0] for outputs in results]) - means[node.name]
        biases[node.name] = np.asarray(bias_of(graph, site, shift.size) - shift, np.float32)
        operands[site.holder.name, place_of(site)] = biases[node.name]
        return run() if site.holder is node else results

    _walk(graph, held, sums, {}, sites, note)
    operands = {(n.name, i): weights[s] for n, i, s in weight_slots(graph) if s in weights}
    _walk(graph, held, sums, operands, sites, correct)
    return rebuilt(graph, sites, biases), record_of(graph, "empirical", sites, biases, left)


def _walk(
    graph: Graph,
    held: Held,
    sums: str,
    operands: Mapping[tuple[str, int], F32],
    sites: Mapping[str, Site],
    visit: Callable[[Node, Callable[[], Results]], Results],
) -> None:
    """Execute ``graph`` up to its last site, node after node; ``operands`` stand for inputs."""
    arrays: list[dict[str, NDArray[Any]]] = [dict(batch) for batch in held.batches]
    ends = [i for i, node in enumerate(graph.nodes) if node.name in sites]
    nodes = graph.nodes[: max(ends, default=-1) + 1]
    last = {name: i for i, node in enumerate(nodes) for name in node.inputs}
    for index, node in enumerate(nodes):

        def run(node: Node = node) -> Results:
            return [
                list(execute_node(graph, *_given(graph, node, batch, operands), sums=sums))
                for batch in arrays
            ]

        results = visit(node, run)
        for batch, outputs in zip(arrays, results, strict=True):
            batch.update(zip(node.outputs, outputs, strict=True))
            for name in {*node.inputs, *node.outputs}:
                if last.get(name, -1) <= index:
                    batch.pop(name, None)


def _given(
    graph: Graph,
    node: Node,
    arrays: Mapping[str, NDArray[Any]],
    operands: Mapping[tuple[str, int], F32],
) -> tuple[Node, list[NDArray[Any] | None]]:
    """Return the node, with a third input where it gets a bias, and what stands for its inputs."""
    found: list[NDArray[Any] | None] = []
    for i in range(max([len(node.inputs), *(i + 1 for name, i in operands if name == node.name)])):
        name = (*node.inputs, "")[i]
        if (node.name, i) in operands:
            found.append(operands[node.name, i])
        else:
            found.append(arrays[name] if name in arrays else graph.constants.get(name))
    extra = len(found) - len(node.inputs)
    return replace(node, inputs=(*node.inputs, *[f"{node.name}.bias"] * extra)), found


def _mean(node: Node, batches: list[F32]) -> F64:
    """Return the mean of each channel of the outputs of ``node``, in one order."""
    axis = 1 if node.op in ("Conv", "ConvTranspose") else -1
    total, count = None, 0
    for y in batches:
        rows = np.moveaxis(y, axis, -1).reshape(-1, y.shape[axis])
        # accumulate adds one row after the other, whatever the shape; sum does not promise it
        part, count = np.add.accumulate(rows, axis=0, dtype=np.float64)[-1], count + len(rows)
        total = part if total is None else total + part
    assert total is not None, "`hold` refuses data without samples"
    if not np.isfinite(total).all():
        raise ValueError(f"node {node.name!r}: its outputs are not finite; look at the data")
    return np.asarray(total / count)
