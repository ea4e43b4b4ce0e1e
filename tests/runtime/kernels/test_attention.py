"""Softmax down columns is the softmax of rows; whole layers: test_sequence_equivalence.py."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from refquant.numerics.elementary import softmax
from refquant_runtime.kernels.attention import WIDTH, softmax_columns
from refquant_runtime.kernels.pointers import pointer


@njit
def columns(scores: Any, numbers: Any) -> None:
    softmax_columns(pointer(scores), len(scores), pointer(numbers))


@pytest.mark.parametrize("keys", [1, 5, 130])
def test_sixteen_columns_at_a_time(keys: int) -> None:
    scores = np.random.default_rng(keys).standard_normal((keys, WIDTH)).astype(np.float32) * 20
    scores[: keys // 2, 1] = -np.inf
    scores[:, 2] = -np.inf  # sees nothing: NaN
    scores[keys // 2, 4] = np.nan
    with np.errstate(invalid="ignore"):
        expected = softmax(scores, 0)
    columns(scores, np.zeros(WIDTH, np.float32))
    nan = np.isnan(expected)
    assert np.array_equal(np.isnan(scores), nan), "NaN where the reference has one"
    assert scores[~nan].tobytes() == expected[~nan].tobytes(), "the same bits"
