"""An LSTM of dynamic codes, bit for bit as the text says: integers by Python, floats one by one."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.ops.dynamic_lstm import dynamic_quantize_lstm, row_scales
from tests.refquant.ops.single import f, rough, sigmoid, tanh

ORT = preset("ort")
Row = list[float]


def dynamic(x: Row) -> tuple[list[int], float, int]:
    """Return codes, scale and zero point of a list of reals."""
    low, high = min(0.0, *x), max(0.0, *x)
    s = f(f(high - low) / 255)
    if s == 0:
        return [0] * len(x), 1.0, 0
    z = min(max(round(f(0 - f(low / s))), 0), 255)
    return [min(max(round(f(v / s)) + z, 0), 255) for v in x], s, z


def part(q: list[int], s: float, z: int, w: list[list[int]], scale: Row) -> Row:
    sums = [sum((code - z) * k for code, k in zip(q, row, strict=True)) for row in w]
    return [f(f(acc) * f(s * scale[j])) for j, acc in enumerate(sums)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_the_bits_are_those_of_the_text(biased: bool, reverse: bool) -> None:
    rng, size = np.random.default_rng(biased), 3
    x, h0, c0 = rough(rng, 2, 4, 5), rough(rng, 2, 1, size), rough(rng, 2, 1, size)
    w, r = (rng.integers(-127, 128, (1, 4 * size, k)).astype(np.int8) for k in (5, size))
    bias = rough(rng, 1, 8 * size)
    sw, sr = ((np.abs(rough(rng, 1, 4 * size, 1)) / 64 + 2.0**-9).astype(np.float32) for _ in "wr")
    zero = np.zeros((1, 4 * size, 1), np.int32)
    got = dynamic_quantize_lstm(
        x, w, r, bias if biased else None, h0, c0, w_qparams=QParams(sw, zero, (1, 1, 5), "int8"),
        r_qparams=QParams(sr, zero, (1, 1, size), "int8"), hidden_size=size, contract=ORT,
        direction="reverse" if reverse else "forward",
    )  # fmt: skip
    for n in range(2):
        h, c = h0[n, 0].tolist(), c0[n, 0].tolist()
        q, s, z = dynamic(x[n].ravel().tolist())
        for t in range(3, -1, -1) if reverse else range(4):
            a = part(q[5 * t : 5 * t + 5], s, z, w[0].tolist(), sw.ravel().tolist())
            b = part(*dynamic(h), r[0].tolist(), sr.ravel().tolist())
            g = [f(v + u) for v, u in zip(a, b, strict=True)]
            if biased:
                added = [f(bias[0, j] + bias[0, 4 * size + j]) for j in range(4 * size)]
                g = [f(v + u) for v, u in zip(g, added, strict=True)]
            i, o, k = ([sigmoid(v) for v in g[m * size : (m + 1) * size]] for m in range(3))
            new = [tanh(v) for v in g[3 * size :]]
            c = [f(f(k[j] * c[j]) + f(i[j] * new[j])) for j in range(size)]
            h = [f(o[j] * tanh(c[j])) for j in range(size)]
            assert got[0][n, t, 0].tolist() == h, f"sample {n}, step {t}"
        assert (got[1][n, 0].tolist(), got[2][n, 0].tolist()) == (h, c), "what remains"


def test_a_sample_does_not_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    x = rough(rng, 3, 2, 4)
    w, r = (rng.integers(-127, 128, (2, 8, k)).astype(np.int8) for k in (4, 2))
    one = QParams(np.float32(0.01), np.int32(0), None, "int8")

    def of(x: np.typing.NDArray[np.float32]) -> list[float]:
        y = dynamic_quantize_lstm(
            x, w, r, w_qparams=one, r_qparams=one, hidden_size=2, contract=ORT,
            direction="bidirectional",
        )  # fmt: skip
        return [float(v) for v in y[0][-1].ravel()]

    assert of(x) == of(x[-1:]), "one range a sample"


def test_scales_are_one_or_a_directions_or_a_rows() -> None:
    w = np.zeros((2, 4, 3), np.int8)
    each = QParams(np.ones((2, 4, 3), np.float32), np.zeros((2, 4, 3), np.int32), (1, 1, 1), "int8")
    with pytest.raises(ValueError, match=r"one a direction or one a row, got \[2, 4, 3\]"):
        row_scales(w, each)
    with pytest.raises(ValueError, match="weights have zero point 0"):
        row_scales(w, QParams(np.float32(1), np.int32(1), None, "int8"))
