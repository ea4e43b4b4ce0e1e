"""Comparisons, connectives, SELECT and CAST: what gives or takes truths, and plain integers.

A bool of TFLite is a truth, uint8; int64 is int32 here, which holds every place of ARG_MAX. LiteRT
computes all of it by its own kernels, under every resolver. On int8::

    LESS, EQUAL, ...   M(2^8 (q_a - z_a); s_a) against M(2^8 (q_b - z_b); s_b)                (1)
    SELECT             the code that was chosen, whatever it meant
    CAST               the code itself as a number; back, a number without its fraction

M is a product by ``gemmlowp_double``, so codes of a small scale may be equal that are not. The 512
integers of (1) have an order; each code becomes its place in it, by a table, and places are
compared as reals. int16 is compared as it is, but by (1) whether it is equal. CAST to codes and
int32 saturates, and makes the largest of NaN::

    y = Where(x < most, trunc(x), most)                                                         (2)

Left out: scales from 1 on in (1), where LiteRT shifts by a negative number; SELECT by rows; CAST
to bool's other widths, to int64 and to plain 8 bits; operands of codes that are compared as int16
with two scales.

References: LiteRT ``kernels/comparisons.cc``, ``reference/comparisons.h``, ``kernels/cast.cc``,
``kernels/select.cc``, ``kernels/logical.cc``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.model.graph import DTYPES, Quant
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import Scope
from refquant.model.importers.tflite_steps import dequantized, hold_table, mapped, plain, step
from refquant.numerics.requantize import requantize

__all__ = ["COMPARE", "CONNECT", "HELD", "cast", "compare", "connect", "read_plain", "select"]

HELD = {"bool": "uint8", "int32": "int32", "int64": "int32"}
"""What plain tensors of TFLite's types are in a graph."""

COMPARE = {
    "LESS": "Less", "LESS_EQUAL": "LessOrEqual", "GREATER": "Greater",
    "GREATER_EQUAL": "GreaterOrEqual", "EQUAL": "Equal", "NOT_EQUAL": "Equal",
}  # fmt: skip
CONNECT = {"LOGICAL_AND": "And", "LOGICAL_OR": "Or", "LOGICAL_NOT": "Not"}
_TO = {"float32": 1, "int32": 6, "int64": 6, "bool": 9}  # of Cast
_PLACES = Quant(1.0, 0)
_BEYOND = 2.0**31


def compare(s: Scope, o: TfliteOperator) -> None:
    """LESS, EQUAL and the others, of two tensors."""
    a, b = o.inputs[:2]
    if s.tensor(a).dtype != s.tensor(b).dtype:
        raise UnsupportedError(f"compares {s.tensor(a).dtype} and {s.tensor(b).dtype}")
    if s.tensor(a).quantized and s.wide(o) and o.op not in ("EQUAL", "NOT_EQUAL"):
        names = [_meant(s, o, i, _PLACES) for i in (a, b)]  # as they are
    elif s.tensor(a).quantized:
        names = _places(s, o)
    else:
        names = [s.read(i) if s.tensor(i).dtype == "float32" else read_plain(s, i) for i in (a, b)]
    if o.op != "NOT_EQUAL":
        plain(s, o, COMPARE[o.op], names, "uint8", {})
        return
    name = s.free(f"{s.tensor(o.outputs[0]).name}/equal")
    plain(s, o, "Not", [s.builder.node("Equal", names, name=name, dtype="uint8")], "uint8", {})


def connect(s: Scope, o: TfliteOperator) -> None:
    """LOGICAL_AND, LOGICAL_OR and LOGICAL_NOT."""
    names = [read_plain(s, i) for i in o.inputs[: 1 if o.op == "LOGICAL_NOT" else 2]]
    plain(s, o, CONNECT[o.op], names, "uint8", {})


def select(s: Scope, o: TfliteOperator) -> None:
    """SELECT and SELECT_V2: by truths, one of two tensors, which broadcast in V2."""
    shapes = [s.tensor(i).shape for i in o.inputs[:3]]
    if o.op == "SELECT" and (shapes[1] != shapes[2] or shapes[0] not in ((), shapes[1])):
        raise UnsupportedError(f"chooses rows of {list(shapes[1])} by {list(shapes[0])}")
    condition, after = read_plain(s, o.inputs[0]), s.tensor(o.outputs[0])
    if not after.quantized and after.dtype in HELD:
        names = [read_plain(s, i) for i in o.inputs[1:3]]
        plain(s, o, "Where", [condition, *names], HELD[after.dtype], {})
        return
    quant = s.quant(o.outputs[0])
    if quant is None:
        s.write(o, "Where", [condition, *(s.read(i) for i in o.inputs[1:3])])
        return
    reals = [_meant(s, o, i, quant) for i in o.inputs[1:3]]
    chosen = step(s, o, "Where", [condition, *reals], "chosen")
    s.write(o, "QuantizeLinear", [chosen], contract=preset("tflite_reference"))


def cast(s: Scope, o: TfliteOperator) -> None:
    """CAST: numbers as others, codes as the numbers that they are."""
    x, y = s.tensor(o.inputs[0]), s.tensor(o.outputs[0])
    if x.quantized:
        name = _meant(s, o, x.index, _PLACES)
    elif x.dtype == "float32":
        name = s.read(x.index)
    else:
        name = read_plain(s, x.index)
    held = s.builder.values[name].dtype
    if y.quantized:
        if held != "float32":
            raise UnsupportedError(f"makes codes of {x.dtype}")
        _to_codes(s, o, name)
    elif y.dtype not in _TO or (y.dtype == "int64" and held == "float32"):
        raise UnsupportedError(f"makes {y.dtype} of {x.dtype}")
    elif y.dtype == "float32":
        s.write(o, "Cast" if held != "float32" else "Identity", [name],
                attributes={"to": 1} if held != "float32" else {})  # fmt: skip
    elif held == "float32" and HELD[y.dtype] == "int32":
        most = s.hold(s.free("most"), np.full(1, 2**31 - 1, np.int32))
        below = _below(s, o, name, _BEYOND)
        whole = _cast(s, o, name, "int32")
        plain(s, o, "Where", [below, whole, most], "int32", {})
    elif held == HELD[y.dtype]:
        plain(s, o, "Identity", [name], held, {})
    else:
        plain(s, o, "Cast", [name], HELD[y.dtype], {"to": _TO[y.dtype]})


def read_plain(s: Scope, index: int) -> str:
    """Return the name of a tensor of truths or plain integers.

    `UnsupportedError` for other tensors, and for a constant beyond int32.
    """
    tensor, order = s.tensor(index), "as it is"
    if tensor.quantized or tensor.special or tensor.dtype not in HELD:
        raise UnsupportedError(f"computes with {tensor.name!r}, of {tensor.dtype}")
    constant = s.constant(index)
    if (index, order) not in s.names and constant is not None:
        wide = constant.astype(np.int64)
        if wide.size and max(int(wide.max()), -1 - int(wide.min())) >= _BEYOND:
            raise UnsupportedError(f"has {tensor.name!r} with integers beyond int32")
        s.names[index, order] = s.hold(s.free(tensor.name), wide.astype(HELD[tensor.dtype]))
    return s.read(index)


def _places(s: Scope, o: TfliteOperator) -> list[str]:
    """Return both operands as reals that are in the order of eq. (1)."""
    ends, quants = o.inputs[:2], [s.quant(i) for i in o.inputs[:2]]
    kind = DTYPES[s.tensor(ends[0]).dtype]
    found = []
    for quant in quants:
        assert quant is not None, "the caller has seen that it is of codes"
        if not float(quant.scale) < 1:
            raise UnsupportedError(f"compares codes of the scale {quant.scale}, from 1 on")
        offset = np.arange(kind.qmin, kind.qmax + 1, dtype=np.int64) - int(quant.zero_point)
        real = np.float64(np.float32(quant.scale))
        found.append(requantize(offset << 8, real, mode="gemmlowp_double"))
    if kind.bits > 8 and quants[0] != quants[1]:
        raise UnsupportedError("compares int16 codes of two scales")
    _, places = np.unique(np.concatenate(found), return_inverse=True)
    tables = np.split((places.reshape(-1) + kind.qmin).astype(np.int16), 2)
    return [_placed(s, o, i, table) for i, table in zip(ends, tables, strict=True)]


def _placed(s: Scope, o: TfliteOperator, index: int, table: NDArray[np.int16]) -> str:
    constant = s.constant(index)
    if constant is not None:
        own = table[constant.astype(np.int64) - DTYPES[s.tensor(index).dtype].qmin]
        return s.hold(s.free(f"{s.tensor(index).name}/places"), own.astype(np.float32))
    own_contract = preset("tflite_reference")
    name = mapped(s, o, s.read(index), table, _PLACES, f"places{index}", own_contract)
    return step(s, o, "DequantizeLinear", [name], f"order{index}", contract=own_contract)


def _meant(s: Scope, o: TfliteOperator, index: int, quant: Quant) -> str:
    """Return the reals of codes that mean ``quant``, whatever the file says of them."""
    constant, tensor, before = s.constant(index), s.tensor(index), s.quant(index)
    if before is None:
        raise UnsupportedError(f"has reals, {tensor.name!r}, where codes are")
    if constant is not None:
        offset = constant.astype(np.float32) - np.float32(quant.zero_point)
        return s.hold(s.free(f"{tensor.name}/reals"), offset * np.float32(quant.scale))
    if before == quant:
        return dequantized(s, o, index)
    kind = DTYPES[tensor.dtype]
    same = np.arange(kind.qmin, kind.qmax + 1).astype(kind.container)
    own = preset("tflite_reference")
    name = mapped(s, o, s.read(index), same, quant, f"codes{index}", own)
    return step(s, o, "DequantizeLinear", [name], f"reals{index}", contract=own)


def _to_codes(s: Scope, o: TfliteOperator, name: str) -> None:
    """Write eq. (2) as codes, and give them the meaning that the file says."""
    tensor, after = s.tensor(o.outputs[0]), s.quant(o.outputs[0])
    assert after is not None, "the caller has seen it"
    kind, own = DTYPES[tensor.dtype], preset("tflite_reference")
    most = s.hold(s.free("most"), np.full(1, kind.qmax, np.float32))
    label = s.free(f"{tensor.name}/whole")
    whole = s.builder.node("Cast", [_cast(s, o, name, "int32")], name=label, attributes={"to": 1})
    below = _below(s, o, name, float(kind.qmax))
    chosen = step(s, o, "Where", [below, whole, most], "saturated")
    codes = step(s, o, "QuantizeLinear", [chosen], "codes", quant=_PLACES, contract=own,
                 dtype=tensor.dtype)  # fmt: skip
    same = np.arange(kind.qmin, kind.qmax + 1).astype(kind.container)
    s.write(o, "Requantize", [codes, hold_table(s, o, same, after)], contract=own)


def _below(s: Scope, o: TfliteOperator, name: str, limit: float) -> str:
    edge = s.hold(s.free("edge"), np.full(1, limit, np.float32))
    return _truth(s, o, "Less", [name, edge], "below")


def _truth(s: Scope, o: TfliteOperator, op: str, names: list[str], label: str) -> str:
    name = s.free(f"{s.tensor(o.outputs[0]).name}/{label}")
    return s.builder.node(op, names, name=name, dtype="uint8")


def _cast(s: Scope, o: TfliteOperator, name: str, dtype: str) -> str:
    label = s.free(f"{s.tensor(o.outputs[0]).name}/{dtype}")
    attributes: dict[str, Any] = {"to": _TO[dtype]}
    return s.builder.node("Cast", [name], name=label, attributes=attributes, dtype=HELD[dtype])
