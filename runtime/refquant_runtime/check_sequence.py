"""Dtypes of operators that are not float32 throughout: ``docs/spec/operators.md``, 7 and 10.

A broken rule raises ``ValueError``, what is valid but not implemented here :class:`BeyondError`;
:mod:`refquant_runtime.check` adds the file and the node.
"""

from collections.abc import Mapping

import numpy as np

from refquant_runtime.graph import Node, Quant, Value
from refquant_runtime.rules import can, need
from refquant_runtime.shapes_imported import COMPARE, IMPORTED

__all__ = ["check_recurrent", "check_typed", "is_typed", "moves_codes"]

_ANY = ("float32", "int32", "uint8")
_TRUTH = ("uint8",)
_DTYPES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(COMPARE[:-2], (_ANY, _ANY)),
    **dict.fromkeys(("And", "Or", "Not"), (_TRUTH, _TRUTH)),
    "Where": (_TRUTH, _ANY, _ANY),
    "Cast": (_ANY,),
    "Gather": (_ANY, ("int32",)),
}
_CAST = {1: "float32", 6: "int32", 9: "uint8"}


def is_typed(op: str) -> bool:
    """Say whether an operator has dtypes of its own."""
    return op in _DTYPES or (op in IMPORTED and op != "ConvTranspose")


def check_typed(node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
    """Check the dtypes of a node of section 10, of ``Cast`` or ``Gather``."""
    present = [value for value in inputs if value is not None]
    if node.op == "ResizeLinear":
        _check_resize(node, present, outputs[0])
        return
    if node.op == "L2Normalization":
        _check_vectors(present[0], outputs[0])
        return
    table = present[0] if node.op == "Gather" and present[0].quant is not None else None
    if table is not None:
        _check_codes(table, outputs[0])
    known = _DTYPES.get(node.op, (("float32",),) * len(present))
    for value, allowed in zip(present, known, strict=False):
        plain = value is table or (value.dtype in allowed and value.quant is None)
        need(plain, f"input {value.name!r} is {' or '.join(allowed)} without quant")
    same = {value.dtype for value, k in zip(present, known, strict=False) if len(k) > 1}
    need(table is not None or len(same) < 2, f"its inputs have one dtype, got {sorted(same)}")
    if table is not None and outputs[0].quant is not None:
        return
    for value, dtype in zip(outputs, _results(node, present), strict=True):
        need(value.dtype == dtype and value.quant is None, f"{value.name!r} is plain {dtype}")


def _results(node: Node, present: list[Value]) -> tuple[str, ...]:
    """Return the dtypes of the outputs."""
    op = node.op
    if op in (*COMPARE, "Not"):
        return ("uint8",)
    if op == "Cast":
        return (_CAST[node.attributes["to"]],)
    if op in ("ArgMax", "ArgMin"):
        return ("int32",)
    if op == "TopK":
        return ("float32", "int32")
    if op == "Where":
        return (present[1].dtype,)
    if op == "Gather":
        return ("float32" if present[0].quant is not None else present[0].dtype,)
    return ("float32",)


def moves_codes(node: Node, outputs: list[Value]) -> bool:
    """Say whether a node gives codes by no contract."""
    own = node.op in ("ResizeLinear", "L2Normalization")
    return own or (node.op == "Gather" and outputs[0].quant is not None)


def _check_resize(node: Node, present: list[Value], y: Value) -> None:
    """Check a ResizeLinear: its codes, and that no place is outside of the image."""
    x, bits = present[0], node.attributes["bits"]
    need(x.quant is not None and x.dtype in ("int8", "uint8"), "resizes 8-bit codes with quant")
    need(x.dtype == y.dtype and _equal(x.quant, y.quant), "resizes codes: equal parameters")
    need(1 <= bits <= 11, f"bits is in [1, 11], got {bits}")
    for value, length in zip(present[1:], x.shape[2:], strict=True):
        need(value.data is not None and value.dtype == "int32", "its places are int32 constants")
        need(value.quant is None and value.shape[0] > 0, "its places are plain, at least one")
        places = np.asarray(value.data)
        limits = ((places[:, :2], length - 1), (places[:, 2], 1 << bits))
        inside = all(part.min() >= 0 and part.max() <= most for part, most in limits)
        need(inside, f"{value.name!r} has places outside of {length} or weights outside of 2^bits")


def _check_vectors(x: Value, y: Value) -> None:
    """Check an L2Normalization: int8, and that no sum of squares leaves int32."""
    for value in (x, y):
        single = value.quant is not None and value.quant.plain and value.quant.block_shape is None
        need(value.dtype == "int8" and single, f"{value.name!r} is int8 with quant, one scale")
    fits = len(x.shape) > 1 and len(x.shape) - 1 not in x.lengths and 1 <= x.shape[-1] <= 33025
    need(fits, f"vectors have 1 to 33025 codes, got {list(x.shape)}")
    assert y.quant is not None, "said above"
    unit = (float(y.quant.scale), int(y.quant.zero_point)) == (2.0**-7, 0)
    need(unit, "its output has scale 2^-7 and zero point 0")


def _check_codes(table: Value, y: Value) -> None:
    """Check a Gather of codes, which keep their meaning, or from a table of weights."""
    if y.quant is None:
        need(table.data is not None, "a table of codes is a constant")
        need(table.dtype != "int32", "a table has at most 16 bits")
        can(table.dtype not in ("int16", "uint16"), f"a table of {table.dtype}")
        return
    need(table.dtype == y.dtype and _equal(table.quant, y.quant), "moves codes: equal parameters")
    need(y.quant.block_shape is None, "codes that are moved have one scale")
    short = y.dtype == "int16" and table.data is None  # a constant would be held as bytes
    can(short or y.dtype in ("int8", "uint8", "int32"), f"moves {y.dtype}")


def _equal(a: Quant | None, b: Quant | None) -> bool:
    if a is None or b is None:
        return a is b
    one = a.block_shape is None and b.block_shape is None and a.plain and b.plain
    return one and bool(np.array_equal(a.scale, b.scale) and a.zero_point == b.zero_point)


def check_recurrent(inputs: list[Value | None]) -> None:
    """Check what this runtime asks of GRU and LSTM: weights and biases that are constants."""
    constants = [value for value in inputs[1:4] if value is not None]
    can(all(value.data is not None for value in constants), "computed weights")
