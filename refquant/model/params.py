"""From a value of the graph to the ruler its codes are read with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.qparams import QParams
from refquant.model.graph import Graph, Node, Quant
from refquant.model.reals import scale_of, zero_point_of
from refquant.numerics.blocks import parameter_shape
from refquant.ops.conv_transpose import mirrored, mirrored_qparams

__all__ = ["channel_weights", "is_ruler", "qparams_of", "ruler_of"]


def qparams_of(graph: Graph, name: str) -> QParams:
    """Return the quantization parameters of the value ``name``, which has ``quant``.

    Scale and zero point are scalars, or, with a ``block_shape``, arrays of one element a block
    (a number beside an array is repeated). The graph is valid, or this is its check: a scale that
    is not normal or a zero point outside the codes is a ``ValueError``; so are codes that integer
    arithmetic cannot compute with: by a table, with float zero points, in groups by ``g_idx``.

    >>> from refquant.model.graph import Quant, Value
    >>> x = Value("int8", ("N",), Quant(0.5, 3))
    >>> g = Graph("g", ("x",), ("x",), {"x": x}, (), {}, {}, {})
    >>> float(qparams_of(g, "x").scale)
    0.5
    """
    quant = _quant(graph, name)
    if not is_ruler(graph, quant):
        raise ValueError(
            f"value {name!r} has a table, float zero points or g_idx, which go with a weight "
            "beside a float32 activation only; dequantize the activation, or use other codes"
        )
    return ruler_of(graph, name)


def channel_weights(graph: Graph, node: Node, name: str) -> tuple[NDArray[Any], QParams]:
    """Return the codes of the constant ``name`` and their parameters, the weight of ``node``.

    Those of a transposed convolution are the convolution's that it is: output channels first.

    >>> from refquant.model.graph import Value
    >>> w = Value("int8", (2, 1, 1), Quant(0.5, 0))
    >>> g = Graph("g", (), (), {"w": w}, (), {"w": np.zeros((2, 1, 1), np.int8)}, {}, {})
    >>> channel_weights(g, Node("y", "ConvTranspose", ("x", "w"), ("y",)), "w")[0].shape
    (1, 2, 1)
    """
    codes, qparams = graph.constants[name], qparams_of(graph, name)
    if not node.op.startswith("ConvTranspose"):
        return codes, qparams
    group = node.attributes.get("group", 1)
    assert isinstance(group, int), "check_signature: an integer"
    return mirrored(codes, group), mirrored_qparams(qparams, codes.shape, group)


def is_ruler(graph: Graph, quant: Quant) -> bool:
    """Say whether codes are places on rulers with integer zero points, each a box of neighbours.

    >>> is_ruler(Graph("g", (), (), {}, (), {}, {}, {}), Quant(0.5, 0, None, table="nf4"))
    False
    """
    zero_point = quant.zero_point
    floats = isinstance(zero_point, str) and graph.constants[zero_point].dtype == np.float32
    return quant.table is None and quant.g_idx is None and not floats


def ruler_of(graph: Graph, name: str) -> QParams:
    """Return the rulers of the value ``name``, which has no table; whose is which says ``g_idx``.

    >>> from refquant.model.graph import Value
    >>> x = Value("int8", ("N",), Quant(0.5, 3))
    >>> int(ruler_of(Graph("g", ("x",), ("x",), {"x": x}, (), {}, {}, {}), "x").zero_point)
    3
    """
    value, quant = graph.values[name], _quant(graph, name)
    scale, zero_point = scale_of(graph, name), zero_point_of(graph, name)
    kind = "integer" if zero_point.dtype == np.int32 else "float"
    if quant.block_shape is None:
        return QParams(np.float32(scale[()]), np.int32(zero_point[()]), None, value.dtype)
    shape = tuple(int(d) for d in value.shape)  # a constant: no batch
    grid = parameter_shape(shape, quant.block_shape)
    scales, zero_points = np.broadcast_to(scale, grid), np.broadcast_to(zero_point, grid)
    return QParams(scales, zero_points, quant.block_shape, value.dtype, kind=kind)


def _quant(graph: Graph, name: str) -> Quant:
    quant = graph.values[name].quant
    if quant is None:
        dtype = graph.values[name].dtype
        raise ValueError(f"value {name!r} has no quant: its elements are plain {dtype}")
    return quant
