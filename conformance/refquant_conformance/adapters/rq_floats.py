"""Operators with float32 results, in a model file of our own."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant.contracts import Contract
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant_conformance.protocol import Case

__all__ = ["FLOATS"]


def _matmul_nbits(b: Builder, case: Case, contract: Contract) -> str:
    scale = case.inputs["b_scale"]
    points = case.inputs.get("b_zero_point", np.full(scale.shape, 8))
    size = int(str(case.params["block_size"]))
    quant = Quant(
        b.constant("b/scale", scale),
        b.constant("b/zero_point", points.astype(np.int32)),
        (size, 1),
    )
    a = b.input("a", case.inputs["a"].shape)
    weights = b.constant("b", case.inputs["b"], dtype="uint4", quant=quant)
    return b.node("MatMul", [a, weights], contract=contract, name="y")


def _layer_norm(b: Builder, case: Case, contract: Contract) -> str:
    names = [name for name in ("scale", "bias") if name in case.inputs]
    operands = [b.input("x", case.inputs["x"].shape)]
    operands += [b.constant(name, case.inputs[name]) for name in names]
    epsilon = float(str(case.params["epsilon"]))
    return b.node("LayerNormalization", operands, attributes={"axis": -1, "epsilon": epsilon},
                  name="y")  # fmt: skip


def _recurrent(b: Builder, case: Case, contract: Contract) -> list[str]:
    states = ("h", "c") if case.op == "lstm" else ("h",)
    operands = [b.input("x", case.inputs["x"].shape)]
    operands += [b.constant(name, case.inputs[name][None]) for name in ("w", "r")]
    operands.append(b.constant("bias", case.inputs["bias"][None]) if "bias" in case.inputs else "")
    operands.append("")
    operands += [b.constant(name, case.inputs[name][:, None]) for name in states]
    attributes: dict[str, Any] = {"hidden_size": case.inputs["h"].shape[1], "layout": 1}
    if case.op == "gru":
        attributes["linear_before_reset"] = int(str(case.params["linear_before_reset"]))
    names = ("y", "y_h", "y_c")[: 1 + len(states)]
    all_named = [f"{name}_of_directions" for name in names]
    b.node_with(case.op.upper(), operands, all_named, name=case.op, attributes=attributes)
    return [
        b.node("Squeeze", [whole], attributes={"axes": (2 if name == "y" else 1,)}, name=name)
        for name, whole in zip(names, all_named, strict=True)
    ]


FLOATS: Mapping[str, Callable[[Builder, Case, Contract], str | list[str]]] = MappingProxyType(
    {
        "matmul_nbits": _matmul_nbits,
        "layer_norm": _layer_norm,
        "lstm": _recurrent,
        "gru": _recurrent,
    }
)
"""What adds the node of an operator, and returns its output, or its outputs."""
