"""Batch normalization, rounding by rounding."""

from typing import Any

import numpy as np
import pytest

from refquant.ops.normalization import batch_normalization

RNG = np.random.default_rng(17)
F = np.float32


def channels(count: int) -> list[Any]:
    scale, bias, mean = RNG.normal(size=(3, count)).astype(F)
    return [scale, bias, mean, RNG.uniform(0.1, 2, count).astype(F)]


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 4, 2)])
def test_it_rounds_as_written(shape: tuple[int, ...]) -> None:
    x = RNG.normal(size=shape).astype(F)
    scale, bias, mean, var = channels(3)
    y = batch_normalization(x, scale, bias, mean, var, epsilon=1e-3)
    for index in np.ndindex(*shape):
        c = index[1]
        g = F(scale[c] / F(np.sqrt(F(var[c] + F(1e-3)))))
        expected = F(F(F(x[index] - mean[c]) * g) + bias[c])
        assert y[index] == expected, f"y{index} = f32(f32(f32(x - mean) * g) + bias)"
    assert y.dtype == np.float32, "float32 in, float32 out"


def test_epsilon_is_1e5_unless_given() -> None:
    x, parameters = np.ones((1, 1), F), channels(1)
    given = batch_normalization(x, *parameters, epsilon=1e-5)
    assert batch_normalization(x, *parameters) == given, "ONNX's default"


def test_zero_variance_without_epsilon_is_infinite() -> None:
    one, zero = np.ones(1, F), np.zeros(1, F)
    y = batch_normalization(np.array([[2.0]], F), one, zero, one, zero, epsilon=0.0)
    assert y.tolist() == [[np.inf]], "1 / 0 is infinity"


@pytest.mark.parametrize(
    ("x", "bad", "epsilon", "message"),
    [
        (np.zeros(3, F), None, 1e-5, r"x must be \(N, C, ...\)"),
        (np.zeros((2, 0), F), None, 1e-5, "at least one channel"),
        (np.zeros((2, 3), F), np.zeros(2, F), 1e-5, r"mean must have shape \(3,\), got \(2,\)"),
        (np.zeros((2, 3), F), np.zeros(3), 1e-5, "mean must be float32, got float64"),
        (np.zeros((2, 3), F), None, -1.0, "attribute epsilon must be >= 0, got -1.0"),
    ],
)
def test_wrong_operands_are_refused(x: Any, bad: Any, epsilon: float, message: str) -> None:
    scale, bias, mean, var = channels(3)
    with pytest.raises(ValueError, match=f"BatchNormalization: .*{message}"):
        batch_normalization(x, scale, bias, mean if bad is None else bad, var, epsilon=epsilon)
