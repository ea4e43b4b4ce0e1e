"""Weights decoded once, not in every run: the same model, float32 numbers in place of codes.

A weight-only model keeps codes, and each run turns them into reals before it multiplies. An
evaluation runs a model hundreds of times (a speech recognizer once for each token it says), so it
is worth decoding before the first: 0.58 s a step of Whisper tiny.en's decoder with 8 bits become
0.08. The reals are the ones that the executor would compute, so every result has the same bits. ::

    codes int4 (K, N), scales    --reals-->   float32 (K, N)      MatMul, Gemm, Conv read it
    codes int8, x of codes, too               stays as it is      integer arithmetic

Left out: what is read as codes anywhere. It takes the memory of the float model.
"""

from dataclasses import replace

from refquant.model.graph import Graph, Node
from refquant.model.reals import reals

__all__ = ["decoded_weights"]

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def decoded_weights(graph: Graph) -> Graph:
    """Return ``graph`` with float32 in place of weights of codes that float32 products read.

    >>> import numpy as np
    >>> from refquant.contracts import preset
    >>> from refquant.model.build import Builder
    >>> from refquant.model.graph import Quant
    >>> b = Builder("g")
    >>> w = b.constant("w", np.array([[3]], np.int8), dtype="int4", quant=Quant(0.5, 1))
    >>> x = b.input("x", ("N", 1))
    >>> g = b.graph([b.node("MatMul", [x, w], name="y", contract=preset("ort"))])
    >>> float(decoded_weights(g).constants["w"].item())
    1.0
    """
    names = {
        node.inputs[1]
        for node in graph.nodes
        if _is_float_product(graph, node) and graph.values[node.inputs[1]].quant is not None
    }
    for node in graph.nodes:
        others = [
            n for i, n in enumerate(node.inputs) if i != 1 or not _is_float_product(graph, node)
        ]
        names.difference_update(others)
    names &= graph.constants.keys()
    names.difference_update(graph.outputs)
    made = {name: reals(graph, name, graph.constants[name]) for name in names}
    plain = {name: replace(graph.values[name], dtype="float32", quant=None) for name in names}
    return replace(graph, constants={**graph.constants, **made}, values={**graph.values, **plain})


def _is_float_product(graph: Graph, node: Node) -> bool:
    floats = [node.inputs[0], *node.outputs]
    return node.op in _PRODUCTS and all(
        graph.values[name].dtype == "float32" and graph.values[name].quant is None
        for name in floats
    )
