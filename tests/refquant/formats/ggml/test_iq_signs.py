"""Signs, exhaustively: all 128 codes, all 256 sign bytes."""

import libgguf
import numpy as np

from refquant.formats.ggml.iq_signs import (
    even_signs,
    parity_completed,
    sign_factors,
    split_signs,
)


def test_all_codes_have_even_parity_and_keep_seven_bits() -> None:
    codes = np.arange(256, dtype=np.uint8)  # the eighth bit is ignored
    for code, sign in zip(codes.tolist(), parity_completed(codes).tolist(), strict=True):
        assert sign.bit_count() % 2 == 0, f"{code}: odd"
        assert sign & 127 == code & 127, f"{code}: another code"


def test_all_sign_bytes_come_back() -> None:
    signs = np.arange(256, dtype=np.uint8)
    factors = sign_factors(signs).reshape(256, 8)
    for sign, row in zip(signs.tolist(), factors.tolist(), strict=True):
        assert row == [-1.0 if sign >> j & 1 else 1.0 for j in range(8)], f"{sign}: bit 0 first"
    values, again = split_signs(factors * np.float32(3))
    assert (values == 3).all(), "magnitudes"
    assert again.ravel().tolist() == signs.tolist(), "signs"


def test_all_odd_bytes_flip_the_cheapest_and_even_ones_nothing() -> None:
    weights = np.array([4, 1, 1, 2, 5, 1, 9, 3], np.float32)
    x = np.array([1, 2, 2, 1, 1, 3, 1, 1], np.float32)
    cheapest = min(range(8), key=lambda j: (weights[j] * x[j] * x[j], j))
    for sign in range(256):
        signed = x * sign_factors(np.array([sign], np.uint8))
        values, signs = even_signs(signed, weights)
        flipped = sign ^ (1 << cheapest) if sign.bit_count() % 2 else sign
        assert signs.tolist() == [flipped], f"{sign}: of two the first, index {cheapest}"
        back = values * sign_factors(signs)
        assert np.array_equal(back, signed), f"{sign}: the flipped magnitude must be negative"


def test_minus_zero_is_positive() -> None:
    x = np.array([-0.0, 1, -1, -1, 0, 0, 0, -0.0], np.float32)
    assert split_signs(x)[1].tolist() == [0b1100], "as C's x >= 0"
    theirs = libgguf.quantize_rows(np.tile(x, 32)[None], libgguf.GGMLQuantizationType.IQ3_S)
    assert (theirs[0, 74:106] == 0b1100).all(), "libgguf too"


def test_an_infinite_cost_is_not_the_cheapest_and_nan_is_never() -> None:
    x = np.array([3e38, -1, 1, 1, 1, 1, 1, 1], np.float32)
    weights = np.array([0, 2, 3, 3, 3, 3, 3, np.inf], np.float32)
    with np.errstate(all="ignore"):
        _, signs = even_signs(x, weights)
        assert signs.tolist() == [0b11], "0 * 3e38 is 0: index 0 is cheapest"
        _, signs = even_signs(x * np.float32(0), weights)
    assert signs.tolist() == [0], "-0.0 is no minus sign"
