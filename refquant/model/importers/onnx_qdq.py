"""``QuantizeLinear`` and ``DequantizeLinear``: pairs around an operator become one on codes.

::

    codes -> DequantizeLinear -> Conv -> (Relu) -> QuantizeLinear -> codes
    codes ------------------->   Conv on codes    ----------------> codes

A ``DequantizeLinear`` adds no node: its output is `Reals`. An operator that finds only `Reals` and
is read by one ``QuantizeLinear`` alone computes with the codes, by the contract ``ort``. What
cannot, stays as it is, and ``Scope.unfused`` says why: the first reader that needs the reals, its
operator, and the reason.

A ``Relu`` in between is the clamp ``clamp_min`` = zero point; a ``Clip`` clamps to the codes of its
bounds, when these are exactly codes.

References: onnxruntime, ``docs/execution-providers`` (QDQ format); ONNX.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from refquant.contracts import Contract
from refquant.formats import affine
from refquant.model.graph import DTYPES, Attribute, Quant
from refquant.model.importers.onnx_codes import (
    ORT_ELEMENTWISE,
    coded_constant,
    meaning,
    qparams,
    requantized,
    tabled,
)
from refquant.model.importers.onnx_lower_windows import WINDOWS, window_of
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Known, Reals, Scope, Seen, Unsupported
from refquant.model.importers.onnx_tensor import dtype_of
from refquant.model.validate_nodes import check_node

__all__ = ["FUSED", "QDQ", "Target", "fuse"]

Lower = Callable[[Scope, OnnxNode], None]


@dataclass(frozen=True, slots=True)
class Target:
    """What a fused operator gives: the name, the ruler, and a clamp in codes."""

    output: str
    dtype: str
    quant: Quant
    clamp: Mapping[str, Attribute]


def _dequantize(s: Scope, node: OnnxNode) -> None:
    scale, zero = s.known(node, 1, "x_scale"), s.known(node, 2, "x_zero_point")
    if scale is None:
        raise Unsupported("x_scale is absent")
    item = s.item(node.inputs[0])
    if isinstance(item, Known):
        name = coded_constant(
            s, node.inputs[0], item.array, item.dtype, scale, zero,
            axis=int(node.attributes.get("axis", 1)),
            block_size=int(node.attributes.get("block_size", 0)),
        )  # fmt: skip
        s.items[node.outputs[0]] = Reals(name, node)
        return
    codes = s.value(node, 0)
    value, quant = s.b.values[codes], meaning(scale, zero)
    if value.quant != quant:
        raise Unsupported(f"codes of {value.quant} are read as {quant}")
    s.items[node.outputs[0]] = Reals(codes, node)


def target_of(s: Scope, node: OnnxNode) -> tuple[str, Quant]:
    """Return (dtype, meaning) of what a ``QuantizeLinear`` gives."""
    scale, zero = s.known(node, 1, "y_scale"), s.known(node, 2, "y_zero_point")
    if scale is None:
        raise Unsupported("y_scale is absent")
    dtype = "uint8" if zero is None else zero.dtype.name
    if node.attributes.get("output_dtype"):
        dtype = dtype_of(node.attributes["output_dtype"])
    item = s.item(node.inputs[2]) if s.has(node, 2) else None
    if isinstance(item, Known):
        dtype = item.dtype
    return dtype, meaning(scale, zero)


def _quantize(s: Scope, node: OnnxNode) -> None:
    item, output = s.item(node.inputs[0]), node.outputs[0]
    if isinstance(item, Known):
        _quantize_known(s, node, item)
        return
    dtype, quant = target_of(s, node)
    if dtype not in DTYPES or DTYPES[dtype].bits not in (8, 16):
        raise Unsupported(f"codes of {dtype}")
    if isinstance(item, Reals) and _same_or_8(s, item, dtype, quant):
        made = requantized(s, item.value, output, dtype, quant)
    else:
        x = s.real(node, 0)
        made = s.node("QuantizeLinear", [x], output, contract=s.contract, dtype=dtype, quant=quant)
        if x not in s.b.inputs:
            maker = next(n.op for n in s.b.nodes if x in n.outputs)
            _listed(s, node, f"its input is the float32 output of {maker} {x!r}")
    s.items[output] = Seen(made, dtype)


def _same_or_8(s: Scope, item: Reals, dtype: str, quant: Quant) -> bool:
    value = s.b.values[item.value]
    bits = DTYPES[value.dtype].bits, DTYPES[dtype].bits
    return (value.dtype, value.quant) == (dtype, quant) or bits == (8, 8)


def _quantize_known(s: Scope, node: OnnxNode, item: Known) -> None:
    """Quantize a constant at import: per tensor, or along an axis."""
    scale, zero = s.known(node, 1, "y_scale"), s.known(node, 2, "y_zero_point")
    if scale is None or item.dtype != "float32" or node.attributes.get("block_size", 0):
        raise Unsupported("a float32 constant is quantized per tensor or per axis")
    dtype = "uint8" if zero is None else zero.dtype.name
    zeros = np.zeros(scale.shape, np.int32) if zero is None else zero.astype(np.int32)
    axis = int(node.attributes.get("axis", 1))
    assert s.contract is not None, "the importer has a contract"
    parts = np.moveaxis(item.array, axis, 0) if scale.size > 1 else item.array[None]
    codes = [
        affine.quantize(part, qparams(dtype, Quant(float(sc), int(z))), contract=s.contract)
        for part, sc, z in zip(parts, scale.ravel(), zeros.ravel(), strict=True)
    ]
    whole = np.moveaxis(np.stack(codes), 0, axis) if scale.size > 1 else codes[0]
    s.items[node.outputs[0]] = Known(whole, dtype)


def _listed(s: Scope, node: OnnxNode, reason: str) -> None:
    s.unfused.append({"node": node.label, "op": node.op, "reason": reason})


def fuse(s: Scope, node: OnnxNode) -> bool:
    """Compute ``node`` on codes if it can be; else leave the reason in ``s.why``, and say no."""
    s.why = ""
    if node.domain or node.op not in FUSED:
        s.why = f"{node.op} has no form on codes"
        return False
    if not any(isinstance(s.items[name], Reals) for name in node.inputs if name):
        return False
    try:
        target, taken = _target(s, node)
        FUSED[node.op](s, node, target)
    except Unsupported as error:
        s.why = str(error)
        return False
    s.items[target.output] = Seen(target.output, target.dtype)
    for name in taken:  # nobody else reads them
        s.items[name] = s.items[target.output]
    return True


def _target(s: Scope, node: OnnxNode) -> tuple[Target, list[str]]:
    """Return what the one ``QuantizeLinear`` asks for that reads the node, and names between."""
    q, between = _reader(s, node.outputs[0]), [node.outputs[0]]
    clip: OnnxNode | None = None
    if q.op in ("Relu", "Clip") and node.op in _CLAMPED:
        clip, q = q, _reader(s, q.outputs[0])
        between.append(clip.outputs[0])
    if q.op != "QuantizeLinear" or q.inputs[0] not in between:
        raise Unsupported(f"{q.op} {q.label!r} reads its reals")
    dtype, quant = target_of(s, q)
    if dtype not in DTYPES or DTYPES[dtype].bits not in (8, 16):
        raise Unsupported(f"codes of {dtype}")
    clamp = {} if clip is None else _clamp(s, clip, dtype, quant)
    return Target(q.outputs[0], dtype, quant, clamp), between


def _reader(s: Scope, name: str) -> OnnxNode:
    readers = s.readers.get(name, [])
    if name in s.outputs or len(readers) != 1:
        raise Unsupported(f"its reals are read {len(readers) + (name in s.outputs)} times")
    return readers[0]


def _clamp(s: Scope, clip: OnnxNode, dtype: str, quant: Quant) -> dict[str, Attribute]:
    assert isinstance(quant.scale, float), "meaning: one number"
    assert isinstance(quant.zero_point, int), "meaning: one number"
    limits = DTYPES[dtype]
    if clip.op == "Relu":
        bounds: dict[str, float | None] = {"clamp_min": 0.0, "clamp_max": None}
    else:
        bounds = {}
        for key, index, old in (("clamp_min", 1, "min"), ("clamp_max", 2, "max")):
            known = s.known(clip, index, old)
            number = clip.attributes.get(old) if known is None else float(known.ravel()[0])
            bounds[key] = None if number is None else float(number)
    result: dict[str, Attribute] = {}
    for key, bound in bounds.items():
        if bound is None:
            continue
        code = bound / quant.scale + quant.zero_point
        if code <= limits.qmin if key == "clamp_min" else code >= limits.qmax:
            continue  # the ruler ends before
        if code != int(code) or not limits.qmin <= code <= limits.qmax:
            raise Unsupported(f"the bound {bound} of {clip.op} is no code of the result")
        result[key] = int(code)
    return result


def codes_of(s: Scope, node: OnnxNode, index: int) -> str:
    """Return the codes of an input that must be `Reals`."""
    item = s.items[node.inputs[index]]
    if not isinstance(item, Reals):
        raise Unsupported(f"input {index} is float32")
    return item.value


def bias_of(s: Scope, node: OnnxNode, x: str, w: str) -> list[str]:
    """Return the int32 bias, if there is one: its scale must be that of the products."""
    if not s.has(node, 2):
        return []
    bias = codes_of(s, node, 2)
    value = s.b.values[bias]
    if value.dtype != "int32" or value.quant is None or bias not in s.b.constants:
        raise Unsupported(f"the bias is {value.dtype}; int32 is added to products")
    xs, ws, bs = (_scales(s, name) for name in (x, w, bias))
    product = (xs.astype(np.float64) * ws).ravel()
    if not np.allclose(bs.ravel().astype(np.float64), product, rtol=2.0**-20, atol=0):
        raise Unsupported("the scale of the bias is not that of the products")
    return [bias]


def _scales(s: Scope, name: str) -> "np.typing.NDArray[np.float32]":
    quant = s.b.values[name].quant
    assert quant is not None, "codes have a meaning"
    if isinstance(quant.scale, str):
        return np.asarray(s.b.constants[quant.scale], np.float32)
    return np.asarray(quant.scale, np.float32)


def emit_codes(
    s: Scope,
    op: str,
    inputs: list[str],
    attributes: Mapping[str, Attribute],
    t: Target,
    contract: Contract | None = None,
) -> None:
    """Add an operator on codes; `Unsupported` if it could overflow, or its contract has it not."""
    made = s.node(
        op, inputs, t.output, {**attributes, **t.clamp},
        contract=contract or s.contract, dtype=t.dtype, quant=t.quant,
    )  # fmt: skip
    try:
        check_node(s.view(), s.b.nodes[-1])
    except ValueError as error:
        s.b.nodes.pop()
        del s.b.values[made]
        raise Unsupported(str(error)) from error


def _conv(s: Scope, node: OnnxNode, t: Target) -> None:
    x, w = codes_of(s, node, 0), codes_of(s, node, 1)
    if w not in s.b.constants:
        raise Unsupported("the weight is computed")
    kernel = tuple(int(d) for d in s.b.values[w].shape[2:])
    window = window_of(s, node, kernel)
    group = int(node.attributes.get("group", 1))
    emit_codes(s, "Conv", [x, w, *bias_of(s, node, x, w)], {**window, "group": group}, t)


def _gemm(s: Scope, node: OnnxNode, t: Target) -> None:
    a = node.attributes
    if a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0 or a.get("transA", 0):
        raise Unsupported("alpha, beta or transA")
    x, w = codes_of(s, node, 0), codes_of(s, node, 1)
    if w not in s.b.constants:
        raise Unsupported("the weight is computed")
    given: dict[str, Attribute] = {"transB": 1} if a.get("transB", 0) else {}
    emit_codes(s, "Gemm", [x, w, *bias_of(s, node, x, w)], given, t)


def _matmul(s: Scope, node: OnnxNode, t: Target) -> None:
    x, w = codes_of(s, node, 0), codes_of(s, node, 1)
    if x in s.b.constants:
        raise Unsupported("the left operand is a constant")
    emit_codes(s, "MatMul", [x, w], {}, t)


def _binary(s: Scope, node: OnnxNode, t: Target) -> None:
    inputs = [codes_of(s, node, 0), codes_of(s, node, 1)]
    emit_codes(s, node.op, inputs, {}, t, ORT_ELEMENTWISE)


def _global_average(s: Scope, node: OnnxNode, t: Target) -> None:
    emit_codes(s, node.op, [codes_of(s, node, 0)], {}, t)


def _average(s: Scope, node: OnnxNode, t: Target) -> None:
    """Onnxruntime averages the reals, and adds the zero point before it rounds."""
    codes_of(s, node, 0)
    s.why = "onnxruntime averages the reals, and quantizes the mean"
    WINDOWS["AveragePool"](s, node)
    mean = s.value_of(node.outputs[0])
    s.node(
        "QuantizeLinear", [mean], t.output, contract=ORT_ELEMENTWISE, dtype=t.dtype, quant=t.quant
    )


def _concat(s: Scope, node: OnnxNode, t: Target) -> None:
    parts = [codes_of(s, node, i) for i in range(len(node.inputs))]
    moved = [
        requantized(s, part, f"{t.output}/{i}", t.dtype, t.quant) for i, part in enumerate(parts)
    ]
    s.node("Concat", moved, t.output, {"axis": node.attributes["axis"]})


def _softmax(s: Scope, node: OnnxNode, t: Target) -> None:
    x, rank = codes_of(s, node, 0), len(s.shape(node.inputs[0]))
    axis = int(node.attributes.get("axis", -1 if s.opset >= 13 else 1)) % rank
    if s.opset < 13 and axis != rank - 1:
        raise Unsupported("a Softmax over several axes")
    emit_codes(s, "Softmax", [x], {"axis": axis}, t)


def _unary(s: Scope, node: OnnxNode, t: Target) -> None:
    x = codes_of(s, node, 0)
    attributes = {k: v for k, v in node.attributes.items() if k in ("alpha", "beta", "approximate")}
    if node.op == "Clip":
        for key, index in (("min", 1), ("max", 2)):
            known = s.known(node, index, key)
            number = node.attributes.get(key) if known is None else float(known.ravel()[0])
            if number is not None and abs(number) < float(np.finfo(np.float32).max):
                attributes[key] = float(number)
    tabled(s, node.op, attributes, x, t.output, t.dtype, t.quant)


_CLAMPED = frozenset({"Conv", "Gemm", "MatMul", "Add", "Mul", "GlobalAveragePool"})
_TABLED = (
    *("Abs", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log"),
    *("Neg", "Relu", "Sigmoid", "Softplus", "Sqrt", "Swish", "Tanh"),
)
FUSED: Mapping[str, Callable[[Scope, OnnxNode, Target], None]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _binary,
    "Mul": _binary,
    "AveragePool": _average,
    "GlobalAveragePool": _global_average,
    "Concat": _concat,
    "Softmax": _softmax,
    **dict.fromkeys(_TABLED, _unary),
}
QDQ: Mapping[str, Lower] = {"QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}
