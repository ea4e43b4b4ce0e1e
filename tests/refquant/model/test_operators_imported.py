"""Section 10's operators: shapes and dtypes; what each rule refuses."""

from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.execute_imported import IMPORTED as EXECUTED
from refquant.model.graph import Quant
from refquant.model.operators import OPERATORS, VERSION_2
from refquant.model.operators_imported import IMPORTED, SHAPES
from refquant.model.rq import write_rq
from refquant.model.shapes import infer_shapes


def test_every_operator_has_a_shape_and_a_function() -> None:
    assert set(IMPORTED) == set(SHAPES) == set(EXECUTED) - {"Cast", "Gather"}, "one list"
    assert set(IMPORTED) <= set(OPERATORS), "in the table"
    assert set(IMPORTED) <= VERSION_2, "of files that say refquant/2"


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "expected"),
    [
        ("Less", [("N", 3), (3,)], {}, (("N", 3),)),
        ("Where", [("N", 1), (4,), (1, 1)], {}, (("N", 4),)),
        ("Max", [("N", "T", 2), (2,)], {}, (("N", "T", 2),)),
        ("ReduceMax", [("N", "T", 2)], {"axes": (1,), "keepdims": 0}, (("N", 2),)),
        ("ArgMax", [("N", 5)], {"axis": 1}, (("N", 1),)),
        ("TopK", [("N", 5)], {"k": 2}, (("N", 2), ("N", 2))),
        ("Gather", [("N", 4, 5), (2,)], {"axis": 1}, (("N", 2, 5),)),
        ("Gather", [("N", 4, 5), ()], {"axis": 2}, (("N", 4),)),
        ("ConvTranspose", [("N", 3, 4), (3, 2, 2)], {"strides": (2,)}, (("N", 2, 8),)),
    ],
)
def test_shapes(op: str, shapes: Any, attributes: Any, expected: Any) -> None:
    assert infer_shapes(op, shapes, attributes) == expected, f"{op} of {shapes}"


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "what"),
    [
        ("Where", [(2,), (3,), (1,)], {}, "do not broadcast"),
        ("ReduceMax", [("N", 2)], {"axes": (0,)}, "runs along the batch N"),
        ("ReduceMin", [(3, 0)], {"axes": (1,)}, "nothing has no extreme"),
        ("ReduceMin", [(3, 2)], {"axes": ()}, "axes are different"),
        ("ArgMin", [("N", 2)], {}, "runs along the batch N"),
        ("ArgMin", [(2, 0)], {"axis": 1}, "is empty"),
        ("TopK", [("N", 5)], {"k": 6}, r"k is in \[1, 5\], got 6"),
        ("TopK", [("N", "T")], {"k": 1}, "T is one in a run only"),
        ("Gather", [("N", 4), (2,)], {"axis": 0}, "runs along the batch N"),
        ("Gather", [(3, "T"), (2,)], {"axis": 1}, "needs a number"),
        ("ConvTranspose", [("N", 3, 4), (2, 2, 2)], {}, "w .C, M/group, kernel."),
        ("ConvTranspose", [("N", 3, 4), (3, 2, 2)], {"group": 2}, "group divides"),
        ("ConvTranspose", [("N", 3, 4), (3, 2, 2)], {"pads": (2, 0)}, "pads are at most"),
        ("ConvTranspose", [("N", 3, 4), (3, 2, 2)], {"strides": (0,)}, "strides is 1 integers"),
        ("ConvTranspose", [("N", 3, 4), (3, 2, 2), (3,)], {}, "the bias has shape"),
    ],
)
def test_shapes_that_there_are_not(op: str, shapes: Any, attributes: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        infer_shapes(op, shapes, attributes)


def test_a_graph_of_them_runs_and_is_written_as_version_2(tmp_path: Any) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 4))
    positive = b.node("Greater", [x, b.constant("zero", np.zeros((), np.float32))])
    y = b.node("Where", [positive, x, b.node("Neg", [x])], name="y")
    values, places = b.node_with("TopK", [y], ("values", "places"), name="k", attributes={"k": 2})
    mean = b.node("Cast", [places], attributes={"to": 1}, name="mean")
    graph = b.graph([y, values, places, mean])
    result = run(graph, {"x": np.array([[-3, 1, 2, -1]], np.float32)})
    assert result["values"].tolist() == [[3.0, 2.0]], "the largest magnitudes"
    assert (result["places"].dtype.name, result["places"].tolist()) == ("int32", [[0, 2]]), "places"
    write_rq(tmp_path / "g.rq", graph)
    assert b'"format":"refquant/2"' in (tmp_path / "g.rq").read_bytes().replace(b" ", b""), "2"


def test_codes_are_moved_by_gather_without_a_contract() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 3), dtype="uint8", quant=Quant(0.5, 1))
    places = b.constant("places", np.array([2, 0, 0], np.int32))
    y = b.node("Gather", [x, places], attributes={"axis": 1}, dtype="uint8", quant=Quant(0.5, 1))
    graph = b.graph([y])
    got = run(graph, {"x": np.array([[7, 8, 9]], np.uint8)})[y]
    assert got.tolist() == [[9, 7, 7]], "codes, unchanged"
