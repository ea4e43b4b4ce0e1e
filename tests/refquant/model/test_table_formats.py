"""Tables: every number of a format, where its code is."""

import ml_dtypes
import numpy as np
import pytest

from refquant.formats.nf4 import NF4
from refquant.model.table_formats import TABLE_FORMATS, table_values


@pytest.mark.parametrize(("name", "bits", "dtype"), [
    ("e2m1", 4, ml_dtypes.float4_e2m1fn), ("e4m3fn", 8, ml_dtypes.float8_e4m3fn),
    ("e8m0", 8, ml_dtypes.float8_e8m0fnu), ("e3m2", 6, ml_dtypes.float6_e3m2fn),
])  # fmt: skip
def test_tables_are_ml_dtypes_numbers(name: str, bits: int, dtype: type) -> None:
    theirs = np.arange(1 << bits, dtype=np.uint8).view(dtype).astype(np.float32)
    ours = table_values(name, bits=bits)
    same = (ours.view(np.int32) == theirs.view(np.int32)) | (np.isnan(ours) & np.isnan(theirs))
    assert same.all(), f"{name}: codes {np.flatnonzero(~same)}"


def test_a_scale_of_seven_bits_fills_half_of_its_table() -> None:
    table, signed = table_values("ue4m3", bits=8), table_values("e4m3fn", bits=8)
    assert np.array_equal(table[:127], signed[:127]), "the positive half of E4M3"
    assert np.isnan(table[127:]).all(), "no code has the high bit"


def test_infinities_are_no_codes() -> None:
    table = table_values("e5m2", bits=8)
    assert np.count_nonzero(np.isnan(table)) == 8, "two infinities and six NaN"
    assert np.isfinite(table[~np.isnan(table)]).all(), "the rest is finite"


def test_nf4_is_its_own_and_a_copy() -> None:
    table = table_values("nf4", bits=4)
    table[0] = 7
    assert NF4[0] == -1, "nobody else sees the change"


def test_every_format_fits_its_bits() -> None:
    for name, row in TABLE_FORMATS.items():
        assert table_values(row.table, bits=row.bits).shape == (1 << row.bits,), name
        assert row.block_size is not None or not row.fixed, f"{name}: a fixed block has a size"
