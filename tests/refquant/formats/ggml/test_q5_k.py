"""Q5_K: exact decoding, and bytes equal to libgguf's."""

import numpy as np
import pytest

from refquant.formats.ggml.q5_k import CARD, decode, encode
from tests.refquant.formats.ggml.k_quants import check_decode, check_encode, random_blocks


def test_random_bytes_decode_exactly() -> None:
    check_decode("q5_k", random_blocks("q5_k", 300))


def test_every_scale_minimum_and_code_decodes_exactly() -> None:
    pairs = np.arange(64 * 64, dtype=np.uint16).reshape(-1, 8)  # 512 blocks, 8 sub-blocks each
    s, m = (pairs & 63).astype(np.uint8), (pairs >> 6).astype(np.uint8)
    field = np.zeros((512, 12), np.uint8)
    for j in range(4):  # by hand: the packing is what is tested
        field[:, j], field[:, j + 4] = (
            s[:, j] | s[:, j + 4] >> 4 << 6,
            m[:, j] | m[:, j + 4] >> 4 << 6,
        )
        field[:, j + 8] = s[:, j + 4] & 15 | m[:, j + 4] << 4
    blocks = random_blocks("q5_k", 512)
    blocks[:, 4:16] = field
    each = np.arange(32, dtype=np.uint8)
    blocks[:, 16:48] = np.where(each < 16, 0, 255)  # top bits: sub-block = plane
    blocks[:, 48:] = np.tile((each & 15) * 17, 4)
    check_decode("q5_k", blocks)


def test_bytes_are_those_of_libgguf() -> None:
    equal, refused = check_encode("q5_k", blocks=8)
    assert equal > 9 * refused, f"only {equal} rows were compared, {refused} refused"


@pytest.mark.slow
def test_many_bytes_are_those_of_libgguf() -> None:
    equal, refused = check_encode("q5_k", blocks=128)
    assert equal > 9 * refused, f"only {equal} rows were compared, {refused} refused"


def test_the_fifth_bit_is_kept_apart() -> None:
    x = np.tile(np.arange(32, dtype=np.float32), 8)
    data = encode(x)
    assert data[16:48].tolist() == [0] * 16 + [255] * 16, "codes 16 to 31 have it, in all planes"
    assert data[48:80].tolist() == [17 * (i % 16) for i in range(32)], "two codes a byte"


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
        with pytest.raises(ValueError, match=r"finite for Q5_K, got .* at index \(1, 300\)"):
            encode(y)
    with pytest.raises(ValueError, match="multiple of 176 bytes"):
        decode(np.zeros(175, np.uint8))


def test_shapes() -> None:
    x = np.zeros((2, 3, 512), np.float32)
    assert encode(x).shape == (2, 3, 352), "rows of two blocks"
    assert decode(encode(x)).shape == x.shape, "and back"
    assert encode(x[:0]).shape == (0, 3, 352), "no rows"
    assert encode(x[..., :0]).shape == (2, 3, 0), "no columns"
    assert decode(encode(x[..., :0])).shape == (2, 3, 0), "no bytes"


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    x = np.linspace(-3, 5, 40, dtype=np.float32)
    steps = CARD.explain(x)
    padded = np.concatenate([x, np.zeros(216, np.float32)])
    back = decode(encode(padded))
    assert CARD.bits_per_value == 8 * 176 / 256, "bits per weight"
    for i in range(40):
        step = next(step for step in steps if step.what == f"x[{i}]")
        assert step.result.startswith(f"{float(back[i]):.9g} "), f"x[{i}]: {step}"
