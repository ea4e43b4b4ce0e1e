"""Q4_K: exact decoding, and bytes equal to libgguf's."""

import numpy as np
import pytest

from refquant.formats.ggml.q4_k import CARD, decode, encode
from tests.refquant.formats.ggml.k_quants import check_decode, check_encode, random_blocks


def test_random_bytes_decode_exactly() -> None:
    check_decode("q4_k", random_blocks("q4_k", 300))


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
    blocks = random_blocks("q4_k", 512)
    blocks[:, 4:16] = field
    blocks[:, 16:] = np.arange(128, dtype=np.uint8) * 17  # each code in each sub-block, twice
    check_decode("q4_k", blocks)


def test_bytes_are_those_of_libgguf() -> None:
    equal, refused = check_encode("q4_k", blocks=8)
    assert equal > 9 * refused, f"only {equal} rows were compared, {refused} refused"


@pytest.mark.slow
def test_many_bytes_are_those_of_libgguf() -> None:
    equal, refused = check_encode("q4_k", blocks=128)
    assert equal > 9 * refused, f"only {equal} rows were compared, {refused} refused"


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
        with pytest.raises(ValueError, match=r"finite for Q4_K, got .* at index \(1, 300\)"):
            encode(y)
    with pytest.raises(ValueError, match="multiple of 144 bytes"):
        decode(np.zeros(143, np.uint8))


def test_shapes() -> None:
    x = np.zeros((2, 3, 512), np.float32)
    assert encode(x).shape == (2, 3, 288), "rows of two blocks"
    assert decode(encode(x)).shape == x.shape, "and back"
    assert encode(x[:0]).shape == (0, 3, 288), "no rows"
    assert encode(x[..., :0]).shape == (2, 3, 0), "no columns"
    assert decode(encode(x[..., :0])).shape == (2, 3, 0), "no bytes"


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    x = np.linspace(-3, 5, 40, dtype=np.float32)
    steps = CARD.explain(x)
    padded = np.concatenate([x, np.zeros(216, np.float32)])
    back = decode(encode(padded))
    assert CARD.bits_per_value == 8 * 144 / 256, "bits per weight"
    for i in range(40):
        step = next(step for step in steps if step.what == f"x[{i}]")
        assert step.result.startswith(f"{float(back[i]):.9g} "), f"x[{i}]: {step}"
