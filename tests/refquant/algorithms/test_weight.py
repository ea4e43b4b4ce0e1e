"""A quantized matrix: its parts fit, and mean what the equation says."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.algorithms.weight import QuantizedWeight, group_indices


def test_each_element_uses_the_ruler_of_its_group() -> None:
    codes = np.array([[0, 15, 7], [1, 2, 3]], np.uint8)
    scale = np.array([[0.1, 0.3], [0.7, 1e-3]], np.float32)
    zero = np.array([[8, 1], [0, 2]], np.int32)
    g_idx = np.array([1, 0, 1], np.int32)  # not in order: act-order makes such groups
    w = QuantizedWeight(codes, scale, zero, g_idx, num_bits=4, signed=False).dequantize()
    for i in range(2):
        for j in range(3):
            s, z = scale[i, g_idx[j]], zero[i, g_idx[j]]
            exact = (int(codes[i, j]) - int(z)) * Fraction(float(s))
            assert w[i, j] == np.float32(float(exact)), f"{i}, {j}: {w[i, j]}, exactly {exact}"


def test_parts_that_do_not_fit_are_refused() -> None:
    codes, scale = np.zeros((2, 4), np.int8), np.ones((2, 2), np.float32)
    zero, g_idx = np.zeros((2, 2), np.int32), group_indices(4, group_size=2)
    bad: tuple[tuple[Any, Any, Any, Any], ...] = (
        (codes[0], scale, zero, g_idx),
        (codes, scale[:1], zero, g_idx),
        (codes, scale, zero[:, :1], g_idx),
        (codes, scale, zero, g_idx[:3]),
        (codes, scale, zero, g_idx + 1),
        (codes, scale, zero, g_idx - 1),
    )
    for parts in bad:
        with pytest.raises(ValueError, match="must be"):
            QuantizedWeight(*parts, num_bits=4, signed=True)


def test_groups_must_divide_the_columns() -> None:
    assert group_indices(4, group_size=None).tolist() == [0] * 4, "None is one group"
    for size in (0, -2, 3, 8):
        with pytest.raises(
            ValueError, match=f"must divide the 4 columns of the weight, got {size}"
        ):
            group_indices(4, group_size=size)
