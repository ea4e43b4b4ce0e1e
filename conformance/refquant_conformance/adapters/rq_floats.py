"""Operators with float32 results, in a model file of our own."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

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


FLOATS: Mapping[str, Callable[[Builder, Case, Contract], str]] = MappingProxyType(
    {"matmul_nbits": _matmul_nbits}
)
"""What adds the node of an operator, and returns its output."""
