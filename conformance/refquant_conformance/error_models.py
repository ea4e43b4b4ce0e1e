r"""The error models: how far an output of floats may be from the real that it stands for.

A bound without a derivation is a guess. Each model has an id, a derivation in the docstring of its
function, and a test that shows an input whose error is at least a quarter of the bound: a bound
that nothing comes near finds nothing.

With u = 2^-24, the unit roundoff of float32, one rounding is :math:`\mathrm{fl}(v) = v (1 + d)`,
:math:`|d| \le u`, for normal v.

References
----------
Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, section 2.2 (u, the model).
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MODELS",
    "em_dot_seq",
    "em_layer_norm",
    "em_lut",
    "em_qdq",
    "em_qps",
    "em_softmax",
    "em_weights",
]

Real = NDArray[np.float64]
_U = 2.0**-24


def em_qdq(x: Real, scale: float, zero_point: int, *, nearest: bool = True) -> Real:
    r"""Return the bound of :math:`|(q - z) s - x|` for the code q of an x inside the range.

    The quotient is :math:`v = (x / s)(1 + d_1)(1 + d_2)`: two roundings, for who multiplies by a
    rounded reciprocal. If z is added before rounding there is a third, of v + z. Rounding to the
    nearest integer moves by 1/2 at most (other rules: by less than 1), so

    .. math::

        |(q - z) s - x| \le \tfrac{s}{2} + (2u + u^2)|x| + u (|x| (1 + 3u) + |z| s)

    >>> float(em_qdq(np.array([0.0]), 2.0, 0)[0])
    1.0
    """
    size = np.abs(x)
    rounding = scale * (0.5 if nearest else 1.0)
    return np.asarray(rounding + (3 + 4 * _U) * _U * size + _U * abs(zero_point) * scale)


def em_layer_norm(x: Real, scale: Real, bias: Real, epsilon: float) -> Real:
    r"""Return the bound of the error of a layer normalization of rows ``x``, (rows, C), in float32.

    The mean is a sum and a quotient: it is off by :math:`\delta \le \gamma_C \overline{|x|}`. So
    :math:`d = x - \mu` is off by :math:`e = \delta + u(|d| + \delta)`. In the mean of squares
    :math:`2 \overline{d \delta} = 0`, for d has the mean 0; what is left, with its own roundings,
    is off by :math:`r = 2 u v + \delta^2 + \gamma_{C+3} (v + \delta^2)`, and the root's inverse,
    relatively, by half of :math:`\rho = r / (v + \epsilon)` and by 3 roundings:

    .. math::

        |\hat y - y| \le |g| \Bigl( \frac{e}{\sigma} + \frac{|d| + e}{\sigma}
        \Bigl( \frac{\rho}{2 (1 - \rho)} + 5u \Bigr) \Bigr) + u (2 |y| + |b|),
        \qquad \sigma = \sqrt{v + \epsilon}

    Infinite where :math:`\rho \ge 1`: a row whose variance is lost has no bound.

    >>> float(em_layer_norm(np.zeros((1, 4)), np.ones(4), np.zeros(4), 1.0).max())
    0.0
    """
    count = x.shape[-1]
    gamma = count * _U / (1 - count * _U)
    mean = x.mean(axis=-1, keepdims=True)
    d, off = x - mean, gamma * np.abs(x).mean(axis=-1, keepdims=True)
    v = (d * d).mean(axis=-1, keepdims=True)
    e, sigma = off + _U * (np.abs(d) + off), np.sqrt(v + epsilon)
    rho = (2 * _U * v + off**2 + (gamma + 4 * _U) * (v + off**2)) / (v + epsilon)
    with np.errstate(divide="ignore"):
        root = np.where(rho < 1, rho / (2 * np.maximum(1 - rho, 0)), np.inf) + 5 * _U
    y = np.abs(d / sigma * scale + bias)
    return np.asarray(
        np.abs(scale) * (e / sigma + (np.abs(d) + e) / sigma * root) + _U * (2 * y + np.abs(bias))
    )


def em_qps(end: float, scale: float) -> float:
    r"""Return the bound of what a range's end loses beyond the outermost code.

    The scale is one quotient of one difference, computed in float32 and rounded: relative error
    3u at most; z is a rounded quotient, so it moves the codes by s/2 and by two more roundings
    of an end:

    .. math::

        \text{loss} \le \tfrac{s}{2} + 8 u |end| + 4 u n s, \qquad n \le 255

    where 4 u n s is what n scales, each off by 3u, and z's own roundings add up to.

    >>> em_qps(0.0, 2.0) > 1.0
    True
    """
    return scale / 2 + 8 * _U * abs(end) + 4 * _U * 255 * abs(scale)


def em_dot_seq(products: Real, *, axis: int = -1) -> Real:
    r"""Return the bound of the error of a float32 dot product in the order of its terms.

    n products, each rounded, and n - 1 sums, each rounded (the first, to zero, is exact): a term
    passes n roundings at most, and (Higham, section 3.1)

    .. math::

        |\mathrm{fl}(\textstyle\sum a_k b_k) - \sum a_k b_k| \le \gamma_n \sum |a_k b_k|,
        \qquad \gamma_n = \frac{n u}{1 - n u}

    The same bound holds of every other order, for no order has more roundings (EM-DOT-ANY).
    ``products`` are the exact products, in float64, which holds them.

    >>> float(em_dot_seq(np.array([0.0, 0.0])))
    0.0
    """
    n = products.shape[axis]
    return np.asarray(n * _U / (1 - n * _U) * np.abs(products).sum(axis=axis))


def em_weights(sizes: Real, terms: int) -> Real:
    r"""Return the bound of a float32 dot product of reals and codes; ``sizes`` are sums of |a w|.

    A weight (q - z) s is one rounded product, for q - z has few bits; its product with a is the
    second, and K - 1 sums follow. If s multiplies sums of a (q - z) instead, that is one rounding
    too, and blocks only shorten the way. So a term passes K + 1 roundings at most, fused or not:

    .. math::

        |\mathrm{fl}(y) - y| \le \gamma_{K+1} \sum_k |a_k (q_k - z) s|,
        \qquad \gamma_n = \frac{n u}{1 - n u}

    >>> float(em_weights(np.array([0.0]), 32)[0])
    0.0
    """
    n = terms + 1
    return np.asarray(n * _U / (1 - n * _U) * sizes)


def em_lut(true: Real, scale: float, zero_point: int) -> Real:
    r"""Return the bound, in codes, of a function of one code.

    f is evaluated in float32 with an error of at most 4 units in the last place (those of the
    specification have 2.5, section 1), of an argument that is a rounded product, which moves f by
    another unit: |x f'(x)| <= 0.28 for the logistic function and for tanh. Then come one or two
    roundings of the quotient, one of a zero point added early, and half a step:

    .. math::

        |q - (f / s + z)| \le \tfrac12 + 2u\,\frac{4|f| + 0.3}{s} + 3u\,\frac{|f|}{s}
        + u\,(|f| / s + |z|)

    >>> float(em_lut(np.array([0.0]), 1 / 256, 0)[0]) < 0.5001
    True
    """
    size = np.abs(true)
    function = 2 * _U * (4 * size + 0.3) / scale
    return np.asarray(
        0.5 + function + 3 * _U * size / scale + _U * (size / scale + abs(zero_point))
    )


def em_softmax(share: Real, scale: float, spread: Real, length: int) -> Real:
    r"""Return the bound, in codes, of a softmax of codes.

    With D the spread of the arguments, two rounded products and a difference move an exponent by
    3uD, so a share by twice that, relatively; exp has 4u, the sum of n terms nu, its inverse, the
    quotient and the product 4u. In fixed point the numerator has 31 bits, the denominator at least
    19 (12 bits of S are integers): 2^-18 more. Then half a step:

    .. math::

        |q - (p / s + z)| \le \tfrac12 + \frac{p}{s} \bigl( 6uD + 8u + nu + 4u + 2^{-18} n \bigr)

    >>> float(em_softmax(np.array([0.0]), 1 / 256, np.array([1.0]), 4)[0])
    0.5
    """
    relative = _U * (6 * spread + length + 12) + 2.0**-18 * length
    return np.asarray(0.5 + share / scale * relative)


MODELS: Mapping[str, str] = MappingProxyType(
    {
        "EM-QDQ": "half a scale, and three roundings of the quotient",
        "EM-DOT-SEQ": "n roundings of every product, gamma_n times the sum of their sizes",
        "EM-DOT-ANY": "EM-DOT-SEQ, which no other order exceeds",
        "EM-WEIGHTS": "EM-DOT-ANY, and the rounding of a weight",
        "EM-LAYER-NORM": "the roundings of a mean, of a mean of squares, and of a root",
        "EM-LSTM": "one step: the sums of gates, 8 units of functions, the products of the cell",
        "EM-GRU": "one step: the sums of gates, 8 units of functions, the mixture of states",
        "EM-LUT": "half a step, 5 units of the function, the roundings of the quotient",
        "EM-SOFTMAX": "half a step, and the roundings of exponents, sum and quotient",
        "EM-QPS": "half a scale, and the roundings of scale and zero point",
    }
)
"""Every model by id, in one line."""
