"""Q5_0 against a scalar program, gguf and libgguf."""

from collections.abc import Sequence

import numpy as np
import pytest

from refquant.formats.ggml import q5_0
from tests.refquant.formats.ggml.simple import (
    all_halves,
    corpus,
    expect_card,
    expect_refusals,
    expect_shapes,
    f16,
    f32,
    fifth_bits,
    first_largest,
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
    expect_gguf_but_for_a_zero_scale,
    expect_libgguf,
    expect_program,
)

ROWS = corpus(32)


def program(x: Sequence[float], flavour: str) -> bytes:
    d = f32(first_largest(x) / -16)
    sums = steps(x, reciprocal(d), 16.5, flavour)
    codes = [min(int32(s) & 255, 31) for s in sums]
    return f16(d) + fifth_bits(codes) + nibbles([q & 15 for q in codes])


@pytest.mark.parametrize("flavour", q5_0.FLAVOURS)
def test_bytes_are_those_of_the_scalar_program(flavour: str) -> None:
    expect_program(q5_0, program, flavour)


def test_bytes_are_those_of_libgguf_and_of_gguf_but_for_the_sign_of_a_zero_scale() -> None:
    expect_libgguf(q5_0, "Q5_0", ROWS)
    expect_gguf_but_for_a_zero_scale(q5_0, "Q5_0", ROWS)


def test_every_half_and_code_decodes_exactly_and_as_outside() -> None:
    data = all_halves("Q5_0", lambda rng: rng.integers(0, 256, (65536, 22)).astype(np.uint8))
    low, word = split_nibbles(data[:, 6:]), data[:, 2:6].copy().view("<u4").astype(np.int64)
    codes = low + 16 * (word >> np.arange(32) & 1) - 16
    with np.errstate(invalid="ignore"):
        exact = halves_at(data, 0) * codes
    assert same_values(q5_0.decode(data), exact), "a product of 11 and 5 bits is exact"
    expect_decoded_as_outside(q5_0, "Q5_0", data)


def test_the_largest_of_the_other_sign_clips() -> None:
    x = np.zeros(32, np.float32)
    x[:2] = 16, -16
    assert q5_0.decode(q5_0.encode(x))[:2].tolist() == [16.0, -15.0], "15 steps on the other side"


@pytest.mark.parametrize("kind", importances(1))
def test_with_an_importance_the_bytes_are_those_of_libgguf(kind: str) -> None:
    rows = corpus(96, dense=False)
    expect_libgguf(q5_0, "Q5_0", rows, importance=importances(96)[kind])


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(q5_0, "Q5_0")
    expect_refusals(q5_0, "Q5_0")
    expect_card(q5_0, "Q5_0", [3.3, -0.7, 1.0])
