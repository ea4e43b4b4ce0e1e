"""Packing against one big Python integer, and against files' rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.numerics import code_range, pack, unpack

every_width = pytest.mark.parametrize("num_bits", range(1, 9))


def as_one_integer(codes: list[int], num_bits: int) -> list[int]:
    """The stream as a number: element i has weight 2**(i * num_bits)."""
    total = sum((c % (1 << num_bits)) << (i * num_bits) for i, c in enumerate(codes))
    return list(total.to_bytes(-(-len(codes) * num_bits // 8), "little"))


@every_width
@pytest.mark.parametrize("signed", [False, True])
@given(data=st.data())
def test_bytes_are_the_little_endian_number(
    num_bits: int, signed: bool, data: st.DataObject
) -> None:
    qmin, qmax = code_range(num_bits=num_bits, signed=signed)
    codes = data.draw(st.lists(st.integers(qmin, qmax), max_size=20))
    array = np.array(codes, np.int8 if signed else np.uint8)
    packed = pack(array, num_bits=num_bits)
    assert packed.dtype == np.uint8, f"got {packed.dtype}"
    assert packed.tolist() == as_one_integer(codes, num_bits), f"{codes} at {num_bits} bits"
    back = unpack(packed, num_bits=num_bits, signed=signed, shape=array.shape)
    assert back.dtype == array.dtype, f"got {back.dtype}"
    assert back.tolist() == codes, "unpack is the inverse of pack"


@every_width
@pytest.mark.parametrize("signed", [False, True])
def test_every_code_of_the_range_survives(num_bits: int, signed: bool) -> None:
    qmin, qmax = code_range(num_bits=num_bits, signed=signed)
    codes = np.arange(qmin, qmax + 1).astype(np.int8 if signed else np.uint8)
    back = unpack(
        pack(codes, num_bits=num_bits), num_bits=num_bits, signed=signed, shape=codes.shape
    )
    assert back.tolist() == codes.tolist(), f"{num_bits} bits"


def test_four_bits_put_the_first_element_in_the_low_nibble() -> None:
    codes = np.array([[1, -1, 7], [-8, 0, 2]], np.int8)
    assert pack(codes, num_bits=4).tolist() == [0xF1, 0x87, 0x20], "row-major, low nibble first"
    assert pack(np.array([1, 2, 3, 0, 1], np.uint8), num_bits=2).tolist() == [0x39, 0x01], "2 bits"
    wide = pack(codes.astype(np.int64), num_bits=4)
    assert wide.tolist() == [0xF1, 0x87, 0x20], "the container does not matter"
    transposed = pack(np.asfortranarray(codes), num_bits=4)
    assert transposed.tolist() == [0xF1, 0x87, 0x20], "nor does the memory order"


def test_shapes_come_back() -> None:
    for shape in ((), (0,), (0, 3), (3, 1, 2)):
        codes = np.zeros(shape, np.uint8) + np.uint8(3)
        back = unpack(pack(np.asarray(codes), num_bits=3), num_bits=3, signed=False, shape=shape)
        assert back.shape == shape, f"{shape} became {back.shape}"
        assert (back == 3).all(), f"got {back}"


def test_codes_outside_the_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"codes must be in \[-8, 7\], got 0\.\.8"):
        pack(np.array([0, 8], np.int8), num_bits=4)
    with pytest.raises(ValueError, match=r"codes must be in \[0, 15\], got 3\.\.16"):
        pack(np.array([16, 3], np.uint8), num_bits=4)
    with pytest.raises(ValueError, match="codes must be integers, got float32"):
        pack(np.zeros(2, np.float32), num_bits=4)
    for num_bits in (0, 9):
        with pytest.raises(ValueError, match=rf"num_bits must be in 1\.\.8, got {num_bits}"):
            pack(np.zeros(2, np.uint8), num_bits=num_bits)


def test_bytes_that_pack_would_not_write_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data must be uint8 of shape \(2,\), got uint8 \(1,\)"):
        unpack(np.zeros(1, np.uint8), num_bits=4, signed=True, shape=(3,))
    with pytest.raises(ValueError, match=r"data must be uint8 .*, got int8 \(2,\)"):
        unpack(np.zeros(2, np.int8), num_bits=4, signed=True, shape=(3,))
    with pytest.raises(ValueError, match="unused high bits of the last byte must be zero"):
        unpack(np.array([0, 0x10], np.uint8), num_bits=4, signed=True, shape=(3,))
