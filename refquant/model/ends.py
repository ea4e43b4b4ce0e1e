"""The two ends of a graph: reals to the inputs it takes, and from the outputs it gives.

A float32 graph takes reals and gives reals. One whose inputs or outputs are codes (the scheme
``full_integer``) has a ruler at each end; whoever feeds it must quantize by that ruler and by the
contract of the node that reads the codes, and whoever reads it must dequantize.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import dequantize, quantize
from refquant.model.graph import Graph
from refquant.model.params import qparams_of

__all__ = ["from_outputs", "input_contract", "to_inputs"]

Arrays = dict[str, NDArray[Any]]


def to_inputs(graph: Graph, reals: Mapping[str, NDArray[np.float32]]) -> Arrays:
    """Return ``reals`` as ``graph`` takes them: codes for each input that is quantized.

    >>> from refquant.contracts import preset
    >>> from refquant.model.build import Builder
    >>> from refquant.model.graph import Quant
    >>> b = Builder("g")
    >>> x = b.input("x", ("N", 2), dtype="int8", quant=Quant(0.5, 1))
    >>> g = b.graph([b.node("DequantizeLinear", [x], contract=preset("ort"))])
    >>> to_inputs(g, {"x": np.float32([[-1, 2]])})["x"].tolist()
    [[-1, 5]]
    """
    if reals.keys() != set(graph.inputs):
        raise ValueError(f"inputs must be exactly {sorted(graph.inputs)}, got {sorted(reals)}")
    return {
        name: array
        if graph.values[name].quant is None
        else quantize(array, qparams_of(graph, name), contract=_needed(graph, name))
        for name, array in reals.items()
    }


def from_outputs(graph: Graph, outputs: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return ``outputs`` of ``graph`` as float32: quantized ones are dequantized.

    >>> from refquant.model.graph import Quant, Value
    >>> y = Value("int8", ("N",), Quant(0.5, 1))
    >>> g = Graph("g", ("y",), ("y",), {"y": y}, (), {}, {}, {})
    >>> from_outputs(g, {"y": np.int8([-1, 5])})["y"].tolist()
    [-1.0, 2.0]
    """
    return {
        name: array
        if graph.values[name].quant is None
        else dequantize(array, qparams_of(graph, name))
        for name, array in outputs.items()
    }


def input_contract(graph: Graph, name: str) -> Contract | None:
    """Return the contract of the first node behind the input ``name`` that has one.

    Movement has none: it is looked through, and a graph of nothing else gives None.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Flatten", [b.input("x", ("N", 2, 2))])])
    >>> input_contract(g, "x") is None
    True
    """
    reached = {name}
    for node in graph.nodes:
        if reached.intersection(node.inputs):
            if node.contract is not None:
                return graph.contracts[node.contract]
            reached.update(node.outputs)  # movement: the same codes, elsewhere
    return None


def _needed(graph: Graph, name: str) -> Contract:
    contract = input_contract(graph, name)
    if contract is None:
        raise ValueError(f"no node that reads input {name!r} has a contract; pass codes")
    return contract
