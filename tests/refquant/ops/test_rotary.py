"""Turned pairs: the bits of the text, the law of relative positions, what is refused."""

from typing import Any

import numpy as np
import pytest

from refquant.ops.rotary import rotary_embedding
from tests.refquant.ops.single import f, rough

RNG = np.random.default_rng(0)


def angles(count: int, pairs: int) -> tuple[Any, Any]:
    angle = np.arange(count)[:, None] * 0.7 ** np.arange(pairs)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("r", [0, 4])
def test_the_bits_are_those_of_the_text(interleaved: int, r: int) -> None:
    x, places = rough(RNG, 2, 3, 2, 6), np.array([[4, 0], [2, 2]], np.int32)
    size = r or 6
    cos, sin = angles(5, size // 2)
    y = rotary_embedding(x, cos, sin, places, interleaved=interleaved, rotary_embedding_dim=r)
    expected = x.copy()
    for n, head, t in np.ndindex(2, 3, 2):
        for i in range(size // 2):
            one, two = (2 * i, 2 * i + 1) if interleaved else (i, i + size // 2)
            a, b = (float(x[n, head, t, j]) for j in (one, two))
            c, s = float(cos[places[n, t], i]), float(sin[places[n, t], i])
            expected[n, head, t, one] = f(f(c * a) - f(s * b))
            expected[n, head, t, two] = f(f(s * a) + f(c * b))
    assert np.array_equal(y, expected), "three roundings, elements beyond r copied"


def test_three_axes_are_four_with_the_heads_joined() -> None:
    x, places = rough(RNG, 1, 3, 8), np.array([[0, 1, 2]], np.int32)
    cos, sin = angles(3, 2)
    apart = x.reshape(1, 3, 2, 4).swapaxes(1, 2)
    y = rotary_embedding(apart, cos, sin, places).swapaxes(1, 2).reshape(1, 3, 8)
    assert np.array_equal(rotary_embedding(x, cos, sin, places, num_heads=2), y), "the same"


def test_a_product_depends_on_the_distance_only() -> None:
    """Within gamma_n of a dot product of 8 terms, each of 3 roundings, angles rounded to 2^-25."""
    cos, sin = angles(12, 4)
    q, k = (RNG.standard_normal((1, 1, 1, 8)).astype(np.float32) for _ in range(2))

    def product(i: int, j: int) -> float:
        turned = [
            rotary_embedding(v, cos, sin, np.array([[p]], np.int32)).astype(np.float64)
            for v, p in ((q, i), (k, j))
        ]
        return float((turned[0] * turned[1]).sum())

    size = 2 * float(np.abs(q).sum() * np.abs(k).max())  # |cos| + |sin| <= 2 a pair, generously
    bound = size * 2 * (4 * 2.0**-24)
    assert abs(product(7, 3) - product(11, 7)) <= bound, "the same distance, the same product"
    assert abs(product(7, 3) - product(7, 4)) > bound, "another distance, another product"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": np.array([[0, 5]], np.int32)}, r"positions must be in \[0, 4\], got 0 to 5"),
        ({"positions": np.array([[0, -1]], np.int32)}, "positions must be in"),
        ({"positions": np.array([[0, 1]])}, "positions must be int32"),
        ({"positions": np.array([[0]], np.int32)}, r"positions must be int32 \(1, 2\)"),
        ({"rotary_embedding_dim": 3}, "must be even and at most the head's 4, got 3"),
        ({"rotary_embedding_dim": 6}, "must be even and at most the head's 4, got 6"),
        ({"sin": np.zeros((4, 2), np.float32)}, r"cos and sin must be \(positions, 2\)"),
        ({"num_heads": 3}, r"x must be \(N, heads, T, d\)"),
    ],
)
def test_what_has_no_meaning_is_refused(changes: dict[str, Any], message: str) -> None:
    cos, sin = angles(5, 2)
    given: dict[str, Any] = {"x": np.zeros((1, 2, 8), np.float32), "cos": cos, "sin": sin}
    given |= {"positions": np.array([[0, 1]], np.int32), "num_heads": 2, **changes}
    with pytest.raises(ValueError, match=message):
        rotary_embedding(**given)
