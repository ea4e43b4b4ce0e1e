"""The nodes of operators: onnx's checker takes them, optional inputs and clamps stand where due."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.adapters.onnx_cases import STYLES, model_of
from refquant_conformance.adapters.onnx_models import serialized
from refquant_conformance.adapters.samples import sample
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Case, Unsupported

onnx = pytest.importorskip("onnx")
CELLS = [(style, op) for style, ops in STYLES.items() for op in ops]


def ops_of(case: Case, style: str) -> list[str]:
    return [node.op for node in model_of(case, style=style).nodes]


@pytest.mark.parametrize(("style", "op"), CELLS)
def test_the_checker_takes_every_operator(style: str, op: str) -> None:
    case = sample(op, next(iter(OPERATORS[op].schemes)))
    model = model_of(case, style=style)
    shapes = {name: case.inputs[name].shape for name in model.feeds}
    onnx.checker.check_model(onnx.load_model_from_string(serialized(onnx, model, shapes)))


def test_absent_zero_points_are_absent_and_the_type_is_said_another_way() -> None:
    case = sample("quantize_linear", "f32_i8")
    bare = {name: array for name, array in case.inputs.items() if name != "zero_point"}
    (node,) = model_of(replace(case, inputs=bare), style="direct").nodes
    assert (node.inputs, node.attributes["output_dtype"]) == (("x", "scale"), 3), f"{node}"
    product = sample("matmul_integer", "u8_u8")
    some = {name: array for name, array in product.inputs.items() if name != "a_zero_point"}
    (node,) = model_of(replace(product, inputs=some), style="direct").nodes
    assert node.inputs == ("a", "b", "", "b_zero_point"), f"{node}"


def test_a_clamp_is_a_clip_of_codes_or_a_relu_of_reals() -> None:
    case = sample("qlinear_matmul", "u8_u8")
    relu = replace(case, params={"clamp_min": int(case.inputs["y_zero_point"])})
    six = replace(case, params={"clamp_min": 3, "clamp_max": 9})
    assert ops_of(relu, "direct") == ["QLinearMatMul", "Clip"], "on codes"
    assert ops_of(relu, "pairs")[2:] == ["MatMul", "Relu", "QuantizeLinear"], "a Relu"
    assert ops_of(six, "pairs")[2:] == ["MatMul", "Clip", "QuantizeLinear"], "a Clip"
    held = model_of(six, style="pairs").constants
    zero, step = int(case.inputs["y_zero_point"]), case.inputs["y_scale"]
    assert [float(held[n][1]) for n in ("low", "high")] == [(3 - zero) * step, (9 - zero) * step], (
        "not the reals of the codes"
    )


def test_a_bias_has_the_scale_of_the_products() -> None:
    case = sample("qlinear_conv", "u8_i8_channel")
    biased = replace(case, inputs={**case.inputs, "bias": np.arange(3, dtype=np.int32)})
    assert ops_of(biased, "direct") == ["QLinearConv"], "on codes it is an input"
    model = model_of(biased, style="pairs")
    assert model.constants["bias_scale"][1].tolist() == [0.25] * 3, "0.5 * 0.5 a channel"
    assert ops_of(replace(biased), "pairs").count("DequantizeLinear") == 3, "x, w and bias"


def test_what_onnx_has_not_is_said() -> None:
    with pytest.raises(Unsupported, match="uint8 only"):
        model_of(sample("dynamic_quantize_linear", "f32_i8"), style="direct")
    flat = sample("qlinear_mean", "u8")
    flat = replace(flat, inputs={**flat.inputs, "x": flat.inputs["x"][0, 0]})
    with pytest.raises(Unsupported, match="four axes"):
        model_of(flat, style="direct")
    assert ops_of(flat, "pairs")[1] == "ReduceMean", "floats have another way"
