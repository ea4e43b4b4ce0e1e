"""Q8_0 against scalar programs of its four flavours, gguf and libgguf."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from refquant.formats.ggml import q8_0
from tests.refquant.formats.ggml.simple import (
    all_halves,
    away,
    corpus,
    expect_card,
    expect_oracle,
    expect_refusals,
    expect_shapes,
    f16,
    f32,
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
    unlike_gguf,
)

ROWS = corpus(32)


def saturated(v: float) -> int:
    """A float as Arm and WebAssembly convert it."""
    return 0 if math.isnan(v) else int(max(-(2.0**31), min(v, 2.0**31 - 1)))


def even(v: float) -> float:
    return float(round(v)) if math.isfinite(v) else v


def program(x: Sequence[float], flavour: str) -> bytes:
    top = largest(x)
    d = f32(top / 127)
    inverse = reciprocal(d)
    if flavour == "avx2":
        inverse = f32(127 / top) if top else 0.0
    v = [times(each, inverse) for each in x]
    codes = {
        "reference": lambda: [int32(away(each)) & 255 for each in v],
        "avx2": lambda: [max(-128, min(int32(even(each)), 127)) & 255 for each in v],
        "neon": lambda: [saturated(even(each)) & 255 for each in v],
        "wasm": lambda: [saturated(each) & 255 for each in v],
    }[flavour]()
    return f16(d) + bytes(codes)


@pytest.mark.parametrize("flavour", q8_0.FLAVOURS)
def test_bytes_are_those_of_the_scalar_program(flavour: str) -> None:
    ours = q8_0.encode(stacked(ROWS), flavour=flavour)
    expect_oracle(ours, lambda x: program(x, flavour), ROWS)


def test_bytes_are_those_of_libgguf_and_gguf() -> None:
    expect_libgguf(q8_0, "Q8_0", ROWS)
    assert unlike_gguf(q8_0, "Q8_0", ROWS) == set(), "gguf, all rows"
    expect_importance_has_no_effect(q8_0, ROWS)


def test_every_pair_of_flavours_differs_and_this_is_a_witness() -> None:
    x = np.zeros(32, np.float32)
    x[:3] = 127, 2.5, 2.9
    of = {how: q8_0.encode(x, flavour=how)[3:5].tolist() for how in q8_0.FLAVOURS}
    expected = {"reference": [3, 3], "avx2": [2, 3], "neon": [2, 3], "wasm": [2, 2]}
    assert of == expected, "a tie, and a value that truncation moves"
    # In float32, 127 / 0.3 and 1 / (0.3 / 127) lie on two sides of what puts x[1] on a tie.
    x[:3] = 0.30000001192092896, 0.0059055122546851635, 0
    of = {how: q8_0.encode(x, flavour=how)[3].tolist() for how in ("avx2", "neon")}
    assert of == {"avx2": 2, "neon": 3}, "127 / max and 1 / (max / 127)"


def test_every_half_and_code_decodes_exactly_and_as_outside() -> None:
    # 8 rows of 32 codes hold every code: each half meets one of these rows.
    codes = np.tile(np.arange(256, dtype=np.uint8).reshape(8, 32), (8192, 1))
    data = all_halves("Q8_0", lambda rng: np.concatenate([codes[:, :2], codes], axis=1))
    with np.errstate(invalid="ignore"):
        exact = halves_at(data, 0) * codes.view(np.int8)
    assert same_values(q8_0.decode(data), exact), "a product of 11 and 8 bits is exact"
    expect_decoded_as_outside(q8_0, "Q8_0", data)


def test_a_scale_beyond_halves_is_infinite_and_a_tiny_one_zero() -> None:
    x = np.zeros((2, 32), np.float32)
    x[:, 0] = 65520 * 127, 1e-40
    data = q8_0.encode(x)
    assert data[:, :3].tolist() == [[0, 124, 127], [0, 0, 0]], "as in ggml"
    assert np.isinf(q8_0.decode(data)[0, 0]), "infinity, and zeros become NaN"


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(q8_0, "Q8_0")
    expect_refusals(q8_0, "Q8_0")
    expect_card(q8_0, "Q8_0", [3.3, -0.7, 1.0])
