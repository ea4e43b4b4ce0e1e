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
CELLS = [
    *(("quantize_linear", f"f32_{code}", "compressed_tensors") for code in ("i8", "i4", "i2")),
    *(("quantize_linear", f"f32_i8_{fine}", "compressed_tensors") for fine in ("channel", "block")),
    ("quantize_linear", "f16_i8", "compressed_tensors"),
    ("dequantize_linear", "i4_f32_block", "onnx"),
]


def test_main_cells_have_contracts() -> None:
    assert wrong(BACKEND, CELLS) == [], "compressed-tensors"


def test_parameters_are_the_presets_but_for_scales_below_normal_numbers() -> None:
    """One range of the probes: [-1e-39, 2e-39]; no contract here has a scale below 2^-126."""
    for scheme in ("symmetric_i8", "asymmetric_i8"):
        found = identify(Local(BACKEND), "choose_qparams", scheme)
        assert found.consistent == (), f"{scheme} is identified now, as {found.name}"
        assert found.mismatches <= 2, f"{scheme}: {found.mismatches} of {found.elements}"


def test_there_are_signed_codes_only() -> None:
    cells = {(cell.op, cell.scheme) for cell in BACKEND.capabilities()}
    assert {(op, scheme) for op, scheme, _ in CELLS} <= cells, f"{len(cells)} cells"
    with pytest.raises(Unsupported, match="no codes of uint8"):
        BACKEND.run(sample("quantize_linear", "f32_u8"))


def test_a_program_repeats_a_case() -> None:
    assert repeated(BACKEND, sample("quantize_linear", "f32_i4_block")), "another answer"
