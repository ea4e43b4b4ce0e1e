"""TQ1_0 against a scalar program, gguf and libgguf."""

from collections.abc import Sequence

import numpy as np

from refquant.formats.ggml import tq1_0
from tests.refquant.formats.ggml.simple import (
    away,
    corpus,
    expect_card,
    expect_oracle,
    expect_refusals,
    expect_shapes,
    f16,
    int32,
    largest,
    reciprocal,
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


def program(x: Sequence[float]) -> bytes:
    inverse, data = reciprocal(largest(x)), []
    for first, apart, count in ((0, 32, 5), (160, 16, 5), (240, 4, 4)):
        for m in range(apart):
            t = 0
            for n in range(5):
                v = x[first + m + n * apart] if n < count else 0.0
                filler = n >= count
                t = 3 * t + (0 if filler else int32(away(times(v, inverse))) + 1 & 255)
            data.append(-(-256 * t // 243))
    return bytes(data) + f16(largest(x))


def test_bytes_are_those_of_the_scalar_program() -> None:
    rows = corpus(256, dense=False)
    expect_oracle(tq1_0.encode(stacked(rows)), program, rows)


def test_bytes_are_those_of_libgguf_and_gguf() -> None:
    expect_libgguf(tq1_0, "TQ1_0", ROWS)
    assert unlike_gguf(tq1_0, "TQ1_0", ROWS) == set(), "gguf, all rows"
    expect_importance_has_no_effect(tq1_0, ROWS)


def test_ternary_weights_come_back() -> None:
    expect_ternary_weights(tq1_0)


def test_every_byte_decodes_to_the_digits_of_its_fraction() -> None:
    """All 256 bytes, the 13 that are never written too, at every digit of every part."""
    rng = np.random.default_rng(8)
    data = rng.integers(0, 256, (4096, 54)).astype(np.uint8)
    data[:256, :52] = np.arange(256, dtype=np.uint8)[:, None]
    data[:, 52:] = np.arange(0, 65536, 16, dtype="<u2")[:, None].view(np.uint8)
    expect_decoded_as_outside(tq1_0, "TQ1_0", data)
    data[:256, 52:] = 0, 60  # d = 1
    digits = tq1_0.decode(data[:256]) + 1
    for byte in range(256):
        fraction, expected = byte, []
        for _ in range(5):
            fraction = fraction % 256
            expected.append(3 * fraction // 256)
            fraction = 3 * fraction
        for first, apart, count in ((0, 32, 5), (160, 16, 5), (240, 4, 4)):
            found = digits[byte, first : first + apart * count].reshape(count, apart)
            for n in range(count):
                assert (found[n] == expected[n]).all(), f"digit {n} of byte {byte}"


def test_every_number_of_five_digits_comes_back() -> None:
    """All 243 of them in one byte: the fraction is fine enough."""
    t = np.arange(243)
    x = np.zeros((243, 256), np.float32)
    for n in range(5):
        x[:, 32 * n] = t // 3 ** (4 - n) % 3 - 1
    x[:, 255] = 1  # the maximum, also of t = 121, all zeros
    assert np.array_equal(tq1_0.decode(tq1_0.encode(x)), x), "digits in, digits out"
    assert len(set(tq1_0.encode(x)[:, 0].tolist())) == 243, "13 bytes are never written"


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(tq1_0, "TQ1_0")
    expect_refusals(tq1_0, "TQ1_0")
    expect_card(tq1_0, "TQ1_0", [3.3, -0.7, 2.0])
