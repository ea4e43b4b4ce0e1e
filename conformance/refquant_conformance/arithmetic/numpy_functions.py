r"""The exponential and the hyperbolic tangent of float32, as NumPy's vector code evaluates them.

The exponential is a quotient of polynomials of what is left of x beyond n ln 2, all in fused
operations but for the quotient:

.. math::

    n = \operatorname{rint}(x \otimes \log_2 e), \qquad
    r = \mathrm{fma}(-n, \ell_2, \mathrm{fma}(-n, \ell_1, x)), \qquad
    e^x = 2^n\,(P(r) \oslash Q(r))                                                         \tag{1}

It is 0 up to -103.972 and infinite from 88.7228 on. With it, the logistic function of ONNX's
``ReferenceEvaluator`` overflows nowhere:

.. math::

    \sigma(x) = \begin{cases} 1 \oslash (1 \oplus e^{-x}) & x > 0 \\
                              e^x \oslash (1 \oplus e^x) & x \le 0 \end{cases}              \tag{2}

The hyperbolic tangent is one of 32 polynomials, ``tanh_pieces``, of fused operations.

Left out: processors without FMA, and Arm's for (1): NumPy calls the C library there, and is
identified as nothing. With AVX2 and with AVX-512 the bits are the same.

References
----------
NumPy 2.4.6, ``numpy/_core/src/umath``: ``loops_exponent_log.dispatch.c.src``,
``npy_simd_data.h``, ``loops_hyperbolic.dispatch.cpp.src``; onnx 1.23,
``onnx/reference/ops/op_sigmoid.py``.
"""

import numpy as np

from refquant.numerics.fused import fused_multiply_add
from refquant_conformance.protocol import Array
from refquant_conformance.tanh_pieces import TANH_PIECES

__all__ = ["exp_of_quotient", "piece_of", "sigmoid_of_quotient", "tanh_of_pieces"]

Float = np.float32

_ABOVE = (
    *(5.082762527590693718096e-04, 6.757896990527504603057e-03, 5.114512081637298353406e-02),
    *(2.473615434895520810817e-01, 7.257664613233124478488e-01, 9.999999999980870924916e-01),
)
_BELOW = (2.159509375685829852307e-02, -2.742335390411667452936e-01, 1.0)
"""The coefficients of P and of Q in (1), the highest power first."""
_LOG2_E, _LN_2_HIGH, _LN_2_LOW = (
    Float(float.fromhex(c)) for c in ("0x1.715476p+0", "0x1.62e4p-1", "0x1.7f7d1cp-20")
)
_LEAST, _MOST = Float(-103.97208404541015625), Float(88.72283935546875)
_PIECES = np.array(TANH_PIECES, np.uint32).view(Float)


def exp_of_quotient(x: Array) -> Array:
    """Return e^x of float32 numbers: eq. (1).

    >>> exp_of_quotient(np.float32([0.0, 1.0, -200.0, 89.0])).tolist()
    [1.0, 2.7182819843292236, 0.0, inf]
    """
    inside = np.where((x > _LEAST) & (x < _MOST), x, Float(0))
    n = np.rint(inside * _LOG2_E)
    r = fused_multiply_add(-n, _LN_2_LOW, fused_multiply_add(-n, _LN_2_HIGH, inside))
    quotient = _polynomial(_ABOVE, r) / _polynomial(_BELOW, r)
    half = np.floor(n / 2).astype(np.int64)  # 2^128 is no float32
    with np.errstate(under="ignore"):
        power = np.ldexp(np.ldexp(quotient, half), n.astype(np.int64) - half)
    return np.asarray(np.where(x >= _MOST, np.inf, np.where(x <= _LEAST, 0, power)), Float)


def _polynomial(coefficients: tuple[float, ...], r: Array) -> Array:
    total = np.full_like(r, Float(coefficients[0]))
    for c in coefficients[1:]:
        total = fused_multiply_add(total, r, Float(c))
    return total


def sigmoid_of_quotient(x: Array) -> Array:
    """Return the logistic function of float32 numbers: eq. (2).

    >>> sigmoid_of_quotient(np.float32([0.0, -200.0, 200.0])).tolist()
    [0.5, 0.0, 1.0]
    """
    power = exp_of_quotient(-np.abs(x))
    with np.errstate(under="ignore"):
        return np.asarray(np.where(x > 0, Float(1), power) / (Float(1) + power), Float)


def piece_of(x: Array) -> Array:
    """Return by which of the 32 polynomials a tangent is evaluated.

    >>> piece_of(np.float32([0.0, -0.5, 200.0])).tolist()
    [0, 14, 31]
    """
    quarter = np.abs(x).view(np.int32) >> 21  # of a binade: the exponent, and two bits behind it
    return np.asarray(np.clip(quarter - (0x3D400000 >> 21), 0, len(_PIECES) - 1))


def tanh_of_pieces(x: Array) -> Array:
    """Return the hyperbolic tangent of float32 numbers, by ``tanh_pieces``.

    >>> tanh_of_pieces(np.float32([0.0, -0.5, 200.0])).tolist()
    [0.0, -0.46211719512939453, 1.0]
    """
    size = np.abs(x)
    shift, *coefficients = np.moveaxis(_PIECES[piece_of(x)], -1, 0)
    y = np.where(np.isinf(size), 0, size - shift).astype(Float)
    total = coefficients.pop()
    while coefficients:
        total = fused_multiply_add(total, y, coefficients.pop())
    return np.asarray(np.copysign(total, x))
