"""optimum-quanto 0.2.7 as a backend. It imports transformers: this takes its time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Unsupported
from refquant_conformance.subject import Local
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


def test_every_cell_has_a_contract() -> None:
    seen = [identify(Local(BACKEND), cell.op, cell.scheme) for cell in BACKEND.capabilities()
            if "e4m3" not in cell.scheme and "e5m2" not in cell.scheme]  # fmt: skip
    nameless = [f"{one.op} {one.scheme}: {one.nearest}" for one in seen if not one.consistent]
    assert nameless == [], f"of {len(seen)}: {nameless}"


def test_a_scale_of_zero_is_kept() -> None:
    """MaxOptimizer of zeros: the scale 0; of -2 and -2 too, and the zero point 255."""
    case = sample("choose_qparams", "asymmetric_u8")
    for ends, zero_point in (((0, 0), 0), ((-2, -2), 255)):
        made = BACKEND.run(replace(case, inputs={"x": np.array(ends, np.float32)})).outputs
        assert (float(made["scale"]), int(made["zero_point"])) == (0.0, zero_point), f"{ends}"


def test_signed_codes_have_no_zero_point() -> None:
    cells = {(cell.op, cell.scheme) for cell in BACKEND.capabilities()}
    assert {(op, scheme) for op, scheme, _ in CELLS} <= cells, f"{cells}"
    with pytest.raises(Unsupported, match="no zero point"):
        BACKEND.run(case_of("f32_i8", sample("quantize_linear", "f32_i8").inputs["x"], 1.0, 3))
    with pytest.raises(Unsupported, match="no qtype of uint16"):
        BACKEND.run(sample("quantize_linear", "f32_u16"))
