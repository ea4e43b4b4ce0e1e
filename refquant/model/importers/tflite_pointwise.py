"""Elementwise operators, QUANTIZE and DEQUANTIZE, SOFTMAX.

A function of one int8 tensor becomes the table that the tool computes; see `tflite_tables`. Two
operands are brought to one order: ours, if one of them is there already.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.qparams import QParams
from refquant.model.graph import Attribute, Quant
from refquant.model.importers.tflite_activations import clamps, finish
from refquant.model.importers.tflite_fixed import need_odd_products, takes_leaky_relu
from refquant.model.importers.tflite_kernels import contract_of
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import AS_IS, FIRST, Scope
from refquant.model.importers.tflite_tables import OPERATORS, table_of
from refquant.ops.softmax import softmax_table

__all__ = ["aligned", "binary", "dequantize", "quantize", "softmax", "unary"]

_BINARY = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div"}


def binary(s: Scope, o: TfliteOperator) -> None:
    """ADD, SUB and MUL of float32 or int8, DIV of float32."""
    order, inputs = aligned(s, o)
    op, (a, b) = _BINARY[o.op], o.inputs[:2]
    quants = [s.quant(i) for i in (a, b, o.outputs[0])]
    if op == "Sub" and None not in quants:
        if s.tool == "tflite_reference":
            need_odd_products(*(q for q in quants[:2] if q is not None))
        op, inputs[1] = "Add", _negated(s, o, inputs[1], quants[1])
    if None in quants:
        if any(quant is not None for quant in quants):
            raise UnsupportedError("mixes codes and reals")
        finish(s, o, op, inputs, order, {})
        return
    if op not in ("Add", "Mul"):
        raise UnsupportedError("of int8 is not known")
    sa, sb, sy = (np.float32(q.scale) for q in quants if q is not None)
    with np.errstate(over="ignore", under="ignore"):
        ratios = (sa / sy, sb / sy) if op == "Add" else (np.float32(sa * sb) / sy,)
    contract = contract_of(s.tool, "ADD" if op == "Add" else o.op, ratios=ratios)
    s.write(o, op, inputs, order=order, attributes=clamps(s, o), contract=contract)


def aligned(s: Scope, o: TfliteOperator) -> tuple[str, list[str]]:
    """Return the two operands in one order of axes: ours, if one of them is there already."""
    a, b = o.inputs[:2]
    ranks = {len(s.tensor(i).shape) for i in (a, b)}
    computed = [i for i in (a, b) if s.constant(i) is None]
    ours = any(s.at(i) == FIRST for i in computed) and all(
        len(s.tensor(i).shape) == 4 for i in computed
    )
    order = FIRST if ours and max(ranks) == 4 else AS_IS
    return order, [s.read(i, order) for i in (a, b)]


def _negated(s: Scope, o: TfliteOperator, name: str, quant: Quant | None) -> str:
    """Return the codes of -b: ~q, whose zero point is ~z, mean s (~q - ~z) = -s (q - z), exactly.

    XNNPACK's subtraction is its addition with the second multiplier negated; of TFLite's reference
    kernel `refquant.model.importers.tflite_fixed.need_odd_products` asks when it is.
    """
    assert quant is not None, "the caller has seen it"
    after = Quant(quant.scale, ~int(quant.zero_point))
    label = f"{s.tensor(o.outputs[0]).name}/negated"
    table = np.arange(127, -129, -1).astype(np.int8)  # of -128 ... 127
    held = s.hold(s.free(f"{label}/table"), table, quant=after)
    return s.builder.node(
        "Neg", [name, held], name=s.free(label), contract=contract_of(s.tool, "QUANTIZE"),
        dtype="int8", quant=after,
    )  # fmt: skip


def unary(s: Scope, o: TfliteOperator) -> None:
    """A function of one tensor: of int8 by its table."""
    op, attributes = OPERATORS[o.op]
    x, order = o.inputs[0], s.at(o.inputs[0])
    own: dict[str, Attribute] = dict(attributes)
    if o.op == "LEAKY_RELU":
        own["alpha"] = float(np.float32(o.options.get("Alpha", 0.0)))  # type: ignore[arg-type]  # a number
    if o.op == "GELU" and o.options.get("Approximate", False):
        own["approximate"] = "tanh"
    before, after = s.quant(x), s.quant(o.outputs[0])
    if before is None and after is None:
        source = s.read(x, order)
        if o.op == "RSQRT":
            one = s.hold(s.free("one"), np.ones((1,) * 4 if order == FIRST else (1,), np.float32))
            root = s.free(f"{s.tensor(o.outputs[0]).name}/sqrt")
            s.write(o, "Div", [one, s.builder.node("Sqrt", [source], name=root)], order=order)
            return
        s.write(o, op, [source], order=order, attributes=own)
        return
    if before is None or after is None:
        raise UnsupportedError("has codes on one side and reals on the other")
    alpha, tanh = float(own.get("alpha", 0.0)), own.get("approximate") == "tanh"  # type: ignore[arg-type]  # a number
    rulers = _ruler(before), _ruler(after)
    given_back = o.op == "LEAKY_RELU" and not takes_leaky_relu(np.float32(alpha), *rulers)
    contract = contract_of(s.tool, o.op, given_back=given_back)
    table = table_of(contract, o.op, *rulers, alpha=alpha, tanh=tanh)
    _by_table(s, o, op, table, after, contract)


def quantize(s: Scope, o: TfliteOperator) -> None:
    """QUANTIZE: reals to int8, or int8 to int8 with other parameters, by a table."""
    x, order = o.inputs[0], s.at(o.inputs[0])
    before, after = s.quant(x), s.quant(o.outputs[0])
    if after is None:
        raise UnsupportedError("makes reals")
    if before is None:
        contract = contract_of(s.tool, o.op)
        s.write(o, "QuantizeLinear", [s.read(x, order)], order=order, contract=contract)
        return
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.float32(before.scale) / np.float32(after.scale)
    contract = contract_of(s.tool, o.op, ratios=(np.float32(ratio),))
    table = table_of(contract, o.op, _ruler(before), _ruler(after))
    _by_table(s, o, "Requantize", table, after, contract)


def _by_table(
    s: Scope, o: TfliteOperator, op: str, table: NDArray[np.int8], after: Quant, contract: Contract
) -> None:
    """Add ``op`` of int8 with its table of 256 codes."""
    held = s.hold(s.free(f"{s.tensor(o.outputs[0]).name}/table"), table, quant=after)
    order = s.at(o.inputs[0])
    s.write(o, op, [s.read(o.inputs[0], order), held], order=order, contract=contract)


def dequantize(s: Scope, o: TfliteOperator) -> None:
    """DEQUANTIZE of int8; of a constant it is that constant in float32, once and for all."""
    x = s.tensor(o.inputs[0])
    constant = s.constant(x.index)
    if constant is not None:
        s.folded[o.outputs[0]] = _reals(x.axis, constant, x.scale, x.zero_point, x.quantized)
        return
    before = s.quant(x.index)
    if before is None or s.quant(o.outputs[0]) is not None:
        raise UnsupportedError(f"turns {x.dtype} into {s.tensor(o.outputs[0]).dtype}")
    order = s.at(x.index)
    s.write(
        o, "DequantizeLinear", [s.read(x.index, order)], order=order,
        contract=contract_of(s.tool, o.op),
    )  # fmt: skip


def softmax(s: Scope, o: TfliteOperator) -> None:
    """SOFTMAX along the last axis; of int8 with the table of exponentials that the tool makes."""
    beta = float(np.float32(o.options.get("Beta", 0.0)))  # type: ignore[arg-type]  # a number
    x = s.read(o.inputs[0])
    before, after = s.quant(o.inputs[0]), s.quant(o.outputs[0])
    if before is None and after is None:
        if beta != 1.0:
            raise UnsupportedError(f"of float32 with beta {beta}, not 1")
        s.write(o, "Softmax", [x], attributes={"axis": -1})
        return
    if before is None or after is None:
        raise UnsupportedError("has codes on one side and reals on the other")
    contract = contract_of(s.tool, o.op)
    if beta <= 0:
        raise UnsupportedError(f"has beta {beta}, which is not positive")
    table = softmax_table(_ruler(before), beta=beta, contract=contract)
    held = s.hold(s.free(f"{s.tensor(o.outputs[0]).name}/exp"), table)
    s.write(o, "Softmax", [x, held], attributes={"axis": -1}, contract=contract)


def _ruler(quant: Quant) -> QParams:
    return QParams(np.float32(quant.scale), np.int32(quant.zero_point), None, "int8")


def _reals(
    axis: int, codes: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, quantized: bool
) -> np.ndarray:
    """Return the float32 that a constant means: float16 widened, or codes times scale."""
    if not quantized:
        if codes.dtype not in (np.float16, np.float32):
            raise UnsupportedError(f"dequantizes a constant of {codes.dtype.name}")
        return codes.astype(np.float32)
    shape = [1] * codes.ndim
    if scale.size > 1:
        if not 0 <= axis < codes.ndim or codes.shape[axis] != scale.size:
            raise ValueError(f"{scale.size} scales along axis {axis} of {list(codes.shape)}")
        shape[axis] = scale.size
    offset = codes.astype(np.float32) - zero_point.astype(np.float32).reshape(shape)
    return np.asarray(offset * scale.reshape(shape), np.float32)
