"""The fields of IQ2 and IQ3 before packing."""

from fractions import Fraction

import numpy as np

from refquant.formats.ggml.iq_fields import GridFields, GridReading, find_fields
from refquant.formats.ggml.iq_scales import GridSearch
from tests.refquant.formats.ggml.iq import bell

SEARCH = GridSearch(
    grid="iq2_xs", distances=2, trials=9, step=0.1, refine="off_grid", smallest=1e-15
)


def test_sub_blocks_of_zeros_have_no_point_no_sign_and_no_scale() -> None:
    x = bell(1, 256).astype(np.float32)[None]
    x[0, 16:48] = -1e-16
    fields = find_fields(x, x * x + 1, sub_block=16, even=True, search=SEARCH)
    assert fields.codes[0, 1:3].tolist() == [0, 0], "scales"
    assert not fields.points[0, 2:6].any(), "points"
    assert not fields.signs[0, 2:6].any(), "signs, although all are negative"
    assert fields.codes.max() == 15, "the largest sub-block has the largest code"


def test_a_negative_scale_turns_all_signs_of_its_sub_block() -> None:
    x = np.ones((1, 256), np.float32)
    weights = np.ones_like(x)
    x[0, [0, 8]], weights[0, [0, 8]] = -0.01, 8000
    fields = find_fields(x, weights, sub_block=16, even=True, search=SEARCH)
    assert fields.signs[0, :3].tolist() == [255, 255, 0], "0 after the flip, then inverted"


def test_parity_is_even_where_asked_for() -> None:
    x = bell(2, 256).astype(np.float32)[None]
    even, free = (
        find_fields(x, x * x, sub_block=16, even=even, search=SEARCH).signs
        for even in (True, False)
    )
    assert not any(int(sign).bit_count() % 2 for sign in even[0]), "all even"
    assert any(int(sign).bit_count() % 2 for sign in free[0]), "as they are"


def test_a_reading_multiplies_exactly() -> None:
    """Every code with the halves of most digits: d (2 c + 1) u has no rounding, nor the values."""
    d = np.array([1.9990234375, 65504, 2.0**-24, -(2.0**-14)], np.float32)[:, None].repeat(2, 1)
    codes = np.arange(16, dtype=np.int32).reshape(1, 2, 8).repeat(4, 0).reshape(8, 8)
    points, signs = np.full((8, 64), 2, np.int32), np.full((8, 32), 2, np.uint8)
    fields = GridFields(d.reshape(8), codes, points, signs)
    odd = np.arange(1, 16, 2, dtype=np.float32)
    reading = GridReading(lambda data: fields, "iq3_s", odd, 1 / 4, "d * (1 + 2 c) / 4")
    table, decoded = reading.table(), reading.decode(np.zeros((8, 110), np.uint8))
    for m in range(8):
        for i in range(256):
            scale = Fraction(float(fields.scale[m])) * int(2 * codes[m, i // 32] + 1) / 4
            expected = scale * int(table[2, i % 4]) * (-1 if i % 8 == 1 else 1)
            assert Fraction(float(decoded[m, i])) == expected, f"block {m}, element {i}"
