r"""Bias correction: what quantized weights add to the mean of an output, its bias takes away.

Rounding errors of a weight row do not average out over its few weights, and what a `Relu` passes on
is never negative: each output channel is shifted by a constant. With
:math:`\epsilon = \hat W - W`,

.. math::

    E[\hat y] - E[y] = E[\hat W x + b] - E[W x + b] = \epsilon\, E[x]                   \tag{1}

::

    x --> W^ --> + b - eps E[x] --> y^                 E[y^] = E[y], at no cost when it runs

.. math::

    b' = b - \epsilon\, E[x], \qquad
    (\epsilon E[x])_o = \sum_i E[x_i] \sum_{kernel} (\hat w_{oi} - w_{oi})              \tag{2}

where x, channel i of the input, is taken to have the same mean everywhere. There are two ways to
know it.

**Empirical**: from data, of the inputs, or of the outputs of both layers, which knows of padding,
too, and of whatever else shifts the mean before this layer:

.. math::

    b' = b - (E[\hat y] - E[y])                                                         \tag{3}

**Analytic**: without data. Behind batch normalization an activation has mean :math:`\mu` = its
``bias`` and deviation :math:`\sigma` = \|its ``scale``\|; take it for normal, then clip it as
`Relu` (low 0, high infinite) or `Clip` does. With :math:`\alpha = (low - \mu) / \sigma` and
:math:`\beta = (high - \mu) / \sigma`:

.. math::

    E[x] = low\, \Phi(\alpha) + high\, (1 - \Phi(\beta)) + \mu\, (\Phi(\beta) - \Phi(\alpha))
        + \sigma\, (\varphi(\alpha) - \varphi(\beta))                                   \tag{4}

:math:`\varphi(t) = e^{-t^2/2} / \sqrt{2 \pi}` and :math:`\Phi(t) = (1 + \mathrm{erf}(t / \sqrt 2))
/ 2` are computed by our float32 ``exp`` and ``erf``, the same on every CPU; everything else is
float64, rounded to float32 once. (4) is then within, of the bounds those that are finite,

.. math::

    2^{-21} (\sigma + |low - \mu| + |high - \mu|)                                       \tag{5}

Layers are corrected one after the other, from the input on: what a corrected layer gives is what
the next one's E[x] is about. Left out: variances, which quantization changes little.

References
----------
Nagel et al., arXiv:1906.04721, section 4.2 and appendix C; AIMET ``BiasCorrection`` (3) and
``BnBasedBiasCorrection`` (4). Finkelstein et al., "Fighting Quantization Bias With Bias",
arXiv:1906.03193 (3).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.elementary import erf, exp

__all__ = ["clipped_normal_mean", "correct_by_inputs", "correct_by_outputs"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def correct_by_inputs(bias: F32, w: F32, w_hat: F32, *, mean_input: F64, groups: int) -> F32:
    """Return b', float32 (outputs,): eq. (2).

    ``w`` and ``w_hat``, what its codes mean, are float32 (outputs, inputs / groups, ...kernel);
    ``mean_input`` is (inputs,): of data, or of `clipped_normal_mean`. ``ValueError`` for shapes
    that do not fit and for NaN or infinity.

    >>> w, w_hat = np.float32([[1.25, -0.75]]), np.float32([[1, -1]])
    >>> mean = np.array([2.0, 4.0])
    >>> correct_by_inputs(np.float32([0]), w, w_hat, mean_input=mean, groups=1).tolist()
    [1.5]
    """
    if w.shape != w_hat.shape or w.ndim < 2 or bias.shape != w.shape[:1]:
        raise ValueError(
            "w and w_hat must be (outputs, inputs / groups, ...) and bias (outputs,), got "
            f"{w.shape}, {w_hat.shape} and {bias.shape}"
        )
    if groups < 1 or w.shape[0] % groups or mean_input.shape != (w.shape[1] * groups,):
        raise ValueError(
            f"mean_input must be (inputs,) = ({w.shape[1] * groups},) and groups must divide the "
            f"{w.shape[0]} outputs, got {mean_input.shape} and {groups}"
        )
    _need_finite({"bias": bias, "w": w, "w_hat": w_hat, "mean_input": mean_input})
    epsilon = w_hat.astype(np.float64) - w
    sums = epsilon.reshape(groups, -1, w.shape[1], int(np.prod(w.shape[2:]))).sum(axis=3)
    shift = (sums * mean_input.reshape(groups, 1, -1)).sum(axis=2).reshape(-1)
    return np.asarray(bias - shift, np.float32)


def correct_by_outputs(bias: F32, y: F32, y_hat: F32, *, axis: int) -> F32:
    """Return b', float32 (channels,), so that both outputs have the same means: eq. (3).

    ``y`` and ``y_hat`` are what the float and the quantized layer give, float32, for the same data,
    channels along ``axis``, before any `Relu`. ``ValueError`` for shapes that do not fit, no data,
    NaN or infinity.

    >>> y, y_hat = np.float32([[1, 5], [3, 5]]), np.float32([[2, 5], [4, 4]])
    >>> correct_by_outputs(np.float32([10, 10]), y, y_hat, axis=1).tolist()
    [9.0, 10.5]
    """
    if y.shape != y_hat.shape or not -y.ndim <= axis < y.ndim or not y.size:
        raise ValueError(
            f"y and y_hat must have one shape with axis {axis}, and not be empty, "
            f"got {y.shape} and {y_hat.shape}"
        )
    if bias.shape != (y.shape[axis],):
        raise ValueError(f"bias must be ({y.shape[axis]},), got {bias.shape}")
    _need_finite({"bias": bias, "y": y, "y_hat": y_hat})
    rows = np.moveaxis(y_hat.astype(np.float64) - y, axis, 0).reshape(bias.size, -1)
    return np.asarray(bias - rows.mean(axis=1), np.float32)


def clipped_normal_mean(mean: F64, std: F64, *, low: float, high: float) -> F64:
    """Return E[x] of normal numbers clipped to [low, high], which may be infinite: eq. (4, 5).

    ``mean`` and ``std`` are (channels,); the sign of ``std`` does not matter, and 0 clips ``mean``.
    ``ValueError`` for NaN and infinity in them, for other shapes, and unless low < high.

    >>> mean, std = np.array([0.0, 9.0, -9.0, 3.0]), np.array([1.0, 1.0, 1.0, 0.0])
    >>> clipped_normal_mean(mean, std, low=0.0, high=np.inf).round(4).tolist()
    [0.3989, 9.0, 0.0, 3.0]
    """
    mean, std = np.asarray(mean, np.float64), np.abs(np.asarray(std, np.float64))
    if mean.shape != std.shape:
        raise ValueError(f"mean and std must have one shape, got {mean.shape} and {std.shape}")
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}")
    _need_finite({"mean": mean, "std": std})
    spread = std > 0
    sigma = np.where(spread, std, 1.0)
    below, density_below = _normal((low - mean) / sigma)
    above, density_above = _normal((high - mean) / sigma)
    result = mean * (above - below) + sigma * (density_below - density_above)
    if np.isfinite(low):  # 0 * infinity is nothing here, but NaN in floats
        result = result + low * below
    if np.isfinite(high):
        result = result + high * (1.0 - above)
    return np.asarray(np.where(spread, result, np.clip(mean, low, high)))


def _normal(t: F64) -> tuple[F64, F64]:
    """Return the normal distribution's function and density at t."""
    t = np.clip(t, -40.0, 40.0)  # beyond it, both are what they are at infinity
    cumulative = 0.5 * (1.0 + erf((t / np.sqrt(2.0)).astype(np.float32)).astype(np.float64))
    density = exp((-0.5 * t * t).astype(np.float32)).astype(np.float64) / np.sqrt(2.0 * np.pi)
    return cumulative, density


def _need_finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, array in arrays.items():
        if bad := int(np.count_nonzero(~np.isfinite(array))):
            raise ValueError(f"{name} must be finite, got {bad} NaN or infinity in {array.size}")
