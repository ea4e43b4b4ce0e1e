"""Products whose codes a run makes, and weights of few bits beside reals.

::

    DynamicQuantizeLinear -> MatMulInteger -> Cast -> Mul by (x_scale * w_scale) -> Add the bias

is what `MatMulIntegerToFloat` is in operators that ONNX has, and what onnxruntime fuses again. The
range of ``DynamicQuantizeLinear`` is that of all it is given, ours is each sample's: so the
batch ``"N"`` of such a model is 1.

In the QOperator form a matrix of 2, 4 or 8 bits in groups of 16, 32, 64, ... is a ``MatMulNBits``:

::

    w (K, N), blocks [32, 1]  ->  B (N, K/32, 16 bytes), scales (N, K/32), zero points (N, K/64)

``accuracy_level`` = 1 asks for products in float32.

References: ONNX ``MatMulInteger``; onnxruntime ``docs/ContribOperators.md``.
"""

import numpy as np

from refquant.formats.containers import matmul_nbits
from refquant.model.exporters.onnx_codes import real
from refquant.model.exporters.onnx_contract import arithmetic
from refquant.model.exporters.onnx_draft import MICROSOFT, Draft, NoForm
from refquant.model.exporters.onnx_qdq import codes_of
from refquant.model.exporters.onnx_transposed import add_transposed_to_float
from refquant.model.graph import DTYPES, Node

__all__ = ["add_dynamic", "add_n_bits", "is_n_bits"]

_FLOAT = 1


def add_dynamic(d: Draft, node: Node) -> None:
    """Add one of the operators of docs/spec/operators.md, section 5."""
    if node.op == "DynamicQuantizeLinear":
        arithmetic(d.graph, node)
        d.add(node.op, [real(d, node.inputs[0])], node.outputs)
    elif node.op == "DynamicQuantizeLSTM":
        arithmetic(d.graph, node)
        _lstm(d, node)
    elif node.op == "DynamicQuantizeGRU":
        raise NoForm(
            "neither ONNX nor onnxruntime has a GRU that makes codes of its state at each step; "
            "exclude it, or give its weights alone codes (int8_weight_only)"
        )
    elif node.op in ("MatMulInteger", "ConvInteger"):
        inputs = [codes_of(d, name) if name else "" for name in node.inputs]
        d.add(node.op, inputs, node.outputs, node.attributes)
    elif node.op == "ConvTransposeIntegerToFloat":
        add_transposed_to_float(d, node)
    else:
        _to_float(d, node)


def _to_float(d: Draft, node: Node) -> None:
    x, w, x_scale, x_zero = node.inputs[:4]
    y, conv = node.outputs[0], node.op == "ConvIntegerToFloat"
    around = (-1, *[1] * (len(d.graph.values[w].shape) - 2)) if conv else (-1,)
    codes, scale = codes_of(d, w), _scale(d, w)
    column = scale.reshape(around) if scale.ndim else scale
    acc = d.step(node.op.removesuffix("ToFloat"), [x, codes, x_zero], f"{y}/acc", node.attributes)
    acc = d.step("Cast", [acc], f"{y}/acc/float32", {"to": _FLOAT})
    factor = d.number(f"{w}/scale/column", column, "float32")
    both = d.step("Mul", [x_scale, factor], f"{y}/scale")
    if len(node.inputs) < 5:
        d.add("Mul", [acc, both], y)
        return
    bias = d.graph.constants[node.inputs[4]].reshape(around)
    product = d.step("Mul", [acc, both], f"{y}/product")
    d.add("Add", [product, d.number(f"{node.inputs[4]}/column", bias, "float32")], y)


def _lstm(d: Draft, node: Node) -> None:
    """Time first, weights turned, a scale for each row: com.microsoft.DynamicQuantizeLSTM."""
    x, w, r, *rest = node.inputs
    rest = [*rest, "", "", "", ""][:4]

    def turned(name: str) -> str:
        return d.step("Transpose", [name], f"{name}/time_first", {"perm": (1, 0, 2)})

    inputs, ends = [turned(real(d, x))], []
    for name in (w, r):
        quant, codes = d.graph.values[name].quant, d.graph.constants[name]
        assert quant is not None, "validate: a weight of codes"
        scale = d.graph.constants[quant.scale] if isinstance(quant.scale, str) else quant.scale
        grid = np.asarray(scale, np.float32).reshape(np.shape(scale) or (1, 1, 1))
        rows = np.broadcast_to(grid, (*codes.shape[:2], 1))[..., 0]
        around = np.ascontiguousarray(codes.transpose(0, 2, 1))
        inputs.append(d.number(f"{name}/turned", around, "int8"))
        zeros = np.zeros(rows.shape, np.int8)
        ends += [d.number(f"{name}/rows", np.ascontiguousarray(rows), "float32"),
                 d.number(f"{name}/zeros", zeros, "int8")]  # fmt: skip
    inputs += [real(d, rest[0]), "", *(turned(real(d, n)) if n else "" for n in rest[2:]), ""]
    given = {k: v for k, v in node.attributes.items() if k != "layout"}
    made = [d.free(f"{name}/time_first") for name in node.outputs]
    d.add(node.op, [*inputs, *ends], made, given, domain=MICROSOFT)
    for i, (name, ours) in enumerate(zip(made, node.outputs, strict=True)):
        d.add("Transpose", [name], ours, {"perm": (1, 0, 2) if i else (2, 0, 1, 3)})


def _scale(d: Draft, w: str) -> np.typing.NDArray[np.float32]:
    quant = d.graph.values[w].quant
    assert quant is not None, "validate: a weight of codes"
    if isinstance(quant.scale, str):
        return np.asarray(d.graph.constants[quant.scale].ravel(), np.float32)
    return np.asarray(quant.scale, np.float32)


def is_n_bits(d: Draft, node: Node) -> bool:
    """Say whether the node is a product by a matrix that ``MatMulNBits`` takes."""
    if node.op not in ("MatMul", "Gemm") or node.inputs[1] not in d.graph.constants:
        return False
    value = d.graph.values[node.inputs[1]]
    quant = value.quant
    if quant is None or quant.block_shape is None or len(value.shape) != 2:
        return False
    if quant.table or quant.g_idx or not isinstance(quant.scale, str):
        return False
    if d.graph.values[quant.scale].quant is not None or DTYPES[value.dtype].bits not in (2, 4, 8):
        return False
    turned = bool(node.attributes.get("transB", 0))
    block, other = quant.block_shape[turned], quant.block_shape[not turned]
    return other == 1 and block >= 16 and block & (block - 1) == 0


def add_n_bits(d: Draft, node: Node) -> None:
    """Add a ``MatMulNBits``; codes with a sign are moved up by half of the range."""
    w, y = node.inputs[1], node.outputs[0]
    value = d.graph.values[w]
    quant, bits = value.quant, DTYPES[value.dtype].bits
    assert quant is not None, "is_n_bits"
    assert quant.block_shape is not None, "is_n_bits"
    assert isinstance(quant.scale, str), "is_n_bits"
    turned = bool(node.attributes.get("transB", 0))
    block = quant.block_shape[turned]
    up = -DTYPES[value.dtype].qmin
    codes, scales = d.graph.constants[w], d.graph.constants[quant.scale]
    zero = quant.zero_point
    zeros = d.graph.constants[zero] if isinstance(zero, str) else np.asarray(zero, np.int32)
    zeros = np.broadcast_to(zeros, scales.shape)
    if not turned:
        codes, scales, zeros = codes.T, scales.T, zeros.T
    packed = matmul_nbits.pack((codes.astype(np.int16) + up), num_bits=bits, block_size=block)
    inputs = [
        real(d, node.inputs[0]),
        d.number(f"{w}/packed", packed, "uint8"),
        d.number(f"{w}/scales", np.ascontiguousarray(scales), "float32"),
    ]
    if zeros.dtype != np.int32:
        raise NoForm(f"{w!r} has float zero points")
    if (zeros + up != 1 << (bits - 1)).any():
        points = matmul_nbits.pack_zero_points(zeros + up, num_bits=bits)
        inputs.append(d.number(f"{w}/zero_points", points, "uint8"))
    sizes = {"K": codes.shape[1], "N": codes.shape[0], "bits": bits, "block_size": block}
    target = y if len(node.inputs) == 2 else d.free(f"{y}/product")
    d.add("MatMulNBits", inputs, target, {**sizes, "accuracy_level": 1}, domain=MICROSOFT)
    if target != y:
        d.add("Add", [target, real(d, node.inputs[2])], y)
