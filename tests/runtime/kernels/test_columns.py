"""Sixteen columns, combined in the order of the rows; NaN wins the maximum and stays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

from refquant_runtime.kernels.columns import (
    WIDTH,
    divide_columns,
    largest_columns,
    subtract_columns,
    sum_columns,
)
from refquant_runtime.kernels.pointers import pointer


@njit
def largest(rows: Any, numbers: Any) -> None:
    largest_columns(pointer(rows), len(rows), pointer(numbers))


@njit
def total(rows: Any, numbers: Any) -> None:
    sum_columns(pointer(rows), len(rows), pointer(numbers))


@njit
def less(rows: Any, numbers: Any) -> None:
    subtract_columns(pointer(rows), len(rows), pointer(numbers))


@njit
def over(rows: Any, numbers: Any) -> None:
    divide_columns(pointer(rows), len(rows), pointer(numbers))


def matrix(rows: int) -> Any:
    values = np.random.default_rng(rows).standard_normal((rows, WIDTH)).astype(np.float32)
    values[rows // 2 :, 3] = np.nan
    values[:, 5] = -np.inf
    return values


@pytest.mark.parametrize("rows", [1, 2, 33])
def test_the_largest_of_each_column(rows: int) -> None:
    x = matrix(rows)
    found = x[0].copy()
    largest(x, found)
    assert np.array_equal(found, x.max(axis=0), equal_nan=True), "NumPy's NaN wins, too"


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_sums_ascend(rows: int) -> None:
    x, sums = matrix(rows), np.zeros(WIDTH, np.float32)
    expected = sums.copy()
    for row in x:
        expected = expected + row
    total(x, sums)
    assert np.array_equal(sums, expected, equal_nan=True), "one rounding a row"


@pytest.mark.parametrize(("act", "rule"), [(less, np.subtract), (over, np.divide)])
def test_every_row_by_the_same_numbers(act: Callable[..., None], rule: Any) -> None:
    x, numbers = matrix(7), np.arange(1, WIDTH + 1, dtype=np.float32)
    expected = rule(x, numbers)
    act(x, numbers)
    assert np.array_equal(x, expected, equal_nan=True), "element by element"
