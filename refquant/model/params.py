"""From a value of the graph to the ruler its codes are read with."""

from typing import Any

import numpy as np

from refquant.formats.qparams import QParams
from refquant.model.graph import Graph
from refquant.numerics.blocks import parameter_shape

__all__ = ["qparams_of"]


def qparams_of(graph: Graph, name: str) -> QParams:
    """Return the quantization parameters of the value ``name``, which has ``quant``.

    Scale and zero point are scalars, or, with a ``block_shape``, arrays of one element a block
    (a number beside an array is repeated). The graph is valid, or this is its check: a scale that
    is not normal or a zero point outside the codes is a ``ValueError``.

    >>> from refquant.model.graph import Quant, Value
    >>> x = Value("int8", ("N",), Quant(0.5, 3))
    >>> g = Graph("g", ("x",), ("x",), {"x": x}, (), {}, {}, {})
    >>> float(qparams_of(g, "x").scale)
    0.5
    """
    value = graph.values[name]
    quant = value.quant
    if quant is None:
        raise ValueError(f"value {name!r} has no quant: its elements are plain {value.dtype}")
    scale = np.asarray(_resolve(graph, quant.scale), np.float32)
    zero_point = np.asarray(_resolve(graph, quant.zero_point), np.int32)
    if quant.block_shape is None:
        return QParams(np.float32(scale[()]), np.int32(zero_point[()]), None, value.dtype)
    shape = tuple(int(d) for d in value.shape)  # a constant: no batch
    grid = parameter_shape(shape, quant.block_shape)
    return QParams(
        np.broadcast_to(scale, grid),
        np.broadcast_to(zero_point, grid),
        quant.block_shape,
        value.dtype,
    )


def _resolve(graph: Graph, item: float | str) -> Any:
    return graph.constants[item] if isinstance(item, str) else item
