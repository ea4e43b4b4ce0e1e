r"""The logistic function and the hyperbolic tangent in float32, as engines evaluate them.

``stepwise``
    as ``docs/spec/operators.md`` section 1 writes them;
``rounded_once``
    the float32 nearest to the true value;
``rational_fused``
    a quotient of polynomials in :math:`x^2`, of fused operations, of an x that is cut off; of the
    logistic function 1/2 is missing:

.. math::

    \tanh x = \frac{x\,P(x^2)}{Q(x^2)}, \qquad
    \sigma(x) = \frac{x\,P(x^2)}{Q(x^2)} + \tfrac12                                        \tag{1}

``exponential_fused``
    of the logistic function, by the exponential of :math:`-|x|`, which is a polynomial of fused
    operations of what is left of x beyond n ln 2:

.. math::

    n = \lfloor \mathrm{fma}(v, \log_2 e, \tfrac12) \rfloor, \qquad
    e^v = 2\,(2^{n-1} P(\mathrm{fma}(-n, \ln 2, v))), \qquad
    t = \frac{e^{-|x|}}{e^{-|x|} + 1}                                                      \tag{2}

The result is t below zero, and 1 - t above.

``exponential_quotient`` of the logistic function and ``pieces_fused`` of the tangent are NumPy's,
``numpy_functions``.

References
----------
Eigen, ``GenericPacketMathFunctions.h`` (the coefficients of (1)); onnxruntime 1.32,
``onnxruntime/core/mlas/lib/x86_64/LogisticKernelFma3.S``; oneDNN, ``jit_uni_eltwise_injector.cpp``;
OpenVINO 2026.4.1, ``src/plugins/intel_cpu/src/emitters``.
"""

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.numerics import elementary
from refquant.numerics.fused import fused_multiply_add
from refquant_conformance.arithmetic.numpy_functions import sigmoid_of_quotient, tanh_of_pieces
from refquant_conformance.protocol import Array

__all__ = ["EVALUATIONS", "evaluated"]

Float = np.float32

_RATIONALS = {
    "sigmoid": (
        18.0,
        (
            *(4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05),
            *(8.51377133304701e-03, 2.48287947061529e-01),
        ),
        (
            *(6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06),
            *(1.70198817374094e-03, 1.16817656904453e-01, 9.93151921023180e-01),
        ),
    ),
    "tanh": (
        9.0,
        (
            *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11),
            *(5.12229709037114e-08, 1.48572235717979e-05, 6.37261928875436e-04),
            4.89352455891786e-03,
        ),
        (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03),
    ),
}
"""By function: where x is cut off, and the coefficients of (1), the highest power first."""

_EXP = tuple(
    float.fromhex(c)
    for c in ("0x1.0f9f9cp-7", "0x1.573a1ap-5", "0x1.555a8p-3", "0x1.fffdc6p-2", "0x1.fffff6p-1")
)
"""The coefficients of (2), the highest power first; the last, of 1, is 1."""
_LOG2_E, _LN_2 = (Float(float.fromhex(c)) for c in ("0x1.715476p+0", "0x1.62e43p-1"))
_LEAST = Float(float.fromhex("-0x1.5d58ap+6"))  # ln of the smallest normal float32

EVALUATIONS: dict[str, tuple[AxisValue, ...]] = {
    "sigmoid": (
        *("stepwise", "rounded_once", "rational_fused", "exponential_fused"),
        "exponential_quotient",
    ),
    "tanh": ("stepwise", "rounded_once", "rational_fused", "pieces_fused"),
}
"""The evaluations that each function has."""


def evaluated(name: str, x: Array, how: AxisValue) -> Array:
    """Return the function ``name`` (``sigmoid`` or ``tanh``) of float32 numbers.

    >>> hows = ("stepwise", "exponential_quotient")
    >>> [evaluated("sigmoid", np.float32([-1.0]), how).item().hex() for how in hows]
    ['0x1.1365620000000p-2', '0x1.1365600000000p-2']
    """
    if how == "stepwise":
        return np.asarray(elementary.sigmoid(x) if name == "sigmoid" else elementary.tanh(x))
    with np.errstate(over="ignore", under="ignore"):
        if how == "rational_fused":
            return _rational(name, x)
        if how == "exponential_fused":
            return _by_exponential(x)
        if how == "exponential_quotient":
            return sigmoid_of_quotient(x)
        if how == "pieces_fused":
            return tanh_of_pieces(x)
        wide = x.astype(np.float64)
        made = 1 / (1 + np.exp(-wide)) if name == "sigmoid" else np.tanh(wide)
        return made.astype(Float)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    total = np.full_like(x, Float(coefficients[0]))
    for c in coefficients[1:]:
        total = fused_multiply_add(total, x, np.full_like(x, Float(c)))
    return total


def _rational(name: str, x: Array) -> Array:
    """Return eq. (1)."""
    most, above, below = _RATIONALS[name]
    cut = np.clip(x, Float(-most), Float(most))
    square = cut * cut
    quotient = (_polynomial(above, square) * cut) / _polynomial(below, square)
    return np.asarray(np.maximum(quotient + Float(0.5), 0) if name == "sigmoid" else quotient)


def _by_exponential(x: Array) -> Array:
    """Return eq. (2)."""
    v = np.maximum(-np.abs(x), _LEAST)
    n = np.floor(fused_multiply_add(v, _LOG2_E, Float(0.5)))
    rest = fused_multiply_add(-n, _LN_2, v)
    power = np.ldexp(_polynomial((*_EXP, 1.0), rest), (n - 1).astype(np.int64)) * Float(2)
    t = power / (power + Float(1))
    return np.where(np.signbit(x), t, Float(1) - t).astype(Float)
