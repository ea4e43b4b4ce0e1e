"""A GRU's step, bit for bit as the text says, in both forms of the reset."""

import numpy as np
import pytest

from refquant.ops.gru import gru
from tests.refquant.ops.single import dot, f, rough, sigmoid, tanh

RNG = np.random.default_rng(0)
EIGHT = np.float32(8)
Row = list[float]


def step(x: Row, h: Row, w: list[Row], r: list[Row], b: Row, *, after: int) -> Row:
    size = len(h)
    a = [f(dot(x, w[i]) + b[i]) for i in range(3 * size)]

    def recurrent(i: int, state: Row) -> float:
        return f(dot(state, r[i]) + b[3 * size + i])

    z = [sigmoid(f(a[i] + recurrent(i, h))) for i in range(size)]
    g = [sigmoid(f(a[size + i] + recurrent(size + i, h))) for i in range(size)]
    reset = [f(s * v) for s, v in zip(g, h, strict=True)]
    new = []
    for i in range(size):
        place = 2 * size + i
        inner = f(g[i] * recurrent(place, h)) if after else recurrent(place, reset)
        n = tanh(f(a[place] + inner))
        new.append(f(f(f(1 - z[i]) * n) + f(z[i] * h[i])))
    return new


@pytest.mark.parametrize("after", [0, 1])
def test_the_bits_are_those_of_the_text(after: int) -> None:
    x, h = rough(RNG, 2, 3, 4), rough(RNG, 2, 1, 5)
    w, r, b = rough(RNG, 1, 15, 4) / EIGHT, rough(RNG, 1, 15, 5) / EIGHT, rough(RNG, 1, 30)
    y, last = gru(x, w, r, b, h, hidden_size=5, linear_before_reset=after)
    for n in range(2):
        state = h[n, 0].tolist()
        for t in range(3):
            row = x[n, t].tolist()
            state = step(row, state, w[0].tolist(), r[0].tolist(), b[0].tolist(), after=after)
            assert y[n, t, 0].tolist() == state, f"sample {n}, step {t}"
        assert last[n, 0].tolist() == state, "the last state"


def test_the_two_resets_differ() -> None:
    x, w, r = rough(RNG, 1, 2, 2), rough(RNG, 1, 6, 2), rough(RNG, 1, 6, 2)
    b = rough(RNG, 1, 12)
    one, two = (gru(x, w, r, b, hidden_size=2, linear_before_reset=i)[1] for i in (0, 1))
    assert not np.array_equal(one, two), "a model of one form must not be run as the other"
    with pytest.raises(ValueError, match="linear_before_reset must be 0 or 1, got 2"):
        gru(x, w, r, b, hidden_size=2, linear_before_reset=2)
