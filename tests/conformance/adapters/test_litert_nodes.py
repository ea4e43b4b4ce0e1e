"""What a case becomes in LiteRT: its operators, and what it cannot say."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.adapters.litert_nodes import OPERATORS, model_of
from refquant_conformance.adapters.samples import sample
from refquant_conformance.protocol import Unsupported


@pytest.mark.parametrize("op", OPERATORS)
def test_every_operator_has_a_model(op: str) -> None:
    scheme = {"quantize_linear": "f32_i8", "dequantize_linear": "i8_f32"}.get(op, "i8")
    scheme = "i8_i8" if op.endswith(("matmul", "conv")) else scheme
    case = sample(op, scheme)
    if op == "qlinear_mean" or "average" in op:
        ends = {f"y_{n}": case.inputs[f"x_{n}"] for n in ("scale", "zero_point")}
        case = replace(case, inputs={**case.inputs, **ends})
    model = model_of(case)
    assert model.tensors[model.output].name == "y", "y is not the end"
    assert all(model.tensors[i].array is None for i in model.inputs), "a constant is fed"


def test_one_filter_a_channel_is_depthwise_and_its_weights_are_turned() -> None:
    case = sample("qlinear_depthwise_conv", "i8_i8")
    w = np.arange(4 * 9, dtype=np.int8).reshape(4, 1, 3, 3)
    deep = replace(case, inputs={**case.inputs, "w": w}, params={**case.params, "group": 2})
    model = model_of(deep)
    (operator,) = model.operators
    assert (operator.code, operator.options["depthMultiplier"]) == ("DEPTHWISE_CONV_2D", 2), ""
    held = model.tensors[operator.inputs[1]]
    assert held.array is not None, "weights are constants"
    assert np.array_equal(held.array[0, :, :, 3], w[3, 0]), "another filter"


def test_weights_that_flow_are_fed_in_litert_s_order() -> None:
    case = sample("qlinear_matmul", "i8_i8")
    model = model_of(replace(case, params={"constant_weights": False}))
    fed = {model.tensors[i].name: array for i, array in model.fed(case.inputs).items()}
    assert np.array_equal(fed["b"], case.inputs["b"].T), "not (n, k)"


@pytest.mark.parametrize(
    ("op", "scheme", "reason"),
    [
        ("matmul_integer", "u8_u8", "no matmul_integer"),
        ("quantize_linear", "f32_u4", "no uint4"),
        ("quantize_linear", "f32_u8_block", "no blocks"),
        ("qlinear_matmul", "u8_i8", "no product of uint8 and int8"),
        ("qlinear_conv", "i8_u8", "no product of int8 and uint8"),
    ],
)
def test_what_litert_cannot_say_is_refused(op: str, scheme: str, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        model_of(sample(op, scheme))


def test_outputs_that_litert_fixes_are_refused_if_they_are_others() -> None:
    for op, name in (("qlinear_softmax", "y_scale"), ("qlinear_tanh", "y_zero_point")):
        case = sample(op, "i8")
        other = {**case.inputs, name: case.inputs[name] + case.inputs[name].dtype.type(1)}
        with pytest.raises(Unsupported, match="output scale"):
            model_of(replace(case, inputs=other))
    case = sample("qlinear_average_pool", "i8")
    other = {**case.inputs, "y_zero_point": case.inputs["x_zero_point"] + np.int8(1)}
    with pytest.raises(Unsupported, match="both ends"):
        model_of(replace(case, inputs=other))
