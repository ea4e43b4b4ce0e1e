r"""HQQ: no data, only the weights, and a zero point that is moved until outliers stop mattering.

Weights have heavy tails. The least squares of the weights' error listen to the few large errors;
HQQ minimises :math:`\lVert w - \hat w \rVert_p^p` with p < 1, which forgives them. That is not
convex and has no useful gradient, so the error e is made a variable of its own, held to
:math:`w - \hat w` by a square that grows stiffer (half-quadratic splitting):

.. math::

    \min_{z,\,e}\ \lVert e \rVert_p^p + \frac{\beta}{2}
        \lVert e - (w - \hat w) \rVert^2, \qquad \hat w = (q - z)\,s              \tag{1}

and each half has a closed form. With :math:`s^{-1}` fixed (``float_zero_point`` eq. 1), a round is

.. math::

    q = \operatorname{clamp}(\operatorname{round\_half\_even}(w\,s^{-1} + z), 0, 2^b - 1), \quad
    \hat w = (q - z) / s^{-1}                                                     \tag{2}

    e = \operatorname{sign}(d) \cdot \max\!\left(|d| - |d|^{p-1} / \beta,\ 0\right), \quad
    d = w - \hat w                                                                \tag{3}

    z = \operatorname{mean}_{group}\!\left(q - (w - e)\,s^{-1}\right), \qquad
    \beta \leftarrow \kappa \beta                                                 \tag{4}

(3) takes from each error about what the norm would pay for it: small ones vanish, large ones stay,
and (4) fits z to what is left. ``iters`` rounds, or until the mean of \|d\| over *all* groups
does not fall. That mean belongs to the z *before* (4), and there are two ways to stop: ``last``,
the authors' default, keeps the z that the failed round made, which nobody has looked at; ``best``
goes back to the z of the smallest mean, which is never worse than no search (law HQQ-01).

float32, as the authors on a CPU (float16 on a GPU), but for two things that every library does its
own way: the power in (3), and the means. Ours are float64, rounded once.
NaN and infinities are refused. Left out: the scale's grid search, the optimizer by gradient.

References
----------
Badri and Shaji, "Half-Quadratic Quantization of Large Machine Learning Models", 2023 (blog);
mobiusml/hqq ``hqq/core/optimize.py`` (``optimize_weights_proximal_legacy``, ``_v2``: best).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.rtn import check_weight
from refquant.algorithms.weight import QuantizedWeight, group_indices
from refquant.formats.float_zero_point import FloatZeroPoint, choose_qparams, encode, quantize

__all__ = ["AUTHORS", "KEEPS", "Settings", "hqq", "optimize", "quantize_groups", "shrink"]

F32 = NDArray[np.float32]

KEEPS = ("last", "best")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """p of eq. (1), the first beta, its growth kappa, how many rounds, and which z to keep."""

    p: float
    beta: float
    kappa: float
    iters: int
    keep: str

    def __post_init__(self) -> None:
        """Refuse what the method does not define."""
        if not (0 < self.p <= 1 and self.beta > 0 and self.kappa >= 1 and self.iters >= 1):
            raise ValueError(
                "p must be in (0, 1], beta > 0, kappa >= 1 and iters >= 1; "
                f"got {self.p}, {self.beta}, {self.kappa}, {self.iters}"
            )
        if self.keep not in KEEPS:
            raise ValueError(f"keep must be one of {', '.join(KEEPS)}; got {self.keep!r}")


AUTHORS = Settings(p=0.7, beta=10.0, kappa=1.01, iters=20, keep="last")


def hqq(w: F32, *, num_bits: int, group_size: int, settings: Settings) -> QuantizedWeight:
    """Return ``w`` (n, k) in groups along its rows, with float zero points: eq. (2) to (4).

    ``w`` is float32, finite, not empty; ``group_size`` divides k; ``num_bits`` is 1 to 8.

    >>> w = np.array([[-1, -0.1, 0.1, 0.2, 0, 3.1]], np.float32)
    >>> q = hqq(w, num_bits=2, group_size=6, settings=AUTHORS)
    >>> q.codes.tolist(), round(float(q.zero_point[0, 0]), 4)
    ([[0, 1, 1, 1, 1, 3]], 0.8753)
    """
    n, k = check_weight(w).shape
    g_idx = group_indices(k, group_size=group_size)
    q = quantize_groups(w, num_bits=num_bits, group_size=group_size, axis=1, settings=settings)
    codes, scale = q.codes.reshape(n, k), q.scale.reshape(n, -1)
    return QuantizedWeight(codes, scale, q.zero_point.reshape(n, -1), g_idx, num_bits, signed=False)


def quantize_groups(
    w: F32, *, num_bits: int, group_size: int, axis: int, settings: Settings
) -> FloatZeroPoint:
    """Return ``w`` (float32, finite) in the groups of ``float_zero_point``, z optimized.

    ``axis`` 0 or 1 says which values are a group, ``group_size`` divides the number of elements.

    >>> w = np.array([-0.5, 0.25, 0.3, 1.0], np.float32)
    >>> quantize_groups(w, num_bits=2, group_size=4, axis=1, settings=AUTHORS).codes.tolist()
    [[0, 2, 2, 3]]
    """
    start = quantize(w, num_bits=num_bits, group_size=group_size, axis=axis, round_zero=False)
    if not start.codes.size:
        return start
    groups = np.asarray(w, np.float32).reshape(start.codes.shape)
    inverse, zero = choose_qparams(groups, num_bits=num_bits, axis=axis, round_zero=False)
    zero = optimize(groups, inverse, zero, num_bits=num_bits, axis=axis, settings=settings)
    codes = encode(groups, inverse_scale=inverse, zero_point=zero, num_bits=num_bits)
    return FloatZeroPoint(codes, start.scale, zero, start.shape)


def optimize(
    groups: F32,
    inverse_scale: F32,
    zero_point: F32,
    *,
    num_bits: int,
    axis: int,
    settings: Settings,
) -> F32:
    """Return the zero point of each group, shaped as the ``zero_point`` it starts from: eq. (4).

    ``groups`` is float32 of two axes, not empty; the parameters are 1 long along ``axis``.

    >>> one = np.ones((1, 1), np.float32)
    >>> fits = np.array([[0, 1, 2, 3]], np.float32)
    >>> optimize(fits, one, 0 * one, num_bits=2, axis=1, settings=AUTHORS).tolist()
    [[0.0]]
    """
    zero, best, beta = zero_point, zero_point, settings.beta
    least = np.float32(np.inf)
    for _ in range(settings.iters):
        codes = encode(groups, inverse_scale=inverse_scale, zero_point=zero, num_bits=num_bits)
        q = codes.astype(np.float32)
        d = groups - (q - zero) / inverse_scale
        error = np.float32(np.abs(d).mean(dtype=np.float64))
        improved = error < least
        if improved:
            best, least = zero, error
        elif settings.keep == "best":
            return best
        rest = q - (groups - shrink(d, p=settings.p, beta=beta)) * inverse_scale
        mean = rest.mean(axis=axis, keepdims=True, dtype=np.float64)
        zero = np.asarray(mean, np.float32)
        if not improved:
            return zero
        beta *= settings.kappa
    return best if settings.keep == "best" else zero


def shrink(d: F32, *, p: float, beta: float) -> F32:
    """Return e, the error that the norm leaves of ``d``, float32 of its shape: eq. (3).

    >>> shrink(np.array([-4, 0, 0.5, 4], np.float32), p=0.5, beta=1.0).tolist()
    [-3.5, 0.0, 0.0, 3.5]
    """
    size = np.abs(d)
    with np.errstate(divide="ignore", over="ignore"):  # 0 ** (p - 1): infinite, so that e is 0
        power = (size.astype(np.float64) ** (p - 1)).astype(np.float32)
        e = np.maximum(size - np.float32(1 / beta) * power, np.float32(0))
    return np.asarray(e * np.sign(d), np.float32)
