"""One type an operator: codes of the other 8-bit type are moved, and mean the same."""

import numpy as np
import pytest

from refquant.model.exporters.onnx_draft import Draft, NoForm
from refquant.model.exporters.onnx_export import draft_onnx
from refquant.model.exporters.onnx_kernel import first_type, operand
from refquant.model.graph import Quant
from tests.refquant.model.exporters.onnx_runs import (
    LEVELS,
    OPERATORS,
    Small,
    differing,
    feeds_of,
)


def test_a_moved_input_means_the_same() -> None:
    s = Small(0, x="int8")
    x, w = s.input("N", 3, 6), s.b.input("x2", ("N", 6, 4), dtype="uint8", quant=Quant(0.5, 200))
    graph = s.finish("MatMul", [x, w])
    quant = graph.values["x"].quant
    assert quant is not None, "codes"
    assert isinstance(quant.zero_point, int), "a number"
    draft = Draft(graph, "qoperator")
    assert operand(draft, "x", "int8")[0] == "x", "as it is"
    _, _, zero = operand(draft, "x", "uint8")
    assert draft.constants[zero].array == quant.zero_point + 128, "as far from the lowest code"
    feeds = feeds_of(graph, np.random.default_rng(0))
    for level in LEVELS:
        assert not differing(graph, feeds, form="qoperator", level=level), level


@pytest.mark.parametrize(("y", "count"), [("uint8", 0), ("int8", 1)])
def test_codes_are_moved_only_where_types_differ(y: str, count: int) -> None:
    ops = [n.op for n in draft_onnx(OPERATORS["conv_1d"](Small(0, y=y)), form="qoperator").nodes]
    assert ops.count("Add") == count, f"{ops}"


def test_beside_unsigned_weights_activations_are_unsigned() -> None:
    graph = OPERATORS["conv_uint8_weight"](Small(0, x="int8"))
    assert first_type(Draft(graph, "qoperator"), graph.nodes[0]) == "uint8", "no other kernel"
    wide = Small(0, "int16", "int16")
    wide.b.input("x", ("N", 1, 2, 2), dtype="int16", quant=Quant(0.5, 0))
    graph = wide.finish("GlobalAveragePool", ["x"], quant=Quant(0.5, 0))
    with pytest.raises(NoForm, match="8 bits; say qdq"):
        first_type(Draft(graph, "qoperator"), graph.nodes[0])
