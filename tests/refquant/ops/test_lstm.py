"""An LSTM's step, bit for bit as the text says."""

import numpy as np

from refquant.ops.lstm import lstm
from tests.refquant.ops.single import dot, f, rough, sigmoid, tanh

RNG = np.random.default_rng(0)
EIGHT = np.float32(8)
Row = list[float]


def step(x: Row, h: Row, c: Row, w: list[Row], r: list[Row], b: Row) -> tuple[Row, Row]:
    size = len(h)
    rows = range(4 * size)
    s = [f(f(dot(x, w[i]) + b[i]) + f(dot(h, r[i]) + b[4 * size + i])) for i in rows]
    i, o, g = ([sigmoid(v) for v in s[k * size : (k + 1) * size]] for k in range(3))
    n = [tanh(v) for v in s[3 * size :]]
    c = [f(f(g[j] * c[j]) + f(i[j] * n[j])) for j in range(size)]
    return [f(o[j] * tanh(c[j])) for j in range(size)], c


def test_the_bits_are_those_of_the_text() -> None:
    x, h, c = rough(RNG, 2, 3, 4), rough(RNG, 2, 1, 5), rough(RNG, 2, 1, 5)
    w, r, b = rough(RNG, 1, 20, 4) / EIGHT, rough(RNG, 1, 20, 5) / EIGHT, rough(RNG, 1, 40)
    y, last_h, last_c = lstm(x, w, r, b, h, c, hidden_size=5)
    for n in range(2):
        state, cell = h[n, 0].tolist(), c[n, 0].tolist()
        for t in range(3):
            given = (w[0].tolist(), r[0].tolist(), b[0].tolist())
            state, cell = step(x[n, t].tolist(), state, cell, *given)
            assert y[n, t, 0].tolist() == state, f"sample {n}, step {t}"
        assert last_h[n, 0].tolist() == state, "the last state"
        assert last_c[n, 0].tolist() == cell, "what it remembers"
