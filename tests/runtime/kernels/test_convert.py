"""Quantize, dequantize and the dynamic range: each rule at ties, edges and specials."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.formats.affine import quantize as reference
from refquant.model.importers.onnx_codes import ORT_ELEMENTWISE
from refquant_conformance.strategies import floats_near_ties
from refquant_runtime.contracts import _RULES
from refquant_runtime.kernels.convert import (
    DEQUANTIZE,
    DYNAMIC,
    QUANTIZE,
    dequantize,
    dynamic_quantize,
    quantize,
)
from tests.runtime.kernels.kernel_calls import Memory, bits, call

SCALE = float(np.float32(0.1))


@pytest.mark.parametrize("contract", list(_RULES))
@given(
    x=st.lists(floats_near_ties(scale=SCALE) | st.floats(width=32), min_size=1, max_size=40),
    zero=st.integers(-128, 127),
)
def test_quantize_is_the_references(contract: str, x: list[float], zero: int) -> None:
    values = np.array(x, np.float32)
    params = QParams(np.float32(SCALE), np.int32(zero), None, "int8")
    known = ORT_ELEMENTWISE if contract == ORT_ELEMENTWISE.name else preset(contract)
    expected = reference(values, params, contract=known)
    memory = Memory()
    at, y = memory.put(values), memory.reserve(len(x))
    nan = 127 if known.nan == "qmax" else -128
    row = {"x": at, "y": y, "n": len(x), "scale": bits(SCALE), "zero": zero, "low": -128,
           "high": 127, "rule": _RULES[contract], "nan": nan}  # fmt: skip
    call(quantize, QUANTIZE, row, memory, threads=2)
    actual = memory.get(y, np.int8, (len(x),))
    assert actual.tolist() == expected.tolist(), f"{contract}, zero point {zero}: {x}"


@pytest.mark.parametrize(("kind", "dtype"), [(0, np.uint8), (1, np.int8), (2, np.int32)])
def test_dequantize_rounds_the_code_then_the_product(kind: int, dtype: type) -> None:
    info = np.iinfo(dtype)
    codes: NDArray[Any] = np.array([info.min + 1, 0, 1, 77, info.max], dtype)
    zero = 0 if kind == 2 else 5
    memory = Memory()
    at, y = memory.put(codes), memory.reserve(20)
    row = {"x": at, "y": y, "n": 5, "scale": bits(SCALE), "zero": zero, "kind": kind}
    call(dequantize, DEQUANTIZE, row, memory)
    expected = (codes.astype(np.int64) - zero).astype(np.float32) * np.float32(SCALE)
    assert memory.get(y, np.float32, (5,)).tolist() == expected.tolist(), f"{dtype.__name__}"


@pytest.mark.parametrize(
    ("x", "scale", "zero"),
    [
        ([0.0, -0.0, 0.0], 1.0, 0),
        ([1e-45, 0.0], 1.0, 0),  # the scale underflows
        ([np.nan, 2.55, -2.55], float(np.float32(np.float32(5.1) / np.float32(255))), 128),
        ([255.0], 1.0, 0),
        ([-255.0], 1.0, 255),
        ([np.inf, 1.0], np.inf, 0),
    ],
)
def test_dynamic_range(x: list[float], scale: float, zero: int) -> None:
    values = np.array(x, np.float32)
    memory = Memory()
    at, y = memory.put(values), memory.reserve(len(x))
    s, z = memory.reserve(4), memory.reserve(1)
    row = {"x": at, "y": y, "n": len(x), "scale": s, "zero": z, "rule": 0, "nan": 0}
    call(dynamic_quantize, DYNAMIC, row, memory, threads=2)
    assert float(memory.get(s, np.float32, (1,))[0]) == scale, f"scale of {x}"
    assert int(memory.get(z, np.uint8, (1,))[0]) == zero, f"zero point of {x}"
