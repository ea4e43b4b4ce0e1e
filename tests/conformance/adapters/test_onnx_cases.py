"""Which inputs are constants: weights unless the case says otherwise, all parameters in pairs."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.adapters import BackendError
from refquant_conformance.adapters.onnx_cases import fed, model_of, named_by, style_of
from refquant_conformance.adapters.samples import sample
from refquant_conformance.protocol import Unsupported


def test_weights_are_constants_unless_the_case_says_otherwise() -> None:
    case = sample("qlinear_matmul", "u8_i8_channel")
    model = model_of(case, style="direct")
    assert set(model.constants) == {"b", "b_scale", "b_zero_point"}, f"{set(model.constants)}"
    free = model_of(replace(case, params={"constant_weights": False}), style="direct")
    assert (dict(free.constants), set(free.feeds)) == ({}, set(case.inputs)), "all are fed"


def test_pairs_hold_every_parameter_and_feed_what_flows() -> None:
    case = sample("qlinear_conv", "u8_i8")
    for constant, flows in ((True, {"x"}), (False, {"x", "w"})):
        asked = replace(case, params={**case.params, "constant_weights": constant})
        model = model_of(asked, style="pairs")
        assert set(model.feeds) == flows, f"constant_weights {constant}: {set(model.feeds)}"
        assert set(fed(model, asked)) == flows, "what is fed is what is free"


def test_models_of_other_weights_have_other_keys_and_of_other_activations_the_same() -> None:
    case = sample("qlinear_matmul", "u8_i8")
    key = model_of(case, style="direct").key
    x = replace(case, inputs={**case.inputs, "a": case.inputs["a"] + np.uint8(1)})
    w = replace(case, inputs={**case.inputs, "b": case.inputs["b"] + np.int8(1)})
    assert model_of(x, style="direct").key == key, "activations are no part of a model"
    assert model_of(w, style="direct").key != key, "weights are"
    pads = sample("qlinear_conv", "u8_i8")
    more = replace(pads, params={**pads.params, "pads": (1, 1, 1, 1)})
    assert model_of(pads, style="direct").key != model_of(more, style="direct").key, (
        "attributes are"
    )


def test_the_opset_is_the_first_that_has_the_types() -> None:
    opsets = {
        s: model_of(sample("quantize_linear", s), style="direct").opset
        for s in ("f32_u2", "f32_i4")
    }
    assert opsets == {"f32_u2": 25, "f32_i4": 21}, f"{opsets}"


def test_operators_that_onnx_has_not_are_unsupported() -> None:
    with pytest.raises(Unsupported, match="no choose_qparams"):
        model_of(sample("choose_qparams", "symmetric_u8"), style="direct")
    with pytest.raises(Unsupported, match="style pairs"):
        model_of(sample("quantize_linear", "f32_u8"), style="pairs")


def test_a_setting_is_a_style_and_part_of_the_name() -> None:
    assert [style_of("onnx", s) for s in ("", "qdq")] == ["direct", "pairs"], "both styles"
    assert [named_by("onnx", s) for s in ("", "qdq")] == ["onnx", "onnx:qdq"], "both names"
    with pytest.raises(BackendError, match="onnxruntime has no setting 'fast'"):
        style_of("onnxruntime", "fast")
