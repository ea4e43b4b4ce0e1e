"""What ReduceMean, and Softmax of codes, demand: ``docs/spec/operators.md`` section 4.

A broken rule raises ``ValueError``, what is valid but not implemented here :class:`BeyondError`;
:mod:`refquant_runtime.check` adds the file and the node.
"""

import math

import numpy as np

from refquant_runtime.contracts import Arithmetic
from refquant_runtime.graph import DTYPE_RANGE, Node, Value
from refquant_runtime.lower.fixedpoint import quantize_multiplier
from refquant_runtime.rules import need

__all__ = ["check_mean", "check_softmax"]

_MOST = 4095  # sums of exponentials have 12 integer bits
_TABLES = {
    "float_table": ("float32", 1.0),
    "float_table_quotient": ("float32", 1.0),  # or more
    "fixed_point_table": ("int32", 2**31 - 1),
}


def check_softmax(node: Node, present: list[Value], y: Value, arithmetic: Arithmetic) -> None:
    """Check a Softmax of codes: a contract that has one, and its table."""
    kind = arithmetic.softmax
    need(kind != "unspecified", f"contract {arithmetic.name!r} has no integer Softmax")
    need((len(present) == 2) == (kind in _TABLES), f"softmax {kind} and its table do not fit")
    if len(present) == 1:
        return
    x, table = present
    dtype, one = _TABLES[kind]
    need(table.data is not None and table.quant is None, "its table is a plain constant")
    need(table.dtype == dtype, f"its table is {dtype}, got {table.dtype}")
    data = np.asarray(table.data)
    ordered = bool((data[1:] <= data[:-1]).all() and data[-1] >= 0)  # false for NaN
    if kind == "float_table_quotient":
        one = max(float(data[0]), 1.0) if data[0] < np.inf else 1.0
    need(data[0] == one and ordered, f"its table falls from {one} and stays at least 0")
    if kind == "fixed_point_table":
        assert y.quant is not None, "codes_of: checked"
        scale, zero_point = float(y.quant.scale), int(y.quant.zero_point)
        lowest = DTYPE_RANGE[y.dtype][0]
        fits = (scale, zero_point) == (2.0**-8, lowest)
        need(fits, f"fixed_point_table gives scale 1/256 and zero point {lowest}")
        length = x.shape[node.attributes.get("axis", -1)]
        need(length <= _MOST, f"fixed_point_table sums {_MOST} elements, got {length}")


def check_mean(node: Node, x: Value, y: Value, arithmetic: Arithmetic) -> None:
    """Check a ReduceMean of codes: a contract that has one, and that its sums fit int32."""
    need(arithmetic.mean != "unspecified", f"contract {arithmetic.name!r} has no integer mean")
    assert x.quant is not None, "codes_of: checked"
    assert y.quant is not None, "codes_of: checked"
    n = math.prod(x.shape[axis] for axis in node.attributes["axes"])
    with np.errstate(over="ignore", under="ignore"):
        ratio = float(np.float32(x.quant.scale / y.quant.scale))
    need(np.isfinite(ratio) and ratio > 0, "its multiplier sx / sy is finite and positive")
    low, high = DTYPE_RANGE[x.dtype]
    zero_point = int(x.quant.zero_point)
    bound = n * max(high - zero_point, zero_point - low, high, -low)
    if arithmetic.mean == "folded_multiplier":
        exact = np.float64(x.quant.scale) / np.float64(y.quant.scale)
        _, shift = quantize_multiplier(np.asarray(exact))
        bound <<= max(int(shift) - min(n.bit_length() - 1, 32, 31 + int(shift)), 0)
    need(bound < 2**31, f"an int32 sum may reach {bound}")
