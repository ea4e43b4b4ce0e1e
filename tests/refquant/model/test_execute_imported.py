"""Casts: toward zero, outside of int32, NaN; the rounding operators."""

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run


def apply(op: str, x: object, **attributes: int) -> list[float]:
    array = np.asarray(x)
    b = Builder("g")
    name = b.input("x", array.shape, dtype=array.dtype.name)
    y = b.node(op, [name], attributes=attributes, name="y")
    result: list[float] = run(b.graph([y]), {"x": array})["y"].tolist()
    return result


def test_casts() -> None:
    x = np.array([1.9, -1.9, 2.0**31, -(2.0**31), 3e38, -np.inf, np.nan, -0.0], np.float32)
    lowest = -(2**31)
    expected = [1, -1, lowest, lowest, lowest, lowest, lowest, 0]
    assert apply("Cast", x, to=6) == expected, "toward zero; outside and NaN the lowest"
    assert apply("Cast", x, to=9) == [1, 1, 1, 1, 1, 1, 1, 0], "not zero"
    assert apply("Cast", np.array([2**24 + 1, -3], np.int32), to=1) == [2.0**24, -3.0], "rounded"
    assert apply("Cast", np.array([0, 200], np.uint8), to=6) == [0, 200], "truths count"


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("Floor", [-2, -2, 0, 1, 2]), ("Ceil", [-1, -1, 1, 2, 3]),
        ("Round", [-2, -2, 0, 2, 2]), ("Sign", [-1, -1, 1, 1, 1]),
    ],
)  # fmt: skip
def test_rounding(op: str, expected: list[float]) -> None:
    assert apply(op, np.array([-1.5, -1.75, 0.5, 1.5, 2.5], np.float32)) == expected, op
