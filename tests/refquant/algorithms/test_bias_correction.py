"""Bias correction: the mean of each output is that of the float layer again."""

import math
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.bias_correction import (
    clipped_normal_mean,
    correct_by_inputs,
    correct_by_outputs,
)
from refquant.contracts import preset
from refquant.formats.affine import choose_qparams, fake_quantize
from refquant.ops.conv import conv_f32

U = 2.0**-24


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def coarse(w: NDArray[np.float32]) -> NDArray[np.float32]:
    """Three bits or so, one scale: large rounding errors."""
    top = np.abs(w).max()
    contract = preset("onnx")
    q = choose_qparams(-top, top, dtype="int4", symmetric=True, contract=contract)
    return np.asarray(fake_quantize(w, q, contract=contract))


def test_the_shift_by_hand() -> None:
    """Two groups of one input, kernels of two: 3 (0.5 + 0.25) and -1 (-0.5 + 0)."""
    w = f32([[[1, 2]], [[3, 4]]])
    w_hat = f32([[[1.5, 2.25]], [[2.5, 4]]])
    b = correct_by_inputs(f32([10, 20]), w, w_hat, mean_input=np.array([3.0, -1.0]), groups=2)
    assert b.tolist() == [7.75, 19.5], "10 - 2.25, 20 - 0.5"


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_the_shift_is_the_oracles(groups: int) -> None:
    """Loops in exact rationals; float64 sums of 36 terms, then one rounding to float32."""
    rng = np.random.default_rng(groups)
    w, w_hat = rng.standard_normal((2, 6, 6 // groups, 2, 3)).astype(np.float32)
    bias, mean = rng.standard_normal(6).astype(np.float32), rng.standard_normal(6)
    got = correct_by_inputs(bias, w, w_hat, mean_input=mean, groups=groups)
    for o in range(6):
        exact, size = Fraction(float(bias[o])), abs(float(bias[o]))
        for index in np.ndindex(*w.shape[1:]):
            i = o // (6 // groups) * (6 // groups) + index[0]
            e = Fraction(float(w_hat[o][index])) - Fraction(float(w[o][index]))
            exact -= e * Fraction(float(mean[i]))
            size += abs(float(e) * float(mean[i]))
        bound = U * abs(float(exact)) + 2.0**-46 * size
        assert abs(float(Fraction(float(got[o])) - exact)) <= bound, f"output {o}"


def relu_data(rng: np.random.Generator, mean: Any, std: Any, *shape: int) -> NDArray[np.float32]:
    along = (1, -1, *(1,) * (len(shape) - 2))
    x = rng.standard_normal(shape) * np.reshape(std, along) + np.reshape(mean, along)
    return np.maximum(x, 0).astype(np.float32)


def test_means_are_restored() -> None:
    """The claim: rounded weights shift every channel's mean; corrected, none is shifted.

    By outputs, exactly, up to the rounding of bias and outputs; by inputs, up to the border, where
    a padded convolution sees less than the mean; by batch-norm statistics, up to what is not normal
    and to the sampling error of the data that we compare with.
    """
    rng = np.random.default_rng(0)
    mean, std = rng.uniform(-0.5, 2, 8), rng.uniform(0.5, 1.5, 8)
    x = relu_data(rng, mean, std, 64, 8, 10, 10)
    w = rng.standard_normal((12, 8, 3, 3)).astype(np.float32)
    bias, w_hat = np.zeros(12, np.float32), coarse(w)

    def run(kernel: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
        return conv_f32(x, kernel, b, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), group=1)

    def shift(b: NDArray[np.float32]) -> NDArray[np.float64]:
        y_hat = run(w_hat, b).astype(np.float64)
        return np.asarray(np.abs((y_hat - y).mean(axis=(0, 2, 3))))

    y = run(w, bias)
    before = shift(bias)
    seen = x.astype(np.float64).mean(axis=(0, 2, 3))
    by_inputs = correct_by_inputs(bias, w, w_hat, mean_input=seen, groups=1)
    by_outputs = correct_by_outputs(bias, y, run(w_hat, bias), axis=1)
    told = clipped_normal_mean(mean, std, low=0.0, high=math.inf)
    by_statistics = correct_by_inputs(bias, w, w_hat, mean_input=told, groups=1)
    assert before.mean() > 0.5, f"a shift to speak of: {before}"
    # One rounding of each of the sums of 72 products and of the bias: |y| is below 64.
    assert shift(by_outputs).max() <= 2 * 73 * U * 64, f"by outputs {shift(by_outputs)}"
    # The valid convolution sees border pixels less often: means of 6400 and of fewer pixels.
    assert shift(by_inputs).mean() < before.mean() / 20, f"by inputs {shift(by_inputs)}"
    assert shift(by_statistics).mean() < before.mean() / 20, f"analytic {shift(by_statistics)}"


def test_corrected_by_outputs_twice_is_once() -> None:
    """Small integers over 8: all means are exact, and the second correction is zero."""
    rng = np.random.default_rng(1)
    y, y_hat = rng.integers(-50, 51, (2, 8, 3)).astype(np.float32)
    bias = f32([1, 2, 3])
    once = correct_by_outputs(bias, y, y_hat, axis=1)
    moved = y_hat + (once - bias)
    assert (moved.mean(axis=0) == y.mean(axis=0)).all(), "the means are equal"
    assert correct_by_outputs(once, y, moved, axis=-1).tolist() == once.tolist(), "nothing to do"


def phi(t: float) -> float:
    return math.exp(-t * t / 2) / math.sqrt(2 * math.pi)


def exact_mean(mu: float, sigma: float, low: float, high: float) -> float:
    """Equation (4) with the library's erfc, tails from their own side."""
    a, b = (low - mu) / sigma, (high - mu) / sigma
    below, above = math.erfc(-a / math.sqrt(2)) / 2, math.erfc(b / math.sqrt(2)) / 2
    inside = 1 - below - above
    total = mu * inside + sigma * ((phi(a) if math.isfinite(a) else 0)
                                   - (phi(b) if math.isfinite(b) else 0))  # fmt: skip
    return total + (low * below if math.isfinite(low) else 0) + (
        high * above if math.isfinite(high) else 0)  # fmt: skip


@pytest.mark.parametrize("bounds", [(0.0, math.inf), (0.0, 6.0), (-math.inf, 1.0), (-2.0, 3.0)])
def test_clipped_means_are_within_their_bound(bounds: tuple[float, float]) -> None:
    low, high = bounds
    rng = np.random.default_rng(0)
    mean = np.concatenate([rng.normal(0, 3, 300), [0.0, 6.0, 1e6, -1e6, 1e-30]])
    std = np.concatenate([np.exp2(rng.uniform(-10, 5, 300)), [1.0, 1.0, 3.0, 3.0, 1e-20]])
    got = clipped_normal_mean(mean, std, low=low, high=high)
    for mu, sigma, value in zip(mean.tolist(), std.tolist(), got.tolist(), strict=True):
        finite = [abs(v - mu) for v in bounds if math.isfinite(v)]
        bound = 2.0**-21 * (sigma + sum(finite))
        error = abs(value - exact_mean(mu, sigma, low, high))
        assert error <= bound, f"mean {mu}, std {sigma}: off by {error}, bound {bound}"


def test_clipped_means_by_sampling() -> None:
    """The equation itself: 10^6 normal numbers, clipped; 5 sigma of their mean."""
    x = np.random.default_rng(0).standard_normal(1_000_000) * 2.0 + 1.0
    for low, high in ((0.0, math.inf), (0.0, 2.0), (-1.0, 4.0)):
        clipped = np.clip(x, low, high)
        (got,) = clipped_normal_mean(np.array([1.0]), np.array([-2.0]), low=low, high=high)
        assert abs(got - clipped.mean()) <= 5 * clipped.std() / 1000, f"[{low}, {high}]: {got}"


def test_no_deviation_clips_the_mean() -> None:
    mean = np.array([-1.0, 0.5, 7.0])
    assert clipped_normal_mean(mean, np.zeros(3), low=0.0, high=6.0).tolist() == [0, 0.5, 6], "6"
    assert clipped_normal_mean(mean, np.zeros(3), low=0.0, high=math.inf).tolist() == [0, 0.5, 7]


def test_nonsense_is_refused() -> None:
    one, w, m = f32([1]), f32([[1, 2]]), np.ones(2)
    nan = f32([np.nan])
    wrong: list[tuple[Any, str]] = [
        (lambda: correct_by_inputs(one, w, w.T, mean_input=m, groups=1), "w and w_hat must be"),
        (lambda: correct_by_inputs(w[0], w, w, mean_input=m, groups=1), "bias (outputs,), got"),
        (lambda: correct_by_inputs(one, w, w, mean_input=m[:1], groups=1), "(2,) and groups"),
        (lambda: correct_by_inputs(one, w, w, mean_input=m, groups=2), "groups must divide"),
        (lambda: correct_by_inputs(one, w, w, mean_input=m, groups=0), "groups must divide"),
        (lambda: correct_by_inputs(nan, w, w, mean_input=m, groups=1), "bias must be finite"),
        (lambda: correct_by_inputs(one, w, w, mean_input=m * np.inf, groups=1), "mean_input must"),
        (lambda: correct_by_outputs(one, w, w, axis=1), "bias must be (2,), got (1,)"),
        (lambda: correct_by_outputs(one, w, w, axis=2), "with axis 2"),
        (lambda: correct_by_outputs(one, w, w.T, axis=0), "must have one shape"),
        (lambda: correct_by_outputs(one, w[:, :0], w[:, :0], axis=0), "not be empty"),
        (lambda: correct_by_outputs(one, w * nan, w, axis=0), "y must be finite, got 2"),
        (lambda: clipped_normal_mean(m, m[:1], low=0.0, high=1.0), "one shape"),
        (lambda: clipped_normal_mean(m, m, low=1.0, high=1.0), "low must be below high"),
        (lambda: clipped_normal_mean(m, m, low=math.nan, high=1.0), "low must be below high"),
        (lambda: clipped_normal_mean(m, m * np.nan, low=0.0, high=1.0), "std must be finite"),
    ]
    for call, message in wrong:
        with pytest.raises(ValueError, match=re.escape(message)):
            call()
