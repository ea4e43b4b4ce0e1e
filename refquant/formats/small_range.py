r"""Where a range is no range: the scale of data that hardly differ, by the axis ``small_range``.

Data that are all zero have a range of width 0, and a scale of 0 would divide by zero. Every tool
has an answer, and hardly two the same. With w the width (symmetric: amax), n the steps, s = w / n
and Z the contract's ``zero_range_scale``:

.. math::

    \text{replace}:\quad & s < 2^{-126} \Rightarrow s = Z,\ z = 0  \tag{1} \\
    \text{floor\_scale}:\quad & s = \max(s, Z)  \tag{2} \\
    \text{floor\_width}:\quad & s = \max(w, Z) / n  \tag{3} \\
    \text{unit\_range}:\quad & lo = hi = 0 \Rightarrow lo = -1,\ hi = 1  \tag{4} \\
    \text{below\_sqrt\_tiny}:\quad & s < 2^{-63} \Rightarrow s = Z  \tag{5} \\
    \text{amax\_to\_2\_24}:\quad & w \le 2^{-24} \Rightarrow s = Z  \tag{6} \\
    \text{fbgemm\_limits}:\quad & s \le 2^{-128} \Rightarrow s = Z;\quad
        s < 6.1 \cdot 10^{-5} \Rightarrow s = 6.1 \cdot 10^{-5}  \tag{7} \\
    \text{hqq\_limits}:\quad & w \le 10^{-4} \Rightarrow s = Z;\quad
        1/s = \min(1/s,\ 2 \cdot 10^4)                                                     \tag{8}

A scale that float32 would still hold as zero or subnormal takes Z, whatever the rule: a ruler has
no such scale (the tools that keep one divide by it, or by zero). In all rules but (1) the zero
point is then computed as ever.

Left out: what FBGEMM does to the ends of the range under (7): ``refquant.formats.parameters``.

References
----------
onnxruntime ``compute_scale_zp`` (1); PyTorch ``observer.py``, MLX ``quantized.cpp`` (2); llm-awq
``quantizer.py`` (3); GPTQ ``quant.py`` (4); qwix ``qarray.py`` (5); Model-Optimizer
``tensor_quant.py`` (6); FBGEMM ``QuantUtils.cc`` (7); HQQ ``quantize.py`` (8).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.qparams import SMALLEST_NORMAL

__all__ = ["Step", "small_range", "step_of"]

Real = NDArray[np.floating[Any]]

_FBGEMM_ZERO = 2.0**-128  # the largest float32 whose reciprocal is infinite
_FBGEMM_SMALL = np.float32(6.1e-5)
_HQQ_WIDTH = np.float32(1e-4)
_HQQ_INVERSE = np.float32(2e4)


@dataclass(frozen=True)
class Step:
    """The distance between two marks: as computed, as stored, and its inverse if it has one."""

    exact: Real
    stored: NDArray[np.float32]
    inverse: NDArray[np.float32] | None
    replaced: NDArray[np.bool_]


def small_range(lo: Real, hi: Real, *, contract: Contract) -> tuple[Real, Real]:
    """Return the range to compute with: eq. (4), or the range itself.

    >>> from refquant.contracts import preset
    >>> lo, hi = small_range(np.zeros(1), np.zeros(1), contract=preset("gptq"))
    >>> lo.tolist(), hi.tolist()
    ([-1.0], [1.0])
    """
    if contract.small_range != "unit_range":
        return lo, hi
    zero = (lo == 0) & (hi == 0)
    one = lo.dtype.type(1)
    return np.where(zero, -one, lo), np.where(zero, one, hi)


def step_of(span: Real, steps: Real, *, contract: Contract) -> Step:
    """Return the scale of ``span`` in ``steps``: s = span / steps, and eq. (1) to (8).

    The axis ``inverse`` says whether 1/s is computed from s, from the range beside it, or first,
    and then by division or as PyTorch divides a number by a tensor, steps * (1 / span);
    ``scale_dtype`` float16 rounds the stored scale, and the inverse remembers the unrounded one.

    >>> from refquant.contracts import preset
    >>> step = step_of(np.float32([0.0, 12.7]), np.float32(127), contract=preset("onnx"))
    >>> [round(float(s), 7) for s in step.stored], step.replaced.tolist()
    ([1.0, 0.1], [True, False])
    """
    real = span.dtype.type
    given = real(contract.zero_range_scale)
    scale = np.asarray(span / steps)
    rule = contract.small_range
    small = _is_small(scale, span, contract)
    inverse = None
    if contract.inverse != "of_scale":
        whole = np.where(small, real(1), span)
        quotient = steps / whole if contract.inverse == "stored" else steps * (real(1) / whole)
        inverse = np.where(small, real(1) / given, quotient)
        if rule == "hqq_limits":
            inverse = np.minimum(inverse, real(_HQQ_INVERSE))
        inverse = inverse.astype(np.float32)
        if contract.inverse != "of_range":
            scale = np.asarray(np.float32(1) / inverse).astype(real)
    scale = np.where(small, given, scale)
    if rule == "fbgemm_limits":
        scale = np.where(scale.astype(np.float32) < _FBGEMM_SMALL, real(_FBGEMM_SMALL), scale)
    stored = scale.astype(np.float32)
    if contract.scale_dtype == "float16":
        if inverse is None:
            inverse = np.asarray(np.float32(1) / stored)
        stored = _float16(stored, given)
    return Step(scale, np.asarray(stored), inverse, small)


def _is_small(scale: Real, span: Real, contract: Contract) -> NDArray[np.bool_]:
    """Say which scales become ``zero_range_scale``: eq. (1), (2) and (5) to (8)."""
    real, rule = span.dtype.type, contract.small_range
    if rule == "fbgemm_limits":
        return np.asarray(np.abs(scale.astype(np.float32)) <= np.float32(_FBGEMM_ZERO))
    limits = {"below_sqrt_tiny": real(2.0**-63), "floor_scale": real(contract.zero_range_scale)}
    small = np.abs(scale) < max(limits.get(rule, real(0)), real(SMALLEST_NORMAL))
    if rule in ("amax_to_2_24", "hqq_limits"):
        small |= np.abs(span) <= real(2.0**-24 if rule == "amax_to_2_24" else _HQQ_WIDTH)
    return np.asarray(small)


def _float16(scale: NDArray[np.float32], given: np.floating[Any]) -> NDArray[np.float32]:
    """Return scales rounded to float16; one that becomes zero there is no scale."""
    rounded = scale.astype(np.float16).astype(np.float32)
    return np.where(rounded == 0, np.float32(given), rounded)
