"""Which nodes of a float graph compute on codes, and what is fused: decided before anything else.

A node has an **integer form** if docs/spec/operators.md, section 4 or 6, defines one:

* `Conv`, `ConvTranspose`, `Gemm`, `MatMul` with constant weight and bias; `MatMul` of two computed
  matrices;
* `GRU`, `LSTM` with constant weights and bias, but not in ``full_integer``: their gates are reals;
* `Add`, `Mul`, average pools, every unary function (as a table);
* `Softmax`, where the contract computes it;
* movement, and `Relu` and `Clip` that nothing absorbed, if their input is codes already: they
  follow what stands before them, so that a float32 part of a model stays in one piece.

But what `refquant.model.quantize_kept` names stays float32.
With ``linear`` only the first two lines count, and of them only constant weights: a transformer's
norms, softmax and gates stay float32, where one scale a tensor is not enough for them.

A `Relu` or `Clip` that alone reads a product, an `Add` or a `Mul` disappears into it:
the layer gives the `Relu`'s output, by the `Relu`'s range. An `Add` of a constant vector that alone
reads a `MatMul` becomes its bias. A `Mul` or `Add` of one constant number that alone reads a unary
function is in the function's table. Nodes that the recipe excludes fuse with nothing, stay float32.

Two values share parameters where an operator copies codes (section 6, and averages that round half
away): the value that comes first has its way, for its range holds the other's. `source` finds it.
The state that a `GRU` or `LSTM` begins with is quantized like its output: they are `Plan.ties`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from refquant.contracts import Contract
from refquant.model.graph import Graph, Node
from refquant.model.operators import MOVEMENT, UNARY
from refquant.model.quantize_kept import idle_movement, roots_of_squares
from refquant.model.quantize_recurrent import RECURRENT, has_constant_gates
from refquant.model.quantize_weights import has_constant_weight

__all__ = ["Layer", "Plan", "plan"]

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_FUSING = (*_PRODUCTS, "Add", "Mul")
_BOUNDS = ("Relu", "Clip")
_AXES = {  # by which a contract may say that it has no such operator on codes
    **dict.fromkeys((*_PRODUCTS, "Mul"), "requantize"),
    "Add": "add",
    **dict.fromkeys(("AveragePool", "GlobalAveragePool"), "average_pool"),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One node to be, float32 or on ``codes``, with the node of the ``bound`` it absorbed.

    ``node`` has the fused bias as third input, and the output of what it absorbed; ``behind`` has
    the numbers that its table applies, as `refquant.ops.unary.unary_table` takes them.
    """

    node: Node
    codes: bool
    bound: Node | None = None
    behind: tuple[tuple[str, float], ...] = ()

    @property
    def output(self) -> str:
        """The value it gives; of several, the one that is codes."""
        return self.node.outputs[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """The layers in order; ``source``: value -> the value whose parameters it has.

    ``ties`` are pairs of values that share a range.
    """

    layers: tuple[Layer, ...]
    source: Mapping[str, str]
    ties: tuple[tuple[str, str], ...] = ()


def plan(
    graph: Graph,
    *,
    contract: Contract,
    excluded: Collection[str],
    linear: bool = False,
    full_integer: bool = False,
) -> Plan:
    """Return what becomes of the nodes of the folded ``graph``; ``excluded`` are names of nodes.

    ``linear``: of the others, only those with a constant weight compute on codes. ``full_integer``:
    inputs and outputs of the graph are codes.

    >>> from refquant.contracts import preset
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> x = b.input("x", ("N", 2))
    >>> g = b.graph([b.node("Relu", [b.node("Add", [x, x], name="sum")], name="y")])
    >>> [(l.node.name, l.output) for l in plan(g, contract=preset("ort"), excluded=()).layers]
    [('sum', 'y')]
    """
    kept = {*excluded, *(() if full_integer else roots_of_squares(graph))}
    kept |= {node.name for node in graph.nodes if full_integer and node.op in RECURRENT}
    if linear:
        kept |= {node.name for node in graph.nodes if not _has_weights(graph, node)}
    layers = _layers(graph, contract, kept, excluded)
    if not full_integer:
        idle = idle_movement(graph, {layer.node.name for layer in layers if layer.codes})
        layers = [Layer(own.node, False) if own.node.name in idle else own for own in layers]
    source = {name: name for name in graph.inputs}
    for layer in layers:
        source |= {name: name for name in layer.node.outputs}
        if layer.codes and _copies(layer.node, contract):
            source[layer.output] = source[layer.node.inputs[0]]
    return Plan(tuple(layers), source, tuple(_ties(layers)))


def _layers(
    graph: Graph, contract: Contract, kept: Collection[str], excluded: Collection[str]
) -> list[Layer]:
    """Return the layers: nodes in ``kept`` are float32, and what they absorb is not looked at."""
    codes, absorbed = set(graph.inputs), set[str]()
    layers: list[Layer] = []
    for node in graph.nodes:
        if node.name in absorbed:
            continue
        layer = Layer(node, codes=False)
        if node.name not in kept and _integer_form(graph, node, contract, codes):
            layer = _fused(graph, node, excluded, absorbed)
            codes.add(layer.output)
        layers.append(layer)
    return layers


def _has_weights(graph: Graph, node: Node) -> bool:
    return has_constant_weight(graph, node) or has_constant_gates(graph, node)


def _ties(layers: Sequence[Layer]) -> Iterator[tuple[str, str]]:
    """Yield the state that each recurrent layer on codes begins with, and its output."""
    for layer in layers:
        if layer.codes and layer.node.op in RECURRENT and (*layer.node.inputs, *[""] * 6)[5]:
            yield layer.node.inputs[5], layer.output


def _copies(node: Node, contract: Contract) -> bool:
    """Say whether input and output have equal parameters; `Concat` brings its inputs to its own."""
    if node.op in ("AveragePool", "GlobalAveragePool"):
        return contract.average_pool in ("half_away", "tosa_reciprocal")
    return node.op in MOVEMENT and node.op != "Concat"


def _integer_form(graph: Graph, node: Node, contract: Contract, codes: Collection[str]) -> bool:
    if node.op in _AXES and getattr(contract, _AXES[node.op]) == "unspecified":
        return False
    if node.op in MOVEMENT or node.op in _BOUNDS:
        moved = any(name in codes for name in node.inputs)
        return moved and (node.op != "Pad" or node.attributes.get("value", 0) == 0)
    if node.op == "MatMul" and len(node.inputs) == 2:
        constant = [name in graph.constants for name in node.inputs]
        if graph.values[node.inputs[0]].shape[-1] == "T":
            return False  # no accumulator is proved for a sum of any length
        return has_constant_weight(graph, node) if constant[1] else not constant[0]
    if node.op in _PRODUCTS:
        return has_constant_weight(graph, node)
    if node.op in RECURRENT:
        return has_constant_gates(graph, node)
    if node.op == "Softmax":
        return contract.softmax == "dequantize"
    return node.op in ("Add", "Mul", "AveragePool", "GlobalAveragePool") or node.op in UNARY


def _fused(graph: Graph, node: Node, excluded: Collection[str], absorbed: set[str]) -> Layer:
    """Return the layer on codes of ``node`` with what it absorbs, added to ``absorbed``."""
    if node.op in UNARY and node.op not in _BOUNDS:
        return _tabled(graph, node, excluded, absorbed)
    if node.op not in _FUSING:
        return Layer(node, codes=True)
    add = _only_reader(graph, node, ("Add",), excluded) if node.op == "MatMul" else None
    bias = None if add is None else _bias(graph, node, add)
    if add is not None and bias is not None:
        absorbed.add(add.name)
        node = replace(node, inputs=(*node.inputs[:2], bias), outputs=add.outputs)
    bound = _only_reader(graph, node, _BOUNDS, excluded)
    if bound is not None:
        absorbed.add(bound.name)
        node = replace(node, outputs=bound.outputs)
    return Layer(node, codes=True, bound=bound)


def _tabled(graph: Graph, node: Node, excluded: Collection[str], absorbed: set[str]) -> Layer:
    """Return the layer of a unary function, with the numbers behind it."""
    behind: list[tuple[str, float]] = []
    while (after := _only_reader(graph, node, ("Mul", "Add"), excluded)) is not None:
        others = [name for name in after.inputs if name != node.outputs[0]]
        array = graph.constants.get(others[0]) if len(others) == 1 else None
        rank = len(graph.values[node.outputs[0]].shape)
        if array is None or array.dtype != np.float32 or array.size != 1 or array.ndim > rank:
            break
        behind.append((after.op, float(array.ravel()[0])))
        absorbed.add(after.name)
        node = replace(node, outputs=after.outputs)
    return Layer(node, codes=True, behind=tuple(behind))


def _only_reader(
    graph: Graph, node: Node, ops: Collection[str], excluded: Collection[str]
) -> Node | None:
    """Return the one node that reads the output of ``node``, if it is one of ``ops``."""
    name = node.outputs[0]
    readers = [n for n in graph.nodes if name in n.inputs]
    if len(readers) != 1 or name in graph.outputs:
        return None
    reader = readers[0]
    return reader if reader.op in ops and reader.name not in excluded else None


def _bias(graph: Graph, product: Node, add: Node) -> str | None:
    """Return the constant of ``add`` if it is one number a column of the constant weight."""
    others = [name for name in add.inputs if name != product.outputs[0]]
    weight = graph.constants.get(product.inputs[1])
    if weight is None or weight.ndim != 2 or len(others) != 1 or len(product.inputs) == 3:
        return None
    bias = graph.constants.get(others[0])
    fits = bias is not None and bias.shape == (weight.shape[1],)
    return others[0] if fits else None
