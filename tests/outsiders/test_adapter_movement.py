"""What LiteRT 2.3.0 and OpenVINO 2026.4.1 compute where codes move, by name, on every probe.

Two cells have no name: LiteRT's builtin bilinear of uint8 is ``half_up`` but for some ties, and
OpenVINO interpolates in an order of its own.
"""

import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.identify import identify
from refquant_conformance.subject import Local

for module in ("ai_edge_litert.interpreter", "openvino"):
    pytest.importorskip(module, reason="asks its kernels; see `make outsiders`")
pytestmark = pytest.mark.torch
FOUND = {
    ("litert:xnnpack", "qlinear_concat", "u8"): "ratio_half_away",
    ("litert:xnnpack", "max_pool", "i8"): "ignored",
    ("litert:xnnpack", "move", "i8"): "zero_point",
    ("litert:xnnpack", "resize_nearest", "i8"): "fixed_16",
    ("litert:xnnpack", "resize_bilinear", "i8"): "fixed_11",
    ("litert:xnnpack", "resize_bilinear", "u8"): "fixed_11",
    ("litert:builtin", "qlinear_concat", "u8"): "ratio_half_away",
    ("litert:builtin", "resize_nearest", "u8"): "fixed_16",
    ("litert:builtin", "resize_bilinear", "i8"): "fixed_10",
    ("litert:reference", "resize_nearest", "i8"): "multiplied",
    ("litert:reference", "resize_bilinear", "i8"): "fixed_10",
    ("litert:reference", "resize_bilinear", "u8"): "half_up",
    ("openvino", "qlinear_concat", "u8"): "by_range",
    ("openvino", "qlinear_concat", "i8"): "by_range",
    ("openvino", "max_pool", "i8"): "ignored",
    ("openvino", "move", "u8"): "zero_point",
    ("openvino", "resize_nearest", "i8"): "divided_but_corners",
}


@pytest.mark.parametrize(("spec", "op", "scheme"), FOUND)
def test_a_cell_has_a_name(spec: str, op: str, scheme: str) -> None:
    found = identify(Local(load_backend(spec), spec), op, scheme)
    values = [next(iter(axes.values())) for axes in found.consistent]
    assert values == [FOUND[spec, op, scheme]], f"{found.name}: {found.nearest}"


@pytest.mark.parametrize(
    ("spec", "scheme"), [("litert:builtin", "u8"), ("openvino", "u8"), ("openvino", "i8")]
)
def test_bilinear_cells_without_a_name(spec: str, scheme: str) -> None:
    found = identify(Local(load_backend(spec), spec), "resize_bilinear", scheme)
    assert not found.consistent, f"it has a name now: {found.name}"
    assert found.mismatches < found.elements // 25, f"{found.mismatches} of {found.elements}"


def test_an_operand_of_int8_with_another_rule_is_refused_by_litert() -> None:
    found = identify(
        Local(load_backend("litert:builtin"), "litert:builtin"), "qlinear_concat", "i8"
    )
    assert "params.scale" in found.trouble["unsupported"], f"{found.trouble}"
