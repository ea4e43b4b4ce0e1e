r"""Sniffers: which of two layouts a file has, told from shapes and data, and how surely.

A tensor says neither the version nor the convention that wrote it. Each function here compares two
hypotheses a and b by what the data D would be under each, with equal odds before:

.. math::

    P(a \mid D) = \frac{P(D \mid a)}{P(D \mid a) + P(D \mid b)}                   \tag{1}

``Verdict.confidence`` is that probability: 1.0 where the data is impossible under the other
hypothesis, and never a guess without a model. Below ``CERTAIN`` the verdict is ``unknown``, and the
confidence 0, because nothing is claimed; the reason names what there is. The models:

* *GPTQ zeros, all equal*: symmetric quantization makes every zero point 2^(b - 1), so the stored
  fields are all 2^(b - 1) - 1 (``v1``) or all 2^(b - 1) (``v2``). If nothing says that it was
  symmetric, n equal fields of an asymmetric one have a probability of at most 2^-n.
* *GPTQ zeros that differ*: changing the sign of all weights mirrors a zero point z to
  2^b - 1 - z, so that zero points lie around (2^b - 1) / 2, and what v1 stores one lower. The mean
  of n fields with variance s^2 is then taken as

.. math::

    N\!\left(\tfrac{2^b - 1}{2} - \{1 \text{ or } 0\},\ \tfrac{s^2}{n} + \tau^2\right),
    \quad \tau = 2^b / 64                                                         \tag{2}

  where tau is how far weights of one sign may pull the mean: 1/64 of the range, an assumption. One
  step in 8 bits is less than that, and the verdict ``unknown``.
* *compressed-tensors*: the number of words; where that is the same, a bit that must be zero in one
  layout and is not. Both leave equally many bits zero, so if all of them are, neither is likelier.
* *GPTQ or AWQ*: shapes only; exact, or silent.
* *NVFP4*: the largest weight that the scales imply, M g or M / g, is log-normal around 1, with a
  standard deviation of 3 (a factor of 20). Activations are not meant.

References
----------
vLLM PR 38966 (stored 7 or 8 in symmetric 4-bit checkpoints); compressed-tensors PR 732;
modular issue 6600, vLLM issue 54974 (NVFP4 scales taken the wrong way).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, log

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.compressed_tensors import word_count
from refquant.formats.containers.gptq import unpack_zeros
from refquant.formats.containers.words import unpack_dense, unpack_padded

__all__ = [
    "CERTAIN",
    "Verdict",
    "compressed_tensors_layout",
    "gptq_zero_rule",
    "nvfp4_scale_direction",
    "weight_layout",
]

CERTAIN = 0.95
"""The probability from which on a sniffer says more than ``unknown``."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sniffer says: ``verdict``, a name or ``unknown``; its probability; and why.

    >>> Verdict("unknown", 0.0, "nothing to see").verdict
    'unknown'
    """

    verdict: str
    confidence: float
    reason: str


def gptq_zero_rule(
    qzeros: NDArray[np.int32], *, num_bits: int, symmetric: bool | None = None
) -> Verdict:
    """Return ``v1`` or ``v2``: the rule by which zero points are stored in ``qzeros``: eq. (2).

    ``qzeros`` is int32 (groups, words) in the continuous layout of ``gptq``; ``symmetric`` is
    ``sym`` of the checkpoint's configuration, None if unknown. ``checkpoint_format`` there is no
    evidence: GPTQModel has written v2 zeros under the name of v1.

    >>> gptq_zero_rule(np.full((2, 4), 0x77777777, np.int32), num_bits=4, symmetric=True)
    Verdict(verdict='v1', confidence=1.0, reason='all 64 zeros are stored as 7: 8 - 1')
    """
    stored = unpack_zeros(qzeros, num_bits=num_bits, rule="v2").astype(np.float64)
    if stored.size == 0:
        return _unknown("there are no zeros")
    middle, first = 1 << num_bits - 1, int(stored.flat[0])
    if (stored == first).all() and symmetric is not False:
        if first not in (middle - 1, middle):
            return _unknown(f"all zeros are stored as {first}, neither {middle - 1} nor {middle}")
        rule, text = ("v2", "") if first == middle else ("v1", f": {middle} - 1")
        doubt = 0.0 if symmetric else 2.0**-stored.size
        reason = f"all {stored.size} zeros are stored as {first}{text}"
        return _judged({rule: 1.0, "v1" if rule == "v2" else "v2": doubt}, reason)
    if symmetric:
        low, high = int(stored.min()), int(stored.max())
        return _unknown(f"said to be symmetric, but stored zeros are {low}..{high}")
    mean, centre = float(stored.mean()), (2**num_bits - 1) / 2
    variance = float(stored.var()) / stored.size + (2**num_bits / 64) ** 2
    log_odds = ((mean - centre + 1) ** 2 - (mean - centre) ** 2) / (2 * variance)  # of v2
    reason = f"the mean of {stored.size} stored zeros is {mean:.3f}; v2 has {centre}, v1 one less"
    return _judged({"v2": log_odds, "v1": 0.0}, reason, logs=True)


def compressed_tensors_layout(
    packed: NDArray[np.int32], *, num_bits: int, shape: Sequence[int], axis: int = -1
) -> Verdict:
    """Return ``dense``, ``padded``, or ``same`` where both are the same bits.

    ``packed`` is the int32 tensor, ``shape`` the logical one (``weight_shape``), ``axis`` that of
    ``compressed_tensors.pack``. An impossible number of words is ``unknown``.

    >>> packed = np.zeros((1, 12), np.int32)
    >>> compressed_tensors_layout(packed, num_bits=3, shape=(1, 128)).verdict
    'dense'
    """
    packed = np.asarray(packed)
    if packed.dtype != np.int32 or packed.ndim != len(shape) or packed.ndim < 2:
        expected = f"int32 with the axes of {tuple(shape)}"
        raise ValueError(f"packed must be {expected}, got {packed.dtype} {packed.shape}")
    count, words = shape[axis], packed.shape[axis]
    dense = word_count(count, num_bits=num_bits, layout="dense")
    padded = word_count(count, num_bits=num_bits, layout="padded")
    text = f"{count} codes of {num_bits} bits are {dense} words dense, {padded} padded"
    if words not in (dense, padded):
        return _unknown(f"{text}; there are {words}")
    if dense != padded:
        return Verdict("dense" if words == dense else "padded", 1.0, f"{text}; there are {words}")
    if 32 % num_bits == 0 or words <= 1:
        return Verdict("same", 1.0, f"{text}, with the same bits")
    rows = np.ascontiguousarray(np.swapaxes(packed, axis, -1)).view(np.uint32).reshape(-1, words)
    possible = {name: _fits(rows, num_bits, count, name) for name in ("dense", "padded")}
    if possible["dense"] != possible["padded"]:
        verdict = "dense" if possible["dense"] else "padded"
        return Verdict(verdict, 1.0, f"{text}; bits that the other leaves zero are not")
    if not possible["dense"]:
        return _unknown(f"{text}; neither leaves the bits zero that it must")
    return _unknown(f"{text}; and all bits that one of them leaves zero are zero")


def weight_layout(qweight_shape: Sequence[int], scales_shape: Sequence[int]) -> Verdict:
    """Return ``gptq``, ``awq_gemm`` or ``awq_gemv``: whose 4-bit ``qweight`` has that shape.

    With N out_features and K in_features, GPTQ's is (K / 8, N) and AWQ's (K, N / 8), with scales
    (groups, N), or (N, K / 8), with scales (N, width), a multiple of 8. All are int32 under the
    same name. What fits more than one, or none, is ``unknown``.

    >>> weight_layout((512, 1024), (32, 1024)).verdict
    'gptq'
    """
    (rows, columns), (first, second) = qweight_shape, scales_shape
    fits = {
        "gptq": columns == second and rows % 4 == 0 and 0 < first <= 8 * rows,
        "awq_gemm": 8 * columns == second and 0 < first <= rows,
        "awq_gemv": rows == first and second % 8 == 0 and 0 < second <= 8 * columns,
    }
    found = [name for name, fit in fits.items() if fit]
    text = f"qweight {tuple(qweight_shape)} and scales {tuple(scales_shape)}"
    if len(found) != 1:
        return _unknown(f"{text} fit {' and '.join(found) or 'no layout'}")
    return Verdict(found[0], 1.0, f"{text} fit no other layout")


def nvfp4_scale_direction(
    global_scale: float, *, block_scales: NDArray[np.float32], amax: float | None = None
) -> Verdict:
    """Return ``multiplier`` (w = q s g) or ``inverse`` (w = q s / g) for an NVFP4 weight.

    ``block_scales`` are the decoded E4M3 scales, ``amax`` the largest |weight|, if it is known from
    elsewhere: then the direction that implies it within 1/4 is exact, unless both do. Otherwise
    the prior above decides; g near 1 is ``unknown``. ``ValueError`` for a scale that is not
    positive and finite, or no positive block scale.

    >>> s = np.array([448.0, 100.0], np.float32)
    >>> nvfp4_scale_direction(2688.0, block_scales=s).verdict
    'inverse'
    >>> nvfp4_scale_direction(0.0005, block_scales=s).verdict
    'multiplier'
    """
    g, largest = float(global_scale), float(np.max(block_scales, initial=0.0)) * 6
    for name, value in (("global_scale", g), ("block_scales: the largest", largest)):
        if not (isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive and finite, got {value}")
    implied = {"multiplier": largest * g, "inverse": largest / g}
    text = ", ".join(f"{name} implies |w| up to {value:.4g}" for name, value in implied.items())
    if amax is not None:
        near = [name for name, value in implied.items() if abs(value - amax) <= amax / 4]
        if len(near) != 1:
            return _unknown(f"{text}; {amax:.4g} fits {'both' if near else 'neither'}")
        return Verdict(near[0], 1.0, f"{text}; it is {amax:.4g}")
    weights = {name: -(log(value) ** 2) / (2 * 3.0**2) for name, value in implied.items()}
    return _judged(weights, text, logs=True)


def _fits(rows: NDArray[np.uint32], num_bits: int, count: int, layout: str) -> bool:
    unpack = unpack_dense if layout == "dense" else unpack_padded
    try:
        unpack(rows, num_bits=num_bits, count=count)
    except ValueError:
        return False
    return True


def _judged(weights: dict[str, float], reason: str, *, logs: bool = False) -> Verdict:
    """Return the more probable of two hypotheses by eq. (1); ``weights`` are P(D | .)."""
    (a, first), (b, second) = weights.items()
    if not logs:
        first, second = (log(p) if p > 0 else -inf for p in (first, second))
    if second > first:
        (a, first), (b, second) = (b, second), (a, first)
    confidence = 1 / (1 + exp(second - first))
    if second > -inf:  # a likelihood is no proof, however the quotient rounds
        confidence = min(confidence, 1 - 2.0**-53)
    if confidence < CERTAIN:
        return _unknown(f"{reason}; {a} has a probability of only {confidence:.2f}")
    return Verdict(a, confidence, reason)


def _unknown(reason: str) -> Verdict:
    return Verdict("unknown", 0.0, reason)
