r"""OCTAV: the clipping value of least mean square error, by Newton's method.

A symmetric quantizer of B bits that clips at s has the step :math:`s\,2^{1-B}`. Inside, the error
is that of an even spread over a step, outside it is what was cut off:

.. math::

    J(s) = \frac{4^{-B}}{3} s^2\,\#\{0 < |x| \le s\} + \sum_{|x| > s} (|x| - s)^2        \tag{1}

Between two neighbouring :math:`|x|` J is a parabola. Newton's step from any s leads to the lowest
point of the parabola it is on,

.. math::

    s' = \frac{\sum_{|x| > s} |x|}
              {\frac{4^{-B}}{3} \#\{0 < |x| \le s\} + \#\{|x| > s\}}                     \tag{2}

and it ends where s' = s, usually after ten steps. J jumps where s passes an element, so that two
values may take turns forever; the last one is returned. The start is the mean of the nonzero
:math:`|x|`. Where nothing is above s, (2) would give 0: the last s stays.

**Arithmetic.** float64, sums in column order: the same bits on every CPU. (1) takes for granted
that codes are dense: at 2 bits the true optimum is elsewhere, and ``mse_grid``, which measures, is
better. One-sided data (ReLU) have :math:`4^{-B}/12` instead of :math:`4^{-B}/3`.

How others differ: ai-edge-quantizer counts zeros in, starts at s = 1, takes 10 steps in float32
and stops when two guesses are close.

References
----------
Sakr et al., "Optimal Clipping and Magnitude-aware Differentiation for Improved
Quantization-aware Training", arXiv:2206.06501, eq. (4)-(6); google-ai-edge/ai-edge-quantizer
``algorithms/uniform_quantize/octav.py``.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.clipping import ordered_sum

__all__ = ["octav"]

F32 = NDArray[np.float32]


def octav(
    groups: F32, *, num_bits: int, max_iterations: int, one_sided: bool = False
) -> tuple[F32, F32]:
    """Return the range (-s, s) of each group, float32 (m, g) -> (m,), (m,): eq. (2).

    ``num_bits`` in [1, 16]; ``max_iterations`` at least 1, 20 are plenty. The range of
    ``one_sided`` data is (0, s); a negative element is then a ``ValueError``. s is never above the
    largest ``|x|``. A group of zeros gives (0, 0). ``ValueError`` for NaN and infinity.

    >>> x = np.array([[1.0] * 30 + [-9.0]], np.float32)  # 30 small ones outvote the outlier
    >>> [round(float(end[0]), 3) for end in octav(x, num_bits=2, max_iterations=20)]
    [-5.538, 5.538]
    """
    if not 1 <= num_bits <= 16 or max_iterations < 1:
        raise ValueError(
            "num_bits must be in [1, 16] and max_iterations >= 1, "
            f"got {num_bits} and {max_iterations}"
        )
    if not np.isfinite(groups).all() or (one_sided and (groups < 0).any()):
        rule = "finite and not negative" if one_sided else "finite"
        raise ValueError(f"groups must be {rule}, got {groups}")
    magnitude = np.abs(groups.T).astype(np.float64)  # (g, m): a row is one element of each group
    dense = 4.0**-num_bits / (12 if one_sided else 3)
    nonzero = np.count_nonzero(magnitude, axis=0)
    s = ordered_sum(magnitude) / np.maximum(nonzero, 1)
    for _ in range(max_iterations):
        above = magnitude > s
        count = np.count_nonzero(above, axis=0)
        parabola = np.maximum(dense * (nonzero - count) + count, np.finfo(np.float64).tiny)
        step = np.where(count > 0, ordered_sum(np.where(above, magnitude, 0.0)) / parabola, s)
        if np.array_equal(step, s):
            break
        s = step
    high = np.minimum(s, magnitude.max(axis=0, initial=0.0)).astype(np.float32)
    return (np.zeros_like(high) if one_sided else -high), high
