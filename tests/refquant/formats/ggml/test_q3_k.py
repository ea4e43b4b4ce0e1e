"""Q3_K: exact decoding, and bytes equal to libgguf's."""

import numpy as np
import pytest

from refquant.formats.ggml.q3_k import decode, encode
from tests.refquant.formats.ggml.k_quants import (
    check_card,
    check_decode,
    check_encode,
    check_refusals,
    check_shapes,
    random_blocks,
)


def test_random_bytes_decode_exactly() -> None:
    check_decode("q3_k", random_blocks("q3_k", 300))


def test_every_scale_and_code_decodes_exactly() -> None:
    blocks = random_blocks("q3_k", 64)
    stored = (np.arange(64)[:, None] + np.arange(16)) % 64  # each scale in each place
    for j in range(8):
        blocks[:, 96 + j] = stored[:, j] & 15 | (stored[:, j + 8] & 15) << 4
    for j in range(4):
        parts = [stored[:, j + 4 * k] >> 4 << 2 * k for k in range(4)]
        blocks[:, 104 + j] = np.bitwise_or.reduce(parts)
    check_decode("q3_k", blocks)


def test_bytes_are_those_of_libgguf() -> None:
    check_encode("q3_k", blocks=8)


@pytest.mark.slow
def test_many_bytes_are_those_of_libgguf() -> None:
    check_encode("q3_k", blocks=128)


def test_a_block_of_zeros_is_not_all_zero_bytes_with_importance() -> None:
    zeros = np.zeros(256, np.float32)
    plain, weighted = encode(zeros), encode(zeros, importance=np.ones(256, np.float32))
    assert not plain.any(), "without importance the scales are not even stored plus 32"
    assert not weighted.any(), "the search over scales finds none, and stores 0"


def test_a_sub_block_of_zeros_has_scale_32_stored() -> None:
    x = np.zeros(256, np.float32)
    x[0] = 4
    data = encode(x)
    assert (data[96] & 15, data[104] & 3) == (0, 0), "s[0] = -32, stored 0"
    assert (data[97] & 15, data[105] & 3) == (0, 2), "s[1] = 0, stored 32"
    assert decode(data)[:2].tolist() == [4.0, 0.0], "d = 1/32"


def test_wrong_input_is_refused() -> None:
    check_refusals("q3_k", block_bytes=110)


def test_shapes() -> None:
    check_shapes("q3_k", block_bytes=110)


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    check_card("q3_k", block_bytes=110)
