"""Transcendental functions: the bits of the specification, and their distance from the truth.

Two questions, two oracles. *Is it the sequence of the specification?* A transcription of
``docs/spec/operators.md`` for one number, in Python floats rounded after every operation, must
give the same bits. *Is it accurate?* float64 functions say how far it is from the truth; the
bounds here are those of the docstrings, measured over all float32 numbers.
"""

import hashlib
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.numerics.transcendental import erf, exp, log, sigmoid, tanh

FUNCTIONS = {"exp": exp, "log": log, "sigmoid": sigmoid, "tanh": tanh, "erf": erf}
every_function = pytest.mark.parametrize("name", FUNCTIONS)
any_float32 = st.floats(width=32)
INF = math.inf


def f(x: float) -> float:
    """Round a float64 to float32. One operation on float32 values, done in float64 and rounded
    again, is rounded correctly: 53 bits are more than 2 * 24 + 1."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return math.copysign(INF, x)


def horner(coefficients: list[float], r: float) -> float:
    p = f(coefficients[0])
    for c in coefficients[1:]:
        p = f(f(p * r) + f(c))
    return p


def exp_as_specified(x: float) -> float:
    if math.isnan(x):
        return x
    if x > f(88.72283):
        return INF
    if x < f(-103.97208):
        return 0.0
    n = float(round(f(x * f(1.44269504))))
    r = f(f(x - f(n * f(0.693359375))) - f(n * f(-2.12194440e-4)))
    p = horner(
        [
            1.9875691500e-4,
            1.3981999507e-3,
            8.3334519073e-3,
            4.1665795894e-2,
            1.6666665459e-1,
            5.0000001201e-1,
        ],
        r,
    )
    y = f(f(f(p * f(r * r)) + r) + 1)
    h = math.floor(n / 2)
    return f(f(y * 2.0**h) * 2.0 ** (n - h))


def log_as_specified(x: float) -> float:
    if math.isnan(x) or x < 0:
        return math.nan
    if x in (0, INF):
        return -INF if x == 0 else INF
    m, e = math.frexp(x)
    if m < f(0.707106781186547524):
        e, m = e - 1, f(f(m + m) - 1)
    else:
        m = f(m - 1)
    z = f(m * m)
    p = horner(
        [
            7.0376836292e-2,
            -1.1514610310e-1,
            1.1676998740e-1,
            -1.2420140846e-1,
            1.4249322787e-1,
            -1.6668057665e-1,
            2.0000714765e-1,
            -2.4999993993e-1,
            3.3333331174e-1,
        ],
        m,
    )
    p = f(f(p * m) * z)
    p = f(p + f(e * f(-2.12194440e-4)))
    p = f(p - f(0.5 * z))
    return f(f(m + p) + f(e * f(0.693359375)))


def divide(x: float, y: float) -> float:
    return 0.0 if math.isinf(y) else f(x / y)


def sigmoid_as_specified(x: float) -> float:
    return divide(1, f(1 + exp_as_specified(-x)))


def tanh_as_specified(x: float) -> float:
    a = abs(x)
    if a < f(0.625):
        z = f(x * x)
        p = horner(
            [
                -5.70498872745e-3,
                2.06390887954e-2,
                -5.37397155531e-2,
                1.33314422036e-1,
                -3.33332819422e-1,
            ],
            z,
        )
        return f(f(f(p * z) * x) + x)
    t = f(1 - divide(2, f(exp_as_specified(f(a + a)) + 1)))
    return math.copysign(t, x)


def erf_as_specified(x: float) -> float:
    a = abs(x)
    t = divide(1, f(1 + f(f(0.3275911) * a)))
    p = horner([1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592], t)
    y = f(1 - f(f(p * t) * exp_as_specified(-f(a * a))))
    return math.copysign(y, x)


SPECIFIED: dict[str, Callable[[float], float]] = {
    "exp": exp_as_specified,
    "log": log_as_specified,
    "sigmoid": sigmoid_as_specified,
    "tanh": tanh_as_specified,
    "erf": erf_as_specified,
}
# Beside ordinary numbers: every limit and branch, where halves of n are odd and where results
# are subnormal.
EDGES = [0.0, 1.0, 88.72283, 103.97208, 87.33654, 0.625, 0.70710678, 0.34657359, 1.0397208, 9.01]
EDGES += [math.sqrt(0.5) * 2.0**k for k in range(-125, 128)]
EDGES += [2.0**k for k in range(-149, 128)] + [0.69314718 * k for k in range(151)]


def edges() -> NDArray[np.float32]:
    x = np.array(EDGES, np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(0)), np.nextafter(x, np.float32(INF))])
    largest = np.array([np.finfo(np.float32).max, INF, np.nan], np.float32)
    return np.concatenate([x, -x, largest, -largest])


def same_bits(got: float, expected: float) -> bool:
    """NaN equals NaN; which NaN is not specified."""
    if math.isnan(expected):
        return math.isnan(got)
    return struct.pack("<f", got) == struct.pack("<f", expected)


@every_function
def test_edges_have_the_bits_of_the_specification(name: str) -> None:
    x = edges()
    got = FUNCTIONS[name](x)
    assert got.dtype == np.float32, f"got {got.dtype}"
    wrong = [
        (v, y, SPECIFIED[name](v))
        for v, y in zip(x.tolist(), got.tolist(), strict=True)
        if not same_bits(y, SPECIFIED[name](v))
    ]
    assert not wrong, f"{name}: (x, got, specified) = {wrong[:5]} and {len(wrong)} in all"


@every_function
@given(x=any_float32 | st.floats(-110, 110, width=32) | st.floats(-2, 2, width=32))
def test_any_number_has_the_bits_of_the_specification(name: str, x: float) -> None:
    got = float(FUNCTIONS[name](np.float32(x)))
    assert same_bits(got, SPECIFIED[name](x)), f"{name}({x!r}) = {got!r}"


def every_bfloat16() -> NDArray[np.float32]:
    """All signs, exponents and leading fractions: a float32 for each of the 65536."""
    return (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)


DIGESTS = {
    "exp": "ea3272407004648e9493d5d5db8bf7e5d10243f0276cbc9677308f7590471c8a",
    "log": "1f1e07cbdc452700438fd77e8e4293cadd2e0707ee014774acf86f18c4ffb3fe",
    "sigmoid": "93cce9629505cef784559688dab11111efbf63694cbaca62890ea8b35bfe4d8c",
    "tanh": "56d7cfac7fdfa9ac524547470a295530382081c32713d339f81f2f813c69c890",
    "erf": "a20b8043a6457688f5a2fecfe4f87ea801426759cfe7e0e9abe88ed166083cff",
}


@every_function
def test_the_same_bits_on_every_machine(name: str) -> None:
    """SHA-256 of the results for every bfloat16: CPU, NumPy and compiler must not matter."""
    y = FUNCTIONS[name](every_bfloat16())
    y = np.where(np.isnan(y), np.float32(0), y)  # which NaN is not specified
    digest = hashlib.sha256(y.astype("<f4").tobytes()).hexdigest()
    assert digest == DIGESTS[name], f"{name} has other bits here: {digest}"


def points(low: float, high: float) -> NDArray[np.float32]:
    """Every bfloat16, the edges, and 200 000 random numbers, in [low, high]."""
    rng = np.random.default_rng(7)
    dense = rng.uniform(max(low, -110.0), min(high, 110.0), 200_000).astype(np.float32)
    x = np.concatenate([every_bfloat16(), edges(), dense])
    return x[(x >= np.float32(low)) & (x <= np.float32(high))]


def worst(x: NDArray[np.float32], y: Any, true: NDArray[np.float64], unit: Any) -> tuple[Any, ...]:
    error = np.abs(y.astype(np.float64) - true) / unit
    i = int(np.argmax(error))
    return float(error[i]), float(x[i])


def ulp(true: NDArray[np.float64]) -> NDArray[np.float64]:
    """One unit in the last place of the float32 nearest to the true value."""
    return np.spacing(np.abs(true.astype(np.float32))).astype(np.float64)


def test_exp_is_within_one_unit() -> None:
    x = points(-103.97208, 88.72283)
    true = np.exp(x.astype(np.float64))
    error, at = worst(x, exp(x), true, ulp(true))
    assert error <= 0.991, f"{error} ulp at {at!r}"


def test_log_is_within_one_unit() -> None:
    x = points(1e-45, float(np.finfo(np.float32).max))
    true = np.log(x.astype(np.float64))
    error, at = worst(x, log(x), true, ulp(true))
    assert error <= 0.830, f"{error} ulp at {at!r}"


def test_tanh_is_within_its_bound() -> None:
    x = points(-INF, INF)
    true = np.tanh(x.astype(np.float64))
    error, at = worst(x, tanh(x), true, ulp(true))
    assert error <= 1.331, f"{error} ulp at {at!r}"


def test_sigmoid_is_within_its_bound() -> None:
    x = points(-88.72283, INF)
    true = 1 / (1 + np.exp(-x.astype(np.float64)))
    error, at = worst(x, sigmoid(x), true, ulp(true))
    assert error <= 2.481, f"{error} ulp at {at!r}"
    tail = points(-INF, math.nextafter(-88.72284, -INF))
    assert not sigmoid(tail).any(), "below, exp(-x) is infinite and the result +0.0"


def test_erf_is_within_its_absolute_bound() -> None:
    x = points(-INF, INF)
    true = np.array([math.erf(v) for v in x.tolist()])
    error, at = worst(x, erf(x), true, 2.0**-24)
    assert error <= 11.2, f"{error} * 2**-24 at {at!r}"


@every_function
def test_nan_and_shapes(name: str) -> None:
    function = FUNCTIONS[name]
    assert np.isnan(function(np.array([np.nan], np.float32))).all(), f"{name} must pass NaN"
    for shape in ((0,), (2, 0), (2, 3)):
        y = function(np.full(shape, 0.3, np.float32))
        assert y.shape == shape, f"{name}: {shape} became {y.shape}"
    scalar = function(np.float32(0.3))
    assert isinstance(scalar, np.float32), f"{name} of a scalar is a scalar, got {type(scalar)}"
    assert float(function(0.3)) == float(scalar), "a Python float is taken as float32"


def test_limits() -> None:
    x = np.array([-INF, INF], np.float32)
    with np.errstate(all="raise"):  # nothing may depend on the caller's error state
        assert exp(x).tolist() == [0.0, INF], "exp"
        assert log(np.array([0.0, -0.0, INF], np.float32)).tolist() == [-INF, -INF, INF], "log"
        assert np.isnan(log(np.array([-INF, -1.0, -1e-45], np.float32))).all(), "log of negatives"
        assert sigmoid(x).tolist() == [0.0, 1.0], "sigmoid"
        assert tanh(x).tolist() == [-1.0, 1.0], "tanh"
        assert erf(x).tolist() == [-1.0, 1.0], "erf"


def test_odd_functions_are_odd() -> None:
    x = edges()
    x = x[~np.isnan(x) & (x != 0)]  # as specified, tanh(-0.0) is +0.0
    for name in ("tanh", "erf"):
        y, z = FUNCTIONS[name](x), FUNCTIONS[name](-x)
        assert (-y).tobytes() == z.tobytes(), f"{name}(-x) must be -{name}(x), bit for bit"


def test_the_result_does_not_depend_on_memory_layout() -> None:
    """Vector loops and their tails, strides and transposes: the same bits."""
    x = edges()[:960]
    for name, function in FUNCTIONS.items():
        whole = function(x)
        assert function(x[::-1])[::-1].tobytes() == whole.tobytes(), f"{name} reversed"
        assert function(x.reshape(30, 32).T).T.tobytes() == whole.tobytes(), f"{name} transposed"
        for n in (1, 3, 7, 17):
            assert function(x[:n]).tobytes() == whole[:n].tobytes(), f"{name} of {n}"
