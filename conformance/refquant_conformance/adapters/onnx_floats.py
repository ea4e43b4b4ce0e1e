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


FLOATS: Mapping[str, Callable[[Case], Parts]] = MappingProxyType({"matmul_nbits": _matmul_nbits})
"""Operators with float32 results, by name."""
