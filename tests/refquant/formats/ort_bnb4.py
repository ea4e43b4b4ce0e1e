"""ONNX Runtime's blockwise 4-bit quantizer and operator, as an outsider."""

from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import _pybind_state

from refquant.formats.absmax_blocks import Blockwise
from tests.refquant.formats.codebook_inputs import (
    blocks_around,
    many,
    special_blocks,
    unusual_blocks,
)

KINDS = {"fp4": 0, "nf4": 1}

Array = np.ndarray[Any, Any]


def ort_bytes(x: Array, *, block_size: int, kind: str) -> tuple[Array, Array]:
    """The packed codes and the absmax of a flat tensor, by ``quantize_matmul_bnb4``."""
    row = np.ascontiguousarray(x.reshape(1, -1))
    packed = np.zeros(-(-x.size // 2), np.uint8)
    absmax = np.zeros(-(-x.size // block_size), np.float32)
    _pybind_state.quantize_matmul_bnb4(packed, row, absmax, block_size, KINDS[kind], 1, x.size)
    return packed, absmax


def matmul_weights(
    packed: Array, absmax: Array, *, shape: tuple[int, int], block_size: int, kind: str
) -> Array:
    """The weights (N, K) that the operator MatMulBnb4 multiplies by: its product with identity."""
    n, k = shape
    node = onnx.helper.make_node(
        "MatMulBnb4", ["x", "b", "absmax"], ["y"], domain="com.microsoft",
        K=k, N=n, block_size=block_size, quant_type=KINDS[kind],
    )  # fmt: skip
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "one_node",
        [onnx.helper.make_tensor_value_info("x", float32, [k, k])],
        [onnx.helper.make_tensor_value_info("y", float32, [k, n])],
        [onnx.numpy_helper.from_array(packed, "b"), onnx.numpy_helper.from_array(absmax, "absmax")],
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": np.eye(k, dtype=np.float32)})
    return np.asarray(y).T


def expect_bytes(module: ModuleType, *, bounds: Array, block_size: int, kind: str) -> None:
    """Codes and absmax of the flavour ``ort`` are ONNX Runtime's: on bounds, special, ragged."""
    cases = {"midpoints": blocks_around(bounds, block_size=block_size)}
    cases |= special_blocks(block_size=block_size) | unusual_blocks(block_size=block_size)
    cases["normal"] = many(0, count=8 * block_size)
    for name, x in cases.items():
        for tail in (0, 1, 2, 7):
            values = np.concatenate([x, x[:tail]])
            q = module.quantize(values, block_size=block_size, flavour="ort")
            packed, absmax = ort_bytes(values, block_size=block_size, kind=kind)
            assert np.array_equal(module.pack(q.codes), packed), f"{name}, tail {tail}: codes"
            assert np.array_equal(q.absmax, absmax), f"{name}, tail {tail}: absmax"


def expect_values(module: ModuleType, *, kind: str) -> None:
    """MatMulBnb4 with the identity on the left has our values: every code, several absmax."""
    codes = np.tile(np.arange(16, dtype=np.uint8), 16)
    absmax = np.geomspace(1e-3, 1e3, 8).astype(np.float32)
    ours = module.dequantize(Blockwise(codes, absmax, 32)).reshape(16, 16)
    theirs = matmul_weights(module.pack(codes), absmax, shape=(16, 16), block_size=32, kind=kind)
    assert np.array_equal(ours, theirs), "a product with one and sums of zeros are exact"
