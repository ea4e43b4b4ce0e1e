r"""Affine quantization: a ruler with evenly spaced integer marks.

A real number x is written as an integer code q with two shared constants, the ``scale`` s (the
distance between two marks) and the ``zero_point`` z (the mark that means exactly 0.0):

.. math::

    \hat{x} = \mathrm{f32}(\mathrm{f32}(q - z) \cdot s)                                   \tag{1}

    q = \operatorname{clamp}(\operatorname{round}(x \oslash s) + z,\ q_{min},\ q_{max})   \tag{2}

Equation (2) is a family. How to divide, how to break a tie, whether z is added before or after
rounding, what a value beyond the range becomes, and a NaN: the contract says, one axis each.
``quantize`` below is the family, one line for each axis, in the order of the arithmetic.

Where the axes meet: a clamp *before* rounding happens at ``[qmin - z, qmax - z]`` if z comes after,
so that both orders have the same limits. ``overflow = "wrap"`` never clamps after rounding. A float
zero point is added before rounding, an offset b subtracted first of all: v = f32(x - b) / s. Other
zeros, and what they mean: ``refquant.formats.qparams``; which parameters a range gives:
``refquant.formats.parameters``.

References
----------
Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018, section 2.1; ``docs/spec/operators.md`` section 2 (normative).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.parameters import choose_qparams
from refquant.formats.qparams import QParams
from refquant.numerics.blocks import expand
from refquant.numerics.casts import int32_cast, saturate, wrap
from refquant.numerics.fused import fused_multiply_add
from refquant.numerics.rounding import round_to_integer

__all__ = ["QParams", "choose_qparams", "dequantize", "fake_quantize", "quantize"]

Float = NDArray[np.float32] | np.float32
Real = NDArray[np.floating[Any]]
Codes = NDArray[np.integer[Any]]


def quantize(x: Float, qparams: QParams, *, contract: Contract) -> Codes:
    """Return the codes of ``x``, an array of its shape: eq. (2).

    ``x`` is float32, of any shape that fits ``qparams.block_shape``. The codes come in the smallest
    of int8, uint8, int16, uint16 and int32 that holds them (an int4 code is an int8).
    Infinities are values beyond the range; NaN follows the axis ``nan`` (``ValueError`` for
    ``error``). A negative scale is a ``ValueError`` unless the contract has ``negative_scale``, and
    so is a kind of zero that the contract does not have (integers it has, unless it has none).

    >>> from refquant.contracts import preset
    >>> x = np.array([-1.0, 0.0, 0.25, 0.75, 99.0], np.float32)
    >>> p = QParams(np.float32(0.5), np.int32(3), None, "uint4")
    >>> quantize(x, p, contract=preset("onnx")).tolist()
    [1, 3, 3, 5, 15]
    >>> quantize(x, p, contract=preset("tflite_reference")).tolist()
    [1, 3, 4, 5, 15]
    """
    x = np.asarray(x)
    if x.dtype != np.float32:
        raise ValueError(f"x must be float32, got {x.dtype}")
    if np.any(qparams.scale < 0) and not contract.negative_scale:
        raise ValueError(f"scale must be > 0 in contract {contract.name!r}, got {qparams.scale}")
    if contract.nan == "error" and np.isnan(x).any():
        raise ValueError(f"x must not hold NaN in contract {contract.name!r} (axis nan: error)")
    _check_zero(qparams, contract)
    scale, zero_point = _of_each_element(qparams, x.shape)
    qmin, qmax = qparams.code_range

    if qparams.kind == "offset":
        x = _minus(x, zero_point)
    late = zero_point if qparams.kind == "integer" else np.zeros(zero_point.shape, np.int64)
    if contract.zero_point_at == "fused":
        v: Real = fused_multiply_add(x, _inverse(qparams, scale, x.shape), zero_point)
    else:
        v = _scaled(x, scale, qparams, contract)
    if contract.zero_point_at == "before_rounding":
        v = v + zero_point.astype(v.dtype)
    if contract.zero_point_at in ("before_rounding", "fused"):
        late = np.zeros_like(late)  # what of z is added after rounding
    if contract.clamp == "before_rounding":
        v = np.clip(v, (qmin - late).astype(v.dtype), (qmax - late).astype(v.dtype))  # keeps NaN
    v = round_to_integer(v, rule=contract.rounding)
    if contract.overflow != "saturate":
        return _cast_first(v, late, zero_point, qparams=qparams, contract=contract)
    # Clip while still in floating point: casting an out-of-range float is undefined, and x86 and
    # ARM disagree about the result. float64 holds every sum that is not beyond the range.
    total = v.astype(np.float64) + late
    # "zero" is the code 0 whatever the zero point; otherwise the zero point is an integer's.
    nan, code = ("zero_point", 0) if contract.nan == "zero" else (contract.nan, zero_point)
    codes = saturate(total, qmin=qmin, qmax=qmax, nan=nan, zero_point=code)
    return _held(codes, qparams)


def dequantize(q: Codes, qparams: QParams) -> NDArray[np.float32]:
    """Return the reals that the codes mean, float32 of the shape of ``q``: eq. (1).

    ``q`` holds integers; one outside the range of ``qparams.dtype`` is a ``ValueError``.
    For codes to 16 bits and an integer zero point the product is the only rounding: the result is
    the correctly rounded real. A product beyond float32 is infinite. A float z and an offset have
    one rounding more: ``refquant.formats.qparams`` eq. (2) and (3).

    >>> p = QParams(np.float32(0.5), np.int32(3), None, "uint4")
    >>> dequantize(np.array([0, 3, 15], np.uint8), p).tolist()
    [-1.5, 0.0, 6.0]
    """
    q = np.asarray(q)
    qmin, qmax = qparams.full_range
    if q.dtype.kind not in "iu" or ((q < qmin) | (q > qmax)).any():
        raise ValueError(f"q must be integers in [{qmin}, {qmax}] for {qparams.dtype}, got {q}")
    scale, zero_point = _of_each_element(qparams, q.shape)
    with np.errstate(over="ignore", under="ignore"):
        if qparams.kind == "offset":
            return np.asarray(q.astype(np.float32) * scale + zero_point, np.float32)
        wide = q.astype(np.int64 if qparams.kind == "integer" else np.float32)
        return np.asarray((wide - zero_point).astype(np.float32) * scale, np.float32)


def fake_quantize(x: Float, qparams: QParams, *, contract: Contract) -> NDArray[np.float32]:
    """Return ``dequantize(quantize(x))``: the float32 value that ``x`` becomes.

    >>> from refquant.contracts import preset
    >>> p = QParams(np.float32(0.5), np.int32(3), None, "uint4")
    >>> fake_quantize(np.array([0.3, 99.0], np.float32), p, contract=preset("onnx")).tolist()
    [0.5, 6.0]
    """
    return dequantize(quantize(x, qparams, contract=contract), qparams)


def _check_zero(qparams: QParams, contract: Contract) -> None:
    """Refuse a kind of zero that the contract does not compute with."""
    if qparams.kind not in ("integer", contract.zero_point):
        raise ValueError(
            f"zero_point must be an {contract.zero_point} in contract {contract.name!r}, "
            f"got the kind {qparams.kind!r}"
        )
    if contract.zero_point == "none" and np.any(qparams.zero_point):
        raise ValueError(
            f"zero_point must be 0 in contract {contract.name!r}, which has none; "
            f"got {qparams.zero_point}"
        )


def _of_each_element(
    qparams: QParams, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return scale and zero point so that they broadcast against a tensor of ``shape``."""
    held = np.int64 if qparams.kind == "integer" else np.float32
    return (
        _spread(qparams.scale, qparams, shape),
        _spread(qparams.zero_point, qparams, shape).astype(held),
    )


def _spread(values: Any, qparams: QParams, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return one element a block, so that they broadcast against a tensor of ``shape``."""
    array = np.asarray(values)
    return array if qparams.block_shape is None else expand(array, shape, qparams.block_shape)


def _minus(x: NDArray[np.float32], offset: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return f32(x - b); a difference beyond float32 is infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(x - offset, np.float32)


def _scaled(
    x: NDArray[np.float32], scale: NDArray[np.float32], qparams: QParams, contract: Contract
) -> Real:
    """Return x / s as the axis ``scale_op`` computes it; an infinity is beyond every range."""
    # A signalling NaN is a NaN; the hardware's "invalid" flag says nothing that the axis does not.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if contract.scale_op == "divide_f32":
            return np.asarray(x / scale, np.float32)
        if contract.scale_op == "reciprocal_f32":
            return np.asarray(x * _inverse(qparams, scale, x.shape), np.float32)
        return np.asarray(x.astype(np.float64) / scale.astype(np.float64))  # divide_f64


def _inverse(
    qparams: QParams, scale: NDArray[np.float32], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return what to multiply by: the parameters' own inverse, or f32(1/s)."""
    if qparams.inverse is not None:
        return _spread(qparams.inverse, qparams, shape)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.float32(1) / scale)


def _cast_first(
    v: Real,
    late: NDArray[np.int64],
    zero_point: NDArray[Any],
    *,
    qparams: QParams,
    contract: Contract,
) -> Codes:
    """Return the codes of rounded ``v`` where the cast to int32 comes before any limit."""
    total = wrap(int32_cast(v).astype(np.int64) + late, num_bits=32, signed=True)
    if contract.overflow == "int32_cast":
        codes = np.clip(total, *qparams.code_range)
    else:
        qmin, qmax = qparams.full_range
        codes = wrap(total, num_bits=(qmax - qmin).bit_length(), signed=qmin < 0)
    if contract.nan in ("qmin", "qmax", "zero", "zero_point"):  # int32_min: as the cast has left it
        ends = dict(zip(("qmin", "qmax"), map(np.int64, qparams.code_range), strict=True))
        of_nan = {**ends, "zero": np.int64(0)}.get(contract.nan, zero_point)
        codes = np.where(np.isnan(v), of_nan, codes)
    return _held(codes, qparams)


def _held(codes: NDArray[np.integer[Any]], qparams: QParams) -> Codes:
    """Return the codes in the smallest NumPy dtype that holds the range, as an array."""
    qmin, qmax = qparams.full_range
    names = ("int8", "int16", "int32") if qmin < 0 else ("uint8", "uint16")
    container = next(name for name in names if np.iinfo(name).max >= qmax)
    return np.asarray(codes, np.dtype(container))
