"""Q4_0 against a scalar program, gguf and libgguf."""

from collections.abc import Sequence

import gguf
import libgguf
import numpy as np
import pytest

from refquant.formats.ggml import q4_0
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

OURS, THEIRS = libgguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q4_0
ROWS = corpus(32)

# gguf 0.19 takes the first element of largest magnitude, so -0.0 where all are zeros; C begins with
# +0.0 and keeps it (ggml-quants.c, quantize_row_q4_0_ref): the sign of d differs, no value does.
MINUS_ZERO_FIRST = {n for n, row in ROWS.items() if not row.any() and np.signbit(row[0])}


def program(x: Sequence[float], flavour: str) -> bytes:
    best = 0.0
    for v in x:
        best = v if abs(v) > abs(best) else best
    d = f32(best / -8)
    inverse = reciprocal(d)
    if flavour == "fma":
        sums = [fused(v, inverse, 8.5) for v in x]
    else:
        sums = [f32(times(v, inverse) + 8.5) for v in x]
    return f16(d) + nibbles([min(int32(s) & 255, 15) for s in sums])


@pytest.mark.parametrize("flavour", q4_0.FLAVOURS)
def test_bytes_are_those_of_the_scalar_program(flavour: str) -> None:
    rows = corpus(32, dense=flavour == "reference")
    ours = q4_0.encode(stacked(rows), flavour=flavour)
    expect_oracle(ours, lambda x: program(x, flavour), rows)


def test_bytes_are_those_of_libgguf_and_of_gguf_but_for_the_sign_of_a_zero_scale() -> None:
    x = stacked(ROWS)
    ours = q4_0.encode(x)
    assert differing(ROWS, ours, libgguf.quantize_rows(x, OURS)) == set(), "libgguf, all rows"
    with np.errstate(all="ignore"):
        theirs = gguf.quantize(x, THEIRS)
    assert differing(ROWS, ours, theirs) == MINUS_ZERO_FIRST, "gguf, all but the named rows"
    zeros = np.full((1, 32), -0.0, np.float32)
    heads = [q4_0.encode(zeros)[0, :2].tolist(), gguf.quantize(zeros, THEIRS)[0, :2].tolist()]
    assert heads == [[0, 128], [0, 0]], "the smallest input: -0.0 here and in C, 0.0 in gguf"


def test_every_half_and_code_decodes_exactly_and_as_outside() -> None:
    data = all_halves("Q4_0", lambda rng: rng.integers(0, 256, (65536, 18)).astype(np.uint8))
    ours = q4_0.decode(data)
    d = data[:, :2].copy().view("<f2").astype(np.float64)
    codes = np.concatenate([data[:, 2:] % 16, data[:, 2:] // 16], axis=1).astype(np.float64) - 8
    with np.errstate(invalid="ignore"):
        exact = d * codes
    assert same_values(ours, exact), "a product of 11 and 4 bits is exact"
    assert same_values(ours, libgguf.dequantize_rows(data, OURS, n_per_row=32)), "libgguf"
    with np.errstate(invalid="ignore"):
        assert same_values(ours, gguf.dequantize(data, THEIRS)), "gguf"


def test_the_largest_of_the_other_sign_clips() -> None:
    x = np.zeros(32, np.float32)
    x[:2] = 8, -8
    assert q4_0.decode(q4_0.encode(x))[:2].tolist() == [8.0, -7.0], "7 steps on the other side"


@pytest.mark.parametrize("kind", importances(1))
def test_with_an_importance_the_bytes_are_those_of_libgguf(kind: str) -> None:
    rows, importance = corpus(96, dense=False), importances(96)[kind]
    theirs = libgguf.quantize_rows(stacked(rows), OURS, imatrix=importance)
    ours = q4_0.encode(stacked(rows), importance=importance)
    assert differing(rows, ours, theirs) == set(), "libgguf, all rows"


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(q4_0, "Q4_0")
    expect_refusals(q4_0, "Q4_0")
    expect_card(q4_0, "Q4_0", [3.3, -0.7, 1.0])
