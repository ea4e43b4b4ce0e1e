"""Two levels without a minimum: signs, limits, exact products."""

import numpy as np

from refquant.formats.ggml.k_symmetric import decode_symmetric, largest_scale, recode_symmetric


def test_the_scale_of_largest_magnitude_gets_the_lowest_code() -> None:
    scales = np.array([[0.5, -1, 0], [1, 1, 0], [-1, 0.25, -0.0]], np.float32)
    with np.errstate(all="ignore"):
        d, codes = largest_scale(scales, scale_max=32)
    assert d.tolist() == [-1 / 32, 1 / 32, 0.0], "the sign is the opposite of the scale's"
    assert codes.T.tolist() == [[-16, -32, 32], [-32, 32, 8], [0, 0, 0]], "+32 is not limited here"


def test_no_number_is_no_scale() -> None:
    with np.errstate(all="ignore"):
        d, codes = largest_scale(np.full((16, 1), np.nan, np.float32), scale_max=128)
    assert (d.tolist(), codes.any(axis=0).tolist()) == ([0.0], [False]), "NaN counts as 0"


def test_codes_are_limited_and_kept_where_the_scale_is_zero() -> None:
    x = np.zeros((1, 256), np.float32)
    x[0, :3], x[0, 16] = (5, -5, 1.5), 5
    scales = np.ones((1, 16), np.int32)
    scales[0, 1] = 0
    searched = np.full((16, 16), 9, np.uint8)
    with np.errstate(all="ignore"):
        codes = recode_symmetric(x, searched, np.array([[0, 60]], np.uint8), scales, qmax=3)
    assert codes[0, :4].tolist() == [7, 0, 6, 4], "plus 4; the tie 1.5 goes to 2"
    assert codes[0, 16:32].tolist() == [9] * 16, "as searched"


def test_the_product_is_rounded_once() -> None:
    d = np.array([[0xFF, 0x3B]], np.uint8)  # 2047 / 2048
    scales, codes = np.full((1, 16), 127, np.int8), np.full((1, 256), 31, np.int8)
    exact = 2047 * 127 * 31 / 2048  # 23 bits
    assert float(decode_symmetric(d, scales, codes)[0, 0]) == exact, "11 + 7 + 5 bits"
    scales[:] = -121
    codes[:] = -31
    assert float(decode_symmetric(d, scales, codes)[0, 0]) == 2047 * 121 * 31 / 2048, "signs"
