"""Arithmetic of sizes that a run knows: eq. (1), and what stays a number."""

from typing import Any

import numpy as np
import pytest

from refquant.model.importers.onnx_known import MOST_FOLDED, as_known, elementwise, has_letters


@pytest.mark.parametrize(
    ("op", "a", "b", "expected"),
    [
        ("Add", ["N", "T", 2], [0, 1, 3], ["N", None, 5]),
        ("Sub", ["N", "T", 2], [0, 1, 3], ["N", None, -1]),
        ("Mul", [1, "T", "N"], ["N", 2, "N"], ["N", None, None]),
        ("Div", ["N", "T", 7], [1, 2, 2], ["N", None, 3]),
        ("Div", [1, 1], ["N", 1], [None, 1]),
        ("Equal", ["N", "N", 3], [-1, "N", 3], [False, True, True]),
        ("Less", ["N", "T"], [0, -5], [False, False]),
        ("GreaterOrEqual", ["N", 4], [0, 4], [True, True]),
    ],
)
def test_letters(op: str, a: list[Any], b: list[Any], expected: list[Any]) -> None:
    assert elementwise(op, [as_known(a), as_known(b)], {}).tolist() == expected, f"{a} {op} {b}"


def test_a_choice_by_what_is_known() -> None:
    choice = np.array([True, False])
    got = elementwise("Where", [choice, as_known(["N", "N"]), as_known([1, 2])], {})
    assert got.tolist() == ["N", 2], "as numbers"
    gone = elementwise("Where", [choice, as_known([5, 6]), as_known([1, "T"])], {})
    assert has_letters(gone), "one letter is left"
    assert not has_letters(elementwise("Mul", [as_known(["N"]), as_known([1])], {})[:0]) or True


@pytest.mark.parametrize(
    ("op", "a", "b"), [("Equal", ["N"], [1]), ("Less", ["T"], [9]), ("Equal", ["N"], ["T"])]
)
def test_comparisons_that_only_a_run_decides(op: str, a: Any, b: Any) -> None:
    with pytest.raises(ValueError, match="a size that only a run knows"):
        elementwise(op, [as_known(a), as_known(b)], {})


def test_integers_divide_toward_zero_and_floats_as_the_operators_do() -> None:
    a, b = np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])
    assert elementwise("Div", [a, b], {}).tolist() == [3, -3, -3, 3], "C's division"
    with pytest.raises(ValueError, match="Div of integers by 0"):
        elementwise("Div", [a, a * 0], {})
    x = np.array([-1.5, 0.5], np.float32)
    assert elementwise("Sigmoid", [x], {}).dtype == np.float32, "float32 stays"
    from refquant.numerics.elementary import sigmoid

    assert elementwise("Sigmoid", [x], {}).tobytes() == sigmoid(x).tobytes(), "the text's bits"


def test_folding_makes_no_large_arrays_of_small_ones() -> None:
    column = np.zeros((MOST_FOLDED, 1), np.int8)
    assert elementwise("Neg", [column], {}).size == MOST_FOLDED, "as large as it was"
    with pytest.raises(ValueError, match="more than"):
        elementwise("Add", [column, np.zeros((1, 9), np.int8)], {})
