"""Words against one big integer, bit by bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.words import (
    checked_codes,
    checked_packed,
    multiple,
    pack_dense,
    pack_padded,
    unpack_dense,
    unpack_padded,
)
from tests.refquant.formats.containers import big_int

every_width = pytest.mark.parametrize("num_bits", range(1, 9))


@given(num_bits=st.integers(1, 8), count=st.integers(0, 70), seed=st.integers(0, 1000))
def test_dense_words_are_one_number(num_bits: int, count: int, seed: int) -> None:
    fields = big_int.codes_of((2, count), num_bits, seed=seed).astype(np.uint32)
    words = pack_dense(fields, num_bits=num_bits)
    assert words.dtype == np.uint32, f"got {words.dtype}"
    assert words.shape == (2, -(-count * num_bits // 32)), f"got {words.shape}"
    for row, given_row in zip(words.tolist(), fields.tolist(), strict=True):
        assert big_int.dense(row, 32, num_bits, count) == given_row, f"{num_bits} bits: {row}"
        assert big_int.number(row, 32) >> (count * num_bits) == 0, "what is behind is zero"
    back = unpack_dense(words, num_bits=num_bits, count=count)
    assert back.tolist() == fields.tolist(), f"{num_bits} bits: {back}"


@given(num_bits=st.integers(1, 8), count=st.integers(0, 70), seed=st.integers(0, 1000))
def test_padded_words_are_whole_fields(num_bits: int, count: int, seed: int) -> None:
    each = 32 // num_bits
    fields = big_int.codes_of((2, count), num_bits, seed=seed).astype(np.uint32)
    words = pack_padded(fields, num_bits=num_bits)
    assert words.shape == (2, -(-count // each)), f"got {words.shape}"
    for row, given_row in zip(words.tolist(), fields.tolist(), strict=True):
        assert big_int.padded(row, 32, num_bits, count) == given_row, f"{num_bits} bits: {row}"
        assert all(word < 1 << (each * num_bits) for word in row), "the top bits are zero"
    back = unpack_padded(words, num_bits=num_bits, count=count)
    assert back.tolist() == fields.tolist(), f"{num_bits} bits: {back}"


@every_width
def test_the_two_agree_where_bits_divide_32(num_bits: int) -> None:
    fields = big_int.codes_of((1, 64), num_bits, seed=3).astype(np.uint32)
    dense = pack_dense(fields, num_bits=num_bits).tolist()
    padded = pack_padded(fields, num_bits=num_bits).tolist()
    assert (dense == padded) == (32 % num_bits == 0), f"{num_bits} bits: {dense}, {padded}"


@every_width
@pytest.mark.parametrize("count", [1, 3, 10, 11, 31, 33])
def test_every_stray_bit_of_padding_is_found(num_bits: int, count: int) -> None:
    fields = np.zeros((1, count), np.uint32)
    for pack, unpack, read in (
        (pack_dense, unpack_dense, big_int.dense),
        (pack_padded, unpack_padded, big_int.padded),
    ):
        words = pack(fields, num_bits=num_bits)
        for bit in range(32 * words.shape[1]):
            stray = words.copy()
            stray[0, bit // 32] |= np.uint32(1 << bit % 32)
            if any(read(stray[0].tolist(), 32, num_bits, count)):
                unpack(stray, num_bits=num_bits, count=count)  # a bit of a code
                continue
            with pytest.raises(ValueError, match="padding bits must be zero"):
                unpack(stray, num_bits=num_bits, count=count)


def test_what_is_no_code_is_refused() -> None:
    with pytest.raises(ValueError, match=r"codes must be in \[0, 7\] for 3 bits, got 0\.\.8"):
        checked_codes(np.array([0, 8]), num_bits=3)
    with pytest.raises(ValueError, match=r"zeros must be in \[1, 16\] for 4 bits, got 0\.\.3"):
        checked_codes(np.array([0, 3]), num_bits=4, low=1, name="zeros")
    with pytest.raises(ValueError, match="codes must be integers, got float64"):
        checked_codes(np.zeros(2), num_bits=3)  # type: ignore[arg-type]  # what a user may pass
    with pytest.raises(ValueError, match=r"codes must have 2 axes, got shape \(2,\)"):
        checked_codes(np.zeros(2, int), num_bits=3, axes=2)
    extreme = np.array([np.iinfo(np.uint64).max], np.uint64)
    with pytest.raises(ValueError, match="got 18446744073709551615"):
        checked_codes(extreme, num_bits=8)
    assert checked_codes(np.array([], int), num_bits=3).size == 0, "nothing is no error"


def test_what_is_not_packed_so_is_refused() -> None:
    with pytest.raises(ValueError, match=r"packed must be int32 of shape \(2,\), got int64 \(2,\)"):
        checked_packed(np.zeros(2, np.int64), dtype="int32", shape=(2,))
    with pytest.raises(ValueError, match=r"b must be uint8 of shape \(3,\), got uint8 \(2,\)"):
        checked_packed(np.zeros(2, np.uint8), dtype="uint8", shape=(3,), name="b")
    with pytest.raises(ValueError, match="K must be a multiple of 32, got 33"):
        multiple(33, 32, name="K")
