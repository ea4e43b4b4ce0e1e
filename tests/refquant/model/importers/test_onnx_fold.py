"""Folding by the library's own evaluator: somebody else's code, the same arrays."""

from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from refquant.model.importers.onnx_fold import fold
from refquant.model.importers.onnx_known import MOST_FOLDED
from tests.refquant.model.importers.onnx_models import model, node

A = np.arange(24).reshape(2, 3, 4)
I = np.int64  # noqa: E741  (a dtype, used once a line)

CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("Gather", [A, np.array([2, 0])], {"axis": 1}),
    ("Gather", [A, np.array(1)], {"axis": 0}),
    ("GatherND", [A, np.array([[0, 1], [1, 2]])], {}),
    ("Concat", [A, A], {"axis": -1}),
    ("Unsqueeze", [A, np.array([0, -1])], {}),
    ("Squeeze", [A[:1], np.array([0])], {}),
    ("Reshape", [A, np.array([0, -1, 2])], {}),
    ("Slice", [A, np.array([2]), np.array([-100]), np.array([1]), np.array([-2])], {}),
    ("Slice", [A, np.array([-3, 1]), np.array([9, 3]), np.array([2, 0])], {}),
    ("Transpose", [A], {"perm": [2, 0, 1]}),
    ("Transpose", [A], {}),
    ("Expand", [A[:, :1], np.array([2, 3, 1])], {}),
    ("Tile", [A, np.array([1, 2, 1])], {}),
    ("Range", [np.array(1, I), np.array(9, I), np.array(3, I)], {}),
    ("Range", [np.array(9, I), np.array(1, I), np.array(-3, I)], {}),
    ("ConstantOfShape", [np.array([2, 2])], {}),
    ("Shape", [A], {"start": 1}),
    ("Size", [A], {}),
    ("ReduceProd", [A], {"axes": [1], "keepdims": 0}),
    ("ReduceMax", [A], {"keepdims": 1}),
    ("Flatten", [A], {"axis": -1}),
    ("Cast", [A], {"to": 1}),
    ("Where", [A > 3, A, -A], {}),
    ("Add", [A, A[0]], {}),
    ("Equal", [A, A % 5], {}),
]


@pytest.mark.parametrize(("op", "arrays", "attributes"), CASES)
def test_folding_gives_what_the_library_gives(
    op: str, arrays: list[Any], attributes: dict[str, Any]
) -> None:
    names = [f"x{i}" for i in range(len(arrays))]
    made = model([node(op, names, ["y"], **attributes)], {}, ["y"],
                 dict(zip(names, arrays, strict=True)))  # fmt: skip
    (expected,) = ReferenceEvaluator(made).run(None, {})
    frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in attributes.items()}
    got = fold(op, arrays, frozen, opset=17, outputs=1)
    assert got is not None, f"{op} is folded"
    assert np.array_equal(got[0], expected), f"{op}: {got[0]}"
    assert got[0].shape == np.shape(expected), f"{op}: {got[0].shape}"


def test_splits() -> None:
    parts = fold("Split", [A], {"axis": 2}, opset=13, outputs=2)
    assert parts is not None, "folded"
    assert [p.shape for p in parts] == [(2, 3, 2), (2, 3, 2)], "halves"


def test_what_is_not_folded() -> None:
    assert fold("MatMul", [A, A], {}, opset=17, outputs=1) is None, "it sums"
    assert fold("Nothing", [A], {}, opset=17, outputs=1) is None, "unknown"


@pytest.mark.parametrize(
    ("op", "arrays", "attributes"),
    [
        ("ConstantOfShape", [np.array([2**40])], {}),
        ("Expand", [np.zeros(1), np.array([2**20, 2**20])], {}),
        ("Tile", [np.zeros(2), np.array([2**40])], {}),
        ("Range", [np.array(0), np.array(2**60), np.array(1)], {}),
        ("Concat", [np.zeros(MOST_FOLDED), np.zeros(1)], {"axis": 0}),
        ("Gather", [np.zeros((1, 2**12)), np.zeros(2**12, int)], {"axis": 0}),
    ],
)
def test_bombs_are_refused_before_they_are_made(op: str, arrays: Any, attributes: Any) -> None:
    with pytest.raises(ValueError, match="more than"):
        fold(op, arrays, attributes, opset=17, outputs=1)


def test_letters_are_no_sizes() -> None:
    letters = np.array(["N", 3], object)
    with pytest.raises(ValueError, match="Range of a size that only a run knows"):
        fold("Range", [np.array(0), letters[:1], np.array(1)], {}, opset=17, outputs=1)
    got = fold("Concat", [letters, np.array([4])], {"axis": 0}, opset=17, outputs=1)
    assert got is not None, "moved"
    assert got[0].tolist() == ["N", 3, 4], "as they are"
