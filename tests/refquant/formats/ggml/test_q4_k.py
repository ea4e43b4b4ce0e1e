"""Q4_K: exact decoding, and bytes equal to libgguf's."""

import numpy as np
import pytest

from refquant.formats.ggml.q4_k import decode, encode
from tests.refquant.formats.ggml.k_quants import (
    check_card,
    check_decode,
    check_encode,
    check_refusals,
    check_shapes,
    random_blocks,
    stored_pairs,
)


def test_random_bytes_decode_exactly() -> None:
    check_decode("q4_k", random_blocks("q4_k", 300))


def test_every_scale_minimum_and_code_decodes_exactly() -> None:
    blocks = random_blocks("q4_k", 512)
    blocks[:, 4:16] = stored_pairs()
    blocks[:, 16:] = np.arange(128, dtype=np.uint8) * 17  # each code in each sub-block, twice
    check_decode("q4_k", blocks)


def test_bytes_are_those_of_libgguf() -> None:
    check_encode("q4_k", blocks=8)


@pytest.mark.slow
def test_many_bytes_are_those_of_libgguf() -> None:
    check_encode("q4_k", blocks=128)


def test_the_scale_is_rounded_after_the_codes_of_scales_were_found() -> None:
    x = np.tile(np.arange(16, dtype=np.float32), 16)
    data = encode(x)
    assert data[:4].tolist() == [0x10, 0x24, 0, 0], "d = f16(1 / 63), dmin = 0"
    assert decode(data)[15] == np.float32(15 * 63 * 1040 / 65536), "15 comes back as 14.99634"


def test_a_scale_beyond_f16_is_infinite_as_in_ggml() -> None:
    x = np.zeros(256, np.float32)
    x[0] = 1e9  # one step is 1e9 / 15 and d a 63rd of it, 1.06e6 > 65504
    assert encode(x)[:2].tolist() == [0x00, 0x7C], "d is the half infinity"
    values = decode(encode(x))
    assert np.isnan(values).any(), "which decodes to NaN: infinity times 0"


def test_wrong_input_is_refused() -> None:
    check_refusals("q4_k", block_bytes=144)


def test_shapes() -> None:
    check_shapes("q4_k", block_bytes=144)


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    check_card("q4_k", block_bytes=144)
