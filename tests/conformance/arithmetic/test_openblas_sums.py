"""A row times a matrix in OpenBLAS's order: what OpenBLAS gave, the oracle, how orders differ.

The values of ``MEASURED`` are CRC-32 of the bytes of ``row @ b`` by NumPy 2.4.6 with its OpenBLAS
0.3.31, kernels SkylakeX, one thread: on another CPU it has other kernels, and other orders.
"""

import zlib

import numpy as np
import pytest

from refquant_conformance.arithmetic.openblas_sums import openblas_sums
from refquant_conformance.arithmetic.real_sums import real_sums
from refquant_conformance.oracle_openblas import openblas_sum_exact

MEASURED: dict[tuple[int, int], int] = {
    (1, 1): 0xFA48D066,
    (31, 1): 0x74072D12,
    (33, 1): 0x506AA848,
    (150, 1): 0x63D0AAD9,
    (4, 2): 0xAF5686B6,
    (49, 2): 0xD0D16540,
    (150, 3): 0x8FFC83A9,
    (17, 20): 0xCA6091D5,
    (48, 20): 0x77EA0455,
    (4, 20): 0x562F46E0,
    (49, 12): 0x8D7233FE,
    (50, 28): 0xA01B804,
    (150, 200): 0x3E58D109,
    (150, 7): 0xDCB66651,
    (55, 4108): 0xAFCB19A4,
}


def drawn(k: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return fractions of all sizes and both signs, made by whole numbers alone."""
    places = np.arange(k)
    row = (np.where(places % 2, -1, 1) / (places + 3)).astype(np.float32)
    numbers = (7 * places[:, None] + 3 * np.arange(columns)) % 11 + 1
    return row, (1 / numbers).astype(np.float32)


@pytest.mark.parametrize(("shape", "wanted"), MEASURED.items(), ids=str)
def test_the_order_is_that_of_openblas(shape: tuple[int, int], wanted: int) -> None:
    row, b = drawn(*shape)
    y = openblas_sums(row[None], b[None])[0]
    assert zlib.crc32(y.astype("<f4").tobytes()) == wanted, f"K, N = {shape}: {y[:4]}"


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 7, 12, 31])
@pytest.mark.parametrize("k", [1, 4, 31, 48, 49, 64, 150])
def test_the_oracle_counts_the_same(k: int, columns: int) -> None:
    row, b = drawn(k, columns)
    y = openblas_sums(row[None], b[None])[0]
    for at in {0, columns // 2, columns - 1}:
        exact = openblas_sum_exact(row.tolist(), b[:, at].tolist(), columns=columns, at=at)
        assert float(y[at]) == exact, f"K = {k}, column {at} of {columns}"


def test_columns_beyond_a_chunk_are_split_again() -> None:
    row, b = drawn(49, 4108)
    y = openblas_sums(row[None], b[None])[0]
    for at in (4095, 4096, 4107):
        exact = openblas_sum_exact(row.tolist(), b[:, at].tolist(), columns=4108, at=at)
        assert float(y[at]) == exact, f"column {at}"


def test_rows_do_not_meet() -> None:
    one, other = drawn(50, 6), drawn(50, 7)
    b = np.stack([one[1], other[1][:, 1:]])
    both = openblas_sums(np.stack([one[0], -other[0]]), b)
    alone = openblas_sums(-other[0][None], b[1:])
    assert (both[1] == alone[0]).all(), "a row has other sums among others"


@pytest.mark.parametrize("columns", [1, 2, 20])
def test_a_long_sum_is_none_of_one_operation_after_the_other(columns: int) -> None:
    row, b = drawn(150, columns)
    fused = real_sums(row[None], b, order="reals_fused")
    assert (openblas_sums(row[None], b[None]) != fused).any(), "the orders do not differ"
