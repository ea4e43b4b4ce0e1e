r"""ACIQ: the clipping value from two moments, if the data's distribution is known.

Assume a density, and the mean square error of clipping at :math:`\mu \pm \alpha` with
:math:`2^M` codes in between is a formula. For Laplace's, of mean deviation
:math:`b = E|x - \mu|`,

.. math::

    J(\alpha) = 2 b^2 e^{-\alpha / b} + \frac{\alpha^2}{3 \cdot 4^M}, \qquad
    J' = 0 \iff \frac{\alpha}{b} e^{\alpha / b} = 3 \cdot 4^M                            \tag{1}

so :math:`\alpha = b\,W(3 \cdot 4^M)` with Lambert's W. For Gauss's, of standard deviation
:math:`\sigma`, :math:`\alpha = \sigma a` with

.. math::

    a\left(\operatorname{erfc}\left(\tfrac{a}{\sqrt 2}\right) + \frac{1}{3 \cdot 4^M}\right) =
        \sqrt{\tfrac{2}{\pi}}\, e^{-a^2 / 2}                                             \tag{2}

Both solutions depend on M only, so they are two short tables, and a range costs one pass:

.. math::

    (lo, hi) = \left(\max(\min x,\ \mu - \alpha),\ \min(\max x,\ \mu + \alpha)\right)    \tag{3}

**Arithmetic.** Moments in float64, in column order; :math:`\sigma^2` divides by g (the authors' by
g - 1). What is wrong with it is the assumption: weights are between the two densities, ReLU
outputs are neither. One-sided data take the constant of M + 1: left out.

References
----------
Banner et al., "Post training 4-bit quantization of convolutional networks for rapid-deployment",
arXiv:1810.05723, section 3; submission2019/cnn-quantization ``int_quantizer.py``,
``mse_analysis.py``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.clipping import ordered_sum

__all__ = ["GAUSS", "LAPLACE", "aciq"]

F32 = NDArray[np.float32]

# Solutions of (1) and (2) for M = 1..8, to the last digit of float64; a test solves them again.
LAPLACE: tuple[float, ...] = (
    1.862816864432358,
    2.8306829893702337,
    3.8972294649451027,
    5.028640136236213,
    6.204766334013321,
    7.4131262138435705,
    8.645619984034424,
    9.896759770017528,
)
GAUSS: tuple[float, ...] = (
    1.2399052709844558,
    1.7106351681140437,
    2.1515927447403467,
    2.5591364619753367,
    2.9362006121084447,
    3.286914215213757,
    3.615114215262781,
    3.924035489880782,
)


def aciq(groups: F32, *, num_bits: int, density: str) -> tuple[F32, F32]:
    """Return the range of each group, float32 (m, g) -> (m,), (m,): eq. (3).

    ``density`` is ``laplace`` (1) or ``gauss`` (2); ``num_bits`` in [1, 8]. A group of equal
    elements keeps its point, lo = hi. ``ValueError`` for NaN and infinity.

    >>> x = np.array([[-1.0, 1.0] * 20 + [9.0, -9.0]], np.float32)  # b = 58 / 42
    >>> [round(float(end[0]), 3) for end in aciq(x, num_bits=4, density="laplace")]
    [-6.944, 6.944]
    """
    tables = {"laplace": LAPLACE, "gauss": GAUSS}
    if density not in tables:
        raise ValueError(f"density must be 'laplace' or 'gauss', got {density!r}")
    if not 1 <= num_bits <= 8:
        raise ValueError(f"num_bits must be in [1, 8], got {num_bits}")
    if not np.isfinite(groups).all() or not groups.shape[1]:
        raise ValueError(f"groups must be finite and not empty, got {groups}")
    x = groups.T.astype(np.float64)  # (g, m): a row is one element of each group
    mean = _mean(x)
    deviation = x - mean
    if density == "laplace":
        spread = _mean(np.abs(deviation))
    else:
        spread = np.sqrt(_mean(deviation * deviation))
    alpha = spread * tables[density][num_bits - 1]
    lo = np.maximum(x.min(axis=0), mean - alpha).astype(np.float32)
    return lo, np.minimum(x.max(axis=0), mean + alpha).astype(np.float32)


def _mean(rows: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(ordered_sum(rows) / rows.shape[0])
