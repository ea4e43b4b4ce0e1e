"""Scale and zero point of each element: one, one a channel, one a block."""

from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.arithmetic.quantize_parameters import parameters_of_each, spread

X = np.zeros((2, 4), np.float32)


def test_one_scale_is_every_elements() -> None:
    case = case_of("f32_u8", X, 0.5, 3)
    assert parameters_of_each(case, 7) == (0.5, 3), "the last"


def test_a_channel_has_its_own() -> None:
    case = case_of(
        "f32_u8_channel", X, np.array([1, 2], np.float32), np.array([3, 4], np.uint8), axis=0
    )
    assert [parameters_of_each(case, k) for k in (3, 4)] == [(1.0, 3), (2.0, 4)], "two rows"
    assert spread(case)[0].shape == (2, 1), "broadcasts against x"


def test_a_block_has_its_own() -> None:
    shape = {"axis": 1, "block_size": 2}
    scales, points = np.array([[1, 2], [3, 4]], np.float32), np.array([[5, 6], [7, 8]], np.uint8)
    case = case_of("f32_u8_block", X, scales, points, **shape)
    found = [parameters_of_each(case, k)[1] for k in range(8)]
    assert found == [5, 5, 6, 6, 7, 7, 8, 8], f"{found}"


def test_without_a_zero_point_it_is_zero() -> None:
    case = case_of("f32_u8", X, 0.5, 3)
    bare = replace(case, inputs={"x": X, "scale": case.inputs["scale"]})
    assert parameters_of_each(bare, 0) == (0.5, 0), "0"
