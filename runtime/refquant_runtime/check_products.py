"""Operands of integer products, and the proof that no accumulator can overflow.

Follows ``docs/spec/operators.md`` sections 3 to 5: the largest ``|x - zx|``, times the sum of
``|w - zw|`` over an output channel, plus ``|bias|``, must stay within int32.
"""

import math

import numpy as np

from refquant_runtime.contracts import TO_REALS, Arithmetic
from refquant_runtime.graph import Node, Value
from refquant_runtime.rules import can, need
from refquant_runtime.transposed import channel_weights
from refquant_runtime.weights import (
    EIGHT,
    codes_of,
    integer_weights,
    prove_accumulator,
    reach_of,
    unpack,
)

__all__ = ["check_dynamic_range", "check_dynamic_recurrent", "check_product", "check_raw",
           "check_static_recurrent"]  # fmt: skip


SIGNED = ("int8", "int7", "int6", "int5", "int4", "int3", "int2")


def check_product(node: Node, present: list[Value]) -> None:
    """Check Conv, ConvTranspose, Gemm or MatMul on codes: x, w and perhaps a bias."""
    x, w = present[0], present[1]
    if w.data is None:
        need(node.op == "MatMul" and len(present) == 2, "weights must be constants")
        codes_of(w)
        bound = x.shape[-1] * reach_of(x) * reach_of(w)
        need(bound < 2**31, f"int32 accumulators may overflow (up to {bound}): split the product")
        return
    _need_weights(node, w)
    bias = present[2] if len(present) == 3 else None
    if bias is not None:
        described = bias.data is not None and bias.dtype == "int32" and bias.quant is not None
        need(described, "bias is an int32 constant with quant")
    matrix, _ = integer_weights(node, channel_weights(node, w))
    prove_accumulator(matrix, None if bias is None else bias.data, reach_of(x))


def _need_weights(node: Node, w: Value) -> None:
    need(w.data is not None and w.quant is not None, "weights are constants with quant")
    need(w.dtype != "int32", "weights have at most 16 bits")
    plain = w.quant is not None and w.quant.plain
    need(plain, "a table, float zero points and g_idx go with float32 activations")
    need(node.op.startswith("Conv") or len(w.shape) == 2, f"weights are (K, N), got {w.shape}")
    can(w.dtype not in ("int16", "uint16"), f"weights of {w.dtype}")


def check_raw(node: Node, inputs: list[Value | None], y: Value) -> None:
    """Check ONNX's integer products, and those that leave as float32."""
    x, w, *others = [*inputs, None, None, None][:5]
    assert x is not None, "check: required"
    assert w is not None, "check: required"
    to_float = node.op.endswith("ToFloat")
    need(x.dtype in (("uint8",) if to_float else EIGHT), f"x is {x.dtype}")
    need(x.quant is None, "x carries no quant")
    need(y.dtype == ("float32" if to_float else "int32"), f"output is {y.dtype}")
    need(y.quant is None, "output carries no quant")
    if to_float:
        _to_float(node, w, *others)
    else:
        _to_int32(node, x, w, *others[:2])


def check_dynamic_range(node: Node, inputs: list[Value | None], y: Value, requantize: str) -> None:
    """Check a layer of dynamic range: reals, weights of codes, a constant bias."""
    x, w, bias = inputs
    assert x is not None, "check: required"
    assert w is not None, "check: required"
    assert bias is not None, "check: required"
    for value in (x, bias, y):
        plain = value.dtype == "float32" and value.quant is None
        need(plain, f"{value.name!r} is float32 without quant, got {value.dtype}")
    need(bias.data is not None, "its bias is a constant")
    need("symmetric" in node.attributes, "needs the attribute symmetric")
    need(requantize in TO_REALS, f"its contract ends in codes (requantize {requantize!r})")
    _need_weights(node, w)
    can(w.dtype in EIGHT, f"weights of {w.dtype}")
    assert w.quant is not None, "_need_weights: checked"
    need(not np.any(w.quant.zero_point), "w has zero point 0")
    matrix, _ = integer_weights(node, w)
    prove_accumulator(matrix, None, 255)


def _to_float(
    node: Node, w: Value, scale: Value | None, zero: Value | None, bias: Value | None
) -> None:
    assert scale is not None, "check: required"
    need(scale.dtype == "float32" and _is_scalar(scale), "x_scale is one float32")
    _need_zero(zero, "uint8")
    _need_weights(node, w)
    need(bias is None or bias.dtype == "float32", "bias is float32")
    can(bias is None or bias.data is not None, "a computed bias")
    assert w.quant is not None, "_need_weights: checked"
    need(not np.any(w.quant.zero_point), "w has zero point 0")
    matrix, _ = integer_weights(node, channel_weights(node, w))
    prove_accumulator(matrix, None, 255)


def check_dynamic_recurrent(inputs: list[Value | None], outputs: list[Value]) -> None:
    """Check a GRU or LSTM of dynamic codes: int8 weights around 0, scales a row or fewer; sums."""
    bias = inputs[3] if len(inputs) > 3 else None
    for value in (inputs[0], *inputs[3:], *outputs):
        plain = value is None or (value.dtype == "float32" and value.quant is None)
        need(plain, "states, bias and outputs are float32")
    can(bias is None or bias.data is not None, "a computed bias")
    for w in inputs[1:3]:
        need(w is not None and w.dtype == "int8", "weights are int8")
        _need_rows(w, 255)


def check_static_recurrent(
    inputs: list[Value | None], outputs: list[Value], arithmetic: Arithmetic
) -> None:
    """Check a GRU or LSTM of codes: codes in and out, reals between; both sums of each row."""
    x, y, bias = inputs[0], outputs[0], inputs[3] if len(inputs) > 3 else None
    assert x is not None, "check: required"
    codes_of(x)
    codes_of(y)
    need(arithmetic.rule >= 0, f"contract {arithmetic.name!r} gives reals, not codes")
    for value in (*inputs[3:], *outputs[1:]):
        plain = value is None or (value.dtype == "float32" and value.quant is None)
        need(plain, "its bias and its states are float32")
    can(bias is None or bias.data is not None, "a computed bias")
    for w, read in zip(inputs[1:3], (x, y), strict=True):
        need(w is not None and w.dtype in SIGNED, f"weights are of {', '.join(SIGNED)}")
        _need_rows(w, reach_of(read))


def _need_rows(w: Value | None, reach: int) -> None:
    """Check a weight (D, rows, K) of codes around 0, and that no row's sum leaves int32."""
    assert w is not None, "check: required"
    need(w.data is not None and w.quant is not None, "weights are constants with quant")
    assert w.quant is not None, "said above"
    need(w.quant.plain and not np.any(w.quant.zero_point), "weights have zero point 0")
    scale, (d, rows, _) = np.asarray(w.quant.scale), w.shape
    fits = scale.ndim == 0 or scale.shape in ((d, 1, 1), (d, rows, 1))
    need(fits, f"weights have a scale, one a direction or one a row, got {list(scale.shape)}")
    prove_accumulator(unpack(w).reshape(-1, w.shape[-1]).T, None, reach)


def _to_int32(node: Node, x: Value, w: Value, zero: Value | None, w_zero: Value | None) -> None:
    _need_zero(zero, x.dtype)
    need(w.dtype in EIGHT and w.quant is None, f"w is int8 or uint8 without quant, got {w.dtype}")
    if w_zero is not None:
        channels = w.shape[0 if node.op.startswith("Conv") else -1]
        shapes = ((), (1,), (channels,))
        need(w_zero.dtype == w.dtype and w_zero.quant is None, "w's zero point has w's dtype")
        need(w_zero.shape in shapes and not w_zero.batched, "w's zero point is one, or a channel's")
    constant = w.data is not None and (w_zero is None or w_zero.data is not None)
    if not constant:
        terms = math.prod(w.shape[1:]) if node.op.startswith("Conv") else w.shape[-2]
        need(terms * 255 * 255 < 2**31, f"int32 accumulators of {terms} products may overflow")
    can(constant, "computed weights")
    can(node.op.startswith("Conv") or len(w.shape) == 2, "a stack of weights")
    matrix, _ = integer_weights(node, w, w_zero)
    prove_accumulator(matrix, None, _raw_reach(x, zero))


def _raw_reach(x: Value, zero: Value | None) -> int:
    """Return the largest distance from the zero point, which may be known at run time only."""
    low, high = (-128, 127) if x.dtype == "int8" else (0, 255)
    if zero is None:
        return max(-low, high)
    if zero.data is None:
        return 255
    at = int(zero.data.reshape(-1)[0])
    return max(high - at, at - low)


def _need_zero(zero: Value | None, dtype: str) -> None:
    if zero is not None:
        plain = zero.dtype == dtype and zero.quant is None
        need(plain and _is_scalar(zero), f"x's zero point is one code of {dtype}")


def _is_scalar(value: Value) -> bool:
    return value.shape in ((), (1,)) and not value.batched
