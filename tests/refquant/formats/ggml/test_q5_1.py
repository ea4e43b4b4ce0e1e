"""Q5_1 against a scalar program, gguf and libgguf."""

from collections.abc import Sequence

import gguf
import libgguf
import numpy as np
import pytest

from refquant.formats.ggml import q5_1
from tests.refquant.formats.ggml.simple import (
    all_halves,
    corpus,
    differing,
    expect_card,
    expect_oracle,
    expect_refusals,
    expect_shapes,
    f16,
    f32,
    fused,
    importances,
    int32,
    nibbles,
    reciprocal,
    same_values,
    stacked,
    times,
)

OURS, THEIRS = libgguf.GGMLQuantizationType.Q5_1, gguf.GGMLQuantizationType.Q5_1
ROWS = corpus(32)

# A minimum of zero in a block with zeros of both signs: C keeps the first zero (ggml-quants.c,
# quantize_row_q5_1_ref compares with <), gguf 0.19 takes NumPy's min and max, which return either,
# so that m may be the other zero, and d = 0 - 0 may be -0.0. No value differs.
BOTH_ZEROS = {
    name
    for name, row in ROWS.items()
    if row.min() == 0 and len(set(np.signbit(row[row == 0]).tolist())) == 2
}


def program(x: Sequence[float], flavour: str) -> bytes:
    low = high = x[0]
    for v in x:
        low, high = (v if v < low else low), (v if v > high else high)
    d = f32(f32(high - low) / 31)
    inverse = reciprocal(d)
    above = [f32(v - low) for v in x]
    if flavour == "fma":
        sums = [fused(v, inverse, 0.5) for v in above]
    else:
        sums = [f32(times(v, inverse) + 0.5) for v in above]
    codes = [int32(s) & 31 for s in sums]  # C has no minimum with 31, it keeps five bits
    fifth = sum((q >> 4) << i for i, q in enumerate(codes)).to_bytes(4, "little")
    return f16(d) + f16(low) + fifth + nibbles([q & 15 for q in codes])


@pytest.mark.parametrize("flavour", q5_1.FLAVOURS)
def test_bytes_are_those_of_the_scalar_program(flavour: str) -> None:
    rows = corpus(32, dense=flavour == "reference")
    ours = q5_1.encode(stacked(rows), flavour=flavour)
    expect_oracle(ours, lambda x: program(x, flavour), rows)


def test_bytes_are_those_of_libgguf_and_of_gguf_but_for_the_sign_of_zeros() -> None:
    x = stacked(ROWS)
    ours = q5_1.encode(x)
    assert differing(ROWS, ours, libgguf.quantize_rows(x, OURS)) == set(), "libgguf, all rows"
    with np.errstate(all="ignore"):
        theirs = gguf.quantize(x, THEIRS)
    assert differing(ROWS, ours, theirs) <= BOTH_ZEROS, "gguf, all but the named rows"
    zeros = np.array([[0, -0.0] * 16, [-0.0, 0] * 16], np.float32)
    assert q5_1.encode(zeros)[:, :4].tolist() == [[0, 0, 0, 0], [0, 0, 0, 128]], "the first zero"
    assert not np.array_equal(q5_1.encode(zeros), gguf.quantize(zeros, THEIRS)), (
        "gguf no longer gives one sign to both orders: the entry above has gone"
    )


def test_every_half_and_code_decodes_exactly_and_as_outside() -> None:
    data = all_halves("Q5_1", lambda rng: rng.integers(0, 256, (65536, 24)).astype(np.uint8))
    ours = q5_1.decode(data)
    d, m = (data[:, k : k + 2].copy().view("<f2").astype(np.float64) for k in (0, 2))
    low = np.concatenate([data[:, 8:] % 16, data[:, 8:] // 16], axis=1)
    word = data[:, 4:8].copy().view("<u4").astype(np.int64)
    codes = low + 16 * (word >> np.arange(32) & 1)
    with np.errstate(invalid="ignore"):
        exact = d * codes + m
    assert same_values(ours, exact), "at most 44 bits: the sum is exact in float64, then rounded"
    assert same_values(ours, libgguf.dequantize_rows(data, OURS, n_per_row=32)), "libgguf"
    with np.errstate(invalid="ignore"):
        assert same_values(ours, gguf.dequantize(data, THEIRS)), "gguf"


def test_a_block_far_from_zero_spends_no_code_on_zero() -> None:
    x = np.arange(100, 132, dtype=np.float32)
    assert np.array_equal(q5_1.decode(q5_1.encode(x)), x), "32 codes for 100 to 131"


@pytest.mark.parametrize("kind", importances(1))
def test_with_an_importance_the_bytes_are_those_of_libgguf(kind: str) -> None:
    rows, importance = corpus(96, dense=False), importances(96)[kind]
    theirs = libgguf.quantize_rows(stacked(rows), OURS, imatrix=importance)
    ours = q5_1.encode(stacked(rows), importance=importance)
    assert differing(rows, ours, theirs) == set(), "libgguf, all rows"


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(q5_1, "Q5_1")
    expect_refusals(q5_1, "Q5_1")
    expect_card(q5_1, "Q5_1", [3.3, -0.7, 1.0])
