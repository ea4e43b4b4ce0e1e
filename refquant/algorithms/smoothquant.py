r"""SmoothQuant: move the outliers of the activations into the weights, half way.

Eight bits for weights *and* activations make a layer one integer product, but a scale of X can
only differ from token to token: one along the channels would be inside the sum. And the outliers of
transformers sit in channels: the same few, for every token, make the step of all others too coarse.
Weights are flat. So divide channel j of X by s_j and multiply the weights' columns, which changes
nothing (``channel_scales`` eq. 1), with

.. math::

    s_j = \max\!\left(\frac{(\max_t |x_{tj}|)^{\alpha}}
          {\max(\max_i |w_{ij}|,\ 10^{-5})^{1 - \alpha}},\ 10^{-5}\right)         \tag{1}

where i runs over the rows of all layers that read X: queries, keys and values share one s.
:math:`\alpha = 1` makes all channels of X equal and gives the weights all the trouble,
:math:`\alpha = 0` the other way round; at 1/2 both have the same maxima,
:math:`\sqrt{\max |x_j| \max |w_j|}`. The paper takes 0.5; Llama-2 needs 0.85, others 0.8.
The norm before the layers absorbs 1 / s (``channel_scales`` eq. 2).

Then both sides are rounded, each row (a token of X, an output of W) or the whole with its scale:

.. math::

    \Delta = \max(\max |x|,\ 10^{-5}) / (2^{b-1} - 1), \qquad
    q = \operatorname{round\_half\_even}(x / \Delta)                              \tag{2}

float32; the powers are float64, rounded once. NaN and infinities are refused. Of zeros only, a
channel has s = :math:`10^{-5}` (:math:`\alpha > 0`), which makes its norm 100,000 times larger:
harmless where it is zero for ever, and a trap where the calibration data just did not show it.
Left out: finding :math:`\alpha`; walking through a model.

References
----------
Xiao et al., "SmoothQuant", 2022, arXiv 2211.10438, section 4, eq. (4); smoothquant
``smoothquant/smooth.py`` (1), ``smoothquant/fake_quant.py`` (2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.channel_scales import divide_norm, scale_columns
from refquant.algorithms.weight import QuantizedWeight

__all__ = ["GRANULARITIES", "Smoothed", "quantize_absmax", "smooth", "smoothing_scale"]

F32 = NDArray[np.float32]

GRANULARITIES = ("row", "tensor")
SMALLEST = np.float32(1e-5)


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """A norm and the layers that read it, after the migration; all float32."""

    norm_weight: F32
    norm_bias: F32 | None
    weights: tuple[F32, ...]
    scale: F32


def smooth(
    norm_weight: F32,
    norm_bias: F32 | None,
    weights: Sequence[F32],
    max_abs: F32,
    *,
    alpha: float,
) -> Smoothed:
    """Return the norm (k,) and the layers (n_i, k) that read it, smoothed by eq. (1).

    ``max_abs`` (k,) is the largest magnitude of each channel of what the layers read.

    >>> ones = np.ones(2, np.float32)
    >>> s = smooth(ones, None, [ones[None, :]], np.array([64, 1], np.float32), alpha=0.5)
    >>> s.norm_weight.tolist(), s.weights[0].tolist()
    ([0.125, 1.0], [[8.0, 1.0]])
    """
    scale = smoothing_scale(max_abs, weights, alpha=alpha)
    weight, bias = divide_norm(norm_weight, norm_bias, scale)
    return Smoothed(weight, bias, tuple(scale_columns(w, scale) for w in weights), scale)


def smoothing_scale(max_abs: F32, weights: Sequence[F32], *, alpha: float) -> F32:
    """Return s of eq. (1), float32 (k,), for layers ``weights`` (n_i, k) that read the same X.

    ``max_abs`` (k,) is finite and not negative, ``alpha`` in [0, 1].

    >>> w = [np.array([[1, 4]], np.float32)]
    >>> smoothing_scale(np.array([16, 16], np.float32), w, alpha=0.5).tolist()
    [4.0, 2.0]
    """
    largest = np.asarray(max_abs, np.float32)
    if largest.ndim != 1 or not np.isfinite(largest).all() or (largest < 0).any():
        raise ValueError("max_abs must be (k,), finite and not negative")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}")
    matrices = [np.asarray(w, np.float32) for w in weights]
    if not matrices or any(w.ndim != 2 or w.shape[1] != largest.size for w in matrices):
        shapes = [w.shape for w in matrices]
        raise ValueError(f"weights must be one or more (n, {largest.size}), got {shapes}")
    of_weights = np.max([_column_max(w) for w in matrices], axis=0)
    if not np.isfinite(of_weights).all():
        raise ValueError("weights must be finite")
    ratio = _power(largest, alpha) / _power(np.maximum(of_weights, SMALLEST), 1 - alpha)
    return np.asarray(np.maximum(ratio, SMALLEST), np.float32)


def quantize_absmax(x: F32, *, num_bits: int, per: str) -> QuantizedWeight:
    """Return ``x`` (rows, k) as signed codes with a scale a row, or one for all: eq. (2).

    ``per`` is ``row`` (a token's activations, an output's weights) or ``tensor``. ``num_bits`` is
    2 to 8; the lowest code is never used. Rows of zeros have the codes 0.

    >>> q = quantize_absmax(np.array([[127, 1], [254, 3]], np.float32), num_bits=8, per="row")
    >>> q.codes.tolist(), q.scale.tolist()
    ([[127, 1], [127, 2]], [[1.0], [2.0]])
    """
    if per not in GRANULARITIES:
        raise ValueError(f"per must be one of {', '.join(GRANULARITIES)}; got {per!r}")
    if not 2 <= num_bits <= 8:
        raise ValueError(f"num_bits must be in 2..8, got {num_bits}")
    values = np.asarray(x)
    if values.ndim != 2 or values.dtype != np.float32 or not np.isfinite(values).all():
        raise ValueError(f"x must be finite float32 (rows, k), got {values.dtype} {values.shape}")
    largest = np.abs(values).max(axis=1 if per == "row" else None, keepdims=True, initial=0)
    scale = np.maximum(largest, SMALLEST) / np.float32(2 ** (num_bits - 1) - 1)
    with np.errstate(under="ignore"):
        codes = np.rint(values / scale).astype(np.int8)
    by_row = np.broadcast_to(scale, (len(values), 1)).astype(np.float32)
    zero = np.zeros(by_row.shape, np.int32)
    g_idx = np.zeros(values.shape[1], np.int32)
    return QuantizedWeight(codes, by_row, zero, g_idx, num_bits, signed=True)


def _column_max(w: F32) -> F32:
    return np.asarray(np.abs(w).max(axis=0, initial=np.float32(0)), np.float32)


def _power(base: F32, exponent: float) -> F32:
    """Return float32(base ** exponent), the power in float64: one rounding in all but name."""
    return (base.astype(np.float64) ** exponent).astype(np.float32)
