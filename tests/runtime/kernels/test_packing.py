"""Packed weights: every weight where eq. (1) says, zeros everywhere else, aligned."""

import numpy as np
import pytest

from refquant_runtime.kernels.packing import pack_f32_weights, pack_int8_weights


@pytest.mark.parametrize(
    ("taps", "per_tap", "n", "nr"), [(1, 4, 16, 16), (1, 1, 1, 8), (3, 5, 17, 8), (9, 3, 70, 64)]
)
def test_each_int8_weight_lies_where_the_equation_says(
    taps: int, per_tap: int, n: int, nr: int
) -> None:
    rng = np.random.default_rng(taps)
    w = rng.integers(-128, 128, (taps * per_tap, n), np.int8)
    w[w == 0] = 1  # so that a zero is padding
    kc, panels = -(-per_tap // 4), -(-n // nr)
    packed = pack_int8_weights(w, taps=taps, nr=nr)
    assert packed.dtype == np.uint8, "bytes"
    assert packed.size == panels * taps * kc * nr * 4, "whole panels of whole groups"
    assert packed.ctypes.data % 64 == 0, "aligned to a cache line"
    table = packed.view(np.int8).reshape(panels, taps * kc, nr, 4)
    for t in range(taps):
        for k in range(per_tap):
            for column in range(n):
                got = table[column // nr, t * kc + k // 4, column % nr, k % 4]
                assert got == w[t * per_tap + k, column], f"tap {t}, k {k}, column {column}"
    assert np.count_nonzero(table) == w.size, "everything else is zero"


@pytest.mark.parametrize(("k", "n", "nr"), [(1, 1, 16), (5, 16, 16), (7, 33, 16)])
def test_each_f32_weight_lies_where_the_equation_says(k: int, n: int, nr: int) -> None:
    w = np.random.default_rng(k).standard_normal((k, n)).astype(np.float32)
    packed = pack_f32_weights(w, nr=nr)
    assert packed.dtype == np.float32, "float32"
    assert packed.ctypes.data % 64 == 0, "aligned to a cache line"
    table = packed.reshape(-(-n // nr), k, nr)
    for row in range(k):
        for column in range(n):
            assert table[column // nr, row, column % nr] == w[row, column], f"{row}, {column}"
    assert np.count_nonzero(table) == np.count_nonzero(w), "everything else is zero"


def test_what_cannot_be_packed_is_refused() -> None:
    w = np.zeros((6, 2), np.int8)
    with pytest.raises(ValueError, match="multiple of taps, got K 6 and taps 4"):
        pack_int8_weights(w, taps=4, nr=8)
    with pytest.raises(ValueError, match="nr must be at least 1, got 0"):
        pack_int8_weights(w, taps=1, nr=0)
    with pytest.raises(ValueError, match="matrix of int8, got uint8"):
        pack_int8_weights(w.view(np.uint8), taps=1, nr=8)
    with pytest.raises(ValueError, match="matrix of float32, got float64"):
        pack_f32_weights(np.zeros((2, 2)), nr=8)  # type: ignore[arg-type]
