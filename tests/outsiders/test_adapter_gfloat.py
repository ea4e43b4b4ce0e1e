"""gfloat 0.5.2 as a backend: NaN is the largest code, and E8M0 rounds ties to the even code."""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import BackendError, load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.blocks import block_case
from refquant_conformance.arithmetic.cast_probes import cast_case
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Rejected, Unsupported
from refquant_conformance.subject import Local
from tests.outsiders.libraries import repeated, wrong

pytest.importorskip("gfloat", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKENDS: dict[str, Any] = {
    setting: load_backend(f"gfloat:{setting}" if setting else "gfloat")
    for setting in ("", "away", "zero")
}
ENDLESS = "spec with fp_overflow=ieee, infinity=ieee"
CELLS = {
    "": [
        *(("cast", f"{source}_{kind}", ENDLESS) for source in ("f32", "f64", "f16")
          for kind in ("e4m3fn", "e5m2")),
        *(("cast", f"f64_{kind}", "spec, nan_becomes=error")
          for kind in ("e2m3fn", "e3m2fn", "e2m1fn")),
        ("cast", "f64_bf16", "spec, nan_sign=all_ones"),
        ("cast", "f64_f16", "onnx"),
        *(("decode", f"{kind}_f32", "onnx")
          for kind in ("e4m3fn", "e5m2", "e8m0fnu", "e2m3fn", "e3m2fn", "e2m1fn", "bf16")),
    ],
    "away": [("cast", "f32_e2m1fn", "spec with rounding=half_away")],
    "zero": [("cast", "f32_e5m2", "spec with rounding=toward_zero, infinity=ieee")],
}  # fmt: skip


@pytest.mark.parametrize("setting", CELLS)
def test_main_cells_have_contracts(setting: str) -> None:
    assert wrong(BACKENDS[setting], CELLS[setting]) == [], f"gfloat:{setting}"


def test_at_least_four_cells_in_five_have_a_contract() -> None:
    gfloat = BACKENDS[""]
    seen = [identify(Local(gfloat), c.op, c.scheme) for c in gfloat.capabilities()
            if (c.op, c.scheme) != ("block_quantize", "mxfp4")]  # fmt: skip
    nameless = {(one.op, one.scheme) for one in seen if not one.consistent}
    assert nameless == set(NAMELESS), f"{nameless}"
    assert len(nameless) <= len(seen) / 5, f"{len(nameless)} of {len(seen)}"


NAMELESS = {
    ("cast", "f32_e8m0fnu"): "see NEGATIVE_SCALES",
    ("cast", "f64_e8m0fnu"): "see NEGATIVE_SCALES",
    ("cast", "f16_e8m0fnu"): "see NEGATIVE_SCALES, LARGE_HALVES",
    ("cast", "f16_bf16"): "see LARGE_HALVES",
    (
        "block_dequantize",
        "mxfp4",
    ): "code 8 is -0, scale 255 NaN; by ggml 0 and 2^127",
}

NEGATIVE_SCALES = ((-(2.0**-127), 0xFE), (-np.inf, 0x7E), (2.0**-149, 0xEA))
"""E8M0 has no sign, and no number below 2^-127. ``encode_ndarray`` gives these the low byte of a
code that is negative or has more than eight bits. By its docstring, which saturates, NaN or an end
of the range is right. Minimal input: -inf becomes 0.5."""

LARGE_HALVES = (("f16_bf16", 65504.0, 0x7F80), ("f16_e8m0fnu", 65504.0, 0xFF))
"""``round_ndarray`` computes in the type of its input: 65504 rounds to 65536, which is no float16,
and infinite. By the format, which has 65536, the codes 0x4780 and 0x8F are right."""


def coded(scheme: str, x: float) -> int:
    source = {"f32": np.float32, "f16": np.float16}[scheme[:3]]
    case = cast_case(scheme, np.array([x], source))
    return int(BACKENDS[""].run(case).outputs["y"][0])


def test_what_is_no_scale_becomes_one() -> None:
    for x, code in NEGATIVE_SCALES:
        assert coded("f32_e8m0fnu", x) == code, f"{x}: if this changes, the entry goes"


def test_halves_overflow_on_the_way() -> None:
    for scheme, x, code in LARGE_HALVES:
        assert coded(scheme, x) == code, f"{scheme} of {x}: if this changes, the entry goes"


def test_blocks_are_those_of_ocp() -> None:
    gfloat = BACKENDS[""]
    x = np.linspace(-6, 6, 64).astype(np.float32)
    data = gfloat.run(block_case("block_quantize", "mxfp4", x)).outputs["y"]
    assert data.shape == (34,), f"{data.shape}"
    back = gfloat.run(block_case("block_dequantize", "mxfp4", data)).outputs["y"]
    assert (np.abs(back - x) <= 1).all(), "half a step of the top binade is 1"
    data[0] = 255
    back = gfloat.run(block_case("block_dequantize", "mxfp4", data)).outputs["y"]
    assert np.isnan(back[:32]).all(), "a scale of 255"


def test_what_is_not_computed_is_said() -> None:
    gfloat = BACKENDS[""]
    with pytest.raises(Unsupported, match="no float8_e4m3fnuz"):
        gfloat.run(sample("cast", "f32_e4m3fnuz"))
    with pytest.raises(Unsupported, match="no q4_0"):
        gfloat.run(sample("block_dequantize", "q4_0"))
    with pytest.raises(Rejected):
        gfloat.run(cast_case("f32_e2m1fn", np.full(1, np.nan, np.float32)))
    with pytest.raises(BackendError, match="'away'"):
        load_backend("gfloat:up")
    assert repeated(gfloat, sample("cast", "f32_e5m2")), "another answer"
