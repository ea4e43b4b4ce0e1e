"""Truths by Python's own comparisons, one at a time; bits that Where copies; what is refused."""

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refquant.ops.logic import COMPARISONS, compare, logical_not, where

HARD = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45]
PYTHON: dict[str, Callable[[Any, Any], bool]] = {
    "Equal": operator.eq,
    "Less": operator.lt,
    "Greater": operator.gt,
    "LessOrEqual": operator.le,
    "GreaterOrEqual": operator.ge,
    "And": lambda a, b: bool(a) and bool(b),
    "Or": lambda a, b: bool(a) or bool(b),
}


@pytest.mark.parametrize("op", COMPARISONS)
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
def test_truths_are_pythons(op: str, dtype: str) -> None:
    if op in ("And", "Or") and dtype != "uint8":
        with pytest.raises(ValueError, match="both inputs must be uint8"):
            compare(op, np.zeros(1, dtype), np.zeros(1, dtype))
        return
    numbers: list[Any] = HARD if dtype == "float32" else [0, 1, 2, 255]
    for x, y in itertools.product(numbers, repeat=2):
        got = compare(op, np.array([x], dtype), np.array(y, dtype))
        expected = PYTHON[op](np.array(x, dtype).item(), np.array(y, dtype).item())
        assert (got.dtype.name, got.tolist()) == ("uint8", [int(expected)]), f"{op}({x}, {y})"


def test_not_and_where() -> None:
    assert logical_not(np.array([0, 1, 255], np.uint8)).tolist() == [1, 0, 0], "any code but 0"
    bits = np.array([0x7FC00001, 0x80000000, 0x3F800000], np.uint32).view(np.float32)
    kept = where(np.array([9, 1, 0], np.uint8), bits, np.zeros((), np.float32))
    assert kept.view(np.uint32).tolist() == [0x7FC00001, 0x80000000, 0], "the bits of x, then of y"
    wide = where(np.ones((2, 1), np.uint8), np.arange(3, dtype=np.int32), np.zeros(3, np.int32))
    assert wide.tolist() == [[0, 1, 2]] * 2, "all three broadcast"


def test_other_operands_are_refused() -> None:
    one: Any = np.ones(1, np.int32)
    half = np.ones(1, np.float32)
    with pytest.raises(ValueError, match="a comparison is one of Equal"):
        compare("Xor", one, one)
    with pytest.raises(ValueError, match="got int32, float32"):
        compare("Less", one, half)
    with pytest.raises(ValueError, match="a truth must be uint8, got int32"):
        logical_not(one)
    with pytest.raises(ValueError, match="the condition must be uint8"):
        where(one, half, half)
    with pytest.raises(ValueError, match="x and y of one dtype"):
        where(np.ones(1, np.uint8), one, half)
