"""compressed-tensors' words, both versions, against one big integer and what they wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.compressed_tensors import (
    LAYOUTS,
    pack,
    pack_float,
    unpack,
    unpack_float,
    word_count,
)
from tests.refquant.formats.containers import big_int

every_width = pytest.mark.parametrize("num_bits", range(1, 9))
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


@given(
    num_bits=st.integers(1, 8),
    layout=st.sampled_from(LAYOUTS),
    count=st.integers(0, 70),
    seed=st.integers(0, 1000),
)
def test_rows_are_numbers(num_bits: int, layout: str, count: int, seed: int) -> None:
    half = 1 << num_bits - 1
    codes = big_int.codes_of((2, count), num_bits, seed=seed, low=-half)
    words = pack(codes, num_bits=num_bits, layout=layout)
    assert words.dtype == np.int32, f"got {words.dtype}"
    expected = word_count(count, num_bits=num_bits, layout=layout)
    assert words.shape == (2, expected), f"got {words.shape}, not {expected} words"
    read = getattr(big_int, layout)
    for row, given_row in zip(words.tolist(), codes.tolist(), strict=True):
        fields = read(row, 32, num_bits, count)
        assert [f - half for f in fields] == given_row, f"{layout}, {num_bits} bits: {row}"
    back = unpack(words, num_bits=num_bits, layout=layout, shape=(2, count))
    assert back.dtype == np.int8, f"got {back.dtype}"
    assert back.tolist() == codes.tolist(), f"{layout}, {num_bits} bits: {back}"


@every_width
@every_layout
def test_zero_points_are_packed_down_columns(num_bits: int, layout: str) -> None:
    zeros = big_int.codes_of((37, 3), num_bits, seed=3, low=-(1 << num_bits - 1))
    words = pack(zeros, num_bits=num_bits, layout=layout, axis=-2)
    across = pack(np.ascontiguousarray(zeros.T), num_bits=num_bits, layout=layout)
    assert words.tolist() == across.T.tolist(), f"{layout}, {num_bits} bits"
    back = unpack(words, num_bits=num_bits, layout=layout, shape=(37, 3), axis=-2)
    assert back.tolist() == zeros.tolist(), f"{layout}, {num_bits} bits"


@every_layout
@pytest.mark.parametrize("axis", [-1, -2])
def test_experts_are_packed_one_by_one(layout: str, axis: int) -> None:
    codes = big_int.codes_of((2, 3, 21, 13), 3, seed=3, low=-4)
    words = pack(codes, num_bits=3, layout=layout, axis=axis)
    alone = pack(codes[1, 2], num_bits=3, layout=layout, axis=axis)
    assert words[1, 2].tolist() == alone.tolist(), f"{layout}, {axis}"
    back = unpack(words, num_bits=3, layout=layout, shape=codes.shape, axis=axis)
    assert back.tolist() == codes.tolist(), f"{layout}, {axis}"


def test_both_versions_wrote_these_words() -> None:
    """``pack_to_int32`` of compressed-tensors 0.12.2 and 0.20.0 with PyTorch 2.13.0."""
    codes = np.arange(12)[None] % 8 - 4
    wrote = {"padded": [0x08FAC688, 0x1A], "dense": [0x88FAC688, 0x6]}
    for layout, words in wrote.items():
        ours = pack(codes, num_bits=3, layout=layout).view(np.uint32)[0].tolist()
        assert ours == words, f"{layout}: {[hex(w) for w in ours]}"


def test_the_other_layout_is_refused_where_the_words_tell() -> None:
    codes = np.zeros((1, 128), int)
    old = pack(codes, num_bits=3, layout="padded")
    with pytest.raises(ValueError, match=r"must be int32 of shape \(1, 12\), got int32 \(1, 13\)"):
        unpack(old, num_bits=3, layout="dense", shape=(1, 128))
    short = pack(codes[:, :12] + 3, num_bits=3, layout="dense")
    with pytest.raises(ValueError, match="padding bits must be zero"):
        unpack(short, num_bits=3, layout="padded", shape=(1, 12))


@pytest.mark.parametrize(("num_bits", "together"), [(4, 2), (6, 4)])
@given(seed=st.integers(0, 1000), units=st.integers(0, 9))
def test_float_codes_fill_bytes(num_bits: int, together: int, seed: int, units: int) -> None:
    codes = big_int.codes_of((3, together * units), num_bits, seed=seed)
    packed = pack_float(codes, num_bits=num_bits)
    assert packed.shape == (3, together * units * num_bits // 8), f"got {packed.shape}"
    for row, given_row in zip(packed.tolist(), codes.tolist(), strict=True):
        assert big_int.dense(row, 8, num_bits, together * units) == given_row, f"{row}"
    assert unpack_float(packed, num_bits=num_bits).tolist() == codes.tolist(), "the inverse"


def test_bad_input_is_refused() -> None:
    codes = np.zeros((2, 32), int)
    with pytest.raises(ValueError, match="layout must be one of dense, padded; got 'x'"):
        pack(codes, num_bits=3, layout="x")
    for bits in (0, 9):
        with pytest.raises(ValueError, match=rf"num_bits must be in 1\.\.8, got {bits}"):
            pack(codes, num_bits=bits, layout="dense")
    with pytest.raises(ValueError, match="axis must be -1 or -2, got 0"):
        pack(codes, num_bits=3, layout="dense", axis=0)
    with pytest.raises(ValueError, match=r"codes must be in \[-4, 3\] for 3 bits, got 4\.\.4"):
        pack(codes + 4, num_bits=3, layout="dense")
    with pytest.raises(ValueError, match="codes must have at least 2 axes"):
        pack(codes[0], num_bits=3, layout="dense")
    with pytest.raises(ValueError, match="shape must have at least 2 axes"):
        unpack(np.zeros(3, np.int32), num_bits=3, layout="dense", shape=(32,))
    with pytest.raises(ValueError, match=r"packed must be int32 of shape \(2, 3\), got uint32"):
        unpack(np.zeros((2, 3), np.uint32), num_bits=3, layout="dense", shape=(2, 32))
    with pytest.raises(ValueError, match="in_features must be a multiple of 2, got 3"):
        pack_float(codes[:, :3], num_bits=4)
    with pytest.raises(ValueError, match="in_features must be a multiple of 4, got 6"):
        pack_float(codes[:, :6], num_bits=6)
    with pytest.raises(ValueError, match="bytes of a row must be a multiple of 3, got 4"):
        unpack_float(np.zeros(4, np.uint8), num_bits=6)
    with pytest.raises(ValueError, match=r"num_bits must be 4 \(FP4\) or 6 \(FP6\), got 8"):
        pack_float(codes, num_bits=8)
    with pytest.raises(ValueError, match="codes must have at least 1 axis"):
        pack_float(np.asarray(1), num_bits=4)
    with pytest.raises(ValueError, match="packed must have at least 1 axis"):
        unpack_float(np.asarray(np.uint8(1)), num_bits=4)
