"""ggml's MXFP4 against a scalar program, gguf and libgguf, and its logarithm against decimals."""

import math
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from refquant.formats.ggml import mxfp4
from refquant.numerics.minifloat import decode as decode_minifloat
from refquant.numerics.minifloat_formats import FLOAT_FORMATS
from tests.refquant.formats.ggml.simple import (
    corpus,
    expect_card,
    expect_oracle,
    expect_refusals,
    expect_shapes,
    f32,
    largest,
    nibbles,
    same_values,
    stacked,
)
from tests.refquant.formats.ggml.simple_laws import (
    expect_decoded_as_outside,
    expect_importance_has_no_effect,
    expect_libgguf,
    unlike_gguf,
)

ROWS = corpus(32)
NUMBERS = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]


def log2f(x: float) -> float:
    """The float32 nearest to log2 x, from fifty digits."""
    with localcontext() as context:
        context.prec = 50
        exact = Fraction(Decimal(x).ln() / Decimal(2).ln())
    middle = np.float32(float(exact))  # double first: at most a neighbour of the nearest
    near = [np.nextafter(middle, np.float32(s * 999)) for s in (-1, 1)]
    return min((float(middle), *map(float, near)), key=lambda v: abs(Fraction(v) - exact))


def closest(x: float, half: float) -> int:
    """The first of the sixteen at the least float32 distance."""
    distances = [f32(abs(f32(f32(v * half) - x))) for v in NUMBERS]
    return distances.index(min(distances))


def program(x: Sequence[float]) -> bytes:
    top = largest(x)
    e = (math.floor(log2f(top)) + 125) & 255 if top else 0
    return bytes([e]) + nibbles([closest(v, math.ldexp(1.0, e - 128)) for v in x])


def test_bytes_are_those_of_the_scalar_program() -> None:
    expect_oracle(mxfp4.encode(stacked(ROWS)), program, ROWS)


def test_bytes_are_those_of_libgguf_and_gguf() -> None:
    expect_libgguf(mxfp4, "MXFP4", ROWS)
    # gguf's logarithm is NumPy's, which is not the same on every CPU: see the next test for ours.
    sure = {name: row for name, row in ROWS.items() if not name.startswith("below")}
    assert unlike_gguf(mxfp4, "MXFP4", sure) == set(), "gguf, all rows"
    expect_importance_has_no_effect(mxfp4, ROWS)


def test_the_logarithm_rounds_up_where_fifty_digits_say_so() -> None:
    """Around every bound: the last float32 that rounds down, and the first that rounds up."""
    every, counts = [], {}
    for k in range(-148, 129):
        power = np.ldexp(1.0, k)
        step = math.ldexp(1.0, max(k - 24, -149))
        below = [float(power - j * step) for j in range(1, 100) if power - j * step >= power / 2]
        found = mxfp4.floor_log2f(np.array(below, np.float32))
        counts[k] = int((found == k).sum())
        assert (found[: counts[k]] == k).all(), f"all above the bound of 2^{k}"
        every += [v for v in (below[counts[k] - 1 : counts[k] + 1] if counts[k] else below[:1])]
    found = mxfp4.floor_log2f(np.array(every, np.float32))
    assert found.tolist() == [math.floor(log2f(v)) for v in every], "fifty digits agree"
    assert counts[128] == 44, "44 floats below 2^128"
    assert [counts[k] for k in (-2, -1, 0, 1, 2, 3)] == [1, 0, 0, 0, 0, 1], "from |k| = 3 on"


def test_all_powers_of_two_are_their_own_logarithm() -> None:
    k = np.arange(-149, 128)
    powers = np.ldexp(np.float32(1), k).astype(np.float32)
    assert np.array_equal(mxfp4.floor_log2f(powers), k), "exactly"


def test_a_scale_that_is_one_too_high_loses_half_of_the_resolution() -> None:
    x = np.zeros(32, np.float32)
    x[:2] = np.nextafter(np.float32(2.0**100), np.float32(0)), 2.0**97
    assert int(mxfp4.encode(x)[0]) == 225, "2^98, and not 2^97: log2f is 100"
    assert mxfp4.decode(mxfp4.encode(x))[:2].tolist() == [2.0**100, 2.0**97], "4 and 1/2"


def test_elements_are_e2m1_and_every_byte_decodes() -> None:
    e2m1 = decode_minifloat(np.arange(16), FLOAT_FORMATS["e2m1"])
    assert np.array_equal(mxfp4.DOUBLED, 2 * e2m1), "doubled; -0 equals 0 here"
    data = np.empty((256, 17), np.uint8)
    data[:, 0], data[:, 1:] = np.arange(256), np.arange(256).reshape(16, 16)[np.arange(256) % 16]
    ours = mxfp4.decode(data)
    codes = np.concatenate([data[:, 1:] % 16, data[:, 1:] // 16], axis=1)
    exact = np.array(NUMBERS, np.float64)[codes] * np.ldexp(1.0, np.arange(256) - 128)[:, None]
    assert same_values(ours, exact), "a power of two times a small integer"
    expect_decoded_as_outside(mxfp4, "MXFP4", data)


def test_ties_go_to_the_smaller_magnitude_and_minus_zero_is_never_written() -> None:
    ties = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]
    x = np.array([*ties, *(-t for t in ties), -0.0, -0.1], np.float32)
    codes = mxfp4.nearest_codes(x, np.full_like(x, 0.5))
    assert codes.tolist() == [*range(7), 0, *range(9, 15), 0, 0], "not to even"


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(mxfp4, "MXFP4")
    expect_refusals(mxfp4, "MXFP4")
    expect_card(mxfp4, "MXFP4", [3.3, -0.7, 1.0])
