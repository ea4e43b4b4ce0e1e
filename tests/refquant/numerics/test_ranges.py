"""Code ranges, from the definition of two's complement."""

import numpy as np
import pytest

from refquant.numerics import code_range, dtype_range


@pytest.mark.parametrize("num_bits", range(1, 17))
@pytest.mark.parametrize("signed", [False, True])
def test_a_full_range_has_two_to_the_bits_codes(num_bits: int, signed: bool) -> None:
    qmin, qmax = code_range(num_bits=num_bits, signed=signed)
    assert qmax - qmin + 1 == 2**num_bits, f"{qmin}..{qmax}"
    assert qmin == (-(2 ** (num_bits - 1)) if signed else 0), f"starts at {qmin}"
    assert dtype_range(f"{'' if signed else 'u'}int{num_bits}") == (qmin, qmax), "by name"


@pytest.mark.parametrize("num_bits", range(2, 17))
def test_a_narrow_range_gives_up_one_code(num_bits: int) -> None:
    qmin, qmax = code_range(num_bits=num_bits, signed=True, narrow=True)
    assert -qmin == qmax == 2 ** (num_bits - 1) - 1, f"{qmin}..{qmax} is not symmetric"
    assert code_range(num_bits=num_bits, signed=False, narrow=True) == (0, 2**num_bits - 2), "top"


def test_numpys_dtypes_have_numpys_ranges() -> None:
    for name in ("int8", "uint8", "int16", "uint16"):
        info = np.iinfo(name)
        assert dtype_range(name) == (info.min, info.max), name


@pytest.mark.parametrize("num_bits", [-1, 0, 17, 32])
def test_other_widths_are_refused(num_bits: int) -> None:
    with pytest.raises(ValueError, match=f"num_bits must be in 1..16, got {num_bits}"):
        code_range(num_bits=num_bits, signed=True)


def test_one_bit_cannot_be_narrow() -> None:
    with pytest.raises(ValueError, match="narrow needs num_bits >= 2, got 1"):
        code_range(num_bits=1, signed=True, narrow=True)


@pytest.mark.parametrize("dtype", ["int", "int0", "int17", "int32", "float32", "Int8", "int08", ""])
def test_other_names_are_refused(dtype: str) -> None:
    with pytest.raises(ValueError, match=rf"dtype must be .*, got '{dtype}'"):
        dtype_range(dtype)
