"""MLX 0.32.4 on a CPU as a backend: a real of affine codes is f32(s q) - f32(s z)."""

from typing import Any

import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.protocol import Unsupported
from tests.outsiders.libraries import repeated, wrong

pytest.importorskip("mlx.core", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKEND: Any = load_backend("mlx")
MULTIPLIED = "spec with dequantize=multiply_first"
CELLS = [
    *(("dequantize_linear", f"{code}_f32_block", MULTIPLIED) for code in ("u8", "u4", "u2")),
    ("dequantize_linear", "u4_f32", MULTIPLIED),
    ("dequantize_linear", "u4_f32_channel", MULTIPLIED),
    ("decode", "e4m3fn_f32", "onnx"),
]


def test_main_cells_have_contracts() -> None:
    assert wrong(BACKEND, CELLS) == [], "mlx"


def test_codes_are_unsigned() -> None:
    cells = {(cell.op, cell.scheme) for cell in BACKEND.capabilities()}
    assert {(op, scheme) for op, scheme, _ in CELLS} <= cells, f"{cells}"
    with pytest.raises(Unsupported, match="unsigned"):
        BACKEND.run(sample("dequantize_linear", "i8_f32"))
    with pytest.raises(Unsupported, match="no quantize_linear"):
        BACKEND.run(sample("quantize_linear", "f32_u8"))
    assert repeated(BACKEND, sample("dequantize_linear", "u4_f32_block")), "another answer"
