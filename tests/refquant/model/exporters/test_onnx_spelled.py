"""Arithmetics spelled out: the counts of windows, tables by code, how far a sigmoid can be off."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from refquant.model.exporters.onnx_draft import Draft
from refquant.model.exporters.onnx_export import draft_onnx
from refquant.model.exporters.onnx_spelled import is_clear
from refquant.model.graph import Quant
from tests.refquant.model.exporters.onnx_runs import LEVELS, Small, differing, session


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_a_table_is_read_at_every_code(dtype: str) -> None:
    graph = Small(5, dtype, "int8").table("Tanh")
    x = np.arange(256).astype(dtype).repeat(2)[:480].reshape(-1, 40)
    x = np.concatenate([x, np.full((1, 40), np.iinfo(dtype).max, dtype)])
    wrong = differing(graph, {"x": x}, form="qoperator", level=LEVELS[1])
    assert not wrong, f"{dtype}: {wrong}"


def test_a_window_counts_what_it_sees() -> None:
    s = Small(2)
    x = s.b.input("x", ("N", 1, 5, 4), dtype="uint8", quant=Quant(0.5, 200))
    given = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 2, 1, 2)}
    graph = s.finish("AveragePool", [x], given, quant=Quant(0.5, 100))
    counts = draft_onnx(graph, form="qoperator").constants["y/multiplier"].array
    assert np.rint(1 / counts).ravel().tolist() == [2, 6, 4, 3, 9, 6, 2, 6, 4], f"{counts}"


def test_onnxruntime_s_sigmoid_is_nearer_to_the_truth_than_the_margin() -> None:
    """The margin is 2^-12 of a code; a code is at least 2^-9 where all of [0, 1] has codes."""
    graph = helper.make_graph(
        [helper.make_node("Sigmoid", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    assert isinstance(model, onnx.ModelProto), "made"
    x = np.linspace(-30, 30, 1 << 18).astype(np.float32)
    (got,) = session(model.SerializeToString(), level=LEVELS[0]).run(["y"], {"x": x})
    off = np.abs(got.astype(np.float64) - 1 / (1 + np.exp(-x.astype(np.float64)))).max()
    assert off < 2.0**-21, f"the margin on the finest ruler, got {off}"


@pytest.mark.parametrize(("scale", "clear"), [(1 / 255, False), (2 / 511, True)])
def test_a_sigmoid_near_a_tie_is_a_table(scale: float, clear: bool) -> None:
    """sigmoid(0) = 0.5 is 127.5 steps of 1/255, and 127.75 of 2/511."""
    s, quant = Small(0), Quant(float(np.float32(scale)), 0)
    s.quant = lambda dtype, size=1.0: quant if size < 1 else Quant(0.0625, 128)  # type: ignore[method-assign]
    graph = s.table("Sigmoid")
    assert is_clear(Draft(graph, "qoperator"), graph.nodes[0]) is clear, f"scale {scale}"
    op = draft_onnx(graph, form="qoperator").nodes[-1].op
    assert op == ("QLinearSigmoid" if clear else "Gather"), op


def test_a_table_of_something_else_stays_a_table() -> None:
    graph = Small(0).table("LeakyRelu", {"alpha": 0.1})
    graph.constants["table"][7] ^= 1
    assert not is_clear(Draft(graph, "qoperator"), graph.nodes[0]), "it is not that function"
