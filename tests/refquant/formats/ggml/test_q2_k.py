"""Q2_K: exact decoding, and bytes equal to libgguf's."""

import numpy as np
import pytest

from refquant.formats.ggml.q2_k import encode
from tests.refquant.formats.ggml.k_quants import (
    check_card,
    check_decode,
    check_encode,
    check_refusals,
    check_shapes,
    random_blocks,
)


def test_random_bytes_decode_exactly() -> None:
    check_decode("q2_k", random_blocks("q2_k", 300))


def test_every_scale_minimum_and_code_decodes_exactly() -> None:
    blocks = random_blocks("q2_k", 16)
    blocks[:, :16] = np.arange(256, dtype=np.uint8).reshape(16, 16)
    blocks[:, 16:80] = 0b11100100  # each code in each sub-block, twice with the next line
    blocks[:, 16:80:2] = 0b00011011
    check_decode("q2_k", blocks)


def test_bytes_are_those_of_libgguf() -> None:
    check_encode("q2_k", blocks=8)


@pytest.mark.slow
def test_many_bytes_are_those_of_libgguf() -> None:
    check_encode("q2_k", blocks=128)


def test_scales_are_nibbles_low_and_minimums_high() -> None:
    x = np.tile(np.array([-1, 0, 1, 2], np.float32), 64)
    data = encode(x)
    assert data[:16].tolist() == [0xFF] * 16, "all sub-blocks have the largest scale and minimum"
    assert data[16:80].tolist() == [0, 85, 170, 255] * 16, "code i % 4 in all four planes"


def test_wrong_input_is_refused() -> None:
    check_refusals("q2_k", block_bytes=84)


def test_shapes() -> None:
    check_shapes("q2_k", block_bytes=84)


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    check_card("q2_k", block_bytes=84)
