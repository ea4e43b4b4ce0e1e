r"""The norms of a rotated stream: their gains and shifts move to the layers behind them.

A norm that only linear layers read keeps nothing of its own: with gain g and shift b of the norm,
and R of the stream,

.. math::

    W (g \circ z + b) + c = W \operatorname{diag}(g) R^T (R z) + (c + W b)              \tag{1}

and R z is what an RMS norm of gain 1 makes of the rotated stream. Where somebody else reads the
norm, or the graph gives it, R z is turned back while the model runs, then scaled and shifted.

Source: Ashkboos et al., "QuaRot", arXiv:2404.00456, section 4, stage 1a.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Graph, Node
from refquant.model.rotate_draft import Draft
from refquant.model.rotate_find import Links, input_axis, linear

__all__ = ["Rotation", "inside", "rotate_norm", "with_biases"]

F64 = NDArray[np.float64]
Rotation = Callable[..., F64]


def with_biases(graph: Graph, norms: Collection[str]) -> Graph:
    """Return ``graph`` with an `Add` of zeros where `rotate_norm` of ``norms`` will need a bias.

    That is behind a `MatMul` without one that reads a LayerNormalization with a shift.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))])])
    >>> with_biases(g, []) == g
    True
    """
    links, draft = Links.of(graph), Draft(graph)
    for norm in graph.nodes:
        if norm.name not in norms or _shift(graph, norm) is None:
            continue
        for reader in inside(links, norm):
            if _bias(links, reader) is None:
                output = reader.outputs[0]
                weight = graph.constants[reader.inputs[1]]
                outputs = weight.shape[1 - input_axis(graph, reader)]
                product = draft.value(output, f"{output}/product")
                bias = draft.constant(f"{output}/bias", np.zeros(outputs))
                draft.write(reader.name, product)
                draft.behind(product, "Add", (product, bias), output, {})
    return draft.done()


def rotate_norm(
    draft: Draft, links: Links, norm: Node, turn: Rotation, signs: str, block: int
) -> list[str]:
    """Make ``norm`` an RMS norm of gain 1: eq. (1); return the readers that take its gain and R^T.

    ``turn`` is R along an axis of a constant, ``signs`` names the constant of an online one.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> gain = b.constant("gain", np.array([2, 3], np.float32))
    >>> y = b.node("RMSNormalization", [b.input("x", ("N", 2)), gain], name="norm")
    >>> g = b.graph([b.node("MatMul", [y, b.constant("w", np.ones((2, 1), np.float32))], name="y")])
    >>> draft = Draft(g)
    >>> rotate_norm(draft, Links.of(g), g.nodes[0], lambda w, axis: w, "signs", 2)
    ['y']
    >>> draft.done().constants["w"].tolist()
    [[2.0], [3.0]]
    """
    value, graph = norm.outputs[0], links.graph
    gain, shift = graph.constants[norm.inputs[1]].astype(np.float64), _shift(graph, norm)
    readers = inside(links, norm)
    draft.change(replace(norm, op="RMSNormalization", inputs=norm.inputs[:2]))
    draft.turn(norm, 1, np.ones_like)
    turned = draft.value(value, f"{value}/rotated")
    draft.write(norm.name, turned)
    if not readers:
        _leave(draft, links, value, turned, signs, block, gain, shift)
    for reader in readers:
        axis = input_axis(graph, reader)
        if shift is not None:
            bias = _bias(links, reader)
            assert bias is not None, "with_biases has made one"
            moved = _product(shift, graph.constants[reader.inputs[1]], axis)
            draft.turn(*bias, partial(np.add, moved))
        along = gain[:, None] if axis == 0 else gain
        draft.turn(reader, 1, partial(np.multiply, along))
        draft.turn(reader, 1, partial(turn, axis=axis))
        draft.read(reader.name, value, turned)
    return [reader.name for reader in readers]


def inside(links: Links, norm: Node) -> tuple[Node, ...]:
    """Return the readers of the output of ``norm`` if all are linear and take R^T, else none.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> one = b.constant("one", np.ones(2, np.float32))
    >>> y = b.node("RMSNormalization", [b.input("x", ("N", 2)), one])
    >>> g = b.graph([b.node("Relu", [y])])
    >>> inside(Links.of(g), g.nodes[0])
    ()
    """
    value = norm.outputs[0]
    readers = links.reads(value)
    fine = all(linear(links.graph, n, value) and value not in n.inputs[1:] for n in readers)
    return readers if fine and value not in links.graph.outputs else ()


def _leave(
    draft: Draft, links: Links, value: str, turned: str, signs: str, block: int, gain: F64,
    shift: F64 | None,
) -> None:  # fmt: skip
    """Turn the output of a norm back, and apply its gain and shift, for readers that need it."""
    back = draft.value(value, f"{value}/back")
    attributes = {"block_size": block, "inverse": 1}
    draft.behind(turned, "Hadamard", (turned, signs), back, attributes)
    scale = draft.constant(f"{value}/gain", gain)
    if shift is None:
        draft.behind(back, "Mul", (back, scale), value, {})
        return
    scaled = draft.value(value, f"{value}/scaled")
    draft.behind(back, "Mul", (back, scale), scaled, {})
    draft.behind(scaled, "Add", (scaled, draft.constant(f"{value}/shift", shift)), value, {})


def _shift(graph: Graph, norm: Node) -> F64 | None:
    name = (*norm.inputs, "")[2]
    if not name or not graph.constants[name].any():
        return None
    return graph.constants[name].astype(np.float64)


def _bias(links: Links, reader: Node) -> tuple[Node, int] | None:
    """Return the node and input of the bias of a linear ``reader``, None if it has none."""
    if len(reader.inputs) > 2 and reader.inputs[2]:
        return reader, 2
    value = reader.outputs[0]
    readers, graph = links.reads(value), links.graph
    if len(readers) != 1 or readers[0].op != "Add" or value in graph.outputs:
        return None
    for index, name in enumerate(readers[0].inputs):
        if name in graph.constants and graph.constants[name].shape == links.shape(value)[-1:]:
            return readers[0], index
    return None


def _product(x: F64, w: NDArray[np.float32], axis: int) -> F64:
    """Return x W, the sum over the inputs along ``axis`` ascending."""
    total = np.zeros(w.shape[1 - axis])
    for element, row in zip(x, np.moveaxis(w, axis, 0).astype(np.float64), strict=True):
        total = total + element * row
    return total
