r"""AdaRound: round each weight up or down, whichever the layer's output prefers.

The nearest mark is the best for one weight alone. A layer sums many: its error is :math:`\|(\hat W
- W) x\|^2`, in which errors of correlated inputs cancel or add up, so that rounding some weights
the wrong way makes the sum better. There are :math:`2^{nk}` ways. AdaRound makes the choice soft, h
between 0 (down) and 1 (up), descends, and forces it to an end:

::

    w / s      =  floor + fraction              floor: fixed        scale and zero point: given
    code       =  clip(floor + z + h, qmin, qmax)
    h          0 ------------------- 1          starts at the fraction: the float weight itself

.. math::

    \hat w = s\,(\mathrm{clip}(\lfloor w / s \rfloor + z + h,\ q_{min},\ q_{max}) - z)       \tag{1}

    h(V) = \mathrm{clip}(\sigma(V)\,(\zeta - \gamma) + \gamma,\ 0,\ 1), \qquad
    \zeta = 1.1,\ \gamma = -0.1                                                             \tag{2}

    L = \tfrac{1}{2} \operatorname{tr}\big((\hat W - W)\, H\, (\hat W - W)^T\big) +
        \lambda \sum \big(1 - |2 h(V) - 1|^{\beta}\big)                                     \tag{3}

with H of `Hessian.matrix`, 2/n times the sum of :math:`x x^T`, so that the first term is the mean
over all tokens of the squared error of the output. The stretched sigmoid (2) reaches 0 and 1, and
leaves a gradient there. During the first ``warm_start`` part of the iterations :math:`\lambda` is
0; afterwards :math:`\beta` falls along a cosine from ``beta_start``, where only what is near an end
feels a pull, to ``beta_end``, where everything does:

.. math::

    \beta(t) = \beta_1 + \tfrac{1}{2} (\beta_0 - \beta_1)\,(1 + \cos(\pi t)), \qquad
    0 \le t < 1                                                                             \tag{4}

Gradients are written out, :math:`G = (\hat W - W) H` first, then by the chain rule

.. math::

    \frac{\partial L}{\partial V} = \Big(s\, G\,[\text{code in range}] -
    2 \lambda \beta |2h - 1|^{\beta - 1} \mathrm{sign}(2h - 1)\Big)
    (\zeta - \gamma)\, \sigma (1 - \sigma)\, [0 \le \sigma (\zeta - \gamma) + \gamma \le 1] \tag{5}

and descended by Adam (0.9, 0.999, 1e-8). At the end the code is that of h = [V >= 0].

The published code draws 32 samples an iteration. Here each iteration sees all of them, through H:
no randomness, no memory for data. Products are `matmul_sliced`, ``exp`` and ``log`` our own
float32, the rest elementwise float64: the same bytes everywhere. Nothing promises less error than
nearest rounding; compare both, as ``output_error`` does.

Left out: the activation function inside the error and inputs of the quantized prefix (the paper's
eq. 25); H knows only the linear layer.

References
----------
Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", arXiv:2004.10568,
sections 3.2 and 4; AIMET ``AdaroundLoss`` (4), ``AdaroundWrapper`` (1, 2).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.weight import QuantizedWeight
from refquant.numerics.elementary import exp, log, sigmoid
from refquant.numerics.sliced_matmul import matmul_sliced

__all__ = ["AdaRound", "adaround", "check_layer", "output_error"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

ZETA, GAMMA = 1.1, -0.1
MOMENTUM, DECAY, TINY = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class AdaRound:
    """The settings of the descent; the published ones are the comments.

    >>> AdaRound(1000, learning_rate=0.01, regularization=0.01, beta_start=20.0, beta_end=2.0,
    ...          warm_start=1.0)
    Traceback (most recent call last):
    ValueError: warm_start must be in [0, 1), got 1.0
    """

    iterations: int  # 10,000
    learning_rate: float  # 0.001
    regularization: float  # lambda: 0.01
    beta_start: float  # 20
    beta_end: float  # 2
    warm_start: float  # 0.2

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {self.iterations}")
        if not 0 <= self.warm_start < 1:
            raise ValueError(f"warm_start must be in [0, 1), got {self.warm_start}")
        if not (0 < self.learning_rate < math.inf and 0 <= self.regularization < math.inf):
            raise ValueError(
                "learning_rate must be above 0 and regularization not below, got "
                f"{self.learning_rate} and {self.regularization}"
            )
        if not math.inf > self.beta_start >= self.beta_end >= 1:
            raise ValueError(
                "beta_start must be at least beta_end, and that at least 1, got "
                f"{self.beta_start} and {self.beta_end}"
            )


def adaround(w: F32, h: F64, grid: QuantizedWeight, settings: AdaRound) -> QuantizedWeight:
    """Return ``grid`` with the codes that AdaRound chooses for ``w``: eq. (1) to (5).

    ``w`` is float32 (n, k), ``h`` float64 (k, k), symmetric; ``grid`` says scales, zero points and
    range (of nearest rounding, say); its codes are not read. ``ValueError`` for shapes that do not
    fit, NaN, infinity, and scales that are not positive. A dead input (zero in ``h``) has no say:
    its weights stay at the nearest mark.

    >>> w, one = np.float32([[0.4, 0.45]]), np.ones((1, 1), np.float32)
    >>> grid = QuantizedWeight(np.zeros((1, 2), np.int8), one, np.zeros((1, 1), np.int32),
    ...                        np.zeros(2, np.int32), num_bits=4, signed=True)
    >>> fast = AdaRound(200, learning_rate=0.1, regularization=0.01, beta_start=20.0, beta_end=2.0,
    ...                 warm_start=0.2)
    >>> adaround(w, np.array([[1.0, 0.9], [0.9, 1.0]]), grid, fast).codes.tolist()
    [[0, 1]]
    """
    check_layer(w, h, grid)
    scale = grid.scale[:, grid.g_idx].astype(np.float64)
    floor = np.floor(w / scale)
    zero = grid.zero_point[:, grid.g_idx].astype(np.float64)
    layer = _Layer(w.astype(np.float64), h, scale, floor + zero, zero, *_code_range(grid))
    v = _descended(_inverse(w / scale - floor), layer, settings)
    codes = np.clip(layer.base + (v >= 0), layer.low, layer.high).astype(grid.codes.dtype)
    return replace(grid, codes=codes)


def output_error(w: F32, w_hat: F32, h: F64) -> F64:
    r"""Return, for each row, the mean squared error of its output: the first term of eq. (3), (n,).

    >>> output_error(np.float32([[1, 2]]), np.float32([[1, 4]]), 2 * np.eye(2)).tolist()
    [4.0]
    """
    error = w_hat.astype(np.float64) - w
    return np.asarray(0.5 * (matmul_sliced(error, h) * error).sum(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """What stays the same: ``base`` is floor(w / s) + z."""

    w: F64
    h: F64
    scale: F64
    base: F64
    zero: F64
    low: float
    high: float


def _descended(v: F64, layer: _Layer, settings: AdaRound) -> F64:
    """Return V after all iterations of Adam."""
    first, second = np.zeros_like(v), np.zeros_like(v)
    seen = [1.0, 1.0]  # what Adam's means miss, as powers: by products, for pow is a library's
    for step in range(settings.iterations):
        slope = _slope(v, layer, settings, step)
        first = MOMENTUM * first + (1 - MOMENTUM) * slope
        second = DECAY * second + (1 - DECAY) * slope * slope
        seen = [seen[0] * MOMENTUM, seen[1] * DECAY]
        deviation = np.sqrt(second / (1 - seen[1])) + TINY
        v = v - settings.learning_rate * (first / (1 - seen[0])) / deviation
    return v


def _slope(v: F64, layer: _Layer, settings: AdaRound, step: int) -> F64:
    """Return the gradient of the loss by V: eq. (5)."""
    gate = sigmoid(v.astype(np.float32)).astype(np.float64)
    stretched = gate * (ZETA - GAMMA) + GAMMA
    soft = np.clip(stretched, 0.0, 1.0)
    code = layer.base + soft
    error = layer.scale * (np.clip(code, layer.low, layer.high) - layer.zero) - layer.w
    inside = (code >= layer.low) & (code <= layer.high)
    slope = layer.scale * matmul_sliced(error, layer.h) * inside + _pull(soft, settings, step)
    moves = (stretched >= 0) & (stretched <= 1)
    return np.asarray(slope * (ZETA - GAMMA) * gate * (1 - gate) * moves)


def _pull(soft: F64, settings: AdaRound, step: int) -> F64 | float:
    """Return the gradient of the second term of eq. (3) by h, with the beta of eq. (4)."""
    start = settings.warm_start * settings.iterations
    if step < start or settings.regularization == 0:
        return 0.0
    t = (step - start) / (settings.iterations - start)
    # cos(pi t), by our own sine of a square: 1 - 2 sin^2(pi t / 2)
    beta = settings.beta_end + (settings.beta_start - settings.beta_end) * _half_cosine(t)
    away = 2 * soft - 1
    power = np.where(away == 0, float(beta == 1), _power(np.abs(away), beta - 1))
    return -2 * settings.regularization * beta * power * np.sign(away)


def _power(x: F64, exponent: float) -> F64:
    """Return x ** exponent for x in (0, 1], through float32 logarithms."""
    logarithm = log(np.maximum(x, 2.0**-100).astype(np.float32)).astype(np.float64)
    return exp((exponent * logarithm).astype(np.float32)).astype(np.float64)


def _half_cosine(t: float) -> float:
    """Return (1 + cos(pi t)) / 2 for t in [0, 1] by a Taylor sum: no library's bits."""
    x = (math.pi * (t - 0.5)) ** 2
    term = total = 1.0
    for i in range(1, 10):  # sin(pi (t - 1/2)) = -cos(pi t); x**9 / 19! is below 2**-53
        term *= -x / ((2 * i) * (2 * i + 1))
        total += term
    return 0.5 * (1.0 - math.pi * (t - 0.5) * total)


def _inverse(fraction: F64) -> F64:
    """Return V of h(V) = fraction in [0, 1): eq. (2) backwards."""
    gate = ((fraction - GAMMA) / (ZETA - GAMMA)).astype(np.float32)
    return log(gate / (np.float32(1) - gate)).astype(np.float64)


def _code_range(grid: QuantizedWeight) -> tuple[float, float]:
    half = 1 << (grid.num_bits - 1)
    return (-half, half - 1) if grid.signed else (0, 2 * half - 1)


def check_layer(w: F32, h: F64, grid: QuantizedWeight) -> None:
    """Refuse what `adaround` refuses: shapes that do not fit, NaN, infinity, scales of 0 and below.

    >>> from refquant.algorithms.weight import QuantizedWeight
    >>> one, zero = np.ones((1, 1), np.float32), np.zeros((1, 1), np.int32)
    >>> q = QuantizedWeight(zero, one, zero, np.zeros(1, np.int32), num_bits=4, signed=True)
    >>> check_layer(one, np.eye(1), q)
    """
    k = w.shape[-1]
    if w.ndim != 2 or w.shape != grid.codes.shape or h.shape != (k, k) or not w.size:
        raise ValueError(
            "w must be (n, k), not empty, with as many codes, and h (k, k), got "
            f"{w.shape}, {grid.codes.shape} and {h.shape}"
        )
    for name, array in (("w", w), ("h", h), ("scale", grid.scale), ("zero_point", grid.zero_point)):
        if bad := int(np.count_nonzero(~np.isfinite(array))):
            raise ValueError(f"{name} must be finite, got {bad} NaN or infinity in {array.size}")
    if not np.array_equal(h, h.T):
        raise ValueError("h must be symmetric; Hessian.matrix is")
    if not (grid.scale > 0).all():
        raise ValueError(f"scale must be above 0, got {float(grid.scale.min())}")
