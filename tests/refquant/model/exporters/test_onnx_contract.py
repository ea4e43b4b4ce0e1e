"""Only arithmetics that onnxruntime computes by are exported."""

from dataclasses import replace

import pytest

from refquant.contracts import preset
from refquant.model.exporters.onnx_contract import arithmetic, before_rounding
from refquant.model.exporters.onnx_draft import NoForm
from refquant.model.graph import Graph, Node
from tests.refquant.model.exporters.onnx_runs import ELEMENTWISE, ORT


def _of(contract: object, op: str) -> object:
    graph = Graph("g", (), (), {}, (), {}, {"c": contract}, {})  # type: ignore[dict-item]  # made here
    return arithmetic(graph, Node("n", op, (), ("y",), {}, "c"))


@pytest.mark.parametrize("op", ["Conv", "Add", "Mul", "Softmax", "AveragePool", "QuantizeLinear"])
def test_its_own_arithmetics_are_taken(op: str) -> None:
    assert _of(ORT, op) == ORT, op
    assert _of(preset("onnx"), op) == preset("onnx"), "the text of ONNX is the same arithmetic"


@pytest.mark.parametrize(
    ("axis", "value", "op"),
    [
        ("rounding", "half_away", "Conv"),
        ("scale_op", "reciprocal_f32", "QuantizeLinear"),
        ("requantize", "gemmlowp_double", "MatMul"),
        ("requantize", "float_zp_before_round", "Conv"),
        ("zero_point_at", "before_rounding", "Sigmoid"),
        ("add", "tflite_shift20", "Add"),
        ("average_pool", "half_away", "GlobalAveragePool"),
        ("softmax", "float_table", "Softmax"),
        ("mean", "folded_multiplier", "ReduceMean"),
        ("overflow", "wrap", "QuantizeLinear"),
    ],
)
def test_another_value_is_refused_by_its_axis(axis: str, value: str, op: str) -> None:
    with pytest.raises(NoForm, match=f"has {axis} '{value}'"):
        _of(replace(ORT, name="c", **{axis: value}), op)  # type: ignore[arg-type]  # an axis is a string


def test_late_zero_points_are_of_elementwise_operators() -> None:
    assert before_rounding(ELEMENTWISE), "as measured"
    assert _of(ELEMENTWISE, "Add") == ELEMENTWISE, "QLinearAdd"
    with pytest.raises(NoForm, match="zero_point_at 'before_rounding'"):
        _of(ELEMENTWISE, "GlobalAveragePool")
