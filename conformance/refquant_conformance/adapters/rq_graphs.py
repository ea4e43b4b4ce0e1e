"""One operator as a model file: what our own runtime is asked by.

Scales and zero points are parts of the file, weights are constants of it; only activations are fed.
So a case with other parameters is another file, and a session is kept for each.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant.contracts import Contract
from refquant.formats.affine import QParams
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant
from refquant.ops.softmax import softmax_table
from refquant.ops.unary import unary_table
from refquant_conformance.adapters.rq_floats import FLOATS
from refquant_conformance.adapters.rq_movement import MOVED
from refquant_conformance.protocol import Array, Case, Unsupported
from refquant_conformance.types import storage

__all__ = ["feeds_of", "graph_of"]

_FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {"qlinear_sigmoid": "Sigmoid", "qlinear_tanh": "Tanh", "qlinear_leaky_relu": "LeakyRelu"}
)
_COMPUTED = frozenset(
    (
        *("quantize_linear", "dequantize_linear", "dynamic_quantize_linear", "matmul_integer"),
        "wide_matmul",
        *("qlinear_matmul", "qlinear_conv", "qlinear_add", "qlinear_mul", "qlinear_average_pool"),
        *("qlinear_mean", "qlinear_softmax", "qlinear_depthwise_conv", *_FUNCTIONS, *MOVED),
        *FLOATS,
    )
)
_CONVOLUTIONS = ("qlinear_conv", "qlinear_depthwise_conv")
_FED = frozenset(("x", "a"))
_FED_TWICE = frozenset(("qlinear_add", "qlinear_mul", "qlinear_concat"))


def feeds_of(case: Case) -> dict[str, Array]:
    """Return the inputs that are fed; the others are constants of the file."""
    names = {*_FED, "b"} if case.op in _FED_TWICE else _FED
    return {name: array for name, array in case.inputs.items() if name in names}


def graph_of(case: Case, contract: Contract) -> Graph:
    """Return the graph of a case; ``Unsupported`` names what a file cannot say.

    ``ValueError`` where the reference refuses the graph: a scale of zero, an accumulator that could
    leave int32.
    """
    if case.op not in _COMPUTED or case.types.get("x") == "float16":
        raise Unsupported(f"a .rq file has no {case.op} {case.scheme}")
    b = Builder("case")
    if case.op == "quantize_linear":
        x = b.input("x", case.inputs["x"].shape)
        node = b.node("QuantizeLinear", [x], dtype=case.types["y"], quant=_quant(b, case, "x", "y"),
                      contract=contract, name="y")  # fmt: skip
    elif case.op == "dequantize_linear":
        kind = case.types["x"]
        x = b.input("x", case.inputs["x"].shape, dtype=kind, quant=_quant(b, case, "x", "x"))
        node = b.node("DequantizeLinear", [x], contract=contract, name="y")
    elif case.op == "dynamic_quantize_linear":
        x = b.input("x", case.inputs["x"].shape)
        names = ("y", "scale", "zero_point")
        b.node_with("DynamicQuantizeLinear", [x], names, name="dql", contract=contract)
        return b.graph(list(names))
    elif case.op == "matmul_integer":
        node = _matmul_integer(b, case, contract)
    elif case.op == "wide_matmul":
        node = _product(b, _with_zeros(case), contract)
    elif case.op in ("qlinear_matmul", *_CONVOLUTIONS):
        node = _product(b, case, contract)
    elif case.op in MOVED:
        node = MOVED[case.op](b, case, contract)
    elif case.op in FLOATS:
        made = FLOATS[case.op](b, case, contract)
        return b.graph([made] if isinstance(made, str) else made)
    else:
        node = _elementwise(b, case, contract)
    return b.graph([node])


def _quant(b: Builder, case: Case, data: str, of: str) -> Quant:
    """Return the parameters of a quantizer's codes, one scale a tensor."""
    if case.inputs["scale"].ndim:
        raise Unsupported("scales of activations are one a tensor in a .rq file")
    zero_point = case.inputs.get("zero_point")
    return Quant(float(case.inputs["scale"]), 0 if zero_point is None else int(zero_point))


def _named(case: Case, name: str) -> Quant:
    return Quant(float(case.inputs[f"{name}_scale"]), int(case.inputs[f"{name}_zero_point"]))


def _of_channels(b: Builder, case: Case, name: str, axis: int) -> Quant:
    """Return the parameters of weights: numbers, or one a channel along ``axis``."""
    scale, zero_point = case.inputs[f"{name}_scale"], case.inputs[f"{name}_zero_point"]
    if scale.ndim == 0:
        return _named(case, name)
    shape = case.inputs[name].shape
    wide = tuple(n if i == axis else 1 for i, n in enumerate(shape))
    blocks = tuple(1 if i == axis else n for i, n in enumerate(shape))
    points = np.broadcast_to(zero_point, scale.shape).astype(np.int32)
    return Quant(
        b.constant(f"{name}/scale", scale.astype(np.float32).reshape(wide)),
        b.constant(f"{name}/zero_point", points.reshape(wide)),
        blocks,
    )


def _matmul_integer(b: Builder, case: Case, contract: Contract) -> str:
    a = b.input("a", case.inputs["a"].shape, dtype=case.types["a"])
    operands = [a, b.constant("b", case.inputs["b"])]
    for name in ("a_zero_point", "b_zero_point"):
        if name in case.inputs:
            operands.append(b.constant(name, case.inputs[name]))
        elif name == "a_zero_point" and "b_zero_point" in case.inputs:
            operands.append("")
    return b.node("MatMulInteger", operands, contract=contract, name="y")


def _with_zeros(case: Case) -> Case:
    """Return a case of 16-bit codes with the zero points that it leaves out: 0."""
    zeros = {f"{n}_zero_point": np.zeros((), storage(case.types[n])) for n in ("a", "b", "y")}
    return replace(case, inputs={**case.inputs, **zeros})


def _product(b: Builder, case: Case, contract: Contract) -> str:
    conv = case.op in _CONVOLUTIONS
    left, right = ("x", "w") if conv else ("a", "b")
    x = b.input(left, case.inputs[left].shape, dtype=case.types[left], quant=_named(case, left))
    weights = b.constant(
        right, case.inputs[right], quant=_of_channels(b, case, right, 0 if conv else 1)
    )
    operands = [x, weights]
    if "bias" in case.inputs:
        bias = case.inputs["bias"]
        operands.append(b.constant("bias", bias, quant=_bias_quant(b, case, left, right)))
    attributes: dict[str, Any] = {
        key: value
        for key in ("clamp_min", "clamp_max")
        if (value := case.params.get(key)) is not None
    }
    if conv:
        for key in ("strides", "pads", "dilations", "group"):
            attributes[key] = case.params[key]
    return b.node("Conv" if conv else "MatMul", operands, attributes=attributes, contract=contract,
                  dtype=case.types["y"], quant=_named(case, "y"), name="y")  # fmt: skip


def _bias_quant(b: Builder, case: Case, left: str, right: str) -> Quant:
    """Return what the bias counts in: a record for people, which computes nothing."""
    scale = case.inputs[f"{left}_scale"] * case.inputs[f"{right}_scale"]
    count = case.inputs["bias"].size
    if scale.ndim == 0:
        return Quant(float(np.float32(scale)), 0)
    return Quant(
        b.constant("bias/scale", np.broadcast_to(scale, (count,)).astype(np.float32)),
        b.constant("bias/zero_point", np.zeros(count, np.int32)),
        (1,),
    )


def _elementwise(b: Builder, case: Case, contract: Contract) -> str:
    """Return the node of a sum, a product, a mean, a softmax or a function of one code."""
    names = [name for name in ("x", "a", "b") if name in case.inputs]
    inputs = [
        b.input(name, case.inputs[name].shape, dtype=case.types[name], quant=_named(case, name))
        for name in names
    ]
    kinds = {"qlinear_add": "Add", "qlinear_mul": "Mul", "qlinear_average_pool": "AveragePool",
             "qlinear_mean": "ReduceMean", "qlinear_softmax": "Softmax"}  # fmt: skip
    attributes: dict[str, Any] = {}
    if case.op == "qlinear_average_pool":
        attributes = {"kernel_shape": case.params["kernel"], "strides": case.params["strides"],
                      "pads": case.params["pads"]}  # fmt: skip
        if case.params.get("count_include_pad"):
            attributes["count_include_pad"] = 1
    elif case.op == "qlinear_mean":
        attributes = {"axes": (2, 3), "keepdims": 1}
    elif case.op == "qlinear_softmax":
        attributes = {"axis": -1}
        if contract.softmax not in ("dequantize", "unspecified"):
            table = softmax_table(_qparams(case, "x"), beta=1.0, contract=contract)
            inputs.append(b.constant("table", table))
    elif case.op in _FUNCTIONS:
        function = _FUNCTIONS[case.op]
        own = {"alpha": case.params["alpha"]} if function == "LeakyRelu" else {}
        table = unary_table(function, x_qparams=_qparams(case, "x"), y_qparams=_qparams(case, "y"),
                            contract=contract, attributes=own)  # fmt: skip
        inputs.append(b.constant("table", table))
        kinds = {case.op: function}
        attributes = own
    return b.node(kinds[case.op], inputs, attributes=attributes, contract=contract,
                  dtype=case.types["y"], quant=_named(case, "y"), name="y")  # fmt: skip


def _qparams(case: Case, name: str) -> QParams:
    quant = _named(case, name)
    return QParams(
        np.float32(float(quant.scale)), np.int32(int(quant.zero_point)), None, case.types[name]
    )
