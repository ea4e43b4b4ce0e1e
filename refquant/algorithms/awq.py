r"""AWQ: protect the weights that meet large activations, by making them larger first.

Rounding moves a weight by up to half a step :math:`\Delta` of its group, whatever the weight; the
output moves by that times x. Multiply a column of w by s > 1 and divide its input by s: the step is
still :math:`\Delta`, unless that column holds the group's extreme, but the error arrives divided
by s. So a column that meets large activations gets a large s; too large an s widens the groups of
all. AWQ lets one number r decide, tried on a grid. With w (n, k), x (samples, k), Q the rounding:

.. math::

    a_j = \frac{1}{T} \sum_t |x_{tj}|, \qquad
    s_j(r) = \frac{\max(a_j^{\,r},\ 10^{-4})}{\sqrt{\max_i \max(a_i^{\,r}, 10^{-4}) \cdot
             \min_i \max(a_i^{\,r}, 10^{-4})}}                                    \tag{1}

    \hat w(r) = Q(w \odot s(r)) \oslash s(r)                                      \tag{2}

    L(r) = \frac{1}{T n} \lVert f(\hat w(r)) - f(w) \rVert^2, \qquad
    r^* = \arg\min_{r \in \{0,\ 0.05,\ \dots,\ 0.95\}} L(r)                       \tag{3}

The first of equal losses wins. f is the output of the layer, or of the block that reads the same x
(attention, a gated MLP), with the weights that share s. r = 0 is s = 1: plain rounding is one of
the candidates, so the loss is never above that of plain rounding. Not so in AutoAWQ, where

.. math::

    s_j(r) = \max\!\left(\frac{a_j^{\,r}}{m_j^{\,1-r} + 10^{-4}},\ 10^{-4}\right)
    \text{ normalised as in (1)}, \quad
    m_j = \frac{1}{n} \sum_i \frac{|w_{ij}|}{\max_{g} |w_{i\cdot}| + 10^{-6}}     \tag{4}

For a linear f, with :math:`H = X^T X` and :math:`D = \hat w - w`, (3) needs no x:

.. math::

    \lVert x\,D^T \rVert^2 = \sum_i (D H D^T)_{ii}                                \tag{5}

float32 are w, s and (2); float64 are the powers and means, each rounded to float32 once, and the
losses. Then weights are clipped (``awq_clip``) and rounded; who divides x: ``channel_scales``. NaN
and infinities are refused. Left out: float16, and walking through a model.

References
----------
Lin et al., "AWQ: Activation-aware Weight Quantization", 2023, arXiv 2306.00978, section 3.2;
llm-awq ``awq/quantize/auto_scale.py``; AutoAWQ ``awq/quantize/quantizer.py`` (4).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.awq_clip import clip_groups, search_clip
from refquant.algorithms.channel_scales import scale_columns
from refquant.algorithms.rtn import check_weight, min_max, rtn
from refquant.algorithms.weight import QuantizedWeight, group_indices
from refquant.contracts import preset

__all__ = [
    "CLIP_GRID",
    "CLIP_SAMPLES",
    "FLAVOURS",
    "MAX_SHRINK",
    "RATIOS",
    "AwqWeights",
    "ScaleSearch",
    "awq",
    "output_loss",
    "round_groups",
    "search_scale",
]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

FLAVOURS = ("llm_awq", "autoawq")
RATIOS = tuple(step / 20 for step in range(20))
SMALLEST = np.float32(1e-4)
CLIP_GRID, MAX_SHRINK, CLIP_SAMPLES = 20, 0.5, 512


@dataclass(frozen=True, slots=True, eq=False)
class ScaleSearch:
    """The winner: ``scale`` float32 (k,), its ``ratio`` r, and ``losses``, float64, one a ratio."""

    scale: F32
    ratio: float
    losses: F64


@dataclass(frozen=True, slots=True, eq=False)
class AwqWeights:
    """Codes of ``w * s``, for inputs ``x / s``; and the search that found s."""

    weights: tuple[QuantizedWeight, ...]
    search: ScaleSearch


def awq(
    weights: Sequence[F32], x: F32, *, num_bits: int, group_size: int, flavour: str, clip: bool
) -> AwqWeights:
    """Return the quantized ``weights`` of layers that read the same ``x``: eq. (1) to (3).

    ``weights`` are float32 (n_i, k), ``x`` float32 (samples, k), ``group_size`` divides k. The
    loss is that of the layers' own outputs. Do not ``clip`` queries and keys: what multiplies
    them is another product, which the search does not see.

    >>> w = np.array([[0.1, 0.9, -0.4, 0.3]], np.float32)
    >>> x = np.array([[9, 0.1, 0.1, 0.1], [-8, 0.2, 0.1, 0.0]], np.float32)
    >>> result = awq([w], x, num_bits=2, group_size=4, flavour="llm_awq", clip=False)
    >>> result.search.ratio, bool(result.search.losses.min() < result.search.losses[0])
    (0.35, True)
    """
    inputs, matrices = _inputs(x), [check_weight(w) for w in weights]
    wide = inputs.astype(np.float64)

    def rounding(w: F32) -> QuantizedWeight:
        return round_groups(w, num_bits=num_bits, group_size=group_size)

    search = search_scale(
        matrices,
        np.abs(wide).mean(axis=0).astype(np.float32),
        loss=output_loss(matrices, wide.T @ wide / len(inputs)),
        rounding=rounding,
        group_size=group_size,
        flavour=flavour,
    )
    scaled = [scale_columns(w, search.scale) for w in matrices]
    if clip:
        read = inputs / search.scale
        scaled = [
            clip_groups(w, search_clip(w, read, rounding=rounding, group_size=group_size,
                                       grid=CLIP_GRID, max_shrink=MAX_SHRINK,
                                       max_samples=CLIP_SAMPLES))
            for w in scaled
        ]  # fmt: skip
    return AwqWeights(tuple(rounding(w) for w in scaled), search)


def search_scale(
    weights: Sequence[F32],
    mean_abs: F32,
    *,
    loss: Callable[[Sequence[F32]], float],
    rounding: Callable[[F32], QuantizedWeight],
    group_size: int,
    flavour: str,
) -> ScaleSearch:
    """Return the scale of least loss that all ``weights`` (float32, (n_i, k)) share: eq. (3).

    ``mean_abs`` is a of eq. (1), float32 (k,), finite and not negative. ``loss`` is told weights
    in the order given. ``rounding`` is Q. ``flavour`` is ``llm_awq`` (1) or ``autoawq`` (4), which
    alone uses ``group_size``. ``ValueError`` if no loss is finite.

    >>> w = [np.array([[0.25, 1]], np.float32)]
    >>> found = search_scale(w, np.array([4, 1], np.float32), loss=lambda w: 0.0,
    ...     rounding=lambda w: round_groups(w, num_bits=2, group_size=2), group_size=2,
    ...     flavour="llm_awq")
    >>> found.ratio, found.scale.tolist()
    (0.0, [1.0, 1.0])
    """
    if flavour not in FLAVOURS:
        raise ValueError(f"flavour must be one of {', '.join(FLAVOURS)}; got {flavour!r}")
    matrices = [check_weight(w) for w in weights]
    a = np.asarray(mean_abs, np.float32)
    if not matrices or any(w.shape[1] != a.size for w in matrices):
        shapes = [w.shape for w in matrices]
        raise ValueError(f"weights must be one or more (n, {a.size}), as mean_abs is; got {shapes}")
    if a.ndim != 1 or not np.isfinite(a).all() or (a < 0).any():
        raise ValueError("mean_abs must be (k,), finite and not negative")
    m = _mean_weight(matrices, group_size) if flavour == "autoawq" else None
    scales = [_scale(a, m, ratio) for ratio in RATIOS]
    losses = np.array(
        [loss([rounding(scale_columns(w, s)).dequantize() / s for w in matrices]) for s in scales],
        np.float64,
    )
    if not np.isfinite(losses).any():
        raise ValueError(f"loss must be finite for some ratio, got {losses}")
    best = int(np.argmin(np.where(np.isnan(losses), np.inf, losses)))
    return ScaleSearch(scales[best], RATIOS[best], losses)


def output_loss(weights: Sequence[F32], h: F64) -> Callable[[Sequence[F32]], float]:
    """Return the mean squared error of the outputs of linear layers: eq. (3) by eq. (5).

    ``h`` is X^T X / T, float64 (k, k): with T the number of samples the loss is a mean.

    >>> loss = output_loss([np.array([[1, 2]], np.float32)], np.array([[4.0, 0], [0, 1]]))
    >>> loss([np.array([[1.5, 2]], np.float32)])
    1.0
    """
    exact = [np.asarray(w, np.float64) for w in weights]
    outputs = sum(len(w) for w in exact)

    def loss(changed: Sequence[F32]) -> float:
        total = 0.0
        for w, new in zip(exact, changed, strict=True):
            d = new.astype(np.float64) - w
            total += float(((d @ h) * d).sum())
        return total / outputs

    return loss


def round_groups(w: F32, *, num_bits: int, group_size: int) -> QuantizedWeight:
    """Return ``w`` (n, k) rounded as the authors do: Q of eq. (2), the contract ``awq``.

    >>> round_groups(np.array([[-1, 0.4, 2]], np.float32), num_bits=2, group_size=3).codes.tolist()
    [[0, 1, 3]]
    """
    return rtn(
        w,
        group_size=group_size,
        dtype=f"uint{num_bits}",
        symmetric=False,
        contract=preset("awq"),
        clip=min_max,
    )


def _scale(a: F32, m: F64 | None, ratio: float) -> F32:
    """Return s(r) of eq. (1), or of eq. (4) where there is an m."""
    s = (a.astype(np.float64) ** ratio).astype(np.float32)
    if m is not None:
        s = s / ((m ** (1 - ratio)).astype(np.float32) + SMALLEST)
    s = np.maximum(s, SMALLEST)
    return np.asarray(s / np.sqrt(s.max() * s.min()), np.float32)


def _mean_weight(weights: Sequence[F32], group_size: int) -> F64:
    """Return m of eq. (4), float64 (k,); each element is a float32."""
    w = np.abs(np.concatenate(list(weights)))
    group_indices(w.shape[1], group_size=group_size)
    groups = w.reshape(len(w), -1, group_size)
    relative = groups / (groups.max(axis=2, keepdims=True) + np.float32(1e-6))
    mean = relative.reshape(w.shape).astype(np.float64).mean(axis=0)
    return np.asarray(mean.astype(np.float32), np.float64)


def _inputs(x: F32) -> F32:
    x = np.asarray(x)
    if x.dtype != np.float32 or x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError(
            f"x must be finite float32 (samples, k) and not empty, got {x.dtype} {x.shape}"
        )
    return x
