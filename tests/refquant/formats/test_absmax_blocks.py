"""Blocks with an absmax: reduction, the flavours' arithmetic, packing, bad input."""

import numpy as np
import pytest

from refquant.formats.absmax_blocks import (
    FLAVOURS,
    Blockwise,
    block_absmax,
    codebook_steps,
    decode_blocks,
    normalize_blocks,
    pack_pairs,
    unpack_pairs,
)
from refquant.formats.nf4 import NF4
from tests.refquant.formats.codebook_inputs import special_blocks


def f32(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_the_absmax_is_that_of_each_block_and_the_tail() -> None:
    x = f32(1, -9, 2, 3, -4)
    for size, expected in {1: [1, 9, 2, 3, 4], 2: [9, 3, 4], 5: [9], 99: [9]}.items():
        assert block_absmax(x, block_size=size, nan_wins=True).tolist() == expected, size
    assert block_absmax(x[:0], block_size=4, nan_wins=True).shape == (0,), "nothing"


def test_nan_wins_or_is_passed_over() -> None:
    x = f32(np.nan, 1, np.nan, np.nan)
    assert np.isnan(block_absmax(x, block_size=2, nan_wins=True)).all(), "wins"
    kept = block_absmax(x, block_size=2, nan_wins=False, empty=-7.0)
    assert kept.tolist() == [1.0, -7.0], "passed over"


def test_a_ragged_tail_divides_and_stores_the_floor_in_torch() -> None:
    """The tail of bnb_torch is x / a, the rest x * (1 / a); all others multiply everywhere."""
    absmax, x = np.float32(49.0), np.float32(23.0)
    divided, multiplied = x / absmax, x * (np.float32(1) / absmax)
    assert divided != multiplied, "else the test says nothing"
    scaled, _ = normalize_blocks(f32(49, 23, 0, 23), block_size=3, flavour="bnb_torch")
    assert scaled[1] == multiplied, "full block"
    for flavour in FLAVOURS:
        scaled, _ = normalize_blocks(f32(49, 23), block_size=3, flavour=flavour)
        assert scaled[1] == (divided if flavour == "bnb_torch" else multiplied), flavour
    _, stored = normalize_blocks(np.zeros(5, np.float32), block_size=3, flavour="bnb_torch")
    assert stored.tolist() == [0.0, float(np.float32(1e-38))], "only the tail stores the floor"


def test_a_block_of_zeros_by_flavour() -> None:
    for flavour in FLAVOURS:
        scaled, absmax = normalize_blocks(np.zeros(4, np.float32), block_size=4, flavour=flavour)
        missing = flavour in ("bnb_cpu", "bnb_cuda")
        assert np.isnan(scaled).all() == missing, f"{flavour}: 0 * (1 / 0)"
        assert absmax.tolist() == [0.0], flavour


def test_only_nan_by_flavour() -> None:
    x = np.full(2, np.nan, np.float32)
    largest = -float(np.finfo(np.float32).max)
    for flavour, expected in {"bnb_cuda": largest, "ort": 0.0, "bnb_cpu": 0.0}.items():
        assert normalize_blocks(x, block_size=2, flavour=flavour)[1].tolist() == [expected], flavour


def test_what_is_scaled_lies_in_one_unless_the_reciprocal_overflows() -> None:
    for name, x in special_blocks(block_size=8).items():
        for flavour in FLAVOURS:
            scaled, _ = normalize_blocks(x, block_size=8, flavour=flavour)
            limit = np.float32(1) + np.finfo(np.float32).eps  # one ulp: a * (1 / a), two roundings
            inside = (np.abs(scaled) <= limit) | np.isnan(scaled)
            small = np.abs(x).max() < 2.0**-127
            assert inside.all() or (small and flavour != "bnb_torch"), f"{name}, {flavour}"


def test_decoding_is_one_product() -> None:
    q = Blockwise(np.array([[15, 8], [7, 0]], np.uint8), f32(3, 0.1), 3)
    expected = [[3.0, float(NF4[8] * np.float32(3))], [0.0, float(np.float32(-0.1))]]
    assert decode_blocks(q, NF4).tolist() == expected, "the last is in the second block"


def test_pairs_have_the_first_in_the_high_nibble_and_come_back() -> None:
    for count in range(6):
        codes = np.arange(count, dtype=np.uint8) + 9
        data = pack_pairs(codes, padding=3)
        assert data.size == (count + 1) // 2, "two a byte"
        assert count == 0 or int(data[0]) >> 4 == 9, "high nibble"
        assert count % 2 == 0 or int(data[-1]) & 15 == 3, "padding"
        assert unpack_pairs(data, shape=(count,)).tolist() == codes.tolist(), "round trip"


def test_bad_input_is_refused() -> None:
    x = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="block_size must be an integer of at least 1, got 0"):
        block_absmax(x, block_size=0, nan_wins=True)
    with pytest.raises(ValueError, match="flavour must be one of bnb_torch"):
        normalize_blocks(x, block_size=4, flavour="gpu")
    with pytest.raises(ValueError, match=r"absmax must have shape \(2,\), got \(1,\)"):
        decode_blocks(Blockwise(np.zeros(4, np.uint8), f32(1), 3), NF4)
    with pytest.raises(ValueError, match=r"codes must be in 0\.\.15, got 16"):
        decode_blocks(Blockwise(np.full(4, 16, np.uint8), f32(1), 4), NF4)
    with pytest.raises(ValueError, match=r"codes must be in 0\.\.15, got 0\.\.16"):
        pack_pairs(np.array([0, 16]), padding=0)
    with pytest.raises(ValueError, match=r"data must be uint8 of shape \(2,\)"):
        unpack_pairs(np.zeros(1, np.uint8), shape=(3,))


def test_the_steps_show_every_value() -> None:
    x = f32(1, 0.5)
    q = Blockwise(np.array([15, 12], np.uint8), f32(1), 64)
    steps = codebook_steps(x, x, q, decode_blocks(q, NF4))
    assert [step.what for step in steps] == ["absmax", "x[0]", "x[1]"], "one a value"
    assert "0b1100" in steps[2].how, steps[2].how
