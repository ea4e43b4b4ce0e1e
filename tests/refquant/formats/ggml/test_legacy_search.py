"""The searches with an importance, against scalar programs; test_q4_0.py and kin: libgguf."""

import math

import numpy as np
import pytest

from refquant.formats.ggml.blocks import nearest_int
from refquant.formats.ggml.legacy_search import encode_weighted, search_minimum, search_scale
from tests.refquant.formats.ggml.simple import F32, U8, corpus, f32, importances

# Scalar searches below are for ordinary values only: no overflow, no division by zero.
ORDINARY = [f"{kind} {scale}" for kind in ("normal", "ties") for scale in (0.0001, 1, 1000)]


def nearest(v: float) -> int:
    return round(v)  # half to even; |v| is small


def scale_program(x: list[float], w: list[float], half: int) -> tuple[float, list[int]]:
    top = max(x, key=abs)
    best: tuple[float, float, list[int]] | None = None
    for t in (0, *range(-9, 0), *range(1, 10)):
        inverse = f32(-f32(half + f32(f32(0.1) * t)) / top)
        codes = [max(-half, min(half - 1, nearest(f32(inverse * v)))) for v in x]
        xl = l2 = 0.0
        for v, weight, code in zip(x, w, codes, strict=True):
            xl = f32(xl + f32(f32(weight * v) * code))
            l2 = f32(l2 + f32(f32(weight * code) * code))
        scale = f32(xl / l2)
        if best is None or f32(xl * xl) > f32(best[1] * l2):
            best = scale, f32(scale * xl), codes
    assert best is not None, "the first grid is always taken"
    return best[0], [code + half for code in best[2]]


def minimum_program(x: list[float], w: list[float], qmax: int) -> tuple[float, float, list[int]]:
    low, high = min(0.0, min(x)), max(x)
    sum_w = sum_x = 0.0
    for v, weight in zip(x, w, strict=True):
        sum_w, sum_x = f32(sum_w + weight), f32(sum_x + f32(weight * v))

    def coded(inverse: float) -> list[int]:
        return [max(0, min(qmax, nearest(f32(inverse * f32(v - low))))) for v in x]

    def error(codes: list[int], scale: float, minimum: float) -> float:
        total = 0.0
        for v, weight, code in zip(x, w, codes, strict=True):
            difference = f32(f32(f32(scale * code) + minimum) - v)
            total = f32(total + f32(weight * f32(difference * difference)))
        return total

    inverse = f32(qmax / f32(high - low))
    scale, codes = f32(1 / inverse), coded(inverse)
    least = error(codes, scale, low)
    for t in range(37):
        candidate = coded(f32(f32(f32(f32(-0.9) + f32(f32(0.05) * t)) + qmax) / f32(high - low)))
        l1 = l2 = xl = 0.0
        for v, weight, code in zip(x, w, candidate, strict=True):
            once = f32(weight * code)
            l1, l2, xl = f32(l1 + once), f32(l2 + f32(once * code)), f32(xl + f32(once * v))
        determinant = f32(f32(sum_w * l2) - f32(l1 * l1))
        if determinant <= 0:
            continue
        new = f32(f32(f32(sum_w * xl) - f32(sum_x * l1)) / determinant)
        minimum = f32(f32(f32(l2 * sum_x) - f32(l1 * xl)) / determinant)
        if minimum > 0:
            new, minimum = f32(xl / l2), 0.0
        found = error(candidate, new, minimum)
        if found < least:
            least, scale, low, codes = found, new, minimum, candidate
    return scale, low, codes


def ordinary() -> tuple[F32, F32]:
    rows = corpus(32)
    x = np.stack([rows[name] for name in ORDINARY])
    weights = [np.abs(row) * (1 + importances(32)["random"]) + np.float32(1e-3) for row in x]
    return x, np.stack(weights).astype(np.float32)


@pytest.mark.parametrize("half", [8, 16])
def test_scales_are_those_of_the_scalar_program(half: int) -> None:
    x, weights = ordinary()
    d, codes = search_scale(x, weights, half=half)
    for k, name in enumerate(ORDINARY):
        expected = scale_program(x[k].tolist(), weights[k].tolist(), half)
        assert (float(d[k]), codes[k].tolist()) == expected, name


@pytest.mark.parametrize("qmax", [15, 31])
def test_minima_are_those_of_the_scalar_program(qmax: int) -> None:
    x, weights = ordinary()
    d, m, codes = search_minimum(x, weights, qmax=qmax)
    for k, name in enumerate(ORDINARY):
        expected = minimum_program(x[k].tolist(), weights[k].tolist(), qmax)
        assert (float(d[k]), float(m[k]), codes[k].tolist()) == expected, name


def test_weights_take_the_mean_of_the_row_from_left_to_right() -> None:
    """Three rows of 20 blocks; the sum in another order has other bits."""
    rng = np.random.default_rng(11)
    x = (rng.standard_normal((3, 640)) ** 3).astype(np.float32)
    importance, seen = importances(640)["random"], []

    def record(blocks: F32, weights: F32) -> U8:
        seen.append(weights.copy())
        return np.zeros((len(blocks), 18), np.uint8)

    encode_weighted(x, importance, type="Q4_0", function=record)
    expected = []
    for row in x.tolist():
        total = 0.0
        for v in row:
            total = f32(total + f32(v * v))
        mean = f32(total / 640)
        expected += [
            f32(a * f32(math.sqrt(f32(mean + f32(v * v)))))
            for a, v in zip(importance.tolist(), row, strict=True)
        ]
    assert np.concatenate(seen).ravel().tolist() == expected, "eq. (1), each step in float32"


def test_more_than_one_chunk_and_none() -> None:
    x = np.random.default_rng(12).standard_normal((5, 32 * 70)).astype(np.float32)
    importance = importances(32 * 70)["random"]

    def head(blocks: F32, weights: F32) -> U8:
        return np.repeat(nearest_int(blocks[:, :1] * 9).astype(np.uint8), 18, axis=1)

    data = encode_weighted(x, importance, type="Q4_0", function=head)
    expected = nearest_int(x.reshape(-1, 32)[:, 0] * np.float32(9)).astype(np.uint8)
    assert np.array_equal(data.reshape(-1, 18)[:, 5], expected), "350 blocks in their places"
    empty = encode_weighted(x[:0], importance, type="Q4_0", function=head)
    assert empty.shape == (0, 1260), "no rows"


def test_a_kept_minimum_of_zero_has_the_sign_of_the_first_zero() -> None:
    x = np.array([[-0.0, 0, 1, 3], [0, -0.0, 1, 3], [3, -0.0, 1, 2], [-0.0, 0, 1, 2]], np.float32)
    _, m, _ = search_minimum(x, np.ones_like(x), qmax=3)
    assert np.signbit(m).tolist() == [True, False, True, False], "the last found a better grid"


def test_with_an_importance_a_block_has_less_weighted_error() -> None:
    """What the search is for: weighted squared error, against the formula of Q4_0."""
    from refquant.formats.ggml import q4_0

    x = np.random.default_rng(13).standard_normal((64, 256)).astype(np.float32)
    importance = np.exp(2 * np.random.default_rng(14).standard_normal(256)).astype(np.float32)
    errors = [
        float((importance * (q4_0.decode(q4_0.encode(x, importance=how)) - x) ** 2).sum())
        for how in (None, importance)
    ]
    assert errors[1] < 0.8 * errors[0], f"a fifth at least: {errors}"
