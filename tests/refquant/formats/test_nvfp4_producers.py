"""NVFP4's producers as data, and the two directions of the tensor scale."""

import numpy as np
import pytest

from refquant.formats.nvfp4_producers import (
    DECODE,
    ELEMENT,
    NVFP4_PRODUCERS,
    REAL,
    TENSOR,
    convert_tensor_scale,
    nvfp4_producer,
)
from refquant_conformance.rational import divide


@pytest.mark.parametrize("name", NVFP4_PRODUCERS)
def test_every_equation_of_a_producer_exists(name: str) -> None:
    row = nvfp4_producer(name)
    keys = (row.g, row.real, row.element, row.decode)
    for key, table in zip(keys, (TENSOR, REAL, ELEMENT, DECODE), strict=True):
        assert key in table, f"{name}: no equation {key!r}"
    assert (row.direction == "none") == (row.g == "1"), f"{name}: {row.direction} with g = {row.g}"


def test_every_equation_is_used() -> None:
    rows = NVFP4_PRODUCERS.values()
    assert {row.g for row in rows} == set(TENSOR), "tensor scales"
    assert {row.real for row in rows} == set(REAL), "block scales"
    assert {row.element for row in rows} == set(ELEMENT), "elements"
    assert {row.decode for row in rows} == set(DECODE), "reals"


def test_a_direction_is_turned_by_one_rounded_reciprocal() -> None:
    for value in (0.1, 3.0, 2.0**-100, 1.5 * 2.0**100, 7.0 / 2688):
        scale = np.float32(value)
        other = convert_tensor_scale(scale, source="multiplier", target="divisor")
        assert float(other) == divide(1.0, float(scale)), f"{value}: {other}"
        same = convert_tensor_scale(scale, source="divisor", target="divisor")
        assert same == scale, "nothing to do"


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan, 2.0**-140])
def test_scales_without_a_reciprocal_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must be positive with a finite reciprocal"):
        convert_tensor_scale(np.float32(scale), source="multiplier", target="divisor")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="target must be multiplier or divisor"):
        convert_tensor_scale(np.float32(1), source="multiplier", target="inverse")
    with pytest.raises(ValueError, match=r"producer must be one of .*torchao"):
        nvfp4_producer("nvidia")
