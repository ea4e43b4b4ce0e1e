"""compressed-tensors 0.20.0 as a backend: it clamps, then rounds; signed codes at every width."""

from typing import Any

import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Unsupported
from refquant_conformance.subject import Local
from tests.outsiders.libraries import repeated, wrong

pytest.importorskip("compressed_tensors", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKEND: Any = load_backend("compressed_tensors")
IN_WORDS = "spec with order=words32, sign=offset_binary"
CELLS = [
    *(("quantize_linear", f"f32_{code}", "compressed_tensors") for code in ("i8", "i4", "i2")),
    *(("quantize_linear", f"f32_i8_{fine}", "compressed_tensors") for fine in ("channel", "block")),
    ("quantize_linear", "f16_i8", "compressed_tensors"),
    ("dequantize_linear", "i4_f32_block", "onnx"),
    *((op, code, IN_WORDS) for op in ("pack", "unpack") for code in ("i2", "i4")),
]


def test_main_cells_have_contracts() -> None:
    assert wrong(BACKEND, CELLS) == [], "compressed-tensors"


def test_every_cell_has_a_contract() -> None:
    seen = [identify(Local(BACKEND), cell.op, cell.scheme) for cell in BACKEND.capabilities()
            if cell.scheme not in ("f32_e4m3fn", "e4m3fn_f32")]  # fmt: skip
    nameless = [f"{one.op} {one.scheme}: {one.nearest}" for one in seen if not one.consistent]
    assert nameless == [], f"of {len(seen)}: {nameless}"


def test_a_scale_below_normal_numbers_is_kept_and_one_of_zero_replaced() -> None:
    """Minimal input: [-1e-39, 2e-39] has the scale 1.57e-41, [0, 0] 2^-23."""
    seen = {scheme: identify(Local(BACKEND), "choose_qparams", scheme).consistent[0]["small_range"]
            for scheme in ("symmetric_i8", "asymmetric_i8")}  # fmt: skip
    assert set(seen.values()) == {"replace_zero"}, f"{seen}"


def test_there_are_signed_codes_only() -> None:
    cells = {(cell.op, cell.scheme) for cell in BACKEND.capabilities()}
    assert {(op, scheme) for op, scheme, _ in CELLS} <= cells, f"{len(cells)} cells"
    with pytest.raises(Unsupported, match="no codes of uint8"):
        BACKEND.run(sample("quantize_linear", "f32_u8"))


def test_a_program_repeats_a_case() -> None:
    assert repeated(BACKEND, sample("quantize_linear", "f32_i4_block")), "another answer"
