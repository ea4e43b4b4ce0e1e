"""Cards: the texts of `refquant explain`."""

import numpy as np
import pytest

from refquant.formats.card import number, padded_block, value_steps


def test_numbers_tell_neighbours_apart() -> None:
    one = np.float32(1.0)
    above = np.nextafter(one, np.float32(2))
    assert number(one) != number(above), "nine digits must tell any two float32 apart"


def test_a_block_is_filled_with_zeros_and_no_more() -> None:
    block = padded_block(np.array([5], np.float32), block_size=3)
    assert block.dtype == np.float32, "the block must stay float32"
    assert block.tolist() == [5.0, 0.0, 0.0], "the tail must be zeros"
    for bad in (np.zeros(0, np.float32), np.zeros(4, np.float32), np.zeros((1, 1), np.float32)):
        with pytest.raises(ValueError, match="x: must be 1 to 3 values"):
            padded_block(bad, block_size=3)


def test_errors_are_decoded_minus_value_and_nan_is_shown() -> None:
    x = np.array([1.0, np.inf], np.float32)
    steps = list(value_steps(x, ["a", "b"], np.array([0.5, np.inf, 7], np.float32)))
    assert [step.result for step in steps] == ["0.5 (error -0.5)", "inf (error nan)"], (
        "the error is decoded - value; inf - inf is nan; padding is not shown"
    )
