"""The reciprocal inside int16 Softmax, against the reference's."""

import numpy as np

from refquant.ops.softmax_int16 import reciprocal_points, shares_int16
from refquant_runtime.kernels.int16 import reciprocal_i16


def test_reciprocals_of_sums_at_every_shift() -> None:
    points = reciprocal_points().astype(np.int16)
    for bits in range(14, 31):
        for total in (1 << bits, (1 << bits) + 1, (3 << bits) >> 1, (2 << bits) - 1):
            zeros = 32 - total.bit_length()
            r = reciprocal_i16(total, zeros, points)
            exact = 2.0 ** (46 - zeros) / total  # 2^15 / (total / 2^(31 - zeros))
            assert abs(r - exact) <= 2, f"1 / {total}: {r}, {exact}"


def test_one_share_is_the_reference_s() -> None:
    e = np.array([32762, 5], np.int64)
    total = int(e.sum())
    zeros = 32 - total.bit_length()
    r = reciprocal_i16(total, zeros, reciprocal_points().astype(np.int16))
    found = [(int(v) * r + (1 << (30 - zeros))) >> (31 - zeros) for v in e]
    assert found == shares_int16(e[None].astype(np.int16), -1)[0].tolist(), "the same text"
