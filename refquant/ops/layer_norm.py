r"""Normalization of vectors: LayerNormalization and RMSNormalization, along the last axis.

A transformer adds to the same vector layer after layer; before each use its length is set to one
of a known size. With C elements, each sum ascending from +0.0 and every operation rounded once:

.. math::

    \mu &= \tfrac1C \sum_c x_c, \quad d_c = x_c - \mu, \quad
    v = \tfrac1C \sum_c d_c^2                                                    \tag{1} \\
    y_c &= \bigl(d_c \cdot (1 / \sqrt{v + \epsilon})\bigr)\, g_c + b_c           \tag{2} \\
    y_c &= \bigl(x_c / \sqrt{\tfrac1C \textstyle\sum_c x_c^2 + \epsilon}\bigr)\, g_c \tag{3}

Eqs. (1) and (2) are LayerNormalization, eq. (3) is RMSNormalization: no mean is taken away, no
bias is added. The two divide differently because ONNX writes them so.

Left out: another axis than the last, the outputs Mean and InvStdDev, ``stash_type``.

References
----------
ONNX ``LayerNormalization`` (17), ``RMSNormalization`` (23); Ba, Kiros, Hinton, "Layer
Normalization", 2016; Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019;
``docs/spec/operators.md`` section 7.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.dot import sum_f32
from refquant.ops.rescale import need_float32

__all__ = ["layer_normalization", "rms_normalization"]

Float = NDArray[np.float32]


def layer_normalization(
    x: Float, scale: Float, bias: Float | None = None, *, epsilon: float = 1e-5
) -> Float:
    """Return eqs. (1) and (2) for ``x`` (..., C); ``scale`` and ``bias`` are (C,).

    A NaN or an infinity makes its vector NaN; without ``bias`` nothing is added.

    >>> one = np.ones(2, np.float32)
    >>> layer_normalization(np.array([[1, 3]], np.float32), one, one, epsilon=3.0).tolist()
    [[0.5, 1.5]]
    """
    op = "LayerNormalization"
    _check(op, x, scale, bias, epsilon)
    n = np.float32(x.shape[-1])
    with np.errstate(all="ignore"):  # inf and NaN travel as IEEE 754 says
        d = x - sum_f32(x, -1) / n
        variance = sum_f32(d * d, -1) / n
        inverse = np.float32(1) / np.sqrt(variance + np.float32(epsilon))
        y: Float = (d * inverse) * scale
        return y if bias is None else y + bias


def rms_normalization(x: Float, scale: Float, *, epsilon: float = 1e-5) -> Float:
    """Return eq. (3) for ``x`` (..., C); ``scale`` is (C,).

    >>> two = np.full(2, 2, np.float32)
    >>> rms_normalization(np.array([[1, 7]], np.float32), two, epsilon=0.0).tolist() == [
    ...     [float(np.float32(0.2) * 2), float(np.float32(1.4) * 2)]]
    True
    """
    op = "RMSNormalization"
    _check(op, x, scale, None, epsilon)
    with np.errstate(all="ignore"):  # inf and NaN travel as IEEE 754 says
        mean = sum_f32(x * x, -1) / np.float32(x.shape[-1])
        y: Float = (x / np.sqrt(mean + np.float32(epsilon))) * scale
    return y


def _check(op: str, x: Float, scale: Float, bias: Float | None, epsilon: float) -> None:
    named = {"scale": scale} if bias is None else {"scale": scale, "bias": bias}
    need_float32(op, x=x, **named)
    if x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError(f"{op}: x must be (..., C) with C >= 1, got {x.shape}")
    for name, array in named.items():
        if array.shape != x.shape[-1:]:
            raise ValueError(f"{op}: {name} must have shape {x.shape[-1:]}, got {array.shape}")
    if not epsilon >= 0:
        raise ValueError(f"{op}: attribute epsilon must be >= 0, got {epsilon}")
