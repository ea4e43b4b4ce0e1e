"""Both normalizations, bit for bit as the text says; what they forget; what is refused."""

import math
from typing import Any

import numpy as np
import pytest

from refquant.ops.layer_norm import layer_normalization, rms_normalization
from tests.refquant.ops.single import dot, f, root, rough, total

RNG = np.random.default_rng(0)
ONE = np.ones(1, np.float32)


def layer_as_specified(
    x: list[float], scale: list[float], bias: list[float] | None, epsilon: float
) -> list[float]:
    c = float(len(x))
    mean = f(total(x) / c)
    d = [f(v - mean) for v in x]
    inverse = f(1 / root(f(f(dot(d, d) / c) + f(epsilon))))
    y = [f(f(v * inverse) * s) for v, s in zip(d, scale, strict=True)]
    return y if bias is None else [f(v + b) for v, b in zip(y, bias, strict=True)]


def rms_as_specified(x: list[float], scale: list[float], epsilon: float) -> list[float]:
    length = root(f(f(dot(x, x) / len(x)) + f(epsilon)))
    return [f(f(v / length) * s) for v, s in zip(x, scale, strict=True)]


@pytest.mark.parametrize("c", [1, 2, 3, 17, 384])
@pytest.mark.parametrize("epsilon", [1e-12, 1e-5, 0.5])
def test_the_bits_are_those_of_the_text(c: int, epsilon: float) -> None:
    x, scale, bias = rough(RNG, 3, 2, c), rough(RNG, c), rough(RNG, c)
    for given in (bias, None):
        y = layer_normalization(x, scale, given, epsilon=epsilon)
        last = None if given is None else given.tolist()
        for i, row in enumerate(x.reshape(-1, c).tolist()):
            expected = layer_as_specified(row, scale.tolist(), last, epsilon)
            assert y.reshape(-1, c)[i].tolist() == expected, f"row {i}, bias {given is not None}"
    y = rms_normalization(x, scale, epsilon=epsilon)
    for i, row in enumerate(x.reshape(-1, c).tolist()):
        assert y.reshape(-1, c)[i].tolist() == rms_as_specified(row, scale.tolist(), epsilon), i


def test_a_constant_vector_becomes_the_bias_and_keeps_its_sign_in_rms() -> None:
    x = np.full((1, 4), -3, np.float32)
    scale, bias = np.full(4, 2, np.float32), np.full(4, 5, np.float32)
    assert layer_normalization(x, scale, bias).tolist() == [[5.0] * 4], "nothing is left of x"
    assert rms_normalization(x, scale, epsilon=0).tolist() == [[-2.0] * 4], "its length is 1"


def test_zero_without_epsilon_is_nan_and_special_values_travel() -> None:
    zero = np.zeros((1, 2), np.float32)
    two = np.ones(2, np.float32)
    assert np.isnan(layer_normalization(zero, two, epsilon=0)).all(), "0 * (1/0)"
    assert np.isnan(rms_normalization(zero, two, epsilon=0)).all(), "0 / 0"
    huge = np.full((1, 2), 1e30, np.float32)
    assert rms_normalization(huge, two).tolist() == [[0.0, 0.0]], "the square overflows, as said"
    for value in (math.nan, math.inf):
        x = np.array([[value, 1], [1, 2]], np.float32)
        for y in (layer_normalization(x, two), rms_normalization(x, two)):
            assert np.isnan(y[0]).any(), f"{value} spoils its own vector"
            assert np.isfinite(y[1]).all(), f"{value} spoils no other vector"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((2, 0), np.float32)}, r"x must be \(..., C\) with C >= 1"),
        ({"x": np.float32(1).reshape(())}, "x must be"),
        ({"x": np.zeros((2, 1))}, "x must be float32, got float64"),
        ({"scale": np.ones(2, np.float32)}, r"scale must have shape \(1,\), got \(2,\)"),
        ({"epsilon": -1.0}, "epsilon must be >= 0, got -1.0"),
        ({"epsilon": math.nan}, "epsilon must be >= 0, got nan"),
    ],
)
def test_what_has_no_meaning_is_refused(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"x": np.zeros((2, 1), np.float32), "scale": ONE, **changes}
    for function in (layer_normalization, rms_normalization):
        with pytest.raises(ValueError, match=message):
            function(**given)
    with pytest.raises(ValueError, match="bias must have shape"):
        layer_normalization(ONE[None], ONE, np.ones(3, np.float32))
