"""PyTorch 2.13.0 as a backend, x86 with AVX-512: three settings, a contract for each main cell.

What the names say: a quantized tensor is made by one fused multiply-add, a quantized tensor with a
scale a channel in two steps (as ``test_presets_torch.py`` found), decomposed operators and
fake_quantize add the zero point after rounding. Sums and functions dequantize by a fused
multiply-add and multiply by 1 / s_y.
"""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import BackendError, load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Rejected, Unsupported
from refquant_conformance.subject import Local
from tests.conformance.adapters.cases import made
from tests.outsiders.libraries import repeated, wrong

pytest.importorskip("torch", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKENDS: dict[str, Any] = {
    setting: load_backend(f"torch:{setting}" if setting else "torch")
    for setting in ("", "decomposed", "fake")
}
COUNTS = {"": 42, "decomposed": 59, "fake": 18}
SUBTRACTED = "onnx"  # s (q - z), one rounding: many presets
REAL_BIAS = "spec with requantize=float_rne_real_bias"
IN_STEPS = "spec with requantize=float32_steps"
RATIO_FIRST = "spec, average_pool=float_multiplier_ratio_first"
LIMITS = "spec with range_scale=fbgemm_limits, scale_op=reciprocal_f32, zero_point_at=fused"
FUSED = "spec, add=dequantize_fused"
BY_RECIPROCAL = "spec, requantize=float_rne, multiplier=product_by_reciprocal_f32"
CELLS = {
    "": [
        ("quantize_linear", "f32_u8", "torch"),
        ("quantize_linear", "f32_i8", "torch"),
        ("quantize_linear", "f32_i8_channel", "qwix"),
        ("dequantize_linear", "u8_f32_channel", SUBTRACTED),
        ("matmul_integer", "i8_i8", SUBTRACTED),
        ("choose_qparams", "asymmetric_u8", "torch"),
        *(("dynamic_quantize_linear", scheme, LIMITS) for scheme in ("f32_u8", "f32_i8")),
        *(("qlinear_matmul", scheme, REAL_BIAS) for scheme in ("u8_i8", "u8_i8_channel")),
        *(("qlinear_conv", scheme, IN_STEPS) for scheme in ("u8_i8", "u8_i8_channel")),
        *(("qlinear_average_pool", scheme, RATIO_FIRST) for scheme in ("u8", "i8")),
        *(("qlinear_add", scheme, FUSED) for scheme in ("u8", "i8")),
        *(("qlinear_mul", scheme, BY_RECIPROCAL) for scheme in ("u8", "i8")),
        ("qlinear_sigmoid", "u8", "spec, function=stepwise, table=fused_reciprocal"),
        ("qlinear_leaky_relu", "i8", "spec, table=fused_reciprocal"),
        ("qlinear_mean", "u8", "xnnpack"),
        ("qlinear_softmax", "u8", SUBTRACTED),
    ],
    "decomposed": [
        ("quantize_linear", "f32_u8", "torchao"),
        ("quantize_linear", "f32_i4_channel", "torchao"),
        ("quantize_linear", "f32_i8_block", "tosa"),
        ("dequantize_linear", "u4_f32_block", SUBTRACTED),
    ],
    "fake": [
        ("quantize_linear", "f32_u8", "torchao"),
        ("quantize_linear", "f32_i8", "spec with scale_op=reciprocal_f32"),
    ],
}


@pytest.mark.parametrize("setting", COUNTS)
def test_the_number_of_cells_is_what_was_counted(setting: str) -> None:
    cells = list(BACKENDS[setting].capabilities())
    assert len(cells) == COUNTS[setting], f"{setting}: {len(cells)} cells"


NAMELESS = {f"qlinear_depthwise_conv {scheme}" for scheme in ("u8_i8", "u8_i8_channel")}
"""Explained by IN_STEPS but for one probe: 200 channels of 1 x 150 taps, where codes differ."""


def test_every_cell_but_two_has_a_contract() -> None:
    seen = [identify(Local(BACKENDS[""]), c.op, c.scheme) for c in BACKENDS[""].capabilities()]
    nameless = {f"{one.op} {one.scheme}" for one in seen if not one.consistent}
    assert nameless == NAMELESS, f"of {len(seen)}: {nameless}"


@pytest.mark.parametrize("setting", CELLS)
def test_main_cells_have_contracts(setting: str) -> None:
    assert wrong(BACKENDS[setting], CELLS[setting]) == [], f"torch:{setting}"


def test_convolutions_of_x86_are_another_arithmetic_than_those_of_fbgemm() -> None:
    """x86 is oneDNN here: one scale after the other. Minimal input: 360 times 0.0375 and 1.

    One product is 13.5 in float32: 14, and 1. In steps it is 13.499999, and 1: 14.
    """
    inputs = {
        **{"x": [[[[107]], [[255]]]], "x_scale": 0.1, "x_zero_point": 128},
        **{"w": [[[[1]], [[3]]]], "w_scale": 0.0375, "w_zero_point": 0},
        **{"y_scale": 0.1, "y_zero_point": 1},
    }
    params = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1}
    case = made("qlinear_conv", "u8_i8", inputs, params)
    fbgemm: Any = load_backend("torch")
    try:
        fbgemm.configure(engine="fbgemm")
        found = identify(Local(fbgemm), "qlinear_conv", "u8_i8")
        assert found.name == REAL_BIAS, f"fbgemm: {found.name}, nearest {found.nearest}"
        assert fbgemm.run(case).outputs["y"].item() == 15, "13.5 is 14, and 1"
    finally:
        fbgemm.configure(engine="x86")
    assert BACKENDS[""].run(case).outputs["y"].item() == 14, "13.499999 and 1"


INFINITY_IS_CODE_0 = (3e38, 0.25, 0)
"""fake_quantize_per_channel casts x / s + z to int64 before it clamps: infinity becomes -2^63 or 0,
and the lowest code; fake_quantize_per_tensor gives 255. By saturation, 255 is right."""


def test_fake_quantize_with_channels_casts_infinity() -> None:
    x, scale, code = INFINITY_IS_CODE_0
    rows = np.array([[x], [1]], np.float32)
    fine = case_of("f32_u8_channel", rows, np.array([scale, 1]), np.zeros(2), axis=0)
    assert BACKENDS["fake"].run(fine).outputs["y"][0, 0] == code, "if this changes, the entry goes"
    whole = case_of("f32_u8", rows[0], scale, 0)
    assert BACKENDS["fake"].run(whole).outputs["y"].tolist() == [255], "one scale a tensor"


def test_symmetric_unsigned_four_bits_get_a_zero_point_of_eight_bits() -> None:
    """choose_qparams_symmetric of 0..15 answers 128, which is no code; an observer answers 7."""
    case = sample("choose_qparams", "symmetric_u4")
    seen = {
        setting: int(BACKENDS[setting].run(case).outputs["zero_point"])
        for setting in ("", "decomposed")
    }
    assert seen == {"": 7, "decomposed": 128}, f"{seen}"


def test_what_is_not_computed_is_said() -> None:
    torch = BACKENDS[""]
    with pytest.raises(Unsupported, match="no quantized tensors of uint16"):
        torch.run(sample("quantize_linear", "f32_u16"))
    with pytest.raises(Unsupported, match="has no blocks"):
        torch.run(sample("quantize_linear", "f32_u8_block"))
    with pytest.raises(Unsupported, match="no qlinear_add"):
        BACKENDS["fake"].run(sample("qlinear_add", "u8"))
    with pytest.raises(Rejected):
        torch.run(sample("qlinear_matmul", "u8_u8"))
    with pytest.raises(BackendError, match="'decomposed'"):
        load_backend("torch:eager")
    with pytest.raises(BackendError, match="no knob engine=mkl"):
        torch.configure(engine="mkl")


def test_a_program_repeats_a_case() -> None:
    assert repeated(BACKENDS[""], sample("qlinear_add", "u8")), "another answer"


def test_axes_from_the_back_are_the_same() -> None:
    rows = np.array([[0.3, 7], [1, -2]], np.float32)
    for backend in BACKENDS.values():
        seen = [
            backend.run(
                case_of("f32_u8_channel", rows, np.array([0.25, 2]), np.array([3, 9]), axis=axis)
            ).outputs["y"].tolist()
            for axis in (0, -2)
        ]  # fmt: skip
        assert seen[0] == seen[1], f"{backend.info().name}: {seen}"
