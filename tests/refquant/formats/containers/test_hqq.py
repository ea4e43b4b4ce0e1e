"""HQQ's bytes and words against one big integer, and what HQQ wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.hqq import PIECES, pack, unpack
from tests.refquant.formats.containers import big_int


@given(
    num_bits=st.sampled_from(sorted(PIECES)), seed=st.integers(0, 1000), height=st.integers(0, 4)
)
def test_a_unit_holds_a_row_of_each_piece(num_bits: int, seed: int, height: int) -> None:
    pieces = PIECES[num_bits]
    rows = height * pieces - (seed % pieces if num_bits == 3 and height else 0)
    codes = big_int.codes_of((rows, 3), num_bits, seed=seed)
    packed = pack(codes, num_bits=num_bits)
    assert packed.dtype == (np.int32 if num_bits == 3 else np.uint8), f"got {packed.dtype}"
    assert packed.shape == (height, 3), f"got {packed.shape}"
    for r in range(height):
        for c in range(3):
            fields = big_int.padded([packed[r, c]], 32, num_bits, pieces)
            for i, got in enumerate(reversed(fields)):  # the first piece is the highest
                at = i * height + r
                assert got == (codes[at, c] if at < rows else 0), f"piece {i} of ({r}, {c})"
    back = unpack(packed, num_bits=num_bits, rows=rows)
    assert back.tolist() == codes.tolist(), f"{num_bits} bits: {back}"


def test_hqq_wrote_these() -> None:
    """``BitPack`` of HQQ 0.2.8.post1 with PyTorch 2.13.0, of columns 0, 1, 2, ... mod 2^bits."""
    wrote = {4: [4, 21, 38, 55], 2: [34, 119], 1: [85]}
    for num_bits, packed in wrote.items():
        codes = np.arange(8)[:, None] % (1 << num_bits)
        assert pack(codes, num_bits=num_bits).reshape(-1).tolist() == packed, f"{num_bits} bits"
    codes = np.arange(10)[:, None] % 8
    assert int(pack(codes, num_bits=3)[0, 0]) == 0x14E5DC1, "3 bits"


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="num_bits must be one of 8, 4, 3, 2, 1 for HQQ, got 5"):
        pack(np.zeros((2, 2), int), num_bits=5)
    with pytest.raises(ValueError, match="rows must be a multiple of 2, got 3"):
        pack(np.zeros((3, 2), int), num_bits=4)
    with pytest.raises(ValueError, match="rows must be a multiple of 8, got 4"):
        unpack(np.zeros((1, 2), np.uint8), num_bits=1, rows=4)
    with pytest.raises(ValueError, match=r"codes must be in \[0, 3\]"):
        pack(np.full((4, 1), 4), num_bits=2)
    with pytest.raises(ValueError, match="codes must have 2 axes"):
        pack(np.zeros(4, int), num_bits=4)
    with pytest.raises(ValueError, match=r"packed must be int32 of shape \(1, 1\), got uint8"):
        unpack(np.zeros((1, 1), np.uint8), num_bits=3, rows=10)
    for stray in (1 << 30, -(1 << 31), 1):  # the two top bits; a row that is not there
        with pytest.raises(ValueError, match="padding bits must be zero"):
            unpack(np.array([[stray]], np.int32), num_bits=3, rows=9)
