"""Arithmetics of which onnxruntime has no kernel, spelled out in operators with one result.

Integers in float32 are exact below 2^24, in whatever order they are added; a ``Gather`` is exact;
``QuantizeLinear`` with scale 1 rounds, adds the zero point and saturates: equation (2) of
`refquant.model.exporters.onnx_qoperator`.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from refquant.formats.affine import QParams
from refquant.model.exporters.onnx_codes import meaning
from refquant.model.exporters.onnx_draft import Draft, NoForm
from refquant.model.exporters.onnx_qdq import bias_scale, codes_of
from refquant.model.graph import DTYPES, Node, Quant
from refquant.ops.unary import unary_table

__all__ = [
    "add_average",
    "add_extreme",
    "add_product",
    "add_sum_of_products",
    "add_table",
    "is_clear",
    "is_function",
    "rounded",
    "shifted",
]

Floats = NDArray[np.float32]

_FLOAT, _INT32 = 1, 6
_EXACT = 1 << 24
_MARGIN = 2.0**-12


def add_table(d: Draft, node: Node) -> None:
    """``table[q - qmin]``: a negative index of ``Gather`` counts from the end, so int8 is one."""
    x, table = node.inputs
    value, output = d.graph.values[x], node.outputs[0]
    entries = d.graph.constants[table]
    turned = np.roll(entries, DTYPES[value.dtype].qmin)  # entry i is that of the code i mod 256
    name = d.number(f"{table}/by_code", turned, d.graph.values[output].dtype)
    index = d.step("Cast", [x], f"{x}/index", {"to": _INT32})
    d.add("Gather", [name, index], output)


def is_clear(d: Draft, node: Node) -> bool:
    """Say whether no code of a ``Sigmoid`` is near a tie: eq. (1). ``LeakyRelu`` is exact anyway.

    Also whether the table is that of the function: an importer may have made it by another rule.
    """
    x, y = (d.graph.values[name] for name in (node.inputs[0], node.outputs[0]))
    (sx, zx), (sy, zy) = _numbers(x.quant), _numbers(y.quant)
    limits = DTYPES[x.dtype]
    codes = np.arange(limits.qmin, limits.qmax + 1)
    reals = np.asarray((codes - zx).astype(np.float32) * np.float32(sx), np.float32)
    if node.op == "Sigmoid":
        with np.errstate(over="ignore"):
            values = 1 / (1 + np.exp(-reals.astype(np.float64))) / sy
        near = np.abs(values - np.floor(values) - 0.5).min() <= _MARGIN
    else:
        slope = np.float32(float(str(node.attributes.get("alpha", 0.01))))
        values, near = np.where(reals >= 0, reals, reals * slope) / np.float32(sy), False
    made = np.clip(np.rint(values) + zy, DTYPES[y.dtype].qmin, DTYPES[y.dtype].qmax)
    return not near and bool((made == d.graph.constants[node.inputs[1]]).all())


def is_function(d: Draft, node: Node) -> bool:
    """Say whether the table is that of the operator alone, as its node's attributes say it."""
    x, y = (d.graph.values[name] for name in (node.inputs[0], node.outputs[0]))
    parameters = []
    for value in (x, y):
        scale, zero = _numbers(value.quant)
        parameters.append(QParams(np.float32(scale), np.int32(zero), None, value.dtype))
    contract = d.graph.contracts[str(node.contract)]
    made = unary_table(node.op, node.attributes, parameters[0], parameters[1], contract)
    return bool(np.array_equal(made, d.graph.constants[node.inputs[1]]))


def _numbers(quant: Quant | None) -> tuple[float, int]:
    assert quant is not None, "a table is of codes"
    assert isinstance(quant.scale, float), "validate: computed values have numbers"
    assert isinstance(quant.zero_point, int), "validate: computed values have numbers"
    return quant.scale, quant.zero_point


def shifted(d: Draft, name: str) -> str:
    """Return the codes less their zero point, as float32 integers."""
    codes, (_, zero) = codes_of(d, name), _numbers(d.graph.values[name].quant)
    reals = d.step("Cast", [codes], f"{name}/float32", {"to": _FLOAT})
    return d.step("Sub", [reals, d.number(f"{name}/shift", zero, "float32")], f"{name}/shifted")


def rounded(d: Draft, acc: str, m: Floats, output: str, target: str) -> None:
    """Eq. (2)."""
    factor = d.number(f"{output}/multiplier", m, "float32")
    scaled = d.step("Mul", [acc, factor], f"{output}/scaled")
    one = d.number(f"{output}/one", 1, "float32")
    d.add("QuantizeLinear", [scaled, one, meaning(d, output)[1]], target)


def add_product(d: Draft, node: Node, target: str) -> None:
    """``Mul``: products of two 8-bit codes are exact in float32."""
    a, b, y = *node.inputs, node.outputs[0]
    if any(DTYPES[d.graph.values[name].dtype].bits > 8 for name in (a, b)):
        raise NoForm("products of codes of 16 bits have no exact form")
    (sa, _), (sb, _), (sy, _) = (_numbers(d.graph.values[name].quant) for name in (a, b, y))
    acc = d.step("Mul", [shifted(d, a), shifted(d, b)], f"{y}/acc")
    m = np.float32(np.float32(np.float32(sa) * np.float32(sb)) / np.float32(sy))
    rounded(d, acc, np.asarray(m), y, target)


def add_average(d: Draft, node: Node, target: str) -> None:
    """``AveragePool``: sums of a window, by a ``Conv`` with ones."""
    x, y = node.inputs[0], node.outputs[0]
    shape = d.graph.values[x].shape
    kernel = node.attributes["kernel_shape"]
    assert isinstance(kernel, tuple), "check_signature: a list of integers"
    area = int(np.prod(kernel))
    if area * ((1 << DTYPES[d.graph.values[x].dtype].bits) - 1) >= _EXACT:
        raise NoForm(f"a window of {area} codes may sum to more than float32 has exactly")
    codes = shifted(d, x)
    counts = np.full((), area, np.float32)
    window = {k: v for k, v in node.attributes.items() if k in ("strides", "pads")}
    channels = int(shape[1])
    ones = d.number(f"{node.name}/ones", np.ones((channels, 1, *kernel)), "float32")
    given = {**window, "kernel_shape": kernel, "group": channels}
    acc = d.step("Conv", [codes, ones], f"{y}/acc", given)
    if not node.attributes.get("count_include_pad", 0):
        counts = _counts(tuple(int(n) for n in shape[2:]), kernel, window)
    (sx, _), (sy, _) = (_numbers(d.graph.values[name].quant) for name in (x, y))
    m = np.asarray(np.float32(sx) / (np.float32(sy) * counts), np.float32)
    rounded(d, acc, m, y, target)


def _counts(
    space: tuple[int, ...], kernel: tuple[int, ...], window: Mapping[str, object]
) -> Floats:
    """Return how many elements each window sees: an outer product over the axes."""
    rank = len(space)
    strides, pads = window.get("strides", (1,) * rank), window.get("pads", (0,) * 2 * rank)
    assert isinstance(strides, tuple), "check_signature: lists"
    assert isinstance(pads, tuple), "check_signature: lists"
    total = np.ones((1,) * (rank + 2), np.float32)
    for i, n in enumerate(space):
        size = (pads[i] + n + pads[i + rank] - kernel[i]) // strides[i] + 1
        begin = np.arange(size) * strides[i] - pads[i]
        seen = np.minimum(begin + kernel[i], n) - np.maximum(begin, 0)
        total = total * seen.reshape([-1 if axis == i + 2 else 1 for axis in range(rank + 2)])
    return np.asarray(total, np.float32)


def add_sum_of_products(d: Draft, node: Node, target: str) -> None:
    """``MatMul`` with a bias and more than two axes: the accumulator is a ``MatMulInteger``."""
    x, w, bias = node.inputs
    y = node.outputs[0]
    zeros = [meaning(d, x)[1], meaning(d, w)[1]]
    acc = d.step("MatMulInteger", [x, codes_of(d, w), *zeros], f"{y}/products")
    acc = d.step("Add", [acc, d.own(bias)], f"{y}/acc")
    acc = d.step("Cast", [acc], f"{y}/acc/float32", {"to": _FLOAT})
    (sy, _) = _numbers(d.graph.values[y].quant)
    m = np.asarray(bias_scale(d, x, w) / np.float32(sy), np.float32)
    rounded(d, acc, m, y, target)


def add_extreme(d: Draft, node: Node) -> None:
    """``GlobalMaxPool`` of codes: float32 has them all, and onnxruntime has it for float32."""
    x, y = node.inputs[0], node.outputs[0]
    reals = d.step("Cast", [x], f"{x}/float32", {"to": _FLOAT})
    largest = d.step("GlobalMaxPool", [reals], f"{y}/float32")
    kinds = {"int8": 3, "uint8": 2, "int16": 5, "uint16": 4}
    d.add("Cast", [largest], y, {"to": kinds[d.graph.values[y].dtype]})
