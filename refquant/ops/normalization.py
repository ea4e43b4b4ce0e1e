"""BatchNormalization at inference: an affine map a channel.

    g = f32(scale / f32(sqrt(f32(var + epsilon))))                                             (1)
    y = f32(f32(f32(x - mean) * g) + bias)                                                     (2)

Reference only: a runtime has none.  Fold it into the convolution before it before you quantize
(``refquant.model.fold``).

Left out: training mode.

Source: ``docs/spec/operators.md`` §1; Ioffe and Szegedy, "Batch Normalization", ICML 2015, alg. 2.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.ops.rescale import need_float32

__all__ = ["batch_normalization"]

Float = NDArray[np.float32]


def batch_normalization(
    x: Float, scale: Float, bias: Float, mean: Float, var: Float, *, epsilon: float = 1e-5
) -> Float:
    """Return eq. (2) for ``x`` (N, C, ...); the parameters are (C,), ``var`` >= 0.

    >>> ones = np.ones(1, np.float32)
    >>> x = np.array([[3.0]], np.float32)
    >>> batch_normalization(x, 2 * ones, ones, ones, 3 * ones, epsilon=1.0).tolist()
    [[3.0]]
    """
    op = "BatchNormalization"
    need_float32(op, x=x, scale=scale, bias=bias, mean=mean, var=var)
    if x.ndim < 2 or x.shape[1] < 1:
        raise ValueError(f"{op}: x must be (N, C, ...) with at least one channel, got {x.shape}")
    for name, values in {"scale": scale, "bias": bias, "mean": mean, "var": var}.items():
        if values.shape != (x.shape[1],):
            raise ValueError(f"{op}: {name} must have shape ({x.shape[1]},), got {values.shape}")
    if not epsilon >= 0:
        raise ValueError(f"{op}: attribute epsilon must be >= 0, got {epsilon}")
    along = (-1, *(1,) * (x.ndim - 2))  # (C,) -> (C, 1, ...)
    with np.errstate(all="ignore"):  # var + epsilon = 0 gives inf, as IEEE 754 says
        gain = scale / np.sqrt(var + np.float32(epsilon))
        y: Float = (x - mean.reshape(along)) * gain.reshape(along) + bias.reshape(along)
    return y
