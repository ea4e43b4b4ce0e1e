"""Activations and softmax: the bits of the specification, their limits, their distance from truth.

The transcendental functions inside have their own tests; here each formula is transcribed again
for one number, over those, and must give the same bits.
"""

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.numerics import elementary as el

INF = math.inf
any_float32 = st.floats(width=32) | st.floats(-110, 110, width=32) | st.floats(-4, 4, width=32)


def f(x: float) -> float:
    """Round a float64 to float32: correct after one operation on float32 values."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return math.copysign(INF, x)


def exp(x: float) -> float:
    return float(el.exp(np.float32(x)))


def swish_as_specified(x: float) -> float:
    return f(x * float(el.sigmoid(np.float32(x))))


def gelu_as_specified(x: float) -> float:
    return f(f(0.5 * x) * f(1 + float(el.erf(np.float32(f(x * f(0.707106781)))))))


def gelu_tanh_as_specified(x: float) -> float:
    cube = f(f(0.044715) * f(f(x * x) * x))
    inner = f(f(0.797884561) * f(x + cube))
    return f(f(0.5 * x) * f(1 + float(el.tanh(np.float32(inner)))))


def elu_as_specified(x: float) -> float:
    return x if x > 0 else f(f(0.7) * f(exp(x) - 1))


def softplus_as_specified(x: float) -> float:
    if math.isnan(x):
        return x
    return f(max(x, 0.0) + float(el.log(np.float32(f(1 + exp(-abs(x)))))))


def clip_as_specified(x: float, low: float, high: float) -> float:
    return high if x > high else low if x < low else x


def hard_sigmoid_as_specified(x: float) -> float:
    return clip_as_specified(f(f(f(0.2) * x) + 0.5), 0.0, 1.0)


def hard_swish_as_specified(x: float) -> float:
    return f(x * clip_as_specified(f(f(f(1 / 6) * x) + 0.5), 0.0, 1.0))


def leaky_relu_as_specified(x: float) -> float:
    return x if x >= 0 or math.isnan(x) else f(f(0.01) * x)


def relu_as_specified(x: float) -> float:
    return x if x > 0 or math.isnan(x) else 0.0


Unary = Callable[[Any], NDArray[np.float32]]
CASES: dict[str, tuple[Unary, Callable[[float], float]]] = {
    "gelu": (el.gelu, gelu_as_specified),
    "gelu_tanh": (el.gelu_tanh, gelu_tanh_as_specified),
    "swish": (el.swish, swish_as_specified),
    "elu": (lambda x: el.elu(x, alpha=0.7), elu_as_specified),
    "softplus": (el.softplus, softplus_as_specified),
    "hard_sigmoid": (el.hard_sigmoid, hard_sigmoid_as_specified),
    "hard_swish": (el.hard_swish, hard_swish_as_specified),
    "leaky_relu": (el.leaky_relu, leaky_relu_as_specified),
    "relu": (el.relu, relu_as_specified),
    "clip": (
        lambda x: el.clip(x, minimum=-1.5, maximum=6.0),
        lambda x: clip_as_specified(x, -1.5, 6.0),
    ),
}
every_case = pytest.mark.parametrize("name", CASES)


def same_bits(got: float, expected: float) -> bool:
    if math.isnan(expected):
        return math.isnan(got)
    return struct.pack("<f", got) == struct.pack("<f", expected)


@every_case
@given(x=any_float32)
def test_any_number_has_the_bits_of_the_specification(name: str, x: float) -> None:
    function, specified = CASES[name]
    got = float(function(np.float32(x)))
    assert same_bits(got, specified(x)), f"{name}({x!r}) = {got!r}, not {specified(x)!r}"


@every_case
def test_edges_have_the_bits_of_the_specification(name: str) -> None:
    function, specified = CASES[name]
    at = [0.0, 1e-45, 0.1, 0.5, 1.0, 1.5, 2.5, 3.0, 6.0, 17.0, 88.8, 104.0, 1e38, INF]
    p = np.array(at, np.float32)
    p = np.concatenate([p, np.nextafter(p, np.float32(0)), np.nextafter(p, np.float32(INF))])
    x = np.concatenate([p, -p, np.array([np.nan], np.float32)])
    with np.errstate(all="raise"):  # nothing may depend on the caller's error state
        got = function(x)
    assert got.dtype == np.float32, f"got {got.dtype}"
    wrong = [
        (v, y, specified(v))
        for v, y in zip(x.tolist(), got.tolist(), strict=True)
        if not same_bits(y, specified(v))
    ]
    assert not wrong, f"{name}: (x, got, specified) = {wrong[:5]}"


@every_case
def test_shapes_and_scalars(name: str) -> None:
    function, _ = CASES[name]
    for shape in ((0,), (2, 0), (2, 3)):
        y = function(np.full(shape, 0.3, np.float32))
        assert y.shape == shape, f"{name}: {shape} became {y.shape}"
        assert y.dtype == np.float32, f"{name}: {y.dtype}"
    scalar = function(np.float32(0.3))
    assert isinstance(scalar, np.float32), f"{name} of a scalar is a scalar, got {type(scalar)}"


@every_case
def test_the_argument_is_not_changed(name: str) -> None:
    x = np.array([-2.0, 0.5, 7.0], np.float32)
    CASES[name][0](x)
    assert x.tolist() == [-2.0, 0.5, 7.0], f"{name} must not write into its argument"


def test_all_activations_have_a_case() -> None:
    inside = {"exp", "log", "sigmoid", "tanh", "erf", "softmax"}
    assert set(el.__all__) == inside | set(CASES), "an elementary function without a test"


def test_minus_infinity_times_zero() -> None:
    """The formulas say inf * 0 = NaN there; a loader's table never asks."""
    x = np.array([-INF], np.float32)
    for name in ("gelu", "swish", "hard_swish"):
        assert np.isnan(CASES[name][0](x)).all(), f"{name}(-inf)"


def test_relu_gives_plus_zero_and_passes_nan() -> None:
    y = el.relu(np.array([-0.0, -1.0, np.nan], np.float32))
    assert not np.signbit(y[:2]).any(), f"got {y}"
    assert np.isnan(y[2]), f"got {y}"


def test_clip_without_bounds_is_the_identity() -> None:
    x = np.array([-INF, -0.0, 0.0, INF], np.float32)
    assert el.clip(x).tobytes() == x.tobytes(), "no bound, no change"
    assert el.clip(x, maximum=0.0).tolist() == [-INF, 0.0, 0.0, 0.0], "one bound"
    assert np.signbit(el.clip(x, maximum=0.0)[1]), "-0.0 is not above 0.0"


def points() -> NDArray[np.float32]:
    """Every finite bfloat16 within +-105, and 200 000 random numbers."""
    x = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
    dense = np.random.default_rng(11).uniform(-105, 105, 200_000).astype(np.float32)
    near = np.random.default_rng(12).uniform(-9, 9, 200_000).astype(np.float32)
    return np.concatenate([x[np.abs(x) <= 105], dense, near])


def sigmoid64(x: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def gelu64(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # erfc, because 1 + erf(x) cancels in the left tail
    twice: NDArray[np.float64] = np.array([math.erfc(-v / math.sqrt(2)) for v in x.tolist()])
    return 0.5 * x * twice


def gelu_tanh64(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # 1 + tanh(u) = 2 / (1 + e**-2u), which does not cancel in the left tail
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    with np.errstate(over="ignore"):
        y: NDArray[np.float64] = x / (1 + np.exp(-2 * u))
    return y


TRUE: dict[str, tuple[Unary, Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "gelu": (el.gelu, gelu64, 3.42),
    "gelu_tanh": (el.gelu_tanh, gelu_tanh64, 1.98),
    "swish": (el.swish, lambda x: x * sigmoid64(x), 2.43),
    "elu": (el.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), 0.81),
    "softplus": (
        el.softplus,
        lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
        2.34,
    ),
}


@pytest.mark.parametrize("name", TRUE)
def test_errors_are_within_the_bounds_of_the_docstrings(name: str) -> None:
    """In units of 2**-24 max(1, |x|): the scale on which these functions are quantized."""
    function, true, bound = TRUE[name]
    x = points()
    wide = x.astype(np.float64)
    error = np.abs(function(x) - true(wide)) / (2.0**-24 * np.maximum(1, np.abs(wide)))
    worst = int(np.argmax(error))
    assert error[worst] <= bound, f"{name}: {error[worst]} units at {x[worst]!r}"


def softmax_as_specified(row: list[float]) -> list[float]:
    e = [exp(f(v - max(row))) for v in row]
    total = 0.0
    for v in e:
        total = f(total + v)
    return [f(v / total) for v in e]


@given(row=st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40))
def test_softmax_has_the_bits_of_the_specification(row: list[float]) -> None:
    got = el.softmax(np.array(row, np.float32))
    assert got.tolist() == softmax_as_specified(row), f"{row}"


def test_softmax_sums_in_ascending_order() -> None:
    """1 first and then 200 tiny terms: each is lost. Backwards they add up."""
    tiny = math.log(2.0**-25)
    row = [0.0] + [tiny] * 200
    forward = el.softmax(np.array(row, np.float32))
    backward = el.softmax(np.array(row[::-1], np.float32))
    assert float(forward[0]) == 1.0, f"got {forward[0]!r}"
    assert float(backward[-1]) < 1.0, f"got {backward[-1]!r}"


@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
def test_softmax_along_any_axis_is_softmax_of_each_row(axis: int) -> None:
    x = np.random.default_rng(3).standard_normal((3, 4, 5)).astype(np.float32)
    got = np.moveaxis(el.softmax(x, axis=axis), axis, -1)
    rows = np.moveaxis(x, axis, -1)
    for index in np.ndindex(rows.shape[:-1]):
        assert got[index].tolist() == softmax_as_specified(rows[index].tolist()), f"row {index}"


def test_softmax_of_a_shifted_row_and_of_extremes() -> None:
    x = np.array([[3.0, 1.0, 2.0]], np.float32)
    assert el.softmax(x).tolist() == el.softmax(x + np.float32(64)).tolist(), "x - max is exact"
    huge = np.array([3.4e38, -3.4e38, 0.0], np.float32)
    assert el.softmax(huge).tolist() == [1.0, 0.0, 0.0], "x - max may overflow to -inf"
    low = np.array([0.0, -INF], np.float32)
    assert el.softmax(low).tolist() == [1.0, 0.0], "minus infinity has no weight"


def test_softmax_of_what_has_no_maximum_is_nan() -> None:
    for row in ([np.nan, 1.0], [INF, 1.0], [-INF, -INF]):
        got = el.softmax(np.array([row, [0.0, 0.0]], np.float32))
        assert np.isnan(got[0]).any(), f"{row}: {got[0]}"
        assert got[1].tolist() == [0.5, 0.5], "other rows are not touched"


def test_softmax_of_nothing_keeps_its_shape() -> None:
    for shape in ((0,), (2, 0), (0, 3)):
        assert el.softmax(np.zeros(shape, np.float32)).shape == shape, f"{shape}"
