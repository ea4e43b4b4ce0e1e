"""optimum-quanto 0.2.7 as a backend. It imports transformers: this takes its time."""

from typing import Any

import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.protocol import Unsupported
from tests.outsiders.libraries import wrong

pytest.importorskip("optimum.quanto", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKEND: Any = load_backend("quanto")
CELLS = [
    *(("quantize_linear", f"f32_{code}", "onnx") for code in ("u8", "u4", "u2", "u4_channel")),
    ("quantize_linear", "f32_i8", "quanto"),
    ("dequantize_linear", "u4_f32", "onnx"),
    ("dequantize_linear", "u2_f32_channel", "onnx"),
]


def test_main_cells_have_contracts() -> None:
    assert wrong(BACKEND, CELLS) == [], "quanto"


def test_signed_codes_have_no_zero_point() -> None:
    cells = {(cell.op, cell.scheme) for cell in BACKEND.capabilities()}
    assert {(op, scheme) for op, scheme, _ in CELLS} <= cells, f"{cells}"
    with pytest.raises(Unsupported, match="no zero point"):
        BACKEND.run(case_of("f32_i8", sample("quantize_linear", "f32_i8").inputs["x"], 1.0, 3))
    with pytest.raises(Unsupported, match="no qtype of uint16"):
        BACKEND.run(sample("quantize_linear", "f32_u16"))
