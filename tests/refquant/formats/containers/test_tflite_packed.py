"""TFLite's dense integers against one big integer; the hand-made bytes of its comments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.tflite_packed import pack, unpack
from tests.refquant.formats.containers import big_int


@given(
    num_bits=st.sampled_from([2, 4]),
    signed=st.booleans(),
    count=st.integers(0, 30),
    seed=st.integers(0, 1000),
)
def test_bytes_are_one_number(num_bits: int, signed: bool, count: int, seed: int) -> None:
    codes = big_int.codes_of((count,), num_bits, seed=seed, low=-(1 << num_bits - 1) * signed)
    data = pack(codes, num_bits=num_bits, signed=signed)
    assert data.shape == (-(-count * num_bits // 8),), f"got {data.shape}"
    fields = big_int.dense(data.tolist(), 8, num_bits, count)
    assert fields == [c % (1 << num_bits) for c in codes.tolist()], f"{num_bits} bits: {codes}"
    back = unpack(data, num_bits=num_bits, signed=signed, shape=codes.shape)
    assert back.tolist() == codes.tolist(), f"{num_bits} bits: {back}"


def test_signs_are_extended() -> None:
    data = np.array([0b10_11_00_01], np.uint8)
    assert unpack(data, num_bits=2, signed=True, shape=(4,)).tolist() == [1, 0, -1, -2], "int2"
    assert unpack(data, num_bits=2, signed=False, shape=(4,)).tolist() == [1, 0, 3, 2], "uint2"
    data = np.array([0x8F], np.uint8)
    assert unpack(data, num_bits=4, signed=True, shape=(1, 2)).tolist() == [[-1, -8]], "int4"


def test_litert_wrote_these_bytes() -> None:
    """``PackInt8IntoDenseInt`` of LiteRT (snapshot of 2026-08-21), compiled by g++ 12."""
    for num_bits, wrote in ((2, "c6c606"), (4, "f8d6b492700e")):
        codes = (np.arange(11) * 7) % (1 << num_bits) - (1 << num_bits - 1)
        ours = pack(codes, num_bits=num_bits, signed=True).tobytes().hex()
        assert ours == wrote, f"{num_bits} bits: {ours}"


def test_rows_are_not_aligned() -> None:
    codes = np.array([[1, 2, 3], [4, 5, 6]])
    assert pack(codes, num_bits=4, signed=True).tolist() == [0x21, 0x43, 0x65], "three bytes"


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="num_bits must be 2 or 4 for TFLite, got 8"):
        pack(np.zeros(1, int), num_bits=8, signed=True)
    with pytest.raises(ValueError, match="num_bits must be 2 or 4 for TFLite, got 3"):
        unpack(np.zeros(1, np.uint8), num_bits=3, signed=True, shape=(2,))
    with pytest.raises(ValueError, match=r"codes must be in \[-2, 1\] for 2 bits, got 2\.\.2"):
        pack(np.array([2]), num_bits=2, signed=True)
    with pytest.raises(ValueError, match="unused high bits"):
        unpack(np.array([0x40], np.uint8), num_bits=2, signed=True, shape=(3,))
    with pytest.raises(ValueError, match=r"data must be uint8 of shape \(1,\)"):
        unpack(np.zeros(2, np.uint8), num_bits=2, signed=True, shape=(3,))
