"""Split halves against the definition, and against gguf's decoder of Q4_0."""

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.ggml_halves import pack, unpack
from tests.refquant.formats.containers import big_int


@pytest.mark.parametrize("size", [16, 32])
@given(seed=st.integers(0, 1000), blocks=st.integers(0, 3))
def test_byte_j_holds_j_and_j_plus_half(size: int, seed: int, blocks: int) -> None:
    codes = big_int.codes_of((2, size * blocks), 4, seed=seed)
    packed = pack(codes, block_size=size)
    assert packed.shape == (2, size * blocks // 2), f"got {packed.shape}"
    for row, given_row in zip(packed.tolist(), codes.tolist(), strict=True):
        for at, byte in enumerate(row):
            block, j = divmod(at, size // 2)
            low, high = big_int.dense([byte], 8, 4, 2)
            assert low == given_row[size * block + j], f"byte {at}, low"
            assert high == given_row[size * block + j + size // 2], f"byte {at}, high"
    assert unpack(packed, block_size=size).tolist() == codes.tolist(), "the inverse"


def test_gguf_reads_them() -> None:
    codes = big_int.codes_of((4, 32), 4, seed=3)
    scale = np.tile(np.array([1.0], "<f2").view(np.uint8), (4, 1))
    blocks = np.concatenate([scale, pack(codes, block_size=32)], axis=1)
    read = gguf.dequantize(blocks, gguf.GGMLQuantizationType.Q4_0)
    assert (read + 8).tolist() == codes.tolist(), "Q4_0 with scale 1 is the code minus 8"


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="block_size must be 16 or 32, got 64"):
        pack(np.zeros(64, int), block_size=64)
    with pytest.raises(ValueError, match="last axis of codes must be a multiple of 32, got 16"):
        pack(np.zeros(16, int), block_size=32)
    with pytest.raises(ValueError, match="last axis of packed must be a multiple of 16, got 8"):
        unpack(np.zeros(8, np.uint8), block_size=32)
    with pytest.raises(ValueError, match=r"codes must be in \[0, 15\]"):
        pack(np.full(16, 16), block_size=16)
    with pytest.raises(ValueError, match="packed must be uint8"):
        unpack(np.zeros(16, np.int8), block_size=32)
    with pytest.raises(ValueError, match="codes must have at least 1 axis"):
        pack(np.asarray(1), block_size=16)
    with pytest.raises(ValueError, match="packed must have at least 1 axis"):
        unpack(np.asarray(np.uint8(1)), block_size=16)
