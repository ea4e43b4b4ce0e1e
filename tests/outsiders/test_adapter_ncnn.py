"""ncnn 1.0.20261020 as a backend, x86: reals of int32 have a contract; its codes are symmetric.

Codes end at -127, and half is added in floating point (``test_presets_ncnn.py``): so no choice of
the judge's axes explains a Quantize layer, nor what ends in one.
"""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Unsupported
from refquant_conformance.subject import Local
from tests.conformance.adapters.cases import made
from tests.outsiders.libraries import repeated, wrong

pytest.importorskip("ncnn", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKEND: Any = load_backend("ncnn")


def test_reals_of_int32_have_a_contract() -> None:
    assert wrong(BACKEND, [("dequantize_linear", "i32_f32", "onnx")]) == [], "Dequantize"


def test_codes_end_at_minus_127_and_half_is_added() -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    x = np.array([-300, -128, -127, below, 0.5, 1.5, 300], np.float32)
    got = BACKEND.run(case_of("f32_i8", np.tile(x, 4), 1.0, 0)).outputs["y"][: x.size].tolist()
    assert got == [-127, -127, -127, 1, 1, 2, 127], f"{got}"
    found = identify(Local(BACKEND), "quantize_linear", "f32_i8")
    assert found.consistent == (), f"identified now, as {found.name}"
    assert found.nearest is not None, "some of it was computed"
    assert found.nearest["rounding"] == "half_away", f"{found.nearest}"


def test_products_and_convolutions_are_of_codes() -> None:
    """2 * 3 * 4 terms of 5 * 7 with the multiplier 1/64: 13.1, whatever packs the channels."""
    case = made(
        "qlinear_conv", "i8_i8",
        {
            **{"x": np.full((2, 2, 3, 4), 5), "x_scale": 0.25, "x_zero_point": 0},
            **{"w": np.full((3, 2, 3, 4), 7), "w_scale": 0.25, "w_zero_point": 0},
            **{"y_scale": 4.0, "y_zero_point": 0, "bias": [0, 64, -64]},
        },
        {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1},
    )  # fmt: skip
    for packing in (0, 1):
        BACKEND.configure(packing=packing)
        got = BACKEND.run(case).outputs["y"].reshape(2, 3).tolist()
        assert got == [[13, 14, 12]] * 2, f"packing {packing}: {got}"
    assert repeated(BACKEND, case), "another answer"


def test_no_zero_points_no_other_codes() -> None:
    with pytest.raises(Unsupported, match="no layer has a zero point"):
        BACKEND.run(case_of("f32_i8", np.array([1.0], np.float32), 1.0, 3))
    with pytest.raises(Unsupported, match="int8"):
        BACKEND.run(case_of("f32_u8", np.array([1.0], np.float32), 1.0, 0))
    with pytest.raises(Unsupported):
        BACKEND.run(sample("qlinear_conv", "u8_i8"))
