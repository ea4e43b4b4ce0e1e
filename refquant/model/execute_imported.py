"""The operators of docs/spec/operators.md, section 10: from a call to the operator's function."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.execute_call import Call
from refquant.ops import conv_transpose, extremes, gather, l2_normalization, logic, resize

__all__ = ["IMPORTED"]

Array = NDArray[Any]


def _cast(c: Call) -> Array:
    x, to = c.operand(0), c.node.attributes["to"]
    if to == 9:
        return np.asarray(x != 0).astype(np.uint8)
    if to == 1 or x.dtype != np.float32:
        return x.astype(np.float32 if to == 1 else np.int32)
    inside = (x >= -(2.0**31)) & (x < 2.0**31)  # NaN is not
    return np.where(inside, np.where(inside, x, 0).astype(np.int32), np.int32(-(2**31)))


def _gather(c: Call) -> Array:
    codes = c.quantized  # codes that are moved, not a table of weights
    table = c.operand(0) if codes else c.weight(0)
    return gather.gather(table, c.operand(1), **c.attributes("axis"))


def _conv_transpose(c: Call) -> Array:
    x, bias = c.operand(0), c.optional(2)
    if c.quantized:
        given = {**c.three(), **c.window, **c.clamps}
        return conv_transpose.conv_transpose_quantized(x, c.operand(1), bias, **given)
    return conv_transpose.conv_transpose(x, c.weight(), bias, **c.window, sums=c.sums)


def _sign(x: Array) -> Array:
    return np.asarray(np.sign(x), np.float32)


def _compare(c: Call) -> Array:
    return logic.compare(c.node.op, c.operand(0), c.operand(1))


def _extreme(c: Call) -> Array:
    return extremes.reduce_extreme(c.node.op, c.operand(0), **c.attributes("axes", "keepdims"))


def _place(c: Call) -> Array:
    given = c.attributes("axis", "keepdims", "select_last_index")
    return extremes.arg_extreme(c.node.op, c.operand(0), **given)


IMPORTED: Mapping[str, Callable[[Call], Array | tuple[Array, ...]]] = {
    **dict.fromkeys(logic.COMPARISONS, _compare),
    "Not": lambda c: logic.logical_not(c.operand(0)),
    "Where": lambda c: logic.where(c.operand(0), c.operand(1), c.operand(2)),
    "Max": lambda c: extremes.larger(c.operand(0), c.operand(1)),
    "Min": lambda c: extremes.smaller(c.operand(0), c.operand(1)),
    "Floor": lambda c: np.floor(c.operand(0)),
    "Ceil": lambda c: np.ceil(c.operand(0)),
    "Round": lambda c: np.rint(c.operand(0)),
    "Sign": lambda c: _sign(c.operand(0)),
    "ReduceMax": _extreme,
    "ReduceMin": _extreme,
    "ArgMax": _place,
    "ArgMin": _place,
    "TopK": lambda c: extremes.top_k(c.operand(0), **c.attributes("k", "axis", "largest")),
    "ConvTranspose": _conv_transpose,
    "ResizeLinear": lambda c: resize.resize_linear(
        c.operand(0), c.operand(1), c.operand(2), **c.attributes("bits", "rounding")
    ),
    "L2Normalization": lambda c: l2_normalization.l2_normalize(
        c.operand(0), zero_point=int(c.x().zero_point)
    ),
    "Cast": _cast,
    "Gather": _gather,
}
