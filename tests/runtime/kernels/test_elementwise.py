"""Integer Add and Mul against the oracle over all pairs of codes; tables; float rows."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant_conformance.oracle import add_exact
from refquant_runtime.kernels.elementary import FUNCTIONS
from refquant_runtime.kernels.elementwise import (
    BINARY,
    INTEGER_MODES,
    TABLE,
    UNARY,
    binary_f32,
    binary_i8,
    table_i8,
    unary_f32,
)
from refquant_runtime.lower.fixedpoint import quantize_multiplier
from tests.runtime.kernels.kernel_calls import Memory, bits, call

SCALES = (0.5, float(np.float32(0.3)), float(np.float32(0.7)))
ZEROS = (3, -5, 1)  # of signed codes


def numbers(mode: str) -> dict[str, int]:
    """What a plan's row says for Add under one arithmetic."""
    sa, sb, sy = SCALES
    row = {"mode": INTEGER_MODES[mode], "flip_a": 128, "flip_b": 128, "a_zero": ZEROS[0] + 128,
           "b_zero": ZEROS[1] + 128, "y_zero": ZEROS[2], "low": -128, "high": 127, "nan": -128,
           "a_scale": bits(sa), "b_scale": bits(sb), "y_scale": bits(sy)}  # fmt: skip
    if mode == "tflite_shift20":
        twice = 2 * max(sa, sb)
        m, s = quantize_multiplier(np.array([sa / twice, sb / twice, twice / (2.0**20 * sy)]))
        row |= {f"m{i + 1}": int(m[i]) for i in range(3)} | {f"s{i + 1}": int(s[i]) for i in range(3)}  # fmt: skip # noqa: E501
    if mode == "xnnpack_shift20":
        ra, rb = np.float32(np.float32(sa) / np.float32(sy)), np.float32(np.float32(sb) / np.float32(sy))  # fmt: skip # noqa: E501
        shift = 20 - (int(np.frexp(max(ra, rb))[1]) - 1)
        row |= {"m1": round(float(ra) * 2**shift), "m2": round(float(rb) * 2**shift), "s1": shift}
    return row


@pytest.mark.parametrize(
    ("mode", "contract"),
    [("dequantize", "ort"), ("tflite_shift20", "tflite_reference"), ("xnnpack_shift20", "xnnpack")],
)
def test_add_is_the_oracles_for_pairs_of_codes(mode: str, contract: str) -> None:
    codes = np.arange(-128, 128, 5).astype(np.int8)
    a, b = (grid.reshape(-1) for grid in np.meshgrid(codes, codes))
    memory = Memory()
    row = numbers(mode) | {"a": memory.put(a), "b": memory.put(b), "y": memory.reserve(a.size)}
    row |= {"d0": 1, "d1": 1, "d2": 1, "d3": a.size, "a3": 1, "b3": 1}
    call(binary_i8, BINARY, row, memory, threads=2)
    actual = memory.get(row["y"], np.int8, a.shape)
    axes = preset(contract).to_json()
    for i in range(a.size):
        expected = add_exact(
            int(a[i]), int(b[i]), scales=SCALES, zero_points=ZEROS, qmin=-128, qmax=127, axes=axes
        )
        assert actual[i] == expected, f"{contract}: {a[i]} + {b[i]}"


def test_a_table_is_indexed_by_the_byte() -> None:
    memory, consts = Memory(), Memory()
    table = np.random.default_rng(0).permutation(256).astype(np.uint8)
    x = np.arange(256, dtype=np.uint8)[::-1].copy()
    row = {"x": memory.put(x), "y": memory.reserve(256), "table": consts.put(table), "n": 256}
    call(table_i8, TABLE, row, memory, consts, threads=3)
    assert np.array_equal(memory.get(row["y"], np.uint8, (256,)), table[x]), "y = table[x]"


@pytest.mark.parametrize("op", [0, 1, 2, 3])
def test_float_rows_broadcast_and_clamp(op: int) -> None:
    rng = np.random.default_rng(op)
    a = rng.standard_normal((6, 5)).astype(np.float32)
    b = rng.standard_normal(5).astype(np.float32)
    functions: list[Any] = [np.add, np.subtract, np.multiply, np.divide]
    expected = np.minimum(functions[op](a, b), np.float32(0.5))
    memory = Memory()
    row = {"a": memory.put(a), "b": memory.put(b), "y": memory.reserve(a.nbytes), "mode": op,
           "d0": 1, "d1": 1, "d2": 6, "d3": 5, "a2": 5, "a3": 1, "b3": 1,
           "low": bits(-np.inf), "high": bits(0.5)}  # fmt: skip
    call(binary_f32, BINARY, row, memory, threads=2)
    actual = memory.get(row["y"], np.float32, a.shape)
    assert np.array_equal(actual, expected), f"mode {op}: {actual} is not {expected}"


def test_relu_keeps_nan_and_drops_the_sign_of_zero() -> None:
    x = np.array([np.nan, -0.0, -1.0, 2.0, np.inf], np.float32)
    memory = Memory()
    row = {"x": memory.put(x), "y": memory.reserve(20), "n": 5, "function": FUNCTIONS["Relu"]}
    call(unary_f32, UNARY, row, memory)
    y = memory.get(row["y"], np.float32, (5,))
    assert np.isnan(y[0]), f"NaN stays: {y}"
    assert y[1:].tobytes() == np.array([0.0, 0.0, 2.0, np.inf], np.float32).tobytes(), f"{y}"
