"""One node: from operator name and operands to the function of `refquant.ops` that computes it.

The table says it all: an operator is a function of `Call`. Whether a node computes in float32 or on
codes is decided by its output's ``quant``, as the operator's rules have made sure
(`refquant.model.validate`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from refquant.model.execute_call import Call
from refquant.model.execute_imported import IMPORTED
from refquant.model.execute_sequence import SEQUENCE
from refquant.model.graph import Graph, Node
from refquant.model.operators_hybrid import EXECUTE as HYBRID
from refquant.ops import (
    conv,
    conv_transpose,
    elementwise,
    fake_quantize,
    hadamard,
    matmul,
    movement,
    normalization,
    pool,
    quantize_linear,
    softmax,
    unary,
)

__all__ = ["execute_node"]

Array = NDArray[Any]


def execute_node(
    graph: Graph, node: Node, operands: Sequence[Array | None], *, sums: str = "ordered"
) -> tuple[Array, ...]:
    """Return the outputs of ``node`` for these arrays, one an input (None: absent)."""
    result = _TABLE[node.op](Call(graph, node, operands, sums))
    return result if isinstance(result, tuple) else (result,)


def _conv(c: Call) -> Array:
    x, bias = c.operand(0), c.optional(2)
    if c.quantized:
        w = c.operand(1)
        return conv.conv_quantized(x, w, bias, **c.three(), **c.window, **c.clamps)
    return conv.conv_f32(x, c.weight(), bias, **c.window, sums=c.sums)


def _gemm(c: Call) -> Array:
    x, bias = c.operand(0), c.optional(2)
    trans_b = int(c.attributes("transB").get("transB", 0))
    if c.quantized:
        w = c.operand(1)
        return matmul.gemm_quantized(x, w, bias, trans_b=trans_b, **c.three(), **c.clamps)
    return matmul.gemm_f32(x, c.weight(), bias, trans_b=trans_b, sums=c.sums)


def _matmul(c: Call) -> Array:
    if c.quantized:
        x, w, bias = c.operand(0), c.operand(1), c.optional(2)
        return matmul.matmul_quantized(x, w, bias, **c.three(), **c.clamps)
    return matmul.matmul_f32(c.operand(0), c.weight(), sums=c.sums)


def _binary(
    real: Callable[[Array, Array], Array], codes: Callable[..., Array] | None = None
) -> Callable[[Call], Array]:
    def call(c: Call) -> Array:
        a, b = c.operand(0), c.operand(1)
        if not c.quantized or codes is None:
            return real(a, b)
        parameters = {"a_qparams": c.x(0), "b_qparams": c.x(1), "y_qparams": c.y}
        return codes(a, b, **parameters, contract=c.contract, **c.clamps)

    return call


def _unary(c: Call) -> Array:
    x, table = c.operand(0), c.optional(1)
    if table is not None:
        return unary.apply_table(x, table)
    if c.quantized and c.node.op == "Relu":
        return unary.relu_quantized(x, c.x())
    if c.quantized:
        return unary.clip_quantized(x, **c.clamps)
    return unary.apply_unary(c.node.op, x, c.node.attributes)


def _softmax(c: Call) -> Array:
    axis = c.attributes("axis")
    if c.quantized:
        return softmax.softmax_quantized(c.operand(0), c.optional(1), **c.two(), **axis)
    return softmax.softmax_f32(c.operand(0), **axis)


def _average_pool(c: Call) -> Array:
    if c.quantized:
        return pool.average_pool_quantized(c.operand(0), **c.two(), **c.pool, **c.clamps)
    return pool.average_pool_f32(c.operand(0), **c.pool)


def _global_average_pool(c: Call) -> Array:
    if c.quantized:
        return pool.global_average_pool_quantized(c.operand(0), **c.two(), **c.clamps)
    return pool.global_average_pool_f32(c.operand(0))


def _pad(c: Call) -> Array:
    attributes = c.attributes("pads", "value")
    if c.quantized:
        return movement.pad_quantized(c.operand(0), c.x(), **attributes)
    return movement.pad(c.operand(0), **attributes)


def _concat(c: Call) -> Array:
    arrays = [c.operand(i) for i in range(len(c.operands))]
    return movement.concat(arrays, **c.attributes("axis"))


def _batch_normalization(c: Call) -> Array:
    parameters = [c.operand(i) for i in range(5)]
    return normalization.batch_normalization(*parameters, **c.attributes("epsilon"))


def _fake_quantize(c: Call) -> Array:
    given = c.attributes("format", "granularity", "axis", "clip_ratio", "threshold")
    contract = None if c.node.contract is None else c.contract
    return fake_quantize.fake_quantize(c.operand(0), c.optional(1), **given, contract=contract)


def _hadamard(c: Call) -> Array:
    given = c.attributes("axis", "block_size", "inverse")
    return hadamard.hadamard(c.operand(0), c.optional(1), **given)


def _integer(function: Callable[..., Array], *, window: bool) -> Callable[[Call], Array]:
    def call(c: Call) -> Array:
        zeros = {"x_zero_point": c.optional(2), "w_zero_point": c.optional(3)}
        given = {name: array for name, array in zeros.items() if array is not None}
        return function(c.operand(0), c.operand(1), **given, **(c.window if window else {}))

    return call


def _to_float(function: Callable[..., Array], *, window: bool) -> Callable[[Call], Array]:
    def call(c: Call) -> Array:
        return function(
            c.operand(0),
            c.operand(1),
            c.optional(4),
            x_scale=c.operand(2),
            x_zero_point=c.operand(3),
            w_qparams=c.x(1),
            **(c.window if window else {}),
        )

    return call


_TABLE: Mapping[str, Callable[[Call], Array | tuple[Array, ...]]] = {
    **dict.fromkeys(unary.UNARY, _unary),
    **SEQUENCE,
    **IMPORTED,
    **HYBRID,
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _binary(elementwise.add_f32, elementwise.add_quantized),
    "Sub": _binary(elementwise.sub_f32),
    "Mul": _binary(elementwise.mul_f32, elementwise.mul_quantized),
    "Div": _binary(elementwise.div_f32),
    "Softmax": _softmax,
    "MaxPool": lambda c: pool.max_pool(
        c.operand(0), **c.attributes("kernel_shape", "strides", "pads")
    ),
    "GlobalMaxPool": lambda c: pool.global_max_pool(c.operand(0)),
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "Reshape": lambda c: movement.reshape(c.operand(0), **c.attributes("shape")),
    "Flatten": lambda c: movement.flatten(c.operand(0)),
    "Transpose": lambda c: movement.transpose(c.operand(0), **c.attributes("perm")),
    "Concat": _concat,
    "Pad": _pad,
    "Identity": lambda c: c.operand(0),
    "BatchNormalization": _batch_normalization,
    "FakeQuantize": _fake_quantize,
    "Hadamard": _hadamard,
    "QuantizeLinear": lambda c: quantize_linear.quantize_linear(c.operand(0), c.y, c.contract),
    "DequantizeLinear": lambda c: c.weight(0),
    "DynamicQuantizeLinear": lambda c: quantize_linear.dynamic_quantize_linear(
        c.operand(0), c.contract
    ),
    "MatMulInteger": _integer(matmul.matmul_integer, window=False),
    "ConvInteger": _integer(conv.conv_integer, window=True),
    "MatMulIntegerToFloat": _to_float(matmul.matmul_integer_to_float, window=False),
    "ConvIntegerToFloat": _to_float(conv.conv_integer_to_float, window=True),
    "ConvTransposeIntegerToFloat": _to_float(
        conv_transpose.conv_transpose_integer_to_float, window=True
    ),
}
