r"""Cross-layer equalization: channels that share a scale should have the same range.

With one scale for a whole weight tensor, a channel whose weights reach 1/100 of the largest has
1/100 of the codes. The float network does not care: f is a `Relu` or another function with
:math:`f(sx) = s f(x)` for s > 0, so what one layer divides by, the next may multiply by. For two
layers, :math:`y = W_2 f(W_1 x + b_1) + b_2`, and positive s, one a channel between them:

::

    x --> W1 / s, b1 / s --> f --> W2 * s, b2 --> y        the same y
          rows                     columns

.. math::

    W_1' = \operatorname{diag}(s)^{-1} W_1, \quad b_1' = \operatorname{diag}(s)^{-1} b_1, \quad
    W_2' = W_2 \operatorname{diag}(s)                                                   \tag{1}

A channel has all the codes it can have in both layers if its two ranges are equal. With
:math:`r_i = \max |w|` of row i of W1, of column i of W2:

.. math::

    s_i = \sqrt{r_{1i} / r_{2i}}, \qquad r_{1i}' = r_{2i}' = \sqrt{r_{1i} r_{2i}}        \tag{2}

A **depthwise** layer between two others has one channel of its own for each of theirs, so three
ranges are made equal at once, by :math:`s_{12}` before and :math:`s_{23}` behind it:

.. math::

    s_{12,i} = r_{1i} / m_i, \quad s_{23,i} = m_i / r_{3i}, \qquad
    m_i = \sqrt[3]{r_{1i} r_{2i} r_{3i}}                                                \tag{3}

**High biases.** Dividing may enlarge biases, and with them the range of the activations. If batch
normalization left channel i with mean :math:`\beta_i` and deviation :math:`\gamma_i`, then behind a
`Relu` hardly a value is below

.. math::

    c_i = \max(0,\ \beta_i - 3 |\gamma_i|)                                              \tag{4}

so that c may move on: :math:`f(x - c) + c = f(x)` for :math:`x \ge c`, all but 1 in 741 of a normal
distribution. The next layer gets it without data, each weight of its kernel once:

.. math::

    b_1' = b_1 - c, \qquad b_2' = b_2 + \sum_{kernel} W_2\, c                           \tag{5}

Everything is float64 inside, so products of ranges can neither overflow nor vanish, and rounded to
float32 once. The cube root is Newton's, by sums, products and quotients: no bit is a library's.

Weights are (outputs, inputs / groups, ...kernel). A channel without weights on one side has no
range to equalize: its s is 1. At a border padded with zeros the next layer sees 0 and not c: (5)
is for layers without padding. Left out: `Clip` at 6, not homogeneous; ranges of activations.

References
----------
Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
arXiv:1906.04721, sections 4.1 and 4.1.3; (3): the published code, AIMET, ``CrossLayerScaling``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Linear",
    "absorb_high_bias",
    "equalize_pair",
    "equalize_triple",
    "input_ranges",
    "output_ranges",
]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A linear layer: ``weight`` float32 (outputs, inputs / groups, ...), ``bias`` (outputs,).

    A matrix is a kernel of no axes. ``groups`` as in a convolution; depthwise is groups = inputs.

    >>> Linear(np.ones((8, 1, 3, 3), np.float32), None, groups=8).inputs
    8
    """

    weight: F32
    bias: F32 | None
    groups: int = 1

    def __post_init__(self) -> None:
        """Refuse what is no layer, and numbers that have no range."""
        w, b = self.weight, self.bias
        if w.dtype != np.float32 or w.ndim < 2 or 0 in w.shape:
            raise ValueError(
                f"weight must be float32 (outputs, inputs, ...), not empty, got {w.dtype} {w.shape}"
            )
        if self.groups < 1 or w.shape[0] % self.groups:
            raise ValueError(f"groups must divide the {w.shape[0]} outputs, got {self.groups}")
        if b is not None and (b.dtype != np.float32 or b.shape != w.shape[:1]):
            raise ValueError(f"bias must be float32 ({w.shape[0]},), got {b.dtype} {b.shape}")
        if not np.isfinite(w).all() or (b is not None and not np.isfinite(b).all()):
            raise ValueError("weight and bias must be finite, got NaN or infinity")

    @property
    def inputs(self) -> int:
        """The number of input channels."""
        return int(self.weight.shape[1]) * self.groups


def output_ranges(layer: Linear) -> F64:
    """Return max |w| of each output channel, (outputs,).

    >>> output_ranges(Linear(np.float32([[1, -3], [0, 0]]), None)).tolist()
    [3.0, 0.0]
    """
    w = np.abs(layer.weight.astype(np.float64))
    return np.asarray(w.reshape(w.shape[0], -1).max(axis=1))


def input_ranges(layer: Linear) -> F64:
    """Return max |w| of each input channel, (inputs,).

    >>> input_ranges(Linear(np.float32([[1, -3], [2, 0]]), None)).tolist()
    [2.0, 3.0]
    """
    w = np.abs(layer.weight.astype(np.float64))
    grouped = w.reshape(layer.groups, -1, w.shape[1], int(np.prod(w.shape[2:])))
    return np.asarray(grouped.max(axis=(1, 3)).reshape(-1))


def equalize_pair(first: Linear, second: Linear) -> tuple[Linear, Linear, F64]:
    """Return both layers with equal ranges of each channel between them, and s: eq. (1, 2).

    ``second`` reads the channels of ``first`` through a positively homogeneous function.
    ``ValueError`` if their numbers differ, or a bias leaves float32.

    >>> a, b = Linear(np.float32([[8], [1]]), np.float32([4, 5])), np.float32([[2, 1]])
    >>> a, b, s = equalize_pair(a, Linear(b, None))
    >>> a.weight.tolist(), a.bias.tolist(), b.weight.tolist(), s.tolist()
    ([[4.0], [1.0]], [2.0, 5.0], [[4.0, 1.0]], [2.0, 1.0])
    """
    _need_same_channels(first, second)
    r1, r2 = output_ranges(first), input_ranges(second)
    live = (r1 > 0) & (r2 > 0)
    s = np.sqrt(np.where(live, r1, 1.0) / np.where(live, r2, 1.0))
    return _divided(first, s), _multiplied(second, s), s


def equalize_triple(
    first: Linear, middle: Linear, last: Linear
) -> tuple[Linear, Linear, Linear, F64, F64]:
    """Return three layers with equal ranges of each channel, and both s: eq. (1, 3).

    ``middle`` is depthwise, one output for each input; otherwise as `equalize_pair`.

    >>> layers = (Linear(np.float32([[8]]), None), Linear(np.float32([[1]]), np.float32([6])),
    ...           Linear(np.float32([[1]]), None))
    >>> *layers, s12, s23 = equalize_triple(*layers)
    >>> [layer.weight.item() for layer in layers], s12.tolist(), s23.tolist()
    ([2.0, 2.0, 2.0], [4.0], [2.0])
    """
    _need_same_channels(first, middle)
    _need_same_channels(middle, last)
    if middle.weight.shape[1] != 1 or middle.weight.shape[0] != middle.groups:
        raise ValueError(
            "middle must be depthwise, weight (channels, 1, ...) in as many groups, "
            f"got {middle.weight.shape} in {middle.groups} groups"
        )
    r1, r2, r3 = output_ranges(first), output_ranges(middle), input_ranges(last)
    live = (r1 > 0) & (r2 > 0) & (r3 > 0)
    r1, r2, r3 = (np.where(live, r, 1.0) for r in (r1, r2, r3))
    mean = _cube_root(r1 * r2 * r3)
    s12, s23 = r1 / mean, mean / r3
    scaled = _divided(_multiplied(middle, s12), s23)
    return _divided(first, s12), scaled, _multiplied(last, s23), s12, s23


def absorb_high_bias(
    first: Linear, second: Linear, *, mean: F64, std: F64
) -> tuple[Linear, Linear, F64]:
    """Return both layers with c moved from the bias of ``first`` to that of ``second``: eq. (4, 5).

    ``mean`` and ``std`` (channels,) are of what ``first`` gives, before the `Relu` between them:
    after equalization they are divided by s, too. The layers have a bias afterwards.

    >>> a, b = Linear(np.float32([[1]]), np.float32([5])), Linear(np.float32([[2]]), None)
    >>> a, b, c = absorb_high_bias(a, b, mean=np.array([5.0]), std=np.array([1.0]))
    >>> a.bias.tolist(), b.bias.tolist(), c.tolist()
    ([3.0], [4.0], [2.0])
    """
    _need_same_channels(first, second)
    outputs = first.weight.shape[0]
    if mean.shape != (outputs,) or std.shape != (outputs,):
        raise ValueError(f"mean and std must be ({outputs},), got {mean.shape} and {std.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
        raise ValueError("mean and std must be finite, got NaN or infinity")
    c = np.maximum(0.0, mean - 3.0 * np.abs(std))
    w = second.weight.astype(np.float64)
    sums = w.reshape(second.groups, -1, w.shape[1], int(np.prod(w.shape[2:]))).sum(axis=3)
    moved = (sums * c.reshape(second.groups, 1, -1)).sum(axis=2).reshape(-1)
    lower = Linear(first.weight, _f32(_wide(first) - c), first.groups)
    return lower, Linear(second.weight, _f32(_wide(second) + moved), second.groups), c


def _need_same_channels(first: Linear, second: Linear) -> None:
    if first.weight.shape[0] != second.inputs:
        raise ValueError(
            f"a layer must read all channels of the one before, which has {first.weight.shape[0]}, "
            f"got {second.inputs} inputs"
        )


def _wide(layer: Linear) -> F64:
    bias = np.zeros(layer.weight.shape[0]) if layer.bias is None else layer.bias
    return bias.astype(np.float64)


def _divided(layer: Linear, s: F64) -> Linear:
    bias = None if layer.bias is None else _f32(layer.bias / s)
    rows = s.reshape(-1, *(1,) * (layer.weight.ndim - 1))
    return Linear(_f32(layer.weight / rows), bias, layer.groups)


def _multiplied(layer: Linear, s: F64) -> Linear:
    w = layer.weight
    grouped = w.reshape(layer.groups, -1, w.shape[1], int(np.prod(w.shape[2:])))
    scaled = grouped * s.reshape(layer.groups, 1, -1, 1)
    return Linear(_f32(scaled.reshape(w.shape)), layer.bias, layer.groups)


def _f32(x: F64) -> F32:
    with np.errstate(over="ignore"):
        result = x.astype(np.float32)
    if not np.isfinite(result).all():
        raise ValueError("equalized, a weight or bias must be finite float32; leave the layer out")
    return result


def _cube_root(x: F64) -> F64:
    """Return the cube root of positive x by Newton, within 2 ulp of float64."""
    mantissa, exponent = np.frexp(x)
    shift = exponent % 3
    a = np.ldexp(mantissa, shift)  # in [1/2, 4)
    root = 0.6 + 0.35 * a
    for _ in range(6):  # at most 26 % off at first; each step squares that
        root = root - (root * root * root - a) / (3.0 * root * root)
    return np.asarray(np.ldexp(root, (exponent - shift) // 3))
