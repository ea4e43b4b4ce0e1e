r"""From a range of reals to the constants of a ruler.

A range [lo, hi] becomes a scale s and a place for zero. With n = qmax - qmin steps and
amax = max(abs(lo), abs(hi)), **symmetric** parameters put zero in the middle m (0; for unsigned
codes half their number, unless the contract has no zero points) and have, by ``symmetric_scale``,

.. math::

    s = \frac{amax}{q_{max} - m} \quad\text{or}\quad \frac{amax}{n / 2} \quad\text{or}\quad
        \frac{edge}{q_{min} - m}                                                           \tag{1}

where edge is the end of larger magnitude, with its sign (``lo`` when both are as large): that s is
negative when edge is positive. ``half_range_if_negative`` is the second, but amax / n for a range
without negative values. **Asymmetric** parameters span the range:

.. math::

    s = \frac{hi - lo}{n}, \qquad
    z = \operatorname{clamp}(\operatorname{round}(q_{min} - lo / s),\ q_{min},\ q_{max})     \tag{2}

with the variants of ``zero_point_from``: q_min - round(lo / s), or, where that sums smaller terms,
q_max - hi / s instead. A float z is not rounded; an offset is ``lo`` itself. ``snapped_edge`` is
MLX's: s gets a sign so that edge has the code 0, then s is bent until zero is a mark:

.. math::

    s_0 = \mp\frac{hi - lo}{n}, \quad k = \operatorname{rint}(edge / s_0), \quad
    s = edge / k, \quad b = edge \qquad (k = 0:\ s = s_0,\ b = 0)                           \tag{3}

An inverse (axis ``inverse``) is n / (hi - lo), respectively the reciprocal of (1). Where a range is
no range, ``refquant.formats.small_range`` says what happens. Left out: where the range comes from
(``refquant.calibration``).

References
----------
ONNX ``DynamicQuantizeLinear``, onnxruntime ``compute_scale_zp`` (2); PyTorch ``observer.py`` (1,
half the range); ggml ``quantize_row_q4_0_ref`` (1, signed); MLX ``quantized.cpp`` (3).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.qparams import Float, QParams, frozen
from refquant.formats.small_range import Step, small_range, step_of
from refquant.numerics.ranges import code_range, dtype_range
from refquant.numerics.rounding import round_to_integer

__all__ = ["choose_qparams", "refusal"]

Real = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Codes:
    """The codes to be spread over a range."""

    dtype: str
    qmin: int
    qmax: int
    contract: Contract


def choose_qparams(
    lo: Float,
    hi: Float,
    *,
    dtype: str,
    symmetric: bool,
    contract: Contract,
    block_shape: tuple[int, ...] | None = None,
) -> QParams:
    """Return the parameters of the range ``[lo, hi]``: eq. (1) when symmetric, else (2) or (3).

    ``lo`` and ``hi`` are float32, finite, ``lo <= hi``: scalars, or one element a block with a
    ``block_shape``. ``dtype`` has 1 to 16 bits. The arithmetic is that of ``parameter_dtype``; the
    scale is then rounded to float32. Symmetric signed codes are narrow if ``weight_range`` is.
    ``ValueError`` for an empty, infinite or NaN range, for one too wide to compute with, and for
    parameters that the contract does not have: ``refusal``.

    >>> from refquant.contracts import preset
    >>> lo, hi = np.float32(-1.0), np.float32(3.0)
    >>> p = choose_qparams(lo, hi, dtype="uint4", symmetric=False, contract=preset("onnx"))
    >>> round(float(p.scale), 7), int(p.zero_point)
    (0.2666667, 4)
    >>> p = choose_qparams(lo, hi, dtype="int4", symmetric=True, contract=preset("torch"))
    >>> round(float(p.scale), 7), int(p.zero_point)
    (0.4, 0)
    """
    low, high = np.asarray(lo), np.asarray(hi)
    for name, end in (("lo", low), ("hi", high)):
        if end.dtype != np.float32 or not np.isfinite(end).all():
            raise ValueError(f"{name} must be finite float32, got {end.dtype} {end}")
    if low.shape != high.shape or (low > high).any():
        raise ValueError(f"lo must be of the shape of hi and not above it, got lo {lo}, hi {hi}")
    narrow = symmetric and not dtype.startswith("u") and contract.weight_range == "narrow"
    qmin, qmax = dtype_range(dtype)
    if reason := refusal(dtype=dtype, symmetric=symmetric, contract=contract):
        raise ValueError(reason)
    if narrow:
        qmin, qmax = code_range(num_bits=qmax.bit_length() + 1, signed=True, narrow=True)
    real = np.dtype(contract.parameter_dtype).type
    codes = _Codes(dtype, qmin, qmax, contract)
    choose = _symmetric if symmetric else _asymmetric
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        # What leaves float32 is refused, respectively repaired, below.
        step, zero_point, kind = choose(low.astype(real), high.astype(real), codes)
        scale = step.stored
    if not np.isfinite(scale).all():
        raise ValueError(
            f"the range must be narrower than a {contract.scale_dtype} scale can hold: "
            f"lo {lo}, hi {hi} give scale {scale}"
        )
    inverse = None if step.inverse is None else frozen(step.inverse)
    return QParams(
        frozen(scale), frozen(zero_point), block_shape, dtype, narrow, kind=kind, inverse=inverse
    )


def refusal(*, dtype: str, symmetric: bool, contract: Contract) -> str | None:
    """Say why no tool of this contract chooses such parameters, or return None: it does.

    >>> from refquant.contracts import preset
    >>> refusal(dtype="int8", symmetric=True, contract=preset("hqq"))
    "symmetric must be False: contract 'hqq' has symmetric_scale 'none'; got True"
    """
    head = f"contract {contract.name!r} has"
    if symmetric and contract.symmetric_scale == "none":
        return f"symmetric must be False: {head} symmetric_scale 'none'; got True"
    unsigned, none = dtype.startswith("u"), contract.zero_point == "none"
    signed = contract.symmetric_scale == "signed_amax_over_qmin"
    if symmetric and signed and unsigned and none:
        return (
            f"dtype must be signed: {head} symmetric_scale 'signed_amax_over_qmin' and zero_point "
            f"'none', and unsigned codes have no code below 0; got {dtype!r}"
        )
    if not symmetric and none:
        return f"symmetric must be True: {head} zero_point 'none'; got False"
    if not symmetric and contract.zero_point == "offset" and not unsigned:
        return (
            f"dtype must be unsigned: {head} zero_point 'offset', what the code 0 means; "
            f"got {dtype!r}"
        )
    return None


def _symmetric(lo: Real, hi: Real, codes: _Codes) -> tuple[Step, NDArray[Any], str]:
    """Return step and zero point by eq. (1), in the dtype of ``lo``."""
    contract, qmin, qmax = codes.contract, codes.qmin, codes.qmax
    real = lo.dtype.type
    middle = 0 if qmin < 0 or contract.zero_point == "none" else (qmax + 1) // 2
    if contract.range_includes_zero:  # to amax the same, not to the width that has a floor
        lo, hi = np.minimum(lo, real(0)), np.maximum(hi, real(0))
    lo, hi = small_range(lo, hi, contract=contract)
    if contract.small_range == "floor_width":
        hi = np.maximum(hi, lo + real(contract.zero_range_scale))
    span: Real = np.maximum(np.abs(lo), np.abs(hi))
    steps: Real = np.asarray(real(qmax - middle))
    if contract.symmetric_scale == "amax_over_qmax":
        if qmax == middle:
            raise ValueError(
                "amax_over_qmax needs a positive code, 1-bit codes have none; "
                f"got the range [{qmin}, {qmax}] around {middle}"
            )
    elif contract.symmetric_scale == "signed_amax_over_qmin":
        span, steps = np.where(np.abs(lo) >= np.abs(hi), lo, hi), np.asarray(real(qmin - middle))
    else:
        steps = np.asarray(real(qmax - qmin) / real(2))
        if contract.symmetric_scale == "half_range_if_negative":
            steps = np.where(lo < 0, steps, real(qmax - qmin))
    step = step_of(span, steps, contract=contract)
    return step, np.full(lo.shape, middle, np.int32), "integer"


def _asymmetric(lo: Real, hi: Real, codes: _Codes) -> tuple[Step, NDArray[Any], str]:
    """Return step and zero point by eq. (2) or (3), in the dtype of ``lo``."""
    contract = codes.contract
    real = lo.dtype.type
    # A single point must survive where zero must have a code: only zero can be the other end.
    point = (lo == hi) & (contract.zero_point == "integer") & (contract.small_range == "replace")
    widen = np.logical_or(contract.range_includes_zero, point)
    lo = np.where(widen, np.minimum(lo, real(0)), lo)
    hi = np.where(widen, np.maximum(hi, real(0)), hi)
    lo, hi = small_range(lo, hi, contract=contract)
    steps = np.asarray(real(codes.qmax - codes.qmin))
    width = hi - lo
    if contract.small_range == "floor_width":
        width = np.maximum(width, real(contract.zero_range_scale))
    step = step_of(width, steps, contract=contract)
    if contract.asymmetric_scale == "snapped_edge":
        return (*_snapped(lo, hi, step.exact), "offset")
    if contract.zero_point == "offset":
        return step, lo.astype(np.float32), "offset"
    if contract.zero_point == "float":
        factor = 1 / step.exact if step.inverse is None else step.inverse
        return step, (real(codes.qmin) - lo * factor).astype(np.float32), "float"
    if contract.small_range == "fbgemm_limits":
        lo, hi = _fbgemm_ends(lo, hi, step, steps)
    zero_point = _zero_point(lo, hi, step, codes)
    zero_at_zero = step.replaced & (contract.small_range == "replace")
    # Without zero in the range z is far from the codes: clip in float, then cast.
    inside = np.clip(np.where(zero_at_zero, real(0), zero_point), codes.qmin, codes.qmax)
    return step, inside.astype(np.int32), "integer"


def _zero_point(lo: Real, hi: Real, step: Step, codes: _Codes) -> Real:
    """Return z of eq. (2), rounded but not clamped, by the three axes that say how."""
    contract, scale = codes.contract, step.exact
    rule = contract.zero_point_rounding
    if contract.zero_point_dtype == "float64_of_stored_scale":
        lo, hi, scale = (v.astype(np.float64) for v in (lo, hi, step.stored))
    real = scale.dtype.type
    qmin, qmax = real(codes.qmin), real(codes.qmax)
    if contract.zero_point_from == "qmin_after_rounding":
        return np.asarray(qmin - round_to_integer(lo / scale, rule=rule))
    from_lo = qmin - lo / scale
    if contract.zero_point_from == "qmin":
        return np.asarray(round_to_integer(from_lo, rule=rule))
    error_lo, error_hi = abs(qmin) + np.abs(lo / scale), abs(qmax) + np.abs(hi / scale)
    nearer = np.where(error_lo < error_hi, from_lo, qmax - hi / scale)
    return np.asarray(round_to_integer(nearer, rule=rule))


def _snapped(lo: Real, hi: Real, width: Real) -> tuple[Step, NDArray[np.float32]]:
    """Return step and offset by eq. (3); ``width`` is the unsigned, floored scale."""
    low_is_edge = np.abs(lo) > np.abs(hi)
    first = np.where(low_is_edge, width, -width)
    edge = np.where(low_is_edge, lo, hi)
    k = np.rint(edge / first)
    scale = np.where(k == 0, first, edge / np.where(k == 0, edge.dtype.type(1), k))
    offset = np.where(k == 0, edge.dtype.type(0), edge).astype(np.float32)
    return Step(scale, scale.astype(np.float32), None, np.zeros(scale.shape, bool)), offset


def _fbgemm_ends(lo: Real, hi: Real, step: Step, steps: Real) -> tuple[Real, Real]:
    """Return the range that FBGEMM makes of one whose scale it has raised: float32 numbers."""
    before = ((hi - lo) / steps).astype(np.float32)
    raised = (before < step.stored) & ~step.replaced
    amplifier = step.stored / np.where(raised, before, np.float32(1))
    reach = (step.stored * steps.astype(np.float32)).astype(np.float32)
    new_lo = np.where(hi == 0, -reach, lo.astype(np.float32) * amplifier)
    new_hi = np.where(lo == 0, reach, hi.astype(np.float32) * amplifier)
    return (
        np.where(raised & (lo != 0), new_lo, lo).astype(lo.dtype),
        np.where(raised & (hi != 0), new_hi, hi).astype(lo.dtype),
    )
