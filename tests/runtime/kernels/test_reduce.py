"""Softmax along any axis, and products of two computed tensors."""

import numpy as np
import pytest

from refquant.numerics.elementary import softmax
from refquant_runtime.kernels.reduce import MATMUL, SOFTMAX, matmul_f32, matmul_i8, softmax_f32
from refquant_runtime.kernels.requantize import MODES
from tests.runtime.kernels.kernel_calls import Memory, bits, call


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_has_the_references_bits(axis: int) -> None:
    x = (np.random.default_rng(axis).standard_normal((3, 4, 5)) * 30).astype(np.float32)
    memory = Memory()
    row = {"x": memory.put(x), "y": memory.reserve(x.nbytes), "outer": int(np.prod(x.shape[:axis])),
           "n": x.shape[axis], "inner": int(np.prod(x.shape[axis + 1 :]))}  # fmt: skip
    call(softmax_f32, SOFTMAX, row, memory, threads=2)
    actual = memory.get(row["y"], np.float32, x.shape)
    assert actual.tobytes() == softmax(x, axis=axis).tobytes(), f"axis {axis}"


def test_float_product_ascends() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((2, 3, 7), (2, 7, 5)))
    expected = np.zeros((2, 3, 5), np.float32)
    for k in range(7):
        expected = expected + a[:, :, k, None] * b[:, None, k]
    memory = Memory()
    row = {"a": memory.put(a), "b": memory.put(b), "y": memory.reserve(expected.nbytes),
           "batches": 2, "rows": 3, "k": 7, "n": 5, "a_batch": 21, "b_batch": 35}  # fmt: skip
    call(matmul_f32, MATMUL, row, memory, threads=3)
    actual = memory.get(row["y"], np.float32, expected.shape)
    assert np.array_equal(actual, expected), f"{actual} is not {expected}"


@pytest.mark.parametrize("signed", [0, 1])
def test_product_of_codes_is_exact(signed: int) -> None:
    rng = np.random.default_rng(signed)
    dtype = np.int8 if signed else np.uint8
    a, b = (rng.integers(0, 256, s).astype(np.uint8).view(dtype) for s in ((3, 9), (9, 4)))
    za, zb, m = 7, -3 if signed else 200, np.float32(0.001)
    exact = (a.astype(np.int64) - za) @ (b.astype(np.int64) - zb)
    memory, consts = Memory(), Memory()
    row = {"a": memory.put(a), "b": memory.put(b), "y": memory.reserve(12), "batches": 1, "rows": 3,
           "k": 9, "n": 4, "signed_a": signed, "signed_b": signed, "a_zero": za, "b_zero": zb,
           "seed": consts.put(np.zeros(4, np.int32)), "multiplier": consts.put(np.full(4, m)),
           "x_zero": -1, "mode": MODES["float_rne"], "y_stride": 4, "zero_point": 1, "low": -128,
           "high": 127, "scratch": memory.reserve(512), "scratch_size": 128}  # fmt: skip
    call(matmul_i8, MATMUL, row, memory, consts, threads=2)
    expected = np.clip(np.rint(exact.astype(np.float32) * m) + 1, -128, 127)
    actual = memory.get(row["y"], np.int8, (3, 4))
    assert np.array_equal(actual, expected), f"{actual} is not {expected}"
    assert bits(1.0) == 0x3F800000, "the harness carries floats by their bits"
