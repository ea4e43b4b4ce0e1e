"""The weights of MatMulNBits against one big integer, onnxruntime's operator and its quantizer."""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from onnxruntime.capi import _pybind_state
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from refquant.formats.containers.matmul_nbits import (
    dequantize,
    pack,
    pack_zero_points,
    unpack,
    unpack_zero_points,
)
from tests.refquant.formats.containers import big_int

Array = np.ndarray[Any, Any]


@given(num_bits=st.integers(2, 8), columns=st.integers(1, 50), seed=st.integers(0, 1000))
def test_blobs_are_numbers(num_bits: int, columns: int, seed: int) -> None:
    codes = big_int.codes_of((2, columns), num_bits, seed=seed)
    b = pack(codes, num_bits=num_bits, block_size=16)
    blocks = -(-columns // 16)
    assert b.shape == (2, blocks, 2 * num_bits), f"got {b.shape}"
    for row, given_row in zip(b.tolist(), codes.tolist(), strict=True):
        fields = [f for blob in row for f in big_int.dense(blob, 8, num_bits, 16)]
        assert fields[:columns] == given_row, f"{num_bits} bits: {row}"
        assert not any(fields[columns:]), "the tail is code 0"
    back = unpack(b, num_bits=num_bits, block_size=16, in_features=columns)
    assert back.tolist() == codes.tolist(), f"{num_bits} bits: {back}"


@given(num_bits=st.integers(2, 8), blocks=st.integers(1, 12), seed=st.integers(0, 1000))
def test_zero_points_are_numbers_and_padded_with_the_middle(
    num_bits: int, blocks: int, seed: int
) -> None:
    points = big_int.codes_of((2, blocks), num_bits, seed=seed)
    packed = pack_zero_points(points, num_bits=num_bits)
    size = -(-blocks * num_bits // 8)
    assert packed.shape == (2, size), f"got {packed.shape}"
    for row, given_row in zip(packed.tolist(), points.tolist(), strict=True):
        fields = big_int.dense(row, 8, num_bits, 8 * size // num_bits)
        assert fields[:blocks] == given_row, f"{num_bits} bits: {row}"
        assert set(fields[blocks:]) <= {1 << num_bits - 1}, f"{num_bits} bits: {row}"
    back = unpack_zero_points(packed, num_bits=num_bits, blocks=blocks)
    assert back.tolist() == points.tolist(), f"{num_bits} bits: {back}"


def test_tails_are_ignored_on_reading() -> None:
    b = np.full((1, 1, 8), 0xFF, np.uint8)
    b[0, 0, 0] = 0xF3
    assert unpack(b, num_bits=4, block_size=16, in_features=1).tolist() == [[3]], "code 0 only"
    points = np.array([[0x0F]], np.uint8)  # a writer that pads with 0
    assert unpack_zero_points(points, num_bits=4, blocks=1).tolist() == [[15]], "one point"


def run(
    b: Array, scales: Array, points: Array | None, *, num_bits: int, in_features: int, size: int
) -> Array:
    """The weight that onnxruntime's operator multiplies by: its product with the identity."""
    inputs = {"A": np.eye(in_features, dtype=np.float32), "B": b, "scales": scales}
    if points is not None:
        inputs["zero_points"] = points
    node = helper.make_node(
        "MatMulNBits", list(inputs), ["Y"], domain="com.microsoft",
        K=in_features, N=len(b), bits=num_bits, block_size=size,
    )  # fmt: skip
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in inputs.items()
    ]
    y = helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, (in_features, len(b)))
    graph = helper.make_graph([node], "g", values, [y])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (out,) = session.run(None, inputs)
    return np.asarray(out).T


@pytest.mark.parametrize(
    ("num_bits", "kind"),
    [(bits, kind) for bits in (2, 4, 8) for kind in ("none", "packed", "float")][:-1],
)
@pytest.mark.parametrize(("columns", "size"), [(64, 16), (40, 16), (96, 32), (33, 32)])
def test_onnxruntime_multiplies_by_our_weight(
    num_bits: int, kind: str, columns: int, size: int
) -> None:
    """Scales of few bits: then each product is exact, whatever the order of the arithmetic."""
    rng = np.random.default_rng(num_bits)
    codes = rng.integers(0, 1 << num_bits, (5, columns))
    blocks = -(-columns // size)
    scales = (rng.integers(1, 16, (5, blocks)) / 8).astype(np.float32)
    points: Array = rng.integers(0, 1 << num_bits, (5, blocks))
    if kind == "float":
        points = (points + rng.integers(0, 4, points.shape) / 4).astype(np.float32)
    given = None if kind == "none" else points
    b = pack(codes, num_bits=num_bits, block_size=size)
    sent = pack_zero_points(points, num_bits=num_bits) if kind == "packed" else given
    theirs = run(b, scales, sent, num_bits=num_bits, in_features=columns, size=size)
    ours = dequantize(codes, scales, given, num_bits=num_bits, block_size=size)
    assert theirs.tolist() == ours.tolist(), f"{num_bits} bits, {kind} zero points: {theirs}"


def test_onnxruntime_takes_no_other_bits() -> None:
    """The schema speaks of 2 to 8 bits: if a kernel comes for 3, our reading can be checked."""
    b = pack(np.zeros((1, 16), int), num_bits=3, block_size=16)
    with pytest.raises(ort_state.Fail, match="Only 2b, 4b"):
        run(b, np.ones((1, 1), np.float32), None, num_bits=3, in_features=16, size=16)


@pytest.mark.parametrize("num_bits", [2, 4, 8])
@pytest.mark.parametrize("columns", [48, 40, 16])
def test_the_quantizer_writes_our_bytes(num_bits: int, columns: int) -> None:
    quantize = getattr(_pybind_state, f"quantize_matmul_{num_bits}bits")
    blocks = -(-columns // 16)
    weight = np.random.default_rng(5).normal(1, 1, (columns, 3)).astype(np.float32)
    b = np.zeros((3, blocks, 2 * num_bits), np.uint8)  # as their Python prepares it
    scales = np.zeros(3 * blocks, np.float32)
    points = np.zeros((3, -(-blocks * num_bits // 8)), np.uint8)
    quantize(b, weight, scales, points, 16, 3, columns, False)
    codes = unpack(b, num_bits=num_bits, block_size=16, in_features=columns)
    ours = pack(codes, num_bits=num_bits, block_size=16)
    assert ours.tobytes() == b.tobytes(), f"{num_bits} bits, {columns}: {b} and {ours}"
    unpacked = unpack_zero_points(points, num_bits=num_bits, blocks=blocks)
    again = pack_zero_points(unpacked, num_bits=num_bits)
    assert again.tobytes() == points.tobytes(), f"{num_bits} bits: {points} and {again}"
    back = dequantize(codes, scales.reshape(3, -1), unpacked, num_bits=num_bits, block_size=16)
    step = np.abs(np.repeat(scales.reshape(3, -1), 16, axis=1)[:, :columns])
    # Half a step of rounding, another half by which the rounded zero point moves the range.
    assert (np.abs(back - weight.T) <= step * 1.001).all(), f"{num_bits} bits: {back}"


def test_onnxruntime_takes_no_float_zero_points_of_8_bits() -> None:
    """The schema allows them; its CPU kernel does not (1.32)."""
    b = pack(np.zeros((1, 16), int), num_bits=8, block_size=16)
    ones = np.ones((1, 1), np.float32)
    with pytest.raises(ort_state.Fail, match="8-bit weights with floating-point zero points"):
        run(b, ones, ones, num_bits=8, in_features=16, size=16)


def test_the_quantizer_leaves_the_tail_as_it_was() -> None:
    weight = np.ones((40, 1), np.float32)
    b = np.full((1, 3, 8), 0xEE, np.uint8)
    scales, points = np.zeros(3, np.float32), np.zeros((1, 2), np.uint8)
    _pybind_state.quantize_matmul_4bits(b, weight, scales, points, 16, 1, 40, False)
    assert b[0, 2, 4:].tolist() == [0xEE] * 4, f"whole bytes behind K are not written: {b}"


def test_bad_input_is_refused() -> None:
    codes = np.zeros((1, 16), int)
    for size in (8, 24, 0):
        with pytest.raises(ValueError, match=f"power of two, at least 16; got {size}"):
            pack(codes, num_bits=4, block_size=size)
    for bits in (1, 9):
        with pytest.raises(ValueError, match=rf"num_bits must be in 2\.\.8 .*, got {bits}"):
            pack(codes, num_bits=bits, block_size=16)
    with pytest.raises(ValueError, match=r"codes must be in \[0, 15\]"):
        pack(codes - 1, num_bits=4, block_size=16)
    with pytest.raises(ValueError, match="codes must have 2 axes"):
        pack(codes[0], num_bits=4, block_size=16)
    with pytest.raises(ValueError, match=r"b must be uint8 of shape \(1, 2, 8\)"):
        unpack(np.zeros((1, 1, 8), np.uint8), num_bits=4, block_size=16, in_features=17)
    with pytest.raises(ValueError, match=r"packed must be uint8 of shape \(1, 2\)"):
        unpack_zero_points(np.zeros((1, 1), np.uint8), num_bits=4, blocks=3)
    with pytest.raises(ValueError, match=r"zero_points must be in \[0, 15\]"):
        pack_zero_points(np.array([[16]]), num_bits=4)
    ones = np.ones((1, 1), np.float32)
    with pytest.raises(ValueError, match=r"scales must be float32 of shape \(1, 1\)"):
        dequantize(codes, ones.astype(np.float64), None, num_bits=4, block_size=16)
    with pytest.raises(ValueError, match=r"zero_points must have shape \(1, 1\), got \(2,\)"):
        dequantize(codes, ones, np.zeros(2), num_bits=4, block_size=16)
