"""Products in steps: against the oracle, for random sums, and by hand where the engines differ."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.arithmetic.base import Axes
from refquant_conformance.arithmetic.conv import QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV
from refquant_conformance.arithmetic.conv_probes import conv_case
from refquant_conformance.arithmetic.matmul import QLINEAR_MATMUL
from refquant_conformance.arithmetic.product_probes import product_case
from refquant_conformance.arithmetic.rescale_steps import STEPS, without_bias

FAMILIES = (QLINEAR_MATMUL, QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV)


def steps(mode: str) -> Axes:
    return {"requantize": mode, "multiplier": "product_f32", "accumulator": "int32_wrap"}


@pytest.mark.parametrize("family", FAMILIES, ids=[f.op for f in FAMILIES])
@pytest.mark.parametrize("mode", STEPS)
@pytest.mark.parametrize("scheme", ["u8_i8_channel", "i8_i8"])
def test_reference_and_oracle_agree(family, mode: str, scheme: str) -> None:  # type: ignore[no-untyped-def]  # parametrized
    rng, counted = np.random.default_rng(4), 0
    for case in family.probes(scheme):
        if case.inputs["a" if "a" in case.inputs else "x"].size > 4_000:
            continue  # the oracle adds one product after the other
        made = family.compute(case, steps(mode))
        if made is None:
            assert case.inputs["y_zero_point"] != 0, "ncnn's only refusal"
            continue
        for index in rng.integers(0, made["y"].size, 5).tolist():
            exact = family.exact(case, steps(mode), "y", index)
            assert made["y"].reshape(-1)[index] == exact, f"{mode} {scheme} [{index}]"
            counted += 1
    assert counted or (mode == "factors_half_away" and scheme[0] == "u"), "nothing was compared"


def test_oneDNN_multiplies_one_scale_after_the_other() -> None:  # noqa: N802  its name
    """360 times 0.1, 0.0375 and 10 is 13.499999, and 1: 14. One product is 13.5, and 14 + 1."""
    a, b = np.array([[107, 255]]), np.array([[1], [3]])
    case = product_case("u8_i8", a, b, (0.1, 0.0375, 0.1), (128, 0, 1))
    made = {m: QLINEAR_MATMUL.compute(case, steps(m)) for m in ("float32_steps", "float_rne")}
    assert [int(y["y"][0, 0]) for y in made.values() if y] == [14, 15], f"{made}"


def test_a_bias_of_fbgemm_is_a_real() -> None:
    """2^31 - 1000 as a float32, and 40,000 more: no int32 wraps."""
    x, w = np.full((1, 1, 2, 2), 228), np.full((1, 1, 2, 2), 100)
    bias, points = np.array([2**31 - 1000]), (128, 0, 128)
    case = conv_case("u8_i8", x, w, (1.0, 2.0**-25, 1.0), points, bias=bias)
    made = {m: QLINEAR_CONV.compute(case, steps(m)) for m in ("float_rne_real_bias", "float_rne")}
    assert [int(y["y"].item()) for y in made.values() if y] == [192, 64], f"{made}"


def test_codes_of_ncnn_end_at_minus_127_and_have_no_zero_point() -> None:
    a, b = np.array([[-127]]), np.array([[127]])
    case = product_case("i8_i8", a, b)
    made = QLINEAR_MATMUL.compute(case, steps("factors_half_away"))
    assert made is not None, "refused"
    assert made["y"].tolist() == [[-127]], f"{made}"
    shifted = product_case("i8_i8", a, b, zero_points=(0, 0, 1))
    assert QLINEAR_MATMUL.compute(shifted, steps("factors_half_away")) is None, "a zero point"


def test_without_a_bias_nothing_else_is_missing() -> None:
    case = product_case("i8_i8", np.ones((1, 1)), np.ones((1, 1)), bias=np.ones(1))
    assert set(case.inputs) - set(without_bias(case).inputs) == {"bias"}, "more than the bias"


def test_a_bias_is_divided_where_columns_have_scales_and_fused_where_they_have_one() -> None:
    channel = QLINEAR_MATMUL.probes("u8_i8_channel")[-1]
    assert "bias" in channel.inputs, "the last probe has a bias"
    cases = [channel, replace(channel, scheme="u8_i8")]
    made = [QLINEAR_MATMUL.compute(case, steps("float_rne_real_bias")) for case in cases]
    divided, fused = (outputs["y"].reshape(-1) for outputs in made if outputs)
    places = np.flatnonzero(divided != fused)
    assert places.size, "no code tells"
    for index in places.tolist():
        exact = [
            QLINEAR_MATMUL.exact(case, steps("float_rne_real_bias"), "y", index) for case in cases
        ]
        assert exact == [divided[index], fused[index]], f"[{index}]: {exact}"
