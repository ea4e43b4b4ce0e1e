"""Dynamic quantization: the reference's own operator, the oracle, and specials."""

import random

import numpy as np

from refquant.contracts import preset
from refquant.ops.quantize_linear import dynamic_quantize_linear
from refquant_conformance.arithmetic.base import axes_of, candidates
from refquant_conformance.arithmetic.dynamic_quantize import DYNAMIC, dynamic_case

SPECIAL = [
    [], [0.0], [-0.0, 0.0], [np.nan], [np.nan, 1.0], [np.inf, 1.0], [-np.inf, np.inf], [1e-40],
    [1e-44, -1e-45], [3e38, -3e38], [3.0], [-3.0], [-2.5, 252.5], [0.1, 0.2, 0.3],
]  # fmt: skip
ONNX = axes_of(preset("onnx"), DYNAMIC)


def test_with_the_axes_of_onnx_it_is_the_references_operator() -> None:
    for values in SPECIAL:
        x = np.array(values, np.float32)
        made = DYNAMIC.compute(dynamic_case("f32_u8", x), ONNX)
        assert made is not None, "refused"
        codes, scale, zero_point = dynamic_quantize_linear(x, preset("onnx"))
        assert made["y"].tolist() == codes.tolist(), f"{values}"
        assert float(made["scale"]) == float(scale), f"{values}"
        assert int(made["zero_point"]) == int(zero_point), f"{values}"


def test_every_choice_computes_what_the_oracle_counts_of_specials() -> None:
    rng = random.Random(11)
    choices = list(candidates(DYNAMIC))
    for axes in rng.sample(choices, 80):
        for values in rng.sample(SPECIAL, 5):
            case = dynamic_case(rng.choice(["f32_u8", "f32_i8"]), np.array(values, np.float32))
            made = DYNAMIC.compute(case, axes)
            if made is None:
                special = not np.isfinite(case.inputs["x"]).all()
                assert special, f"{values}, {dict(axes)}: refused"
                assert DYNAMIC.exact(case, axes, "scale", 0) is None, "the oracle computes"
                continue
            for output, array in made.items():
                for index in range(array.size):
                    told = array.reshape(-1)[index].item()
                    counted = DYNAMIC.exact(case, axes, output, index)
                    same = told == counted or (told != told and counted != counted)
                    assert same, f"{values}, {dict(axes)}: {output} {told}, counted {counted}"


def test_the_limits_of_fbgemm_are_those_of_pytorch() -> None:
    """Written down from PyTorch 2.13: 25.5 steps are counted by the scale that is no float32."""
    torch = {**ONNX, "range_scale": "fbgemm_limits", "scale_op": "reciprocal_f32"}
    torch |= {"zero_point_at": "fused", "nan_in_range": "refused"}
    x = np.array([-0.125, 1.125], np.float32)
    made = DYNAMIC.compute(dynamic_case("f32_u8", x), torch)
    assert made is not None, "refused"
    assert (float(made["scale"]), int(made["zero_point"])) == (0.0049019609577953815, 26), f"{made}"
    tiny = DYNAMIC.compute(dynamic_case("f32_u8", np.array([0, 1e-9], np.float32)), torch)
    assert tiny is not None, "refused"
    assert float(tiny["scale"]) == float(np.float32(6.1e-5)), "the least scale"
    refused = DYNAMIC.compute(dynamic_case("f32_u8", np.array([np.nan, 1], np.float32)), torch)
    assert refused is None, "NaN"


def test_the_case_of_an_element_keeps_the_range() -> None:
    x = np.array([-1.0, 0.3, 1.55, np.nan], np.float32)
    alone = DYNAMIC.element(dynamic_case("f32_u8", x), 1)
    assert alone.inputs["x"].tolist() == [-1.0, float(np.float32(1.55)), float(np.float32(0.3))], (
        "the ends and the element"
    )
