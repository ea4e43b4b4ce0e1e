"""What ggml's blocks share, against Python integers and all 65,536 halves."""

import math
import struct

import numpy as np
import pytest

from refquant.formats.ggml.blocks import (
    byte_blocks,
    cast_to_byte,
    checked_flavour,
    checked_importance,
    decode_rows,
    encode_rows,
    from_half,
    join_halves,
    nearest_int,
    reciprocal,
    split_halves,
    to_half,
    value_blocks,
)


def test_nearest_int_is_half_even_up_to_its_limit_and_defined_beyond() -> None:
    halves = np.arange(-4099, 4099, dtype=np.float32) / 2
    edge = np.array([4194303, -4194303, 4194302.5, 0.49999997, -0.49999997, 2.0**-149], np.float32)
    above = np.nextafter(halves, np.float32(9e9))
    for x in (halves.astype(np.float32), edge, above.astype(np.float32)):
        expected = [round(float(v)) for v in x]
        assert nearest_int(x).tolist() == expected, "Python's round is half to even"
    wild = nearest_int(np.array([math.nan, math.inf, -math.inf, 1e30], np.float32))
    assert wild.dtype == np.int32, "no exception, no warning, as in C"
    assert nearest_int(np.array(2.5, np.float32)).tolist() == 2, "a scalar is an array without axes"


def test_all_halves_pass_through_bytes() -> None:
    codes = np.arange(65536, dtype=np.uint16)
    data = codes.astype("<u2")[:, None].view(np.uint8)
    values = from_half(data)
    numbers = ~np.isnan(values)
    expected = [struct.unpack("<e", bytes(row))[0] for row in data]
    same = values[numbers].tobytes() == np.array(expected, np.float32)[numbers].tobytes()
    assert same, "struct's halves are ours"
    assert np.array_equal(to_half(values)[numbers], data[numbers]), "and back, bit for bit"
    assert from_half(data.reshape(256, 256, 2)).shape == (256, 256), "any leading shape"


def test_the_cast_to_a_byte_is_that_of_x86() -> None:
    x = [0.99, -0.99, 127.9, 128.0, -129.0, 2.0**31 - 128, 2.0**31, -(2.0**31), -3e9, math.inf]
    expected = []
    for v in x:
        whole = int(v) if -(2**31) <= v < 2**31 else -(2**31)
        expected.append(whole % 256)
    both = np.array(x, np.float32)
    assert cast_to_byte(both).tolist() == expected, "with values beyond int32"
    assert cast_to_byte(both[:6]).tolist() == expected[:6], "and the short way without"
    assert cast_to_byte(np.array([math.nan, 3.7], np.float32)).tolist() == [0, 3], "NaN is 0"
    assert cast_to_byte(np.zeros((0, 4), np.float32)).shape == (0, 4), "nothing is nothing"


def test_halves_split_and_join_for_every_byte() -> None:
    data = np.arange(256, dtype=np.uint8).reshape(16, 16)
    codes = split_halves(data)
    expected = [[b & 15 for b in row] + [b >> 4 for b in row] for row in data.tolist()]
    assert codes.tolist() == expected, "low nibbles first, then the high ones"
    assert np.array_equal(join_halves(codes), data), "the inverse"


def test_reciprocals_of_zero_and_of_the_smallest_numbers() -> None:
    d = np.array([0.0, -0.0, 2.0**-128, 2.0**-127, -3.0], np.float32)
    expected = [0.0, 0.0, math.inf, 2.0**127, float(np.float32(-1 / 3))]
    assert reciprocal(d).tolist() == expected, "zero stays zero, 2^128 is no float32"


def test_chunks_change_nothing() -> None:
    """More than one chunk of 65,536 elements, and a last one that is not full."""
    x = np.arange(5 * 16384, dtype=np.float32).reshape(5, 16384)
    data = encode_rows(x, type="Q8_0", function=lambda part: np.tile(part[:, :17], 2) % 251)
    expected = np.tile(x.reshape(-1, 32)[:, :17], 2) % 251
    assert data.shape == (5, 17408), "34 bytes for 32 values"
    assert np.array_equal(data.reshape(-1, 34), expected), "every block is written, in its place"
    back = decode_rows(data, type="Q8_0", function=lambda part: part[:, :32])
    assert np.array_equal(back.reshape(-1, 32), expected[:, :32]), "and read"
    assert encode_rows(x[:, :0], type="Q8_0", function=lambda part: part).shape == (5, 0), "empty"
    assert decode_rows(data[:0], type="Q8_0", function=lambda part: part).shape == (0, 16384), "no"


def test_what_does_not_fit_is_refused_by_name() -> None:
    x = np.zeros((2, 64), np.float32)
    for bad, message in (
        (x.astype(np.float64), "x must be float32, got float64"),
        (x[:, :63], r"multiple of 32, the block of Q8_0; got shape \(2, 63\)"),
        (np.float32(1), "the last axis must be a multiple"),
    ):
        with pytest.raises(ValueError, match=message):
            value_blocks(bad, type="Q8_0")  # type: ignore[arg-type]  # that is the point
    for value, shown in ((math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")):
        wrong = x.copy()
        wrong[1, 33] = value
        wrong[1, 40] = value
        with pytest.raises(ValueError, match=rf"finite for Q8_0, got {shown} at index \(1, 33\)"):
            value_blocks(wrong, type="Q8_0")
    data = np.zeros(34, np.uint8)
    for rotten, message in (
        (data[:33], r"multiple of 34 bytes, the block of Q8_0; got shape \(33,\)"),
        (data.astype(np.int8), "data must be uint8, got int8"),
    ):
        with pytest.raises(ValueError, match=message):
            byte_blocks(rotten, type="Q8_0")  # type: ignore[arg-type]  # that is the point
    assert value_blocks(x[:0], type="Q8_0").shape == (0, 32), "no rows, no blocks"


def test_importance_and_flavours_are_checked() -> None:
    good = np.ones(4, np.float32)
    assert checked_importance(None, n=4) is None, "none is none"
    assert checked_importance(good, n=4) is good, "a good one passes"
    for bad, message in (
        (good[:3], r"float32 of shape \(4,\).*got float32 \(3,\)"),
        (good.astype(np.float64), "got float64"),
        (np.array([1, 0, -1, 1], np.float32), "got -1.0 at index 2"),
        (np.array([1, math.nan, 1, 1], np.float32), "got nan at index 1"),
        (np.array([math.inf, 1, 1, 1], np.float32), "got inf at index 0"),
    ):
        with pytest.raises(ValueError, match=message):
            checked_importance(bad, n=4)  # type: ignore[arg-type]  # one is float64: the point
    with pytest.raises(ValueError, match="flavour must be one of a, b; got 'c'"):
        checked_flavour("c", ("a", "b"))
