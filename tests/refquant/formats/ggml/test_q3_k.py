"""Q3_K: exact decoding, and bytes equal to libgguf's."""

import numpy as np
import pytest

from refquant.formats.ggml.q3_k import CARD, decode, encode
from tests.refquant.formats.ggml.k_quants import check_decode, check_encode, random_blocks


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
    equal, refused = check_encode("q3_k", blocks=8)
    assert equal > 9 * refused, f"only {equal} rows were compared, {refused} refused"


@pytest.mark.slow
def test_many_bytes_are_those_of_libgguf() -> None:
    equal, refused = check_encode("q3_k", blocks=128)
    assert equal > 9 * refused, f"only {equal} rows were compared, {refused} refused"


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
    x = np.zeros((2, 512), np.float32)
    with pytest.raises(ValueError, match="multiple of 256"):
        encode(x[:, :300])
    with pytest.raises(ValueError, match=r"importance must be float32 of shape \(512,\)"):
        encode(x, importance=np.ones(256, np.float32))
    for bad in (-1, np.nan, np.inf):
        importance = np.ones(512, np.float32)
        importance[3] = bad
        with pytest.raises(ValueError, match=r"finite and >= 0, got .* at index 3"):
            encode(x, importance=importance)
    for bad in (np.nan, np.inf, -np.inf):
        y = x.copy()
        y[1, 300] = bad
        with pytest.raises(ValueError, match=r"finite for Q3_K, got .* at index \(1, 300\)"):
            encode(y)
    with pytest.raises(ValueError, match="multiple of 110 bytes"):
        decode(np.zeros(109, np.uint8))


def test_shapes() -> None:
    x = np.zeros((2, 3, 512), np.float32)
    assert encode(x).shape == (2, 3, 220), "rows of two blocks"
    assert decode(encode(x)).shape == x.shape, "and back"
    assert encode(x[:0]).shape == (0, 3, 220), "no rows"
    assert encode(x[..., :0]).shape == (2, 3, 0), "no columns"
    assert decode(encode(x[..., :0])).shape == (2, 3, 0), "no bytes"


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    x = np.linspace(-3, 5, 40, dtype=np.float32)
    steps = CARD.explain(x)
    padded = np.concatenate([x, np.zeros(216, np.float32)])
    back = decode(encode(padded))
    assert CARD.bits_per_value == 8 * 110 / 256, "bits per weight"
    for i in range(40):
        step = next(step for step in steps if step.what == f"x[{i}]")
        assert step.result.startswith(f"{float(back[i]):.9g} "), f"x[{i}]: {step}"
