"""Which arithmetics ONNX models have: those of onnxruntime's CPU kernels.

::

    axis             every node on codes            Add, Mul, QuantizeLinear may also have
    rounding         half_even
    scale_op         divide_f32
    zero_point_at    after_rounding                 before_rounding
    overflow         saturate
    accumulator      int32_exact
    requantize       float_rne                      float_zp_before_round_f32
    add              dequantize                     scale_ratios
    average_pool     float_multiplier
    softmax          dequantize, float_table_quotient

The axes that say how parameters are chosen do not matter any more: these are in the file. A NaN
becomes qmin here; what onnxruntime makes of it depends on the CPU, so nothing is promised.
"""

from collections.abc import Mapping

from refquant.contracts import Contract
from refquant.model.exporters.onnx_draft import NoForm
from refquant.model.graph import Graph, Node

__all__ = ["arithmetic", "before_rounding"]

_ALWAYS: Mapping[str, tuple[str, ...]] = {
    "rounding": ("half_even",),
    "scale_op": ("divide_f32",),
    "zero_point": ("integer",),
    "zero_point_at": ("after_rounding", "before_rounding"),
    "clamp": ("after_rounding",),
    "overflow": ("saturate",),
    "accumulator": ("int32_exact",),
}
_PRODUCTS = ("float_rne",)
_OF_OPERATORS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Conv": ("requantize", _PRODUCTS),
    "ConvTranspose": ("requantize", _PRODUCTS),
    "Gemm": ("requantize", _PRODUCTS),
    "MatMul": ("requantize", _PRODUCTS),
    "Mul": ("requantize", ("float_rne", "float_zp_before_round_f32")),
    "Add": ("add", ("dequantize", "scale_ratios")),
    "AveragePool": ("average_pool", ("float_multiplier",)),
    "GlobalAveragePool": ("average_pool", ("float_multiplier",)),
    "Softmax": ("softmax", ("dequantize", "float_table_quotient")),
    "ReduceMean": ("mean", ()),
}
_BEFORE = frozenset({"Add", "Mul", "QuantizeLinear", "DequantizeLinear"})


def arithmetic(graph: Graph, node: Node) -> Contract:
    """Return the contract of ``node``, which onnxruntime computes by; `NoForm` names an axis.

    >>> from refquant.contracts import preset
    >>> g = Graph("g", (), (), {}, (), {}, {"xnnpack": preset("xnnpack")}, {})
    >>> arithmetic(g, Node("n", "Conv", (), ("y",), {}, "xnnpack"))
    Traceback (most recent call last):
    ...
    refquant.model.exporters.onnx_draft.NoForm: its contract 'xnnpack' has scale_op \
'reciprocal_f32'; onnxruntime has divide_f32
    """
    assert node.contract is not None, "validate: such a node names one"
    contract = graph.contracts[node.contract]
    rules = dict(_ALWAYS)
    if node.op in _OF_OPERATORS:
        axis, allowed = _OF_OPERATORS[node.op]
        rules[axis] = allowed
    if node.op not in _BEFORE and not (node.op == "Softmax" and len(node.inputs) == 2):
        rules["zero_point_at"] = ("after_rounding",)
    for axis, allowed in rules.items():
        value = getattr(contract, axis)
        if value not in allowed:
            has = " or ".join(allowed) or "none that we know"
            raise NoForm(
                f"its contract {contract.name!r} has {axis} {value!r}; onnxruntime has {has}"
            )
    return contract


def before_rounding(contract: Contract) -> bool:
    """Say whether the zero point is added before rounding, as in its elementwise kernels.

    >>> from refquant.contracts import preset
    >>> before_rounding(preset("ort"))
    False
    """
    return contract.zero_point_at == "before_rounding"
