"""Q1_0 against a scalar program and libgguf; gguf 0.19 neither writes nor reads it."""

from collections.abc import Sequence

import gguf
import libgguf
import numpy as np
import pytest

from refquant.formats.ggml import q1_0
from tests.refquant.formats.ggml.simple import (
    all_halves,
    corpus,
    expect_card,
    expect_oracle,
    expect_refusals,
    expect_shapes,
    f16,
    f32,
    same_values,
    stacked,
)
from tests.refquant.formats.ggml.simple_laws import expect_importance_has_no_effect, expect_libgguf

OURS = libgguf.GGMLQuantizationType.Q1_0
ROWS = corpus(128)


def program(x: Sequence[float]) -> bytes:
    total = 0.0
    for v in x:
        total = f32(total + abs(v))
    bits = sum((v >= 0) << i for i, v in enumerate(x))
    return f16(f32(total / 128)) + bits.to_bytes(16, "little")


def test_bytes_are_those_of_the_scalar_program_and_libgguf() -> None:
    expect_oracle(q1_0.encode(stacked(ROWS)), program, ROWS)
    expect_libgguf(q1_0, "Q1_0", ROWS)
    expect_importance_has_no_effect(q1_0, ROWS)


def test_gguf_does_not_know_it_yet() -> None:
    with pytest.raises(NotImplementedError, match="Q1_0 is not yet implemented"):
        gguf.quantize(np.zeros((1, 128), np.float32), gguf.GGMLQuantizationType.Q1_0)


def test_the_order_of_the_sum_shows() -> None:
    """1 + 2^-11 is a tie between halves; 127 times 2^-24 is lost one by one, or tips it."""
    x = np.full(128, 2.0**-24, np.float32)
    x[0] = 1 + 2.0**-11
    heads = [q1_0.encode(row)[:2].tolist() for row in (x, x[::-1].copy())]
    assert heads == [[0, 32], [1, 32]], "from left to right"


def test_every_half_decodes_exactly() -> None:
    data = all_halves("Q1_0", lambda rng: rng.integers(0, 256, (65536, 18)).astype(np.uint8))
    d = data[:, :2].copy().view("<f2").astype(np.float64)
    bits = np.unpackbits(data[:, 2:], axis=1, bitorder="little")
    ours = q1_0.decode(data)
    assert same_values(ours, np.where(bits, d, -d)), "d or -d"
    assert same_values(ours, libgguf.dequantize_rows(data, OURS, n_per_row=128)), "libgguf"


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(q1_0, "Q1_0")
    expect_refusals(q1_0, "Q1_0")
    expect_card(q1_0, "Q1_0", [3.3, -0.7, 0.0])
