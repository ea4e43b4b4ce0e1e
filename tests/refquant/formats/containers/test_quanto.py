"""quanto's bytes against one big integer, and what quanto wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.quanto import pack, unpack
from tests.refquant.formats.containers import big_int


@given(num_bits=st.sampled_from([2, 4]), seed=st.integers(0, 1000), rows=st.integers(0, 13))
def test_a_byte_holds_a_row_of_each_piece(num_bits: int, seed: int, rows: int) -> None:
    pieces = 8 // num_bits
    height = -(-rows // pieces)
    codes = big_int.codes_of((rows, 2), num_bits, seed=seed)
    packed = pack(codes, num_bits=num_bits)
    assert packed.shape == (height, 2), f"got {packed.shape}"
    for r in range(height):
        for c in range(2):
            for i, got in enumerate(big_int.dense([packed[r, c]], 8, num_bits, pieces)):
                at = i * height + r
                assert got == (codes[at, c] if at < rows else 0), f"piece {i} of ({r}, {c})"
    back = unpack(packed, num_bits=num_bits, shape=codes.shape)
    assert back.tolist() == codes.tolist(), f"{num_bits} bits: {back}"


def test_quanto_wrote_these() -> None:
    """``pack_weights`` of optimum-quanto 0.2.7 with PyTorch 2.13.0."""
    assert pack(np.arange(8), num_bits=4).tolist() == [64, 81, 98, 115], "4 bits"
    assert pack(np.arange(5) % 4, num_bits=2).tolist() == [8, 13], "2 bits, a ragged piece"


def test_any_axes_behind_the_first() -> None:
    codes = big_int.codes_of((5, 2, 3), 4, seed=3)
    packed = pack(codes, num_bits=4)
    assert packed.shape == (3, 2, 3), f"got {packed.shape}"
    assert unpack(packed, num_bits=4, shape=(5, 2, 3)).tolist() == codes.tolist(), "the inverse"


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="num_bits must be 2 or 4 for quanto, got 8"):
        pack(np.zeros(2, int), num_bits=8)
    with pytest.raises(ValueError, match=r"codes must be in \[0, 3\]"):
        pack(np.array([4]), num_bits=2)
    with pytest.raises(ValueError, match="codes must have at least 1 axis"):
        pack(np.asarray(1), num_bits=2)
    with pytest.raises(ValueError, match="shape must have at least 1 axis"):
        unpack(np.zeros(1, np.uint8), num_bits=2, shape=())
    with pytest.raises(ValueError, match=r"packed must be uint8 of shape \(2,\)"):
        unpack(np.zeros(1, np.uint8), num_bits=2, shape=(5,))
    with pytest.raises(ValueError, match="padding bits must be zero"):
        unpack(np.array([0, 0x10], np.uint8), num_bits=4, shape=(3,))
