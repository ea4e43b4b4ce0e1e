"""A ruler is a value, and refuses to be what measures nothing."""

import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from refquant.formats.affine import QParams, dequantize


@pytest.mark.parametrize("scale", [0.0, -0.0, math.nan, math.inf, -math.inf, 2.0**-127, 2.0**-149])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    """QDQ-11: also inside an array."""
    with pytest.raises(ValueError, match="scale must be finite, normal and not 0, got "):
        QParams(np.float32(scale), np.int32(0), None, "int8")
    with pytest.raises(ValueError, match="scale must be finite, normal and not 0, got "):
        QParams(np.array([1, scale], np.float32), np.zeros(2, np.int32), (1,), "int8")


@pytest.mark.parametrize(
    ("dtype", "z"), [("int8", 128), ("uint4", -1), ("uint4", 16), ("int32", 1)]
)
def test_a_zero_point_that_is_no_code_is_refused(dtype: str, z: int) -> None:
    with pytest.raises(ValueError, match=r"zero_point must be in \[.*\] for "):
        QParams(np.float32(1), np.int32(z), None, dtype)


@pytest.mark.parametrize("z", [0.5, np.float32(1), True, None])
def test_a_zero_point_that_is_no_integer_is_refused(z: Any) -> None:
    with pytest.raises(ValueError, match="zero_point must be integers, got "):
        QParams(np.float32(1), z, None, "int8")


@pytest.mark.parametrize(
    ("shape", "block"), [((2,), None), ((), (1,)), ((2,), (1, 4)), ((2, 1), (4,))]
)
def test_parameters_and_blocks_must_have_the_same_axes(shape: Any, block: Any) -> None:
    with pytest.raises(ValueError, match="scale and zero_point must have one shape with an axis"):
        QParams(np.ones(shape, np.float32), np.zeros(shape, np.int32), block, "int8")


def test_a_ruler_is_a_value() -> None:
    scale = np.array([1.0, 2.0], np.float32)
    one = QParams(scale, np.zeros(2, np.int32), (1,), "int8")
    other = QParams(scale.copy(), np.zeros(2, np.int32), (1,), "int8")
    assert one == other, "equal marks, equal rulers"
    assert one != replace(other, narrow=True), "one mark less"
    assert one != replace(other, scale=scale * 2), "other marks"
    assert one != "int8", "something else"
    scale[0] = 5
    assert one == other, "the caller's array is not ours"
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(one.scale)[0] = 5
    with pytest.raises(FrozenInstanceError):
        one.dtype = "int4"  # type: ignore[misc]
    assert dequantize(np.array([1, 1]), one).tolist() == [1.0, 2.0], "and it still measures"
