r"""Scales that wander: divide the input channels of a layer, multiply its weights, change nothing.

AWQ and SmoothQuant both trade between what a layer reads and what it multiplies with. For x
(samples, k), w (n, k) and any positive s (k,),

.. math::

    x\, w^T = (x \oslash s)\,(s \odot w)^T                                        \tag{1}

and the division costs nothing where whoever makes x has parameters of its own:

.. math::

    x = g \odot \operatorname{norm}(u) + b \quad\Rightarrow\quad
        g \leftarrow g \oslash s,\ \ b \leftarrow b \oslash s                     \tag{2}

    x = v\,u + b \quad\Rightarrow\quad
        v_{i\cdot} \leftarrow v_{i\cdot} / s_i,\ \ b_i \leftarrow b_i / s_i       \tag{3}

(3) also holds through what is homogeneous, f(x / s) = f(x) / s: ReLU, a product with a gate, the
average that attention takes of its values; not GELU. Everybody who reads x must multiply (1):
the queries, keys and values of a block share one s.

float32, one rounding an element: in exact numbers nothing changes, in float32 the last bit does,
and if each s is a power of two, nothing (short of the subnormals). A scale that makes a parameter
infinite is refused. Left out: norms that multiply by 1 + g (Gemma).

References
----------
llm-awq ``awq/quantize/auto_scale.py`` (``scale_ln_fcs``, ``scale_fc_fc``); smoothquant
``smoothquant/smooth.py``.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["divide_norm", "divide_rows", "scale_columns"]

F32 = NDArray[np.float32]


def scale_columns(w: F32, scale: F32) -> F32:
    """Return the weight of the layer that reads x / s, float32 (n, k): eq. (1).

    ``w`` is float32 (n, k), ``scale`` float32 (k,), positive and finite.

    >>> scale_columns(np.array([[1, 2]], np.float32), np.array([4, 0.5], np.float32)).tolist()
    [[4.0, 1.0]]
    """
    s = _positive(scale, np.shape(w)[-1] if np.ndim(w) == 2 else -1, "w must be (n, k): k")
    with np.errstate(over="ignore", under="ignore"):
        return _finite(np.asarray(w, np.float32) * s, "w")


def divide_norm(weight: F32, bias: F32 | None, scale: F32) -> tuple[F32, F32 | None]:
    """Return weight and bias (None where there is none) of a norm that makes x / s: eq. (2).

    All are float32 (k,).

    >>> s = np.array([2, 4], np.float32)
    >>> g, b = divide_norm(np.ones(2, np.float32), None, s)
    >>> g.tolist(), b
    ([0.5, 0.25], None)
    """
    s = _positive(scale, np.size(weight), "the norm's weight")
    if np.ndim(weight) != 1:
        raise ValueError(f"weight must be one number a channel, got shape {np.shape(weight)}")
    return _divided(weight, s, "weight"), _divided_bias(bias, s, np.size(weight))


def divide_rows(w: F32, bias: F32 | None, scale: F32) -> tuple[F32, F32 | None]:
    """Return weight and bias of a linear layer that makes x / s: eq. (3).

    ``w`` is float32 (n, k), ``bias`` (n,) or None. ``scale`` has m <= n elements, for the last m
    rows: where one layer makes queries, keys and values, the values are the last.

    >>> w = np.array([[8], [8]], np.float32)
    >>> divide_rows(w, np.ones(2, np.float32), np.array([4], np.float32))[0].tolist()
    [[8.0], [2.0]]
    """
    if np.ndim(w) != 2 or not 1 <= np.size(scale) <= np.shape(w)[0]:
        raise ValueError(
            f"w must be (n, k) with at least a row a scale, got {np.shape(w)} for "
            f"{np.size(scale)} scales"
        )
    s = _positive(scale, np.size(scale), "scale")
    rows = np.concatenate([np.ones(np.shape(w)[0] - s.size, np.float32), s])
    return _divided(w, rows[:, None], "w"), _divided_bias(bias, rows, rows.size)


def _divided_bias(bias: F32 | None, s: F32, size: int) -> F32 | None:
    if bias is None:
        return None
    if np.shape(bias) != (size,):
        raise ValueError(f"bias must have shape ({size},), got {np.shape(bias)}")
    return _divided(bias, s, "bias")


def _divided(values: F32, s: F32, name: str) -> F32:
    with np.errstate(over="ignore", under="ignore"):
        return _finite(np.asarray(values, np.float32) / s, name)


def _positive(scale: F32, size: int, what: str) -> F32:
    """Return ``scale`` as float32 (size,), or say what it must be."""
    s = np.asarray(scale, np.float32)
    if s.shape != (size,):
        raise ValueError(f"scale must have as many elements as {what} ({size}), got {s.shape}")
    if not (np.isfinite(s).all() and (s > 0).all()):
        raise ValueError(f"scale must be positive and finite, got {s[~(s > 0) | ~np.isfinite(s)]}")
    return s


def _finite(values: F32, name: str) -> F32:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, also after scaling; got NaN or infinity")
    return values
