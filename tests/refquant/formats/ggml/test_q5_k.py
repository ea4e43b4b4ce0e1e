"""Q5_K: exact decoding, and bytes equal to libgguf's."""

import numpy as np
import pytest

from refquant.formats.ggml.q5_k import encode
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
    check_decode("q5_k", random_blocks("q5_k", 300))


def test_every_scale_minimum_and_code_decodes_exactly() -> None:
    blocks = random_blocks("q5_k", 512)
    blocks[:, 4:16] = stored_pairs()
    each = np.arange(32, dtype=np.uint8)
    blocks[:, 16:48] = np.where(each < 16, 0, 255)  # top bits: sub-block = plane
    blocks[:, 48:] = np.tile((each & 15) * 17, 4)
    check_decode("q5_k", blocks)


def test_bytes_are_those_of_libgguf() -> None:
    check_encode("q5_k", blocks=8)


@pytest.mark.slow
def test_many_bytes_are_those_of_libgguf() -> None:
    check_encode("q5_k", blocks=128)


def test_the_fifth_bit_is_kept_apart() -> None:
    x = np.tile(np.arange(32, dtype=np.float32), 8)
    data = encode(x)
    assert data[16:48].tolist() == [0] * 16 + [255] * 16, "codes 16 to 31 have it, in all planes"
    assert data[48:80].tolist() == [17 * (i % 16) for i in range(32)], "two codes a byte"


def test_wrong_input_is_refused() -> None:
    check_refusals("q5_k", block_bytes=176)


def test_shapes() -> None:
    check_shapes("q5_k", block_bytes=176)


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    check_card("q5_k", block_bytes=176)
