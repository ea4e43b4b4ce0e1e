"""exp, log, tanh, erf ... in float32, operation by operation: the same bits on every CPU.

Contract: ``docs/spec/operators.md`` section 1. The C library's functions differ between machines;
these are plain multiplications and additions in a fixed order, which numba neither reorders nor
fuses. Written from the text, not from the reference's code.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "FUNCTIONS", "apply", "clip", "erf", "exp", "gelu", "gelu_tanh", "hard_swish", "leaky_relu",
    "sigmoid", "swish", "tanh",
]  # fmt: skip

F = np.float32
_NAMES = (
    "Abs Neg Sqrt Exp Log Sigmoid Tanh Erf Gelu Swish Elu Softplus HardSigmoid HardSwish Relu "
    "LeakyRelu Clip Identity Floor Ceil Round Sign GeluTanh"
)
FUNCTIONS = {name: code for code, name in enumerate(_NAMES.split())}


@intrinsic
def as_float(context: Any, bits: Any) -> Any:
    """Return the float32 with these bits."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


@intrinsic
def as_bits(context: Any, value: Any) -> Any:
    """Return the bits of a float32."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@njit(nogil=True, inline="always")
def power_of_two(n: Any) -> Any:
    """Return 2^n for -126 <= n <= 127."""
    return as_float(np.int32(np.int32(n + 127) << 23))


@njit(nogil=True, error_model="numpy")
def exp(x: Any) -> Any:
    """Exponential: cut to r in about [-0.35, 0.35], a polynomial, then two powers of two."""
    inside = min(max(x, F(-103.97208)), F(88.72283))  # NaN is put back below
    n = np.rint(inside * F(1.44269504))
    r = (inside - n * F(0.693359375)) - n * F(-2.12194440e-4)
    p = F(1.9875691500e-4)
    p = p * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    y = (p * (r * r) + r) + F(1)
    whole = np.int32(n)
    half = np.int32(whole >> 1)
    y = (y * power_of_two(half)) * power_of_two(np.int32(whole - half))
    y = F(np.inf) if x > F(88.72283) else y
    y = F(0) if x < F(-103.97208) else y
    return x if x != x else y


@njit(nogil=True, error_model="numpy")
def log(x: Any) -> Any:
    """Natural logarithm: mantissa near 1, a polynomial, then the exponent."""
    if x != x or x < F(0):
        return F(np.nan)
    if x == F(0):
        return F(-np.inf)
    if x == F(np.inf):
        return x
    shift = np.int32(0)
    if x < F(1.17549435e-38):  # subnormal: make it normal, exactly
        x = x * F(16777216.0)
        shift = np.int32(-24)
    bits = as_bits(x)
    exponent = np.int32(((bits >> 23) & 255) - 126 + shift)
    m = as_float(np.int32((bits & 0x007FFFFF) | 0x3F000000))  # in [0.5, 1)
    if m < F(0.707106781186547524):
        exponent = np.int32(exponent - 1)
        m = (m + m) - F(1)
    else:
        m = m - F(1)
    e = np.float32(exponent)
    z = m * m
    p = F(7.0376836292e-2)
    p = p * m + F(-1.1514610310e-1)
    p = p * m + F(1.1676998740e-1)
    p = p * m + F(-1.2420140846e-1)
    p = p * m + F(1.4249322787e-1)
    p = p * m + F(-1.6668057665e-1)
    p = p * m + F(2.0000714765e-1)
    p = p * m + F(-2.4999993993e-1)
    p = p * m + F(3.3333331174e-1)
    p = (p * m) * z
    p = p + e * F(-2.12194440e-4)
    p = p - F(0.5) * z
    return (m + p) + e * F(0.693359375)


@njit(nogil=True, error_model="numpy")
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return F(1) / (F(1) + exp(-x))


@njit(nogil=True, error_model="numpy")
def with_sign(magnitude: Any, x: Any) -> Any:
    """Return ``magnitude`` with the sign bit of ``x``."""
    sign = np.int32(as_bits(x) & np.int32(-2147483648))
    return as_float(np.int32((as_bits(magnitude) & np.int32(0x7FFFFFFF)) | sign))


@njit(nogil=True, error_model="numpy")
def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    a = abs(x)
    if a < F(0.625):
        z = x * x
        p = F(-5.70498872745e-3)
        p = p * z + F(2.06390887954e-2)
        p = p * z + F(-5.37397155531e-2)
        p = p * z + F(1.33314422036e-1)
        p = p * z + F(-3.33332819422e-1)
        return (p * z) * x + x
    t = F(1) - F(2) / (exp(a + a) + F(1))
    return x if x != x else with_sign(t, x)


@njit(nogil=True, error_model="numpy")
def erf(x: Any) -> Any:
    """Error function."""
    a = abs(x)
    t = F(1) / (F(1) + F(0.3275911) * a)
    p = F(1.061405429)
    p = p * t + F(-1.453152027)
    p = p * t + F(1.421413741)
    p = p * t + F(-0.284496736)
    p = p * t + F(0.254829592)
    y = F(1) - (p * t) * exp(-(a * a))
    return x if x != x else with_sign(y, x)


@njit(nogil=True, error_model="numpy")
def clip(x: Any, low: Any, high: Any) -> Any:
    """Return high if x > high, low if x < low, else x."""
    if x > high:
        return high
    return low if x < low else x


@njit(nogil=True, error_model="numpy", inline="always")
def gelu(x: Any) -> Any:
    """Half of x times 1 + erf(x / sqrt 2)."""
    return (F(0.5) * x) * (F(1) + erf(x * F(0.707106781)))


@njit(nogil=True, error_model="numpy", inline="always")
def gelu_tanh(x: Any) -> Any:
    """Gelu by way of tanh."""
    inner = F(0.797884561) * (x + F(0.044715) * ((x * x) * x))
    return (F(0.5) * x) * (F(1) + tanh(inner))


@njit(nogil=True, error_model="numpy", inline="always")
def swish(x: Any) -> Any:
    """X times sigmoid(x)."""
    return x * sigmoid(x)


@njit(nogil=True, error_model="numpy")
def hard_swish(x: Any, a: Any, b: Any) -> Any:
    """X times a straight line, cut to [0, 1]."""
    return x * clip(a * x + b, F(0), F(1))


@njit(nogil=True, error_model="numpy")
def leaky_relu(x: Any, a: Any) -> Any:
    """x, or a times x where x is negative."""
    return x if x >= F(0) or x != x else a * x


@njit(nogil=True, error_model="numpy")
def rounded(function: int, x: Any) -> Any:
    """Floor, Ceil, Round or Sign of x."""
    if function == 18:
        return np.floor(x)
    if function == 19:
        return np.ceil(x)
    if function == 20:
        return np.rint(x)
    return x if x != x else F(1) if x > F(0) else F(-1) if x < F(0) else F(0)


@njit(nogil=True, error_model="numpy")
def apply(function: int, x: Any, a: Any, b: Any) -> Any:
    """Return the function numbered ``function`` of x; ``a``, ``b`` are its attributes."""
    if function == 0:
        return abs(x)
    if function == 1:
        return -x
    if function == 2:
        return np.sqrt(x)
    if function == 3:
        return exp(x)
    if function == 4:
        return log(x)
    if function == 5:
        return sigmoid(x)
    if function == 6:
        return tanh(x)
    if function == 7:
        return erf(x)
    if function == 8:
        return gelu(x)
    if function == 9:
        return swish(x)
    if function == 10:
        return x if x > F(0) else a * (exp(x) - F(1))
    if function == 11:
        return (x if x > F(0) or x != x else F(0)) + log(F(1) + exp(-abs(x)))
    if function == 12:
        return clip(a * x + b, F(0), F(1))
    if function == 13:
        return hard_swish(x, a, b)
    if function == 14:
        return x if x > F(0) or x != x else F(0)
    if function == 15:
        return leaky_relu(x, a)
    if function == 16:
        return clip(x, a, b)
    if function == 22:
        return gelu_tanh(x)
    return x if function == 17 else rounded(function, x)
