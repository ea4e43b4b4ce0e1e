"""ncnn 1.0.20261020 as a backend, x86: seven of nine cells have a contract; codes are symmetric.

Codes end at -127, and of every four neighbours half is added in floating point
(``test_presets_ncnn.py``); products have no multiplier, but factors one after the other.
"""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.conv_probes import conv_case
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.protocol import Unsupported
from tests.conformance.adapters.cases import made
from tests.outsiders.libraries import repeated, wrong

pytest.importorskip("ncnn", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKEND: Any = load_backend("ncnn")


BY_FOUR = (
    "spec with rounding=half_away_by_four, scale_op=reciprocal_f32, overflow=int32_cast, "
    "codes=narrow"
)
FACTORS = "spec with requantize=factors_half_away"
CELLS = [
    ("dequantize_linear", "i32_f32", "onnx"),
    *(("quantize_linear", scheme, BY_FOUR) for scheme in ("f32_i8", "f32_i8_channel")),
    *((op, scheme, FACTORS) for op in ("qlinear_matmul", "qlinear_conv")
      for scheme in ("i8_i8", "i8_i8_channel")),
]  # fmt: skip


def test_cells_have_contracts() -> None:
    assert wrong(BACKEND, CELLS) == [], "ncnn"


EIGHT_CHANNELS = (8, 0.0375, 24_192, 1.0002)
"""A depthwise convolution whose channels are a multiple of 8 divides by ``rcpps``: 12 bits of
1 / (f_x f_w), and which 12 is the processor's. So the cell has no contract. By the portable source,
which divides, 7 channels are right. Minimal input: 127 times 127 with the scale 0.0375."""


def depthwise(channels: int, scale: float, step: float) -> int:
    x, w = np.full((1, channels, 1, 1), 127), np.full((channels, 1, 1, 1), 127)
    case = conv_case("i8_i8", x, w, (1.0, scale, step), op="qlinear_depthwise_conv", group=channels)
    return int(BACKEND.run(case).outputs["y"].reshape(-1)[0])


def test_eight_channels_have_another_multiplier() -> None:
    channels, scale = EIGHT_CHANNELS[:2]
    middle = 2 * 127 * 127 * scale  # y is 0.5 here
    steps = middle * (1 + np.arange(-8, 9) * 2.0**-14)
    seven = [depthwise(7, scale, step) for step in steps.tolist()]
    eight = [depthwise(channels, scale, step) for step in steps.tolist()]
    assert seven[:8] == [1] * 8, "by a division: one half is passed in the middle"
    assert seven[9:] == [0] * 8, "and not later"
    assert eight != seven, "if this changes, the entry goes"


LOWEST_CODE = (-128, 64)
"""With four input channels or more, the dense kernels read the code -128 as 128. Nothing of ncnn
makes that code, and nothing refuses it. By the sum, -64 is right. Minimal input: four times -128
times 1, over 8."""


def test_the_lowest_code_is_read_as_the_highest() -> None:
    code, seen = LOWEST_CODE
    for channels, y in ((2, -seen), (4, seen)):
        x, w = np.full((1, channels, 1, 1), code), np.ones((1, channels, 1, 1))
        case = conv_case("i8_i8", x, w, (1.0, 1.0, 2.0 * channels))
        got = BACKEND.run(case).outputs["y"].item()
        assert got == y, f"{channels} channels: if this changes, the entry goes"


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
