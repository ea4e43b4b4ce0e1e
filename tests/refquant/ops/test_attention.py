"""Attention, bit for bit as the text says; grouped queries, masks, causes; what is refused."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.ops.attention import attention
from tests.refquant.ops.single import dot, f, rough, softmax

RNG = np.random.default_rng(0)
Float = NDArray[np.float32]


def as_specified(
    q: Float, k: Float, v: Float, mask: Float | None, *, causal: bool, scale: float | None
) -> Float:
    n, heads, steps, d = q.shape
    factor = f(1 / math.sqrt(d)) if scale is None else f(scale)
    y = np.zeros((n, heads, steps, v.shape[3]), np.float32)
    full = None if mask is None else np.broadcast_to(mask, (n, heads, steps, k.shape[2]))
    for s, h, i in np.ndindex(n, heads, steps):
        g = h * k.shape[1] // heads
        row = []
        for j in range(k.shape[2]):
            score = f(dot(q[s, h, i].tolist(), k[s, g, j].tolist()) * factor)
            score = score if full is None else f(score + float(full[s, h, i, j]))
            row.append(-math.inf if causal and j > i else score)
        p = softmax(row)
        for e in range(v.shape[3]):
            y[s, h, i, e] = dot(p, v[s, g, :, e].tolist())
    return y


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize(("heads", "groups"), [(1, 1), (4, 4), (4, 2), (3, 1)])
def test_the_bits_are_those_of_the_text(
    heads: int, groups: int, scale: float | None, causal: bool
) -> None:
    q, k, v = rough(RNG, 2, heads, 3, 5), rough(RNG, 2, groups, 4, 5), rough(RNG, 2, groups, 4, 2)
    for shape in (None, (4,), (3, 4), (2, 1, 1, 4), (2, heads, 3, 4)):
        mask = None if shape is None else rough(RNG, *shape)
        y = attention(q, k, v, mask, is_causal=int(causal), scale=scale)
        expected = as_specified(q, k, v, mask, causal=causal, scale=scale)
        assert y.tobytes() == expected.tobytes(), f"mask {shape}"


def test_three_axes_are_four_with_the_heads_joined() -> None:
    q, k, v = rough(RNG, 2, 3, 8), rough(RNG, 2, 5, 4), rough(RNG, 2, 5, 6)
    apart = [
        x.reshape(2, x.shape[1], heads, -1).swapaxes(1, 2) for x, heads in ((q, 4), (k, 2), (v, 2))
    ]
    expected = attention(*apart).swapaxes(1, 2).reshape(2, 3, 12)
    got = attention(q, k, v, q_num_heads=4, kv_num_heads=2)
    assert got.tobytes() == expected.tobytes(), "heads are neighbours"


def test_a_causal_query_does_not_see_what_comes_later() -> None:
    q, k, v = rough(RNG, 1, 1, 3, 2), rough(RNG, 1, 1, 3, 2), rough(RNG, 1, 1, 3, 2)
    before = attention(q, k, v, is_causal=1)
    k[0, 0, 2], v[0, 0, 2] = 7, 9
    after = attention(q, k, v, is_causal=1)
    assert np.array_equal(before[0, 0, :2], after[0, 0, :2]), "the first two do not see the third"
    assert before[0, 0, 0].tolist() != v[0, 0, 1].tolist(), "the first sees itself only"


def test_a_key_masked_by_minus_infinity_has_no_say_and_nothing_seen_is_nan() -> None:
    q, k, v = rough(RNG, 1, 1, 2, 2), rough(RNG, 1, 1, 2, 2), rough(RNG, 1, 1, 2, 2)
    mask = np.array([[0, -np.inf], [-np.inf, -np.inf]], np.float32)
    y = attention(q, k, v, mask)
    assert y[0, 0, 0].tolist() == (v[0, 0, 0] + 0.0 * v[0, 0, 1]).tolist(), "one key: its value"
    assert np.isnan(y[0, 0, 1]).all(), "no key at all"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": np.zeros((1, 3, 4, 2), np.float32)}, "multiple of the 3 key heads"),
        ({"k": np.zeros((1, 2, 4, 3), np.float32)}, "q, k, v must be"),
        ({"v": np.zeros((1, 2, 5, 2), np.float32)}, "q, k, v must be"),
        ({"v": np.zeros((1, 4, 4), np.float32)}, "equal numbers of axes, got 4, 4, 3"),
        ({"mask": np.zeros((5,), np.float32)}, "mask must broadcast to"),
        ({"mask": np.zeros((2, 2, 3, 4), np.float32)}, "mask must broadcast to"),
        ({"mask": np.zeros((3, 4), bool)}, "mask must be float32, got bool"),
        ({"sums": "fast"}, "sums must be one of ordered, blas; got 'fast'"),
    ],
)
def test_what_has_no_meaning_is_refused(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "q": np.zeros((1, 4, 3, 2), np.float32),
        "k": np.zeros((1, 2, 4, 2), np.float32),
        "v": np.zeros((1, 2, 4, 2), np.float32),
    }
    if "k" in changes and changes["k"].shape[1] == 3:
        given["v"] = np.zeros((1, 3, 4, 2), np.float32)
    with pytest.raises(ValueError, match=message):
        attention(**given | changes)
