"""Products of codes that a run makes, and weights of N bits beside reals.

The dynamic operators are ours under the same names. What ``quantize_dynamic`` writes for a product,

    DynamicQuantizeLinear -> MatMulInteger -> Cast -> Mul by (x_scale * w_scale)

is one ``MatMulIntegerToFloat``; ``DynamicQuantizeMatMul`` is two of ours. ``MatMulNBits`` is a
``MatMul`` with a weight of codes: (N, blocks, bytes) in the file, (K, N) here.

Where a weight has a zero point, or is computed, the steps stay apart: ``MatMulInteger``, ``Cast``,
``Mul`` by the product of the scales, ``Add`` of the bias.

Left out: ``DynamicQuantizeLSTM``, which is in `refquant.model.importers.onnx_lower_recurrent`.

References: ONNX ``MatMulInteger``; onnxruntime ``docs/ContribOperators.md``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refquant.model.importers.onnx_codes import coded_constant
from refquant.model.importers.onnx_lower_windows import window_of
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Known, Scope, Seen, Unsupported
from refquant.numerics.packing import unpack

__all__ = ["DYNAMIC"]

Lower = Callable[[Scope, OnnxNode], None]


def _integer(s: Scope, node: OnnxNode) -> None:
    """MatMulInteger, ConvInteger: ours, with zero points of the dtype of their codes."""
    if _scaled(s, node):
        return
    inputs = [s.value(node, i) if s.has(node, i) else "" for i in range(len(node.inputs))]
    attributes = _window(s, node) if node.op == "ConvInteger" else {}
    made = s.node(node.op, inputs, node.outputs[0], attributes, contract=s.contract)
    s.items[node.outputs[0]] = Seen(made, "int32")


def _scaled(s: Scope, node: OnnxNode) -> bool:
    """Take what `quantize_dynamic` writes for one product, Cast and two Mul, as one operator.

    f32(f32(acc) * f32(x_scale * w_scale)) in both; and a scale that a sample has for itself stays
    inside.
    """
    cast, product = (_only_reader(s, node.outputs[0]), None)
    if cast is not None and cast.op == "Cast":
        product = _only_reader(s, cast.outputs[0])
    if product is None or cast is None or product.op != "Mul" or not s.has(node, 2):
        return False
    other = next((n for n in product.inputs if n != cast.outputs[0]), "")
    both, source = s.makers.get(other), s.makers.get(node.inputs[0])
    if both is None or both.op != "Mul" or source is None or source.op != "DynamicQuantizeLinear":
        return False
    scales = [n for n in both.inputs if n != source.outputs[1]]
    if len(scales) != 1 or not isinstance(s.items.get(scales[0]), Known):
        return False
    inner = OnnxNode(node.label, "", (*node.inputs[:2], scales[0], *node.inputs[3:4]), ())
    try:
        w = _symmetric(s, inner, 1, 2, 3, axis=0 if node.op == "ConvInteger" else -1)
    except Unsupported:
        return False
    attributes = _window(s, node) if node.op == "ConvInteger" else {}
    inputs = [s.value(node, 0), w, s.value_of(source.outputs[1]), s.value(node, 2)]
    made = s.node(f"{node.op}ToFloat", inputs, product.outputs[0], attributes, contract=s.contract)
    for name in (node.outputs[0], cast.outputs[0], product.outputs[0]):
        s.items[name] = Seen(made, "float32")
    return True


def _only_reader(s: Scope, name: str) -> OnnxNode | None:
    readers = s.readers.get(name, [])
    return readers[0] if len(readers) == 1 and name not in s.outputs else None


def _window(s: Scope, node: OnnxNode) -> dict[str, Any]:
    kernel = tuple(int(d) for d in s.shape(node.inputs[1])[2:])
    return {**window_of(s, node, kernel), "group": int(node.attributes.get("group", 1))}


def _dynamic(s: Scope, node: OnnxNode) -> None:
    names = s.nodes("DynamicQuantizeLinear", [s.real(node, 0)], node.outputs, contract=s.contract)
    for output, name, dtype in zip(node.outputs, names, ("uint8", "float32", "uint8"), strict=True):
        if output:
            s.items[output] = Seen(name, dtype)


def _to_float(s: Scope, node: OnnxNode) -> None:
    """MatMulIntegerToFloat(a, b, scales of both, zero points of both, bias)."""
    zero = s.value(node, 4) if s.has(node, 4) else ""
    _scaled_product(s, node, (s.value(node, 0), s.real(node, 2), zero), (1, 3, 5, 6))


def _dynamic_matmul(s: Scope, node: OnnxNode) -> None:
    """DynamicQuantizeMatMul(a, b, scale and zero point of b, bias)."""
    label = node.outputs[0]
    names = [f"{label}/codes", f"{label}/scale", f"{label}/zero_point"]
    codes, scale, zero = s.nodes(
        "DynamicQuantizeLinear", [s.real(node, 0)], names, contract=s.contract
    )
    _scaled_product(s, node, (codes, scale, zero), (1, 2, 3, 4))


def _scaled_product(
    s: Scope, node: OnnxNode, a: tuple[str, str, str], places: tuple[int, int, int, int]
) -> None:
    """Add codes, scale and zero point ``a`` times the weight whose like are inputs ``places``."""
    (codes, a_scale, a_zero), (b, b_scale, b_zero, b_bias) = a, places
    label = node.outputs[0]
    bias = [s.real(node, b_bias)] if s.has(node, b_bias) else []
    w = _symmetric(s, node, b, b_scale, b_zero) if a_zero and _around_zero(s, node, places) else ""
    if w:
        inputs = [codes, w, a_scale, a_zero, *bias]
        made = s.node("MatMulIntegerToFloat", inputs, label, contract=s.contract)
    else:
        zeros = [a_zero, s.value(node, b_zero) if s.has(node, b_zero) else ""]
        inputs = [codes, s.value(node, b), *zeros]
        total = s.node("MatMulInteger", inputs, f"{label}/integer", contract=s.contract)
        scale = s.node("Mul", [a_scale, s.real(node, b_scale)], f"{label}/scales")
        made = s.step(node, "Mul", [s.step(node, "Cast", [total], {"to": 1}), scale])
        made = s.step(node, "Add", [made, *bias]) if bias else made
    s.items[label] = Seen(made, "float32")


def _around_zero(s: Scope, node: OnnxNode, places: tuple[int, int, int, int]) -> bool:
    """Say whether a weight is a constant of codes around 0, or of uint8 around 128."""
    items = [s.item(node.inputs[i]) if s.has(node, i) else None for i in places[:3]]
    codes, scale, zeros = items
    if not isinstance(codes, Known) or not isinstance(scale, Known):
        return False
    if not isinstance(zeros, Known):
        return zeros is None and codes.dtype == "int8"
    return not (zeros.array != (128 if codes.dtype == "uint8" else 0)).any()


def _symmetric(
    s: Scope, node: OnnxNode, codes: int, scale: int, zero: int, *, axis: int = -1
) -> str:
    """Return a weight of int8 codes, its zero point 0."""
    item = s.item(node.inputs[codes])
    scales, zeros = s.known(node, scale, "the scale"), s.known(node, zero, "the zero point")
    if not isinstance(item, Known) or scales is None:
        raise Unsupported("the weight is computed")
    if item.dtype == "uint8":  # the same numbers, around 0
        if zeros is None or (zeros != 128).any():
            raise Unsupported("a uint8 weight whose zero point is not 128")
        array = (item.array.astype(np.int16) - 128).astype(np.int8)
    elif zeros is not None and zeros.any():
        raise Unsupported("a weight whose zero point is not 0")
    else:
        array = item.array
    return coded_constant(s, node.inputs[codes], array, "int8", scales.ravel(), None, axis=axis)


def _n_bits(s: Scope, node: OnnxNode) -> None:
    """MatMulNBits(a, b, scales, zero points, g_idx, bias)."""
    a = {"bits": 4, **node.attributes}
    k, n, bits, block = (int(a[name]) for name in ("K", "N", "bits", "block_size"))
    if min(k, n, block) < 1:
        raise Unsupported(f"K, N and block_size are > 0, got {k}, {n}, {block}")
    packed, scales = s.known(node, 1, "b"), s.known(node, 2, "scales")
    if packed is None or scales is None or bits not in (2, 4, 8) or s.has(node, 4):
        raise Unsupported(f"{bits} bits, or g_idx")
    blocks = -(-k // block)
    shape = (n, blocks * block)
    if scales.size != n * blocks:
        raise Unsupported(f"{n} columns of {blocks} blocks have as many scales, got {scales.size}")
    codes = unpack(packed.ravel(), num_bits=bits, signed=False, shape=shape)[:, :k].T
    grid = np.ascontiguousarray(scales.reshape(n, blocks).T)
    zero, zeros = np.full(grid.shape, 1 << (bits - 1)), s.known(node, 3, "zero_points")
    if zeros is not None and zeros.dtype == np.uint8:
        width = zeros.size * 8 // bits // n
        wide = unpack(zeros.ravel(), num_bits=bits, signed=False, shape=(n, width))
        zero = wide[:, :blocks].T
    elif zeros is not None:
        raise Unsupported(f"zero points of {zeros.dtype}")
    w = coded_constant(
        s, node.inputs[1], codes, f"uint{bits}", grid, np.asarray(zero, np.int32),
        axis=0, block_size=block,
    )  # fmt: skip
    label = node.outputs[0]
    product = f"{label}/product" if s.has(node, 5) else label
    made = s.node("MatMul", [s.real(node, 0), w], product, contract=s.contract)
    if s.has(node, 5):
        made = s.node("Add", [made, s.real(node, 5)], label)
    s.items[label] = Seen(made, "float32")


def _attention(s: Scope, node: OnnxNode) -> None:
    """QAttention(x, w, bias, scales, mask, zero points): one product, and Attention of its thirds.

    A mask of 0 adds -10000 to scores, as in the models that this was made for.
    """
    a = node.attributes
    strange = sorted(k for k in a if k not in _ATTENTION and a[k])
    if strange or s.has(node, 8) or any(n in s.outputs or s.readers.get(n) for n in
                                        node.outputs[1:]):  # fmt: skip
        raise Unsupported(f"past keys and values{f', attributes {strange}' if strange else ''}")
    if not s.has(node, 6) or isinstance(s.item(node.inputs[6]), Known):
        raise Unsupported(
            "codes of a static input; those of DynamicQuantizeLinear are computed with"
        )
    w = _symmetric(s, node, 1, 4, 7)
    inputs = [s.value(node, 0), w, s.real(node, 3), s.value(node, 6)]
    bias = [s.real(node, 2)] if s.has(node, 2) else []
    label = node.outputs[0]
    whole = s.node("MatMulIntegerToFloat", [*inputs, *bias], f"{label}/qkv", contract=s.contract)
    size = int(s.b.values[whole].shape[-1]) // 3
    thirds = [
        s.node("Slice", [whole], f"{label}/{name}",
               {"starts": (i * size,), "ends": ((i + 1) * size,), "axes": (2,)})
        for i, name in enumerate("qkv")
    ]  # fmt: skip
    heads = int(a["num_heads"])
    given: dict[str, Any] = {"q_num_heads": heads, "kv_num_heads": heads}
    given |= {"is_causal": 1} if a.get("unidirectional", 0) else {}
    given |= {"scale": float(a["scale"])} if a.get("scale") else {}
    mask = [_added(s, node, float(a.get("mask_filter_value", -10000.0)))] if s.has(node, 5) else []
    s.emit(node, "Attention", [*thirds, *mask], given)


def _added(s: Scope, node: OnnxNode, least: float) -> str:
    """Return what the mask (N, T) of integers adds to the scores, (N, 1, 1, T)."""
    if len(s.shape(node.inputs[5])) != 2 or s.shape(node.inputs[5])[1:] == (1,):
        raise Unsupported("a mask of lengths (input 5); give one number for each key")
    mask = s.value(node, 5, like="int32")
    zero = s.constant(f"{node.label}/none", np.zeros((), np.int32))
    seen = s.step(node, "Greater", [mask, zero])
    added = s.step(node, "Where", [seen, s.scalar(node, 0.0), s.scalar(node, least)])
    return s.step(node, "Unsqueeze", [added], {"axes": (1, 2)})


_ATTENTION = ("num_heads", "unidirectional", "scale", "mask_filter_value")

DYNAMIC: Mapping[str, Lower] = {
    "QAttention": _attention,
    "MatMulInteger": _integer,
    "ConvInteger": _integer,
    "DynamicQuantizeLinear": _dynamic,
    "MatMulIntegerToFloat": _to_float,
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "MatMulNBits": _n_bits,
}
