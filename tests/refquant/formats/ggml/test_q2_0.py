"""Q2_0 against a scalar program: gguf 0.19 and libgguf 0.2 do not know it."""

from collections.abc import Sequence

import gguf
import libgguf
import numpy as np

from refquant.formats.ggml import q2_0
from tests.refquant.formats.ggml.simple import (
    all_halves,
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
    same_values,
    stacked,
    times,
)
from tests.refquant.formats.ggml.simple_laws import expect_importance_has_no_effect

ROWS = corpus(64)


def program(x: Sequence[float]) -> bytes:
    inverse = reciprocal(largest(x))
    q = [max(0, min(int32(away(times(v, inverse))) + 1, 3)) for v in x]
    return f16(largest(x)) + bytes(sum(q[4 * j + n] << 2 * n for n in range(4)) for j in range(16))


def test_bytes_are_those_of_the_scalar_program() -> None:
    expect_oracle(q2_0.encode(stacked(ROWS)), program, ROWS)
    expect_importance_has_no_effect(q2_0, ROWS)


def test_no_outsider_knows_it_yet() -> None:
    """When one does, compare: the number of the type is 42."""
    for package in (gguf, libgguf):
        known = {each.value for each in package.GGMLQuantizationType}
        assert 42 not in known, f"{package.__name__} knows Q2_0 now"


def test_the_encoder_never_writes_two_steps() -> None:
    codes = q2_0.encode(stacked(ROWS))[:, 2:, None] >> np.array([0, 2, 4, 6], np.uint8) & 3
    assert set(np.unique(codes).tolist()) == {0, 1, 2}, "code 3 is for a better encoder"


def test_every_half_and_byte_decodes_exactly() -> None:
    fields = np.tile(np.arange(256, dtype=np.uint8).reshape(16, 16), (4096, 1))
    data = all_halves("Q2_0", lambda rng: np.concatenate([fields[:, :2], fields], axis=1))
    d = data[:, :2].copy().view("<f2").astype(np.float64)
    q = np.stack([fields >> 2 * n & 3 for n in range(4)], axis=2).reshape(-1, 64)
    with np.errstate(invalid="ignore"):
        exact = d * (q.astype(np.float64) - 1)
    assert same_values(q2_0.decode(data), exact), "a half times -1, 0, 1 or 2"


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(q2_0, "Q2_0")
    expect_refusals(q2_0, "Q2_0")
    expect_card(q2_0, "Q2_0", [3.3, -0.7, 2.0])
