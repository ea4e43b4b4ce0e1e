"""Q6_K: exact decoding, and bytes equal to libgguf's."""

import numpy as np
import pytest

from refquant.formats.ggml.q6_k import decode, encode
from tests.refquant.formats.ggml.k_quants import (
    check_card,
    check_decode,
    check_encode,
    check_refusals,
    check_shapes,
    random_blocks,
)


def test_random_bytes_decode_exactly() -> None:
    check_decode("q6_k", random_blocks("q6_k", 300))


def test_every_scale_and_code_decodes_exactly() -> None:
    blocks = random_blocks("q6_k", 256)
    blocks[:, 192:208] = np.arange(256, dtype=np.uint8)[:, None] + np.arange(16, dtype=np.uint8)
    check_decode("q6_k", blocks)


def test_bytes_are_those_of_libgguf() -> None:
    check_encode("q6_k", blocks=8)


@pytest.mark.slow
def test_many_bytes_are_those_of_libgguf() -> None:
    check_encode("q6_k", blocks=128)


def test_the_scale_of_largest_magnitude_is_minus_128() -> None:
    x = np.tile(np.arange(-32, 32, dtype=np.float32), 4)
    data = encode(x)
    assert data[192:194].view(np.int8).tolist() == [-128, -64], "scales 1 and 1/2"
    assert data[208:].tolist() == [0, 0xA0], "d = -1/128, negative"
    assert decode(data)[:16].tolist() == list(range(-32, -16)), "exact where the scale is 1"


def test_nothing_is_refused() -> None:
    x = np.full((1, 256), 3e38, np.float32)
    assert not encode(x).any(), "x^2 overflows, all scales are NaN: taken for zeros, as in ggml"


def test_wrong_input_is_refused() -> None:
    check_refusals("q6_k", block_bytes=210)


def test_shapes() -> None:
    check_shapes("q6_k", block_bytes=210)


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    check_card("q6_k", block_bytes=210)
