"""The nodes of operators with float32 results in ONNX.

MatMulNBits holds its weights packed: two codes a byte, the first in the low bits, column by column,
each block filled up with zeros; so do its zero points, each column a whole number of bytes.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from refquant_conformance.adapters.onnx_models import MICROSOFT, Node, Parts
from refquant_conformance.protocol import Array, Case

__all__ = ["FLOATS"]


def _packed(codes: Array) -> Array:
    """Return two codes a byte along the last axis, which is even."""
    return np.asarray(codes[..., 0::2] | (codes[..., 1::2] << 4), np.uint8)


def _matmul_nbits(case: Case) -> Parts:
    b, scale = case.inputs["b"], case.inputs["b_scale"]
    size, (k, n) = int(str(case.params["block_size"])), b.shape
    blocks = len(scale)
    filled = np.zeros((n, blocks * size), np.uint8)
    filled[:, :k] = b.T
    held: dict[str, tuple[str, Array]] = {
        "packed": ("uint8", _packed(filled.reshape(n, blocks, size))),
        "scales": ("float32", np.ascontiguousarray(scale.T)),
    }
    if "b_zero_point" in case.inputs:
        points = np.zeros((n, blocks + blocks % 2), np.uint8)
        points[:, :blocks] = case.inputs["b_zero_point"].T
        held["points"] = ("uint8", _packed(points))
    attributes = {"K": k, "N": n, "bits": 4, "block_size": size}
    node = Node("MatMulNBits", ("a", *held), ("y",), attributes, MICROSOFT)
    return Parts((node,), held)


def _layer_norm(case: Case) -> Parts:
    inputs = ("x", "scale", "bias") if "bias" in case.inputs else ("x", "scale")
    attributes = {"axis": -1, "epsilon": case.params["epsilon"]}
    return Parts((Node("LayerNormalization", inputs, ("y",), attributes),))


def _recurrent(case: Case) -> Parts:
    """Return the layer with the steps first, which engines have, between two transpositions."""
    names = ("y_h", "y_c") if case.op == "lstm" else ("y_h",)
    states = [f"{name}_before" for name in ("h", "c")[: len(names)]]
    held = {"one": ("int64", np.array([0], np.int64)), "at": ("int64", np.array([1], np.int64))}
    for name in ("w", "r", "bias"):
        if name in case.inputs:
            held[f"{name}_held"] = ("float32", case.inputs[name][None])
    for name in states:
        held[name] = ("float32", case.inputs[name[0]][None])
    bias = "bias_held" if "bias" in case.inputs else ""
    inputs = ("steps", "w_held", "r_held", bias, "", *states)
    attributes = {"hidden_size": case.inputs["h"].shape[1]}
    if case.op == "gru":
        attributes["linear_before_reset"] = int(str(case.params["linear_before_reset"]))
    outputs = ("all", *(f"{name}_after" for name in names))
    return Parts(
        (
            Node("Transpose", ("x",), ("steps",), {"perm": (1, 0, 2)}),
            Node(case.op.upper(), inputs, outputs, attributes),
            Node("Squeeze", ("all", "at"), ("forward",)),
            Node("Transpose", ("forward",), ("y",), {"perm": (1, 0, 2)}),
            *(Node("Squeeze", (f"{name}_after", "one"), (name,)) for name in names),
        ),
        held,
    )


FLOATS: Mapping[str, Callable[[Case], Parts]] = MappingProxyType(
    {
        "matmul_nbits": _matmul_nbits,
        "layer_norm": _layer_norm,
        "lstm": _recurrent,
        "gru": _recurrent,
    }
)
"""Operators with float32 results, by name."""
