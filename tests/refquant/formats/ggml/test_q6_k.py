"""Q6_K: exact decoding, and bytes equal to libgguf's."""

import numpy as np
import pytest

from refquant.formats.ggml.q6_k import CARD, decode, encode
from tests.refquant.formats.ggml.k_quants import check_decode, check_encode, random_blocks


def test_random_bytes_decode_exactly() -> None:
    check_decode("q6_k", random_blocks("q6_k", 300))


def test_every_scale_and_code_decodes_exactly() -> None:
    blocks = random_blocks("q6_k", 256)
    blocks[:, 192:208] = np.arange(256, dtype=np.uint8)[:, None] + np.arange(16, dtype=np.uint8)
    check_decode("q6_k", blocks)


def test_bytes_are_those_of_libgguf() -> None:
    equal, refused = check_encode("q6_k", blocks=8)
    assert equal > 9 * refused, f"only {equal} rows were compared, {refused} refused"


@pytest.mark.slow
def test_many_bytes_are_those_of_libgguf() -> None:
    equal, refused = check_encode("q6_k", blocks=128)
    assert equal > 9 * refused, f"only {equal} rows were compared, {refused} refused"


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
        with pytest.raises(ValueError, match=r"finite for Q6_K, got .* at index \(1, 300\)"):
            encode(y)
    with pytest.raises(ValueError, match="multiple of 210 bytes"):
        decode(np.zeros(209, np.uint8))


def test_shapes() -> None:
    x = np.zeros((2, 3, 512), np.float32)
    assert encode(x).shape == (2, 3, 420), "rows of two blocks"
    assert decode(encode(x)).shape == x.shape, "and back"
    assert encode(x[:0]).shape == (0, 3, 420), "no rows"
    assert encode(x[..., :0]).shape == (2, 3, 0), "no columns"
    assert decode(encode(x[..., :0])).shape == (2, 3, 0), "no bytes"


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    x = np.linspace(-3, 5, 40, dtype=np.float32)
    steps = CARD.explain(x)
    padded = np.concatenate([x, np.zeros(216, np.float32)])
    back = decode(encode(padded))
    assert CARD.bits_per_value == 8 * 210 / 256, "bits per weight"
    for i in range(40):
        step = next(step for step in steps if step.what == f"x[{i}]")
        assert step.result.startswith(f"{float(back[i]):.9g} "), f"x[{i}]: {step}"
