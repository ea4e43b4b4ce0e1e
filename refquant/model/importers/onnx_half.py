r"""Models in float16 and bfloat16, as float32: the same weights, another arithmetic.

Every operator of ours computes in float32, so 16-bit floats are widened where they come in, which
is exact; what the file rounds to 16 bits after every operator stays as it is:

.. math:: y_\mathrm{ours} = f_{32}(x \circ w), \qquad
    y_\mathrm{file} = f_{16}(x \circ w)                                                    \tag{1}

Inputs and outputs become float32. A ``Cast`` of a constant rounds it, as in the file; a ``Cast`` of
anything else to 16 bits does nothing. The graph says so in its meta: ``import.widened``.

Left out: float64, which float32 cannot hold: a node that reads it is an error.

References: IEEE 754 binary16; bfloat16 is the upper half of a float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.importers.onnx_model import OnnxGraph, OnnxModel, OnnxNode, Opaque, Tensor

__all__ = ["HALF", "rounded_to_half", "widened_halves"]

Array = NDArray[Any]

HALF = "@half"
"""The attribute of a ``Cast`` to float32 that says to which 16 bits the file rounds."""

_HALVES = ("float16", "bfloat16")
_KINDS = {10: "float16", 16: "bfloat16"}
_NOTE = "computed in float32; the file rounds to 16 bits after every operator"


def rounded_to_half(x: Array, kind: str) -> Array:
    """Return ``x`` rounded to ``kind``, half to even, as float32.

    >>> x = np.array([1 + 2**-9, 1 + 3 * 2**-9, 70000.0], np.float32)
    >>> rounded_to_half(x, "float16").tolist(), rounded_to_half(x, "bfloat16").tolist()
    ([1.001953125, 1.005859375, inf], [1.0, 1.0078125, 70144.0])
    """
    with np.errstate(all="ignore"):
        wide = np.asarray(x).astype(np.float32)
        if kind == "float16":
            return wide.astype(np.float16).astype(np.float32)
        bits = wide.view(np.uint32).astype(np.uint64)
        even = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) & np.uint64(0xFFFF0000)
        made = even.astype(np.uint32).view(np.float32).reshape(wide.shape)
        return np.where(np.isnan(wide), wide, made)


@dataclass(slots=True)
class _Told:
    kinds: set[str] = field(default_factory=set)
    inputs: list[str] = field(default_factory=list)
    constants: int = 0
    casts: int = 0


def widened_halves(model: OnnxModel) -> OnnxModel:
    """Return the model without 16-bit floats, and in its notes what was widened: eq. (1).

    >>> graph = OnnxGraph("g", (), (), (), {"w": Tensor(np.ones(2, np.float16), "float16")})
    >>> made = widened_halves(OnnxModel(graph, {"": 17}, "", "", 0))
    >>> made.graph.constants["w"].dtype, made.notes["widened"]["constants"]
    ('float32', 1)
    """
    told = _Told()
    graph = _graph(model.graph, told)
    if not told.kinds:
        return model
    widened = {
        "from": sorted(told.kinds),
        "inputs": told.inputs,
        "constants": told.constants,
        "casts": told.casts,
        "note": _NOTE,
    }
    return replace(model, graph=graph, notes={**model.notes, "widened": widened})


def _graph(graph: OnnxGraph, told: _Told) -> OnnxGraph:
    inputs = []
    for value in graph.inputs:
        half = value.dtype in _HALVES
        if half:
            told.kinds.add(value.dtype)
            told.inputs.append(value.name)
        inputs.append(replace(value, dtype="float32") if half else value)
    constants = {name: _tensor(value, told) for name, value in graph.constants.items()}
    nodes = tuple(_node(node, told) for node in graph.nodes)
    return OnnxGraph(graph.name, tuple(inputs), graph.outputs, nodes, constants)


def _tensor(value: Tensor | Opaque, told: _Told) -> Tensor | Opaque:
    if not isinstance(value, Tensor) or value.dtype not in _HALVES:
        return value
    told.kinds.add(value.dtype)
    told.constants += 1
    return Tensor(value.array.astype(np.float32), "float32")


def _node(node: OnnxNode, told: _Told) -> OnnxNode:
    attributes: Mapping[str, Any] = node.attributes
    made = {name: _attribute(value, told) for name, value in attributes.items()}
    if node.op == "Cast" and attributes.get("to") in _KINDS:
        kind = _KINDS[attributes["to"]]
        told.kinds.add(kind)
        told.casts += 1
        made |= {"to": 1, HALF: kind}
    return replace(node, attributes=made)


def _attribute(value: Any, told: _Told) -> Any:
    if isinstance(value, OnnxGraph):
        return _graph(value, told)
    return _tensor(value, told) if isinstance(value, Tensor) else value
