"""torchao 0.18.0 as a backend: the preset ``torchao`` at every width and granularity."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Case, Unsupported
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
    shifted = replace(case, inputs={**case.inputs, "a_zero_point": np.array(3, np.int8)})
    with pytest.raises(Unsupported, match="no zero points"):
        BACKEND.run(shifted)


NAN_BECOMES_A_NUMBER = {"f32_e2m1fn": [3, 11], "f32_e2m3fn": [12, 44], "f32_e3m2fn": [14, 46]}
"""Formats without a NaN: its bits are taken for those of a number, 1.5 for the usual NaN in E2M1.
The OCP text leaves it to the implementation; infinity saturates. Minimal input: NaN, and -NaN."""


def test_nan_becomes_a_number() -> None:
    nan = np.array([0x7FC00000, 0xFFC00000], np.uint32).view(np.float32)
    for scheme, codes in NAN_BECOMES_A_NUMBER.items():
        case = Case("cast", scheme, {"x": nan}, {"saturate": None}, types=types_of("cast", scheme))
        assert BACKEND.run(case).outputs["y"].tolist() == codes, f"{scheme}: if it ends, so does it"


def test_a_program_repeats_a_case() -> None:
    assert repeated(BACKEND, sample("quantize_linear", "f32_u4_block")), "another answer"
