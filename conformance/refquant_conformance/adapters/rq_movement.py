"""Operators that move codes, in a model file of our own.

An operand of a Concat whose rule is not the output's goes through a table first (``Requantize``),
as in every file that an importer writes.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant.contracts import Contract
from refquant.formats.affine import QParams
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.ops.unary import unary_table
from refquant_conformance.protocol import Case, Unsupported

__all__ = ["MOVED"]


def _quant(case: Case, prefix: str) -> Quant:
    scale, zero_point = (case.inputs[f"{prefix}{name}"] for name in ("scale", "zero_point"))
    return Quant(float(scale), int(zero_point))


def _qparams(case: Case, name: str) -> QParams:
    scale = np.float32(case.inputs[f"{name}_scale"])
    zero_point = np.int32(case.inputs[f"{name}_zero_point"])
    return QParams(scale, zero_point, None, case.types[name])


def _concat(b: Builder, case: Case, contract: Contract) -> str:
    wanted, operands = _quant(case, "y_"), []
    for name in ("a", "b"):
        own = _quant(case, f"{name}_")
        x = b.input(name, case.inputs[name].shape, dtype=case.types[name], quant=own)
        if own != wanted:
            table = unary_table("Requantize", x_qparams=_qparams(case, name),
                                y_qparams=_qparams(case, "y"), contract=contract,
                                attributes={})  # fmt: skip
            held = b.constant(f"{name}/table", table)
            x = b.node("Requantize", [x, held], dtype=case.types["y"], quant=wanted,
                       contract=contract, name=f"{name}/moved")  # fmt: skip
        operands.append(x)
    return b.node("Concat", operands, attributes={"axis": case.params["axis"]}, name="y")  # type: ignore[dict-item]  # an axis is a number


def _input(b: Builder, case: Case) -> str:
    x = case.inputs["x"]
    return b.input("x", x.shape, dtype=case.types["x"], quant=_quant(case, ""))


def _max_pool(b: Builder, case: Case, contract: Contract) -> str:
    attributes: dict[str, Any] = {
        "kernel_shape": case.params["kernel"],
        "strides": case.params["strides"],
        "pads": case.params["pads"],
    }
    return b.node("MaxPool", [_input(b, case)], attributes=attributes, name="y")


def _move(b: Builder, case: Case, contract: Contract) -> str:
    p: dict[str, Any] = dict(case.params)
    kind, operands = p["kind"], [_input(b, case)]
    rank = case.inputs["x"].ndim
    said: Mapping[str, dict[str, Any]] = {
        "reshape": {"shape": p.get("shape")},
        "transpose": {"perm": p.get("perm")},
        "slice": {"starts": p.get("starts"), "ends": p.get("ends"), "axes": tuple(range(rank))},
        "gather": {"axis": p.get("axis")},
        "pad": {"pads": p.get("pads")},
        "concat": {"axis": p.get("axis")},
    }
    if kind not in said:
        raise Unsupported(f"a .rq file moves no codes by {kind}")
    if kind == "gather":
        operands.append(b.constant("indices", np.array(p["indices"], np.int32)))
        quant = _quant(case, "")
        return b.node("Gather", operands, attributes=said[kind], dtype=case.types["y"],
                      quant=quant, name="y")  # fmt: skip
    if kind == "concat":
        operands *= 2
    return b.node(kind.title(), operands, attributes=said[kind], name="y")


MOVED: Mapping[str, Callable[[Builder, Case, Contract], str]] = MappingProxyType(
    {"qlinear_concat": _concat, "max_pool": _max_pool, "move": _move}
)
"""What adds the node of an operator, and returns its output."""
