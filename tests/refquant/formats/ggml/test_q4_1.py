"""Q4_1 against a scalar program, gguf and libgguf."""

from collections.abc import Sequence

import numpy as np
import pytest

from refquant.formats.ggml import q4_1
from tests.refquant.formats.ggml.simple import (
    all_halves,
    corpus,
    ends,
    expect_card,
    expect_refusals,
    expect_shapes,
    f16,
    f32,
    halves_at,
    importances,
    int32,
    nibbles,
    reciprocal,
    same_values,
    split_nibbles,
    steps,
)
from tests.refquant.formats.ggml.simple_laws import (
    expect_decoded_as_outside,
    expect_gguf_but_for_zeros,
    expect_libgguf,
    expect_program,
)

ROWS = corpus(32)


def program(x: Sequence[float], flavour: str) -> bytes:
    low, high = ends(x)
    d = f32(f32(high - low) / 15)
    sums = steps([f32(v - low) for v in x], reciprocal(d), 0.5, flavour)
    return f16(d) + f16(low) + nibbles([min(int32(s) & 255, 15) for s in sums])


@pytest.mark.parametrize("flavour", q4_1.FLAVOURS)
def test_bytes_are_those_of_the_scalar_program(flavour: str) -> None:
    expect_program(q4_1, program, flavour)


def test_bytes_are_those_of_libgguf_and_of_gguf_but_for_the_sign_of_zeros() -> None:
    expect_libgguf(q4_1, "Q4_1", ROWS)
    expect_gguf_but_for_zeros(q4_1, "Q4_1", ROWS)


def test_every_half_and_code_decodes_exactly_and_as_outside() -> None:
    data = all_halves("Q4_1", lambda rng: rng.integers(0, 256, (65536, 20)).astype(np.uint8))
    codes = split_nibbles(data[:, 4:])
    with np.errstate(invalid="ignore"):
        exact = halves_at(data, 0) * codes + halves_at(data, 2)
    assert same_values(q4_1.decode(data), exact), (
        "at most 43 bits: the sum is exact in float64, then rounded"
    )
    expect_decoded_as_outside(q4_1, "Q4_1", data)


def test_a_block_far_from_zero_spends_no_code_on_zero() -> None:
    x = np.tile(np.arange(100, 116, dtype=np.float32), 2)
    assert np.array_equal(q4_1.decode(q4_1.encode(x)), x), "16 codes for 100 to 115"


@pytest.mark.parametrize("kind", importances(1))
def test_with_an_importance_the_bytes_are_those_of_libgguf(kind: str) -> None:
    rows = corpus(96, dense=False)
    expect_libgguf(q4_1, "Q4_1", rows, importance=importances(96)[kind])


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(q4_1, "Q4_1")
    expect_refusals(q4_1, "Q4_1")
    expect_card(q4_1, "Q4_1", [3.3, -0.7, 1.0])
