"""MLX's words against one big integer, and what MLX wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.mlx import BITS, pack, unpack
from tests.refquant.formats.containers import big_int

MLX = {
    2: "c3c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6",
    3: "07af620eaf620eaf620eaf620eaf620eaf620eaf620eaf62",
    4: "0ff45ab0167cd2389ef45ab0167cd2389ef45ab0167cd2389ef45ab0167cd238",
    5: "1fd0a70ad836b2233a9e2e91af2b5c26f02b1b1a3ed3a70ad836b2233a9e2e91af2b5c26f02b1b1a",
    6: "3f40bf6a096e56c41c428fcf6e4a7e5a052d46c0df728b8e5e463d4a01ec76cc"
    "9e62874d4e42fc7a0daf66c85d52830c",
}
"""``mx.quantize`` of MLX 0.32.4 (CPU), group 64, of c(0) = 0, c(1) = 2^bits - 1, and c(i) =
(5 i + 1) mod 2^bits. Its scale was -1 and its bias 2^bits - 1: the codes are that minus c."""


@given(num_bits=st.sampled_from(BITS), seed=st.integers(0, 1000), units=st.integers(0, 3))
def test_rows_are_numbers(num_bits: int, seed: int, units: int) -> None:
    codes = big_int.codes_of((2, 32 * units), num_bits, seed=seed)
    packed = pack(codes, num_bits=num_bits)
    assert packed.dtype == np.uint32, f"got {packed.dtype}"
    assert packed.shape == (2, units * num_bits), f"got {packed.shape}"
    for row, given_row in zip(packed.tolist(), codes.tolist(), strict=True):
        assert big_int.dense(row, 32, num_bits, 32 * units) == given_row, f"{row}"
    assert unpack(packed, num_bits=num_bits).tolist() == codes.tolist(), "the inverse"


@pytest.mark.parametrize("num_bits", MLX)
def test_mlx_wrote_these_bytes(num_bits: int) -> None:
    top = (1 << num_bits) - 1
    values = (np.arange(64) * 5 + 1) % (top + 1)
    values[:2] = 0, top
    packed = pack(top - values, num_bits=num_bits).astype("<u4").tobytes().hex()
    assert packed == MLX[num_bits], f"{num_bits} bits: {packed}"


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="num_bits must be one of 2, 3, 4, 5, 6, 8; got 7"):
        pack(np.zeros(32, int), num_bits=7)
    with pytest.raises(ValueError, match="last axis of codes must be a multiple of 32, got 16"):
        pack(np.zeros(16, int), num_bits=4)
    with pytest.raises(ValueError, match=r"codes must be in \[0, 7\]"):
        pack(np.full(32, 8), num_bits=3)
    with pytest.raises(ValueError, match="codes must have at least 1 axis"):
        pack(np.asarray(1), num_bits=4)
    with pytest.raises(ValueError, match="packed must have at least 1 axis"):
        unpack(np.asarray(np.uint32(1)), num_bits=4)
    with pytest.raises(ValueError, match="packed must be uint32"):
        unpack(np.zeros(3, np.int32), num_bits=3)
    with pytest.raises(ValueError, match="last axis of packed must be a multiple of 3, got 4"):
        unpack(np.zeros(4, np.uint32), num_bits=3)
