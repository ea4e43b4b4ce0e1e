r"""Transcendental functions in float32, step by step: the same bits on every machine.

``np.exp``, ``math.tanh`` and their kin differ between CPUs and libraries in the last bit, and one
last bit can move a code. Here each function is a fixed sequence of float32 operations, every one
rounded half to even, evaluated as written, from left to right, without fused multiply-add.
Whoever performs the same sequence gets the same bits. The exponential is

.. math::

    e^x = 2^n e^r, \quad n = \mathrm{rint}(x \log_2 e), \quad |r| \le \tfrac12 \ln 2,   \tag{1}

with a polynomial for :math:`e^r`; the logarithm splits :math:`x = 2^e m` likewise; sigmoid,
tanh and erf are short formulas over the exponential.

Inputs are arrays or scalars, taken as float32; the result is float32 of the same shape.
Each docstring states the largest error over all float32 numbers, measured against float64
functions: exhaustively once, and again at some 250 000 points whenever the tests run. An ulp is the
distance between float32 numbers at the true value.

References
----------
``docs/spec/operators.md`` section 1 (normative); Cephes ``expf.c``, ``logf.c``, ``tanhf.c``
(Moshier) for the polynomials; Abramowitz and Stegun 7.1.26 for erf.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["erf", "exp", "log", "sigmoid", "tanh"]

# A scalar gives a scalar; for the type checker both are arrays.
F32: TypeAlias = NDArray[np.float32]

f32 = np.float32  # every constant is written f32(...): a Python float could widen a NumPy 1 scalar
ZERO, HALF, ONE, TWO = f32(0.0), f32(0.5), f32(1.0), f32(2.0)
EXP_HIGH, EXP_LOW = f32(88.72283), f32(-103.97208)  # beyond: +inf, +0.0
LOG2_E = f32(1.44269504)
LN2_HIGH, LN2_LOW = f32(0.693359375), f32(-2.12194440e-4)  # ln 2 = high + low; n * high is exact
SQRT_HALF = f32(0.707106781186547524)
# fmt: off
EXP_P = [f32(c) for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
                          1.6666665459e-1, 5.0000001201e-1)]
LOG_P = [f32(c) for c in (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1,
                          1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
                          3.3333331174e-1)]
TANH_P = [f32(c) for c in (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2,
                           1.33314422036e-1, -3.33332819422e-1)]
ERF_P = [f32(c) for c in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)]
# fmt: on

P = ParamSpec("P")


def quiet(function: Callable[P, F32]) -> Callable[P, F32]:
    """Return ``function`` with IEEE results (inf, NaN, subnormals) and without warnings.

    >>> float(quiet(np.sqrt)(np.float32(-1)))
    nan
    """

    @wraps(function)
    def quietly(*args: P.args, **kwargs: P.kwargs) -> F32:
        # A new errstate a call: one shared by nested calls would forget the caller's state.
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            return function(*args, **kwargs)

    return quietly


@quiet
def exp(x: ArrayLike) -> F32:
    """Return e**x: eq. (1). NaN passes; above 88.72283 +inf, below -103.97208 +0.0.

    Error: 0.991 ulp.

    >>> exp(np.array([0.0, 1.0, -200.0], np.float32)).tolist()
    [1.0, 2.7182817459106445, 0.0]
    """
    x = as_f32(x)
    inside = (x >= EXP_LOW) & (x <= EXP_HIGH)
    t = np.where(inside, x, ZERO)
    n: F32 = np.rint(t * LOG2_E)
    r: F32 = (t - n * LN2_HIGH) - n * LN2_LOW
    y = (_horner(EXP_P, r) * (r * r) + r) + ONE
    half = np.floor(n * HALF)  # two factors, because 2**n itself may leave float32's range
    y = (y * _power_of_two(half)) * _power_of_two(n - half)
    outside = np.where(x > EXP_HIGH, f32(np.inf), np.where(x < EXP_LOW, ZERO, x))
    return out(np.where(inside, y, outside))


@quiet
def log(x: ArrayLike) -> F32:
    """Return ln x. NaN and negative numbers give NaN, zero -inf, +inf itself.

    Error: 0.830 ulp.

    >>> log(np.array([1.0, 2.0, 0.0], np.float32)).tolist()
    [0.0, 0.6931471824645996, -inf]
    """
    x = as_f32(x)
    inside = (x > ZERO) & (x < f32(np.inf))
    m, exponent = np.frexp(np.where(inside, x, ONE))
    small = m < SQRT_HALF
    e = exponent.astype(f32) - np.where(small, ONE, ZERO)
    m = np.where(small, m + m, m) - ONE
    z = m * m
    p = (_horner(LOG_P, m) * m) * z
    p = p + e * LN2_LOW
    p = p - HALF * z
    y = (m + p) + e * LN2_HIGH
    outside = np.where(x == ZERO, f32(-np.inf), np.where(x > ZERO, x, f32(np.nan)))
    return out(np.where(inside, y, outside))


@quiet
def sigmoid(x: ArrayLike) -> F32:
    """Return 1 / (1 + e**-x).

    Error: 2.481 ulp; +0.0 below -88.72284, where e**-x is infinite.

    >>> sigmoid(np.array([-200.0, 0.0, 200.0], np.float32)).tolist()
    [0.0, 0.5, 1.0]
    """
    return out(ONE / (ONE + exp(-as_f32(x))))


@quiet
def tanh(x: ArrayLike) -> F32:
    """Return the hyperbolic tangent: a polynomial below 0.625, 1 - 2 / (e**2|x| + 1) above.

    Error: 1.331 ulp; odd, but for tanh(-0.0) = +0.0.

    >>> tanh(np.array([-9.5, 0.0, 0.5], np.float32)).tolist()
    [-1.0, 0.0, 0.46211716532707214]
    """
    x = as_f32(x)
    a = np.abs(x)
    z = x * x
    near = (_horner(TANH_P, z) * z) * x + x
    far = np.copysign(ONE - TWO / (exp(a + a) + ONE), x)
    return out(np.where(a < f32(0.625), near, far))


@quiet
def erf(x: ArrayLike) -> F32:
    """Return the error function, by Abramowitz and Stegun's 7.1.26.

    Error: 11.2 * 2**-24 absolute (6.7e-7), which is all of the result for tiny x; odd.

    >>> erf(np.array([-5.0, 0.5], np.float32)).tolist()
    [-1.0, 0.5205000638961792]
    """
    x = as_f32(x)
    a = np.abs(x)
    t = ONE / (ONE + f32(0.3275911) * a)
    y = ONE - (_horner(ERF_P, t) * t) * exp(-(a * a))
    return out(np.copysign(y, x))


def as_f32(x: ArrayLike) -> F32:
    """Return ``x`` as a float32 array, of shape () for a scalar.

    >>> as_f32(0.5).dtype.name, as_f32([1, 2]).tolist()
    ('float32', [1.0, 2.0])
    """
    return np.asarray(x, f32)


def out(y: NDArray[Any]) -> F32:
    """Return a scalar for shape (), the array otherwise.

    >>> isinstance(out(as_f32(0.5)), np.float32), out(as_f32([1, 2])).tolist()
    (True, [1.0, 2.0])
    """
    result: F32 = y[()]
    return result


def _horner(coefficients: list[np.float32], r: F32) -> F32:
    """Return the polynomial, highest power first: p = p * r + c, two roundings a step."""
    p: Any = coefficients[0]
    for c in coefficients[1:]:
        p = p * r + c
    result: F32 = p
    return result


def _power_of_two(n: F32) -> F32:
    """Return 2**n, exactly, for integers n that float32 can hold as exponents."""
    result: F32 = np.ldexp(ONE, n.astype(np.int32))
    return result
