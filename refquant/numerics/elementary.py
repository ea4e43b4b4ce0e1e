r"""Activation functions and softmax in float32, step by step.

Short formulas over the transcendental functions, each evaluated as written, from left to right,
every operation rounded once to float32:

.. math::

    \mathrm{gelu}(x)     &= \tfrac{x}{2}\,(1 + \mathrm{erf}(x / \sqrt 2)) \tag{1} \\
    \mathrm{swish}(x)    &= x\,\mathrm{sigmoid}(x)                        \tag{2} \\
    \mathrm{softplus}(x) &= \max(x, 0) + \ln(1 + e^{-|x|})               \tag{3} \\
    \mathrm{softmax}(x)_i &= e^{x_i - \max x} \Big/ \sum_j e^{x_j - \max x} \tag{4} \\
    \mathrm{gelu\_tanh}(x) &= \tfrac{x}{2}\,(1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715\,x^3))) \tag{5}

and the piecewise ones. The functions of :mod:`refquant.numerics.transcendental` are repeated
here, so that this module has every elementary function of the operators.
Inputs are arrays or scalars, taken as float32; the result is float32 of the same shape.
Stated errors are the largest over all float32 numbers, in units of 2**-24 max(1, |x|): absolute,
because these functions cancel where they are small, and a quantized output does not see it.

References
----------
``docs/spec/operators.md`` section 1 (normative); the ONNX operators of the same names.
"""

import numpy as np
from numpy.typing import ArrayLike

from refquant.numerics.dot import sum_f32
from refquant.numerics.transcendental import (
    F32,
    HALF,
    ONE,
    ZERO,
    as_f32,
    erf,
    exp,
    f32,
    log,
    out,
    quiet,
    sigmoid,
    tanh,
)

__all__ = [
    "clip",
    "elu",
    "erf",
    "exp",
    "gelu",
    "gelu_tanh",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "log",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "swish",
    "tanh",
]


@quiet
def gelu(x: ArrayLike) -> F32:
    """Return (x/2) (1 + erf(x / sqrt 2)). Minus infinity gives NaN (inf * 0). Error: 3.42.

    >>> gelu(np.array([-1.0, 1.0], np.float32)).round(4).tolist() == [f32(-0.1587), f32(0.8413)]
    True
    """
    x = as_f32(x)
    return out((HALF * x) * (ONE + erf(x * f32(0.707106781))))


@quiet
def gelu_tanh(x: ArrayLike) -> F32:
    """Return eq. (5), GELU by tanh. Minus infinity gives NaN (inf * 0). Error: 1.98.

    >>> gelu_tanh(np.array([1.0], np.float32)).round(4).tolist() == [f32(0.8412)]
    True
    """
    x = as_f32(x)
    inner = f32(0.797884561) * (x + f32(0.044715) * ((x * x) * x))
    return out((HALF * x) * (ONE + tanh(inner)))


@quiet
def swish(x: ArrayLike) -> F32:
    """Return x sigmoid(x), also called SiLU. Minus infinity gives NaN (inf * 0). Error: 2.43.

    >>> swish(np.array([0.0, 100.0], np.float32)).tolist()
    [0.0, 100.0]
    """
    x = as_f32(x)
    return out(x * sigmoid(x))


@quiet
def elu(x: ArrayLike, *, alpha: float = 1.0) -> F32:
    """Return x above zero, alpha (e**x - 1) elsewhere. Error: 0.81 for alpha = 1.

    >>> elu(np.array([-200.0, 3.0], np.float32)).tolist()
    [-1.0, 3.0]
    """
    x = as_f32(x)
    return out(np.where(x > ZERO, x, f32(alpha) * (exp(x) - ONE)))


@quiet
def softplus(x: ArrayLike) -> F32:
    """Return ln(1 + e**x), as max(x, 0) + ln(1 + e**-|x|). Error: 2.34.

    >>> softplus(np.array([-200.0, 0.0, 200.0], np.float32)).tolist()
    [0.0, 0.6931471824645996, 200.0]
    """
    x = as_f32(x)
    return out(np.maximum(x, ZERO) + log(ONE + exp(-np.abs(x))))


@quiet
def hard_sigmoid(x: ArrayLike, *, alpha: float = 0.2, beta: float = 0.5) -> F32:
    """Return alpha x + beta, clipped to [0, 1].

    >>> hard_sigmoid(np.array([-9.0, 0.0, 9.0], np.float32)).tolist()
    [0.0, 0.5, 1.0]
    """
    return clip(f32(alpha) * as_f32(x) + f32(beta), minimum=0.0, maximum=1.0)


@quiet
def hard_swish(x: ArrayLike) -> F32:
    """Return x hard_sigmoid(x; 1/6, 1/2). Minus infinity gives NaN (inf * 0).

    >>> hard_swish(np.array([-4.0, 0.0, 4.0], np.float32)).tolist()
    [-0.0, 0.0, 4.0]
    """
    x = as_f32(x)
    return out(x * hard_sigmoid(x, alpha=1.0 / 6.0, beta=0.5))


@quiet
def leaky_relu(x: ArrayLike, *, alpha: float = 0.01) -> F32:
    """Return x where it is not negative (or NaN), alpha x elsewhere.

    >>> leaky_relu(np.array([-2.0, 3.0], np.float32), alpha=0.5).tolist()
    [-1.0, 3.0]
    """
    x = as_f32(x)
    return out(np.where(x < ZERO, f32(alpha) * x, x))


def relu(x: ArrayLike) -> F32:
    """Return x where it is positive or NaN, +0.0 elsewhere.

    >>> relu(np.array([-2.0, -0.0, 3.0], np.float32)).tolist()
    [0.0, 0.0, 3.0]
    """
    x = as_f32(x)
    return out(np.where(x <= ZERO, ZERO, x))


def clip(x: ArrayLike, *, minimum: float | None = None, maximum: float | None = None) -> F32:
    """Return x, but maximum where x is above it and minimum where below; NaN passes.

    >>> clip(np.array([-2.0, 3.0, 9.0], np.float32), minimum=0.0, maximum=6.0).tolist()
    [0.0, 3.0, 6.0]
    """
    x = as_f32(x)
    low = f32(-np.inf if minimum is None else minimum)
    high = f32(np.inf if maximum is None else maximum)
    return out(np.where(x > high, high, np.where(x < low, low, x)))


@quiet
def softmax(x: ArrayLike, axis: int = -1) -> F32:
    """Return e**(x - max) divided by its sum along ``axis``, the sum taken in ascending order.

    A NaN, or a maximum of plus or minus infinity, makes its row NaN (inf - inf).

    >>> softmax(np.array([[0.0, 0.0, -200.0]], np.float32)).tolist()
    [[0.5, 0.5, 0.0]]
    """
    x = as_f32(x)
    if 0 in x.shape:
        return x
    e = exp(x - np.max(x, axis=axis, keepdims=True))
    return out(e / sum_f32(e, axis))
