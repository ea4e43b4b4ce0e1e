"""Transposed convolutions of codes, of which neither ONNX nor onnxruntime has an operator.

::

    QDQ          DequantizeLinear -> ConvTranspose -> QuantizeLinear, computed in float32
    QOperator    codes - zx -> ConvTranspose of integers -> Mul by m[c] -> QuantizeLinear by 1
    dynamic      codes - zx -> ConvTranspose of integers -> Mul by (x_scale * sw[c]) -> Add the bias

A sum of integers in float32 is exact in any order while no part of it can reach 2^24, so the last
two give our codes; a layer that could is refused (`NoForm`), and qdq has a form for it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.exporters.onnx_draft import Draft, NoForm
from refquant.model.exporters.onnx_spelled import rounded, shifted
from refquant.model.graph import Node
from refquant.model.params import channel_weights, qparams_of
from refquant.ops.accumulate import accumulator_bound

__all__ = ["add_transposed", "add_transposed_to_float"]

_FLOAT = 1
_EXACT = 1 << 24
_CLAMPS = ("clamp_min", "clamp_max")


def add_transposed(d: Draft, node: Node, target: str) -> None:
    """Add a `ConvTranspose` of codes: its accumulator in float32, then one multiplier a channel."""
    graph, y = d.graph, node.outputs[0]
    bias = graph.constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None
    x = qparams_of(graph, node.inputs[0])
    weight, scale = _integers(d, node, x.dtype, int(x.zero_point), bias)
    inputs = [shifted(d, node.inputs[0]), weight]
    if bias is not None:
        inputs.append(d.number(f"{node.inputs[2]}/float32", bias.astype(np.float32), "float32"))
    own = {key: value for key, value in node.attributes.items() if key not in _CLAMPS}
    acc = d.step("ConvTranspose", inputs, f"{y}/acc", own)
    m = np.asarray(np.float32(x.scale) * scale / np.float32(qparams_of(graph, y).scale), np.float32)
    rounded(d, acc, m, y, target)


def add_transposed_to_float(d: Draft, node: Node) -> None:
    """Add a `ConvTransposeIntegerToFloat`; its input's zero point is made while it runs."""
    x, _, x_scale, x_zero = node.inputs[:4]
    y = node.outputs[0]
    weight, scale = _integers(d, node, "uint8", None, None)
    codes, zero = (d.step("Cast", [n], f"{n}/float32", {"to": _FLOAT}) for n in (x, x_zero))
    inputs = [d.step("Sub", [codes, zero], f"{y}/shifted"), weight]
    acc = d.step("ConvTranspose", inputs, f"{y}/acc", node.attributes)
    factor = d.number(f"{y}/weight_scale", scale, "float32")
    both = d.step("Mul", [x_scale, factor], f"{y}/scale")
    if len(node.inputs) < 5 or not node.inputs[4]:
        d.add("Mul", [acc, both], y)
        return
    bias = d.graph.constants[node.inputs[4]].reshape(scale.shape)
    product = d.step("Mul", [acc, both], f"{y}/product")
    d.add("Add", [product, d.number(f"{node.inputs[4]}/column", bias, "float32")], y)


def _integers(
    d: Draft, node: Node, dtype: str, x_zero: int | None, bias: NDArray[np.int32] | None
) -> tuple[str, NDArray[np.float32]]:
    """Return the weight less its zero point, as float32, and its scale, broadcast to a result."""
    name = node.inputs[1]
    codes, qparams = channel_weights(d.graph, node, name)
    zeros = np.asarray(qparams.zero_point).reshape(-1)
    bound = accumulator_bound(codes, zeros, dtype, x_zero, bias, channel_axis=0)
    if int(bound.max()) >= _EXACT:
        raise NoForm(
            f"ONNX has no transposed convolution of codes, and this one may sum to "
            f"{int(bound.max())}, more than float32 has exactly; say qdq"
        )
    grid: NDArray[Any] = np.asarray(qparams_of(d.graph, name).zero_point)
    own = d.graph.constants[name].astype(np.int32)
    if grid.ndim:
        grid = np.repeat(grid, own.shape[0] // grid.shape[0], axis=0)
    scale = np.asarray(qparams.scale, np.float32).reshape(-1)
    around = scale.reshape(-1, *(1,) * (own.ndim - 2)) if scale.size > 1 else scale.reshape(())
    return d.number(f"{name}/integers", (own - grid).astype(np.float32), "float32"), around
