r"""AdaRound of a layer of any model: its settings in units of the layer, and never worse.

AdaRound weighs the error of the output against a pull of :math:`\lambda` a weight
(`refquant.algorithms.adaround`, eq. 3). The error has units, the square of those of weights times
inputs: a :math:`\lambda` of 0.01 decides everything in one layer and nothing in the next. So here
the error is measured by what rounding to nearest costs, a weight on the average,

.. math::

    u = \frac{1}{2 n k} \operatorname{tr}\big((\hat W_0 - W)\, H\, (\hat W_0 - W)^T\big), \qquad
    H' = H / u                                                                          \tag{1}

and :math:`\lambda` pulls against H'. And since nothing promises less error, each row keeps the
rounding that has less,

.. math::

    \hat w_i = \begin{cases} \hat w_i^{ada} & \text{if } \epsilon_i^{ada} < \epsilon_i^{0} \\
    \hat w_i^{0} & \text{otherwise} \end{cases}, \qquad
    \epsilon_i = \tfrac12 (\hat w_i - w_i)\, H\, (\hat w_i - w_i)^T                     \tag{2}

so that no row's output is further off than by rounding to nearest, on the data that made H.

Left out: other starts than nearest rounding's scales.

References
----------
Nagel et al., arXiv:2004.10568, eq. (25) (the pull); (1) and (2) are ours.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.adaround import AdaRound, adaround, check_layer, output_error
from refquant.algorithms.weight import QuantizedWeight

__all__ = ["adaround_weight"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def adaround_weight(
    w: F32, h: F64, nearest: QuantizedWeight, settings: AdaRound
) -> tuple[QuantizedWeight, float]:
    """Return ``nearest`` or better codes for each row of ``w``, and how many of them changed.

    ``w`` is float32 (n, k), ``h`` float64 (k, k), symmetric, as `Hessian.matrix` makes it, and
    ``nearest`` the codes of rounding to nearest: eq. (1), (2). ``settings.regularization`` is in
    units of u. The second number is the share of all codes. `ValueError` as in `adaround`.

    >>> from refquant.algorithms.weight import QuantizedWeight
    >>> w, one = np.float32([[0.4, 0.45]]), np.ones((1, 1), np.float32)
    >>> grid = QuantizedWeight(np.zeros((1, 2), np.int8), one, np.zeros((1, 1), np.int32),
    ...                        np.zeros(2, np.int32), num_bits=4, signed=True)
    >>> fast = AdaRound(200, learning_rate=0.1, regularization=1.0, beta_start=20.0, beta_end=2.0,
    ...                 warm_start=0.2)
    >>> h = np.array([[1.0, 0.9], [0.9, 1.0]])
    >>> q, changed = adaround_weight(w, 1e6 * h, grid, fast)
    >>> q.codes.tolist(), changed
    ([[0, 1]], 0.5)
    """
    check_layer(w, h, nearest)
    before = output_error(w, nearest.dequantize(), h)
    unit = float(before.sum()) / w.size
    if not unit > 0:  # nothing to gain
        return nearest, 0.0
    found = adaround(w, h / unit, nearest, settings)
    better = output_error(w, found.dequantize(), h) < before
    codes = np.where(better[:, None], found.codes, nearest.codes).astype(nearest.codes.dtype)
    return replace(nearest, codes=codes), float(np.count_nonzero(codes != nearest.codes)) / w.size
