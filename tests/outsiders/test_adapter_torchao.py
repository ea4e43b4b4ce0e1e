"""torchao 0.18.0 as a backend: the preset ``torchao`` at every width and granularity."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.protocol import Case, Rejected, Unsupported
from tests.outsiders.libraries import repeated, wrong

pytest.importorskip("torchao", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKEND: Any = load_backend("torchao")
CELLS = [
    *(("quantize_linear", f"f32_{code}", "torchao") for code in ("u8", "i8", "i4", "u2", "i16")),
    *(("quantize_linear", f"f32_u4_{fine}", "torchao") for fine in ("channel", "block")),
    ("quantize_linear", "f16_i8", "torchao"),
    ("dequantize_linear", "i8_f32_block", "onnx"),
    ("choose_qparams", "symmetric_i8", "torchao"),
    ("choose_qparams", "asymmetric_i8", "torchao"),
    ("matmul_integer", "i8_i8", "onnx"),
]


def test_main_cells_have_contracts() -> None:
    assert wrong(BACKEND, CELLS) == [], "torchao"


def test_every_operator_is_there_and_none_that_it_has_not() -> None:
    cells = {(cell.op, cell.scheme) for cell in BACKEND.capabilities()}
    assert {(op, scheme) for op, scheme, _ in CELLS} <= cells, f"{len(cells)} cells"
    assert ("cast", "f32_e2m1fn") in cells, "its own cast to four bits"
    assert ("quantize_linear", "f32_u16") not in cells, "PyTorch clamps no uint16"
    case = sample("matmul_integer", "i8_i8")
    shifted = replace(case, inputs={**case.inputs, "a_zero_point": np.int8(3)})
    with pytest.raises(Unsupported, match="no zero points"):
        BACKEND.run(shifted)


def test_nan_has_no_small_float() -> None:
    types = {"x": "float32", "y": "float4_e2m1fn"}
    nan = Case("cast", "f32_e2m1fn", {"x": np.float32([np.nan])}, {"saturate": None}, types=types)
    try:
        got = BACKEND.run(nan).outputs["y"].tolist()
    except Rejected:
        got = None
    assert got in (None, [7]), f"NaN became {got}"


def test_a_program_repeats_a_case() -> None:
    assert repeated(BACKEND, sample("quantize_linear", "f32_u4_block")), "another answer"
