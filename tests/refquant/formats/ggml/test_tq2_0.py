"""TQ2_0 against a scalar program, gguf and libgguf."""

from collections.abc import Sequence

import numpy as np

from refquant.formats.ggml import tq2_0
from tests.refquant.formats.ggml.simple import (
    away,
    corpus,
    expect_card,
    expect_oracle,
    expect_refusals,
    expect_shapes,
    f16,
    halves_at,
    int32,
    largest,
    reciprocal,
    same_values,
    stacked,
    times,
)
from tests.refquant.formats.ggml.simple_laws import (
    expect_decoded_as_outside,
    expect_importance_has_no_effect,
    expect_libgguf,
    expect_ternary_weights,
    unlike_gguf,
)

ROWS = corpus(256)


def ternary(x: Sequence[float]) -> list[int]:
    """Codes of 0, 1, 2; what C does not define is 1, as on x86 (a cast to a byte)."""
    inverse = reciprocal(largest(x))
    return [(int32(away(times(v, inverse))) + 1) & 255 for v in x]


def program(x: Sequence[float]) -> bytes:
    q = ternary(x)
    starts = [*range(32), *range(128, 160)]
    data = bytes(sum(q[s + 32 * n] << 2 * n for n in range(4)) for s in starts)
    return data + f16(largest(x))


def test_bytes_are_those_of_the_scalar_program() -> None:
    rows = corpus(256, dense=False)
    expect_oracle(tq2_0.encode(stacked(rows)), program, rows)


def test_bytes_are_those_of_libgguf_and_gguf() -> None:
    expect_libgguf(tq2_0, "TQ2_0", ROWS)
    assert unlike_gguf(tq2_0, "TQ2_0", ROWS) == set(), "gguf, all rows"
    expect_importance_has_no_effect(tq2_0, ROWS)


def test_ternary_weights_come_back() -> None:
    expect_ternary_weights(tq2_0)


def test_halves_and_all_bytes_decode_exactly_and_as_outside() -> None:
    # Four rows of 64 bytes hold every byte; 4,096 halves, of every exponent and sign.
    data = np.empty((4096, 66), np.uint8)
    data[:, :64] = np.tile(np.arange(256, dtype=np.uint8).reshape(4, 64), (1024, 1))
    data[:, 64:] = np.arange(0, 65536, 16, dtype="<u2")[:, None].view(np.uint8)
    expected = np.empty((4096, 256))
    for m in range(64):
        for n in range(4):
            place = 128 * (m // 32) + 32 * n + m % 32
            expected[:, place] = (data[:, m] >> 2 * n & 3).astype(np.float64) - 1
    with np.errstate(invalid="ignore"):
        exact = halves_at(data, 64) * expected
    assert same_values(tq2_0.decode(data), exact), "a half times -1, 0, 1 or 2"
    expect_decoded_as_outside(tq2_0, "TQ2_0", data)


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(tq2_0, "TQ2_0")
    expect_refusals(tq2_0, "TQ2_0")
    expect_card(tq2_0, "TQ2_0", [3.3, -0.7, 2.0])
