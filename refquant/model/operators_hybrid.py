"""The operators of docs/spec/operators.md, section 11: layers of dynamic range.

Table, shapes, operands and execution in one place; what they compute is in
`refquant.ops.dynamic_range`. They come from TFLite files whose weights alone are int8.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from refquant.model.execute_call import Call
from refquant.model.graph import Graph, Node, Shape
from refquant.model.operator import Kind, Operator
from refquant.model.shapes_common import Attributes
from refquant.model.shapes_compute import conv, matmul
from refquant.model.validate_dynamic import check_weight
from refquant.ops.dynamic_range import ORDERS, conv_dynamic_range, matmul_dynamic_range

__all__ = ["EXECUTE", "HYBRID", "SHAPES", "check_hybrid"]

_SYMMETRIC: Mapping[str, Kind] = {"symmetric": (0, 1)}
_CONV: Mapping[str, Kind] = {
    **{"kernel_shape": "ints", "strides": "ints", "pads": "ints", "dilations": "ints"},
    **{"group": "int", **_SYMMETRIC},
}
_NEEDED = frozenset(_SYMMETRIC)

HYBRID: Mapping[str, Operator] = {
    "ConvDynamicRange": Operator(3, 3, attributes=_CONV, required=_NEEDED),
    "MatMulDynamicRange": Operator(3, 3, attributes=_SYMMETRIC, required=_NEEDED),
}
SHAPES: Mapping[str, Callable[[str, Sequence[Shape], Attributes], tuple[Shape, ...]]] = {
    "ConvDynamicRange": conv,
    "MatMulDynamicRange": matmul,
}


def check_hybrid(graph: Graph, node: Node) -> None:
    """Refuse a node of section 11 whose operands or contract are others, or that could overflow.

    >>> import numpy as np
    >>> from refquant.contracts import preset
    >>> from refquant.model.graph import Quant, Value
    >>> real, w = Value("float32", ("N", 1)), Value("int8", (1, 1), Quant(0.5, 0))
    >>> values = {"x": real, "w": w, "b": Value("float32", (1,)), "y": real}
    >>> node = Node("y", "MatMulDynamicRange", ("x", "w", "b"), ("y",), {"symmetric": 1}, "xnnpack")
    >>> constants = {"w": np.ones((1, 1), np.int8), "b": np.zeros(1, np.float32)}
    >>> contracts = {"xnnpack": preset("xnnpack")}
    >>> check_hybrid(Graph("g", ("x",), ("y",), values, (node,), constants, contracts, {}), node)
    Traceback (most recent call last):
    ...
    ValueError: contract 'xnnpack' has requantize 'float_rne', which gives codes; a dynamic-range \
layer takes one of float32_of_scales, float32_weight_first, float32_weight_first_by_four, \
float32_input_first_fused
    """
    x_name, _, bias_name = node.inputs
    for name in (x_name, bias_name, node.outputs[0]):
        value = graph.values[name]
        if value.dtype != "float32" or value.quant is not None:
            raise ValueError(f"{name!r} is float32 without quant, got {value.dtype} {value.quant}")
    if bias_name not in graph.constants:
        raise ValueError(f"the bias {bias_name!r} is a constant; add a computed one with Add")
    contract = graph.contracts[node.contract or ""]
    if contract.requantize not in ORDERS:
        raise ValueError(
            f"contract {contract.name!r} has requantize {contract.requantize!r}, which gives "
            f"codes; a dynamic-range layer takes one of {', '.join(ORDERS)}"
        )
    check_weight(graph, node, bits=8)


def _given(c: Call) -> dict[str, Any]:
    return {
        "w_qparams": c.x(1),
        "symmetric": bool(c.node.attributes["symmetric"]),
        "contract": c.contract,
    }


def _conv(c: Call) -> NDArray[Any]:
    return conv_dynamic_range(c.operand(0), c.operand(1), c.operand(2), **_given(c), **c.window)


def _matmul(c: Call) -> NDArray[Any]:
    return matmul_dynamic_range(c.operand(0), c.operand(1), c.operand(2), **_given(c))


EXECUTE: Mapping[str, Callable[[Call], NDArray[Any]]] = {
    "ConvDynamicRange": _conv,
    "MatMulDynamicRange": _matmul,
}
