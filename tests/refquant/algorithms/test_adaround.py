"""AdaRound: near the best of all roundings where these can be counted; gradients; edges."""

import itertools
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms import adaround as module
from refquant.algorithms.adaround import AdaRound, adaround, output_error
from refquant.algorithms.hessian import Hessian
from refquant.algorithms.weight import QuantizedWeight, group_indices

F64 = NDArray[np.float64]

FAST = AdaRound(
    200, learning_rate=0.06, regularization=1.0, beta_start=20.0, beta_end=2.0, warm_start=0.2
)


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def nearest(w: NDArray[np.float32], *, num_bits: int, signed: bool = True) -> QuantizedWeight:
    """One symmetric group a row, rounded half to even; unsigned codes are moved by a half range."""
    half = 1 << (num_bits - 1)
    scale = np.maximum(np.abs(w).max(axis=1, keepdims=True) / np.float32(half - 1), f32(1e-9))
    zero = np.full(scale.shape, 0 if signed else half, np.int32)
    codes = np.clip(np.rint(w / scale), -half, half - 1).astype(np.int32) + zero
    kept = codes.astype(np.int8 if signed else np.uint8)
    return QuantizedWeight(
        kept, scale, zero, group_indices(w.shape[1], group_size=None), num_bits, signed
    )


def layer(seed: int, n: int, k: int) -> tuple[NDArray[np.float32], F64]:
    """Weights, and the Hessian of correlated inputs that are never negative, as after a Relu."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.standard_normal((200, k)) @ rng.standard_normal((k, k)) + 1.0, 0)
    w = rng.standard_normal((n, k)).astype(np.float32)
    return w, Hessian(k).update(x.astype(np.float32)).matrix()


def best(w: NDArray[np.float32], h: F64, grid: QuantizedWeight) -> F64:
    """The least error of each row over all 2^k roundings: the oracle, by trying."""
    half = 1 << (grid.num_bits - 1)
    least = []
    ups = np.array(list(itertools.product((0, 1), repeat=w.shape[1])))
    for row, scale in zip(w.astype(np.float64), grid.scale[:, 0].astype(np.float64), strict=True):
        error = np.clip(np.floor(row / scale) + ups, -half, half - 1) * scale - row
        least.append((0.5 * (error @ h) * error).sum(axis=1).min())
    return np.array(least)


def test_it_closes_most_of_the_gap_between_nearest_and_best() -> None:
    """The paper's claim, with the optimum known: 2^10 roundings a row, 24 rows, 3 bits.

    Rounding to nearest has about twice the error that is possible; AdaRound loses little of it.
    """
    totals = np.zeros(3)
    for seed in range(4):
        w, h = layer(seed, 6, 10)
        grid = nearest(w, num_bits=3)
        found = adaround(w, h, grid, FAST)
        errors = [output_error(w, q.dequantize(), h).sum() for q in (grid, found)]
        errors.append(best(w, h, grid).sum())
        assert errors[2] <= errors[1] * (1 + 1e-12), f"nothing beats the best: {errors}"
        assert errors[1] < errors[0], f"layer {seed}: better than nearest: {errors}"
        totals += errors
    closed = (totals[0] - totals[1]) / (totals[0] - totals[2])
    assert totals[0] > 1.5 * totals[2], f"there is a gap: {totals}"
    assert closed > 0.75, f"{closed:.2f} of the gap is closed: {totals}"


def test_codes_are_one_of_both_neighbours() -> None:
    w, h = layer(7, 5, 12)
    grid = nearest(w, num_bits=4)
    down = np.clip(np.floor(w.astype(np.float64) / grid.scale), -8, 7)
    step = adaround(w, h, grid, FAST).codes - down
    assert set(np.unique(step).tolist()) <= {0, 1}, "down or up, nothing else"


def test_independent_inputs_leave_nothing_to_choose() -> None:
    """With a diagonal H each weight is alone, and alone the nearest mark is the best."""
    w, _ = layer(3, 8, 16)
    grid = nearest(w, num_bits=4)
    got = adaround(w, 2.0 * np.eye(16), grid, FAST)
    assert got.codes.tolist() == grid.codes.tolist(), "the codes of nearest rounding"


def test_dead_inputs_stay_at_the_nearest_mark() -> None:
    w, h = layer(4, 4, 8)
    h[[1, 5]] = 0
    h[:, [1, 5]] = 0
    grid = nearest(w, num_bits=3)
    got = adaround(w, h, grid, FAST)
    assert got.codes[:, [1, 5]].tolist() == grid.codes[:, [1, 5]].tolist(), "nobody asks for them"
    rest = [0, 2, 3, 4, 6, 7]
    part = replace(grid, codes=grid.codes[:, rest], g_idx=grid.g_idx[rest])
    alone = adaround(w[:, rest], h[np.ix_(rest, rest)], part, FAST)
    assert got.codes[:, rest].tolist() == alone.codes.tolist(), "and the others do not see them"


def test_marks_are_kept() -> None:
    """A weight on a mark has fraction 0, or 1 - 2^-24 of a step below it: either way it stays."""
    w = f32([[-3, -1, 0, 2, 3]])
    h = np.full((5, 5), 0.5) + np.eye(5)
    got = adaround(w, h, nearest(w, num_bits=3), FAST)
    assert got.dequantize().tolist() == w.tolist(), "the float weights themselves"


@pytest.mark.parametrize("signed", [True, False])
def test_signs_and_zero_points_make_no_difference(signed: bool) -> None:
    w, h = layer(5, 4, 8)
    got = adaround(w, h, nearest(w, num_bits=3, signed=signed), FAST)
    plain = adaround(w, h, nearest(w, num_bits=3), FAST)
    assert got.dequantize().tobytes() == plain.dequantize().tobytes(), "the same weights"
    assert got.codes.dtype == (np.int8 if signed else np.uint8), "codes keep their dtype"


def test_codes_stay_in_range() -> None:
    """A scale that is too small clips: those weights have one code only, and no gradient."""
    w, h = layer(6, 4, 8)
    grid = nearest(w, num_bits=3)
    tight = replace(grid, scale=(grid.scale / 3).astype(np.float32))
    codes = adaround(w, h, tight, FAST).codes
    assert codes.min() == -4, "clipped below"
    assert codes.max() == 3, "clipped above"


def loss(v: F64, layer: Any, settings: AdaRound, beta: float) -> float:
    """Equation (3) in plain float64, with the library's functions: what the gradient is of."""
    soft = np.clip(1.2 / (1 + np.exp(-v)) - 0.1, 0, 1)
    codes = np.clip(layer.base + soft, layer.low, layer.high)
    error = layer.scale * (codes - layer.zero) - layer.w
    pull = (1 - np.abs(2 * soft - 1) ** beta).sum()
    return float(0.5 * ((error @ layer.h) * error).sum() + settings.regularization * pull)


def test_the_gradient_is_that_of_the_loss() -> None:
    """Equation (5) against central differences of (3), d = 2^-14, far from where it starts.

    V is kept away from the corners of the two clips, where there is no derivative. The difference
    is off by d^2 / 6 of the third derivative, below 2^-28 times some thousands, and by rounding,
    2^-52 L / d; float32's sigmoid, logarithm and power by 2^-20 of the terms of the slope.
    """
    w32, h = layer(8, 6, 8)
    grid = nearest(w32, num_bits=3)
    w, scale = w32.astype(np.float64), np.repeat(grid.scale, 8, axis=1).astype(np.float64)
    inner = module._Layer(w, h, scale, np.floor(w / scale), np.zeros_like(w), -3.5, 2.5)
    v = np.random.default_rng(0).uniform(-4, 4, w.shape)
    d = 2.0**-14
    for beta, step in ((20.0, 3), (2.0, 5)):  # the first is still warming up
        settings = replace(FAST, iterations=8, warm_start=0.5, beta_start=beta, beta_end=beta)
        active = settings if step >= 4 else replace(settings, regularization=0.0)
        got = module._slope(v, inner, settings, step)
        for index in np.ndindex(*v.shape):
            move = np.zeros_like(v)
            move[index] = d
            ahead, behind = (loss(v + m, inner, active, beta) for m in (move, -move))
            expected = (ahead - behind) / (2 * d)
            terms = float(np.abs(h).sum(axis=1).max() * scale.max() ** 2 * 8)
            assert abs(got[index] - expected) <= 2.0**-20 * terms, f"{index}, beta {beta}"
        assert np.abs(got).max() > 2.0**-10 * terms, "there is a slope to compare"


def test_the_descent_is_adams() -> None:
    """Algorithm 1 of arXiv:1412.6980, one number after the other, on the same slopes.

    Powers of 0.9 and 0.999 are products, as in the code: one order of operations, so equal bits.
    """
    w32, h = layer(13, 6, 8)
    w, scale = w32.astype(np.float64), np.float64(0.75)
    floor = np.floor(w / scale)
    problem = module._Layer(w, h, scale * np.ones_like(w), floor, np.zeros_like(w), -4, 3)
    settings = replace(FAST, iterations=30, learning_rate=0.25, warm_start=0.0)
    start = module._inverse(w / scale - floor)
    v, m, n, b1, b2 = start.copy(), np.zeros_like(w), np.zeros_like(w), 1.0, 1.0
    for t in range(30):
        slope = module._slope(v, problem, settings, t)
        b1, b2 = b1 * 0.9, b2 * 0.999
        for i in np.ndindex(*v.shape):
            m[i] = 0.9 * m[i] + (1 - 0.9) * slope[i]
            n[i] = 0.999 * n[i] + (1 - 0.999) * slope[i] * slope[i]
            v[i] -= 0.25 * (m[i] / (1 - b1)) / (math.sqrt(n[i] / (1 - b2)) + 1e-8)
    assert np.abs(v - start).max() > 1, "it moves"
    got = module._descended(start, problem, settings)
    assert got.tobytes() == v.tobytes(), f"{np.abs(got - v).max()}"


def test_the_pull_is_the_derivative_of_its_term() -> None:
    """At beta 20, 5 and 2, against differences; float32 logarithms cost 2e-6 relative."""
    soft = np.linspace(0.02, 0.98, 25)[None]
    for start, end, step in ((20.0, 2.0, 0), (5.0, 5.0, 3), (2.0, 2.0, 9)):
        settings = replace(FAST, iterations=10, warm_start=0.0, beta_start=start, beta_end=end)
        got = np.asarray(module._pull(soft, settings, step))

        def term(x: F64, beta: float = start) -> F64:
            return np.asarray(1 - np.abs(2 * x - 1) ** beta)

        slope = (term(soft + 1e-6) - term(soft - 1e-6)) / 2e-6
        # cancellation in the difference: 2^-52 / 1e-6; curvature: 1e-12 beta^3
        bound = 4e-6 * np.abs(slope) + 1e-8
        assert (np.abs(got - slope) <= bound).all(), f"beta {start}: {np.abs(got - slope).max()}"


def test_beta_falls_along_a_cosine() -> None:
    for i in range(101):
        t = i / 100
        error = abs(module._half_cosine(t) - (1 + math.cos(math.pi * t)) / 2)
        assert error <= 2.0**-51, f"{t}: off by {error}"


def test_soft_weights_start_as_the_float_weights() -> None:
    """h(V) of eq. (2) undoes `_inverse` up to float32's rounding of a number below 1."""
    fraction = np.linspace(0, 1, 1000, endpoint=False)
    v = module._inverse(fraction)
    back = 1.2 / (1 + np.exp(-v)) - 0.1
    assert np.abs(back - fraction).max() <= 2.0**-21, f"{np.abs(back - fraction).max()}"


def test_too_weak_a_pull_is_nearest_rounding() -> None:
    """Started where the error is zero, descent has no reason to move, and V >= 0 is nearest.

    So lambda has a scale: it must be felt beside the error of the output.
    """
    w, h = layer(9, 6, 10)
    grid = nearest(w, num_bits=3)
    got = adaround(w, h * 100, grid, replace(FAST, regularization=0.0))
    assert got.codes.tolist() == grid.codes.tolist(), "no pull, no choice"


def test_the_same_bytes_and_arguments_that_stay() -> None:
    w, h = layer(10, 5, 9)
    grid = nearest(w, num_bits=4)
    before = (w.tobytes(), h.tobytes(), grid.codes.tobytes())
    a, b = (adaround(w, h, grid, FAST).codes.tobytes() for _ in range(2))
    assert a == b, "no randomness"
    assert (w.tobytes(), h.tobytes(), grid.codes.tobytes()) == before, "pure"


def test_groups_have_their_own_scales() -> None:
    w, h = layer(11, 4, 8)
    w[:, 4:] *= 16
    scale = np.concatenate([nearest(part, num_bits=3).scale for part in (w[:, :4], w[:, 4:])], 1)
    grid = QuantizedWeight(np.zeros((4, 8), np.int8), scale, np.zeros((4, 2), np.int32),
                           group_indices(8, group_size=4), 3, True)  # fmt: skip
    got = adaround(w, h, grid, FAST).dequantize()
    step = np.repeat(scale, 4, axis=1)
    assert (np.abs(got - w) < step).all(), "within one step of the weight's own group"


def test_output_error_is_the_mean_square_over_tokens() -> None:
    """Small integers: 1/n sum (e x)^2 in exact arithmetic."""
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (8, 4)).astype(np.float32)
    w, w_hat = rng.integers(-5, 6, (2, 3, 4)).astype(np.float32)
    expected = (((w_hat - w) @ x.T) ** 2).sum(axis=1) / 8
    got = output_error(w, w_hat, Hessian(4).update(x).matrix())
    assert got.tolist() == expected.tolist(), "for each row"


def test_nonsense_is_refused() -> None:
    w, h = layer(12, 2, 3)
    grid = nearest(w, num_bits=4)
    none = replace(grid, codes=grid.codes[:0], scale=grid.scale[:0], zero_point=grid.zero_point[:0])
    wrong: list[tuple[Any, str]] = [
        (lambda: adaround(w[0], h, grid, FAST), "w must be (n, k)"),
        (lambda: adaround(w[:, :2], h, grid, FAST), "with as many codes"),
        (lambda: adaround(w, h[:2], grid, FAST), "h (k, k), got (2, 3), (2, 3) and (2, 3)"),
        (lambda: adaround(w[:0], h, none, FAST), "not empty"),
        (lambda: adaround(w * f32(np.nan), h, grid, FAST), "w must be finite, got 6"),
        (lambda: adaround(w, h * np.inf, grid, FAST), "h must be finite"),
        (lambda: adaround(w, np.triu(h), grid, FAST), "h must be symmetric"),
        (lambda: adaround(w, h, replace(grid, scale=-grid.scale), FAST), "scale must be above 0"),
        (lambda: replace(FAST, iterations=0), "iterations must be at least 1"),
        (lambda: replace(FAST, warm_start=-0.1), "warm_start must be in [0, 1)"),
        (lambda: replace(FAST, learning_rate=0.0), "learning_rate must be above 0"),
        (lambda: replace(FAST, regularization=-1.0), "and regularization not below"),
        (lambda: replace(FAST, learning_rate=math.nan), "learning_rate must be above 0"),
        (lambda: replace(FAST, beta_end=0.5), "beta_start must be at least beta_end"),
        (lambda: replace(FAST, beta_start=1.5), "beta_start must be at least beta_end"),
    ]
    for call, message in wrong:
        with pytest.raises(ValueError, match=re.escape(message)):
            call()
