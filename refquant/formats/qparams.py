r"""The two constants of a ruler, and how a range of reals gives them.

A range [lo, hi] of reals becomes a scale s and a zero point z. **Asymmetric**: the codes span the
range, and z is the code of zero:

.. math::

    s = \frac{hi - lo}{q_{max} - q_{min}}, \qquad
    z = \operatorname{clamp}(\operatorname{round}(q_{min} - lo / s),\ q_{min},\ q_{max})   \tag{1}

**Symmetric**: z is in the middle (0; for unsigned codes half their number), and with
amax = max(abs(lo), abs(hi)) the scale is, by the axis ``symmetric_scale``, one of

.. math::

    s = \frac{amax}{q_{max} - z}                                                           \tag{2}

    s = \frac{amax}{(q_{max} - q_{min}) / 2}                                               \tag{3}

    s = \frac{edge}{q_{min} - z}                                                           \tag{4}

where edge is the end of larger magnitude, with its sign (``lo`` when both are as large): this s is
negative when edge is positive. For int8 the three denominators are 127, 127.5 and -128.

Where a range is no range: with ``range_includes_zero`` it is first widened to include zero, and a
range of one point always is (a constant must survive). A width, or an amax, so small that s would
be zero or subnormal takes ``zero_range_scale``; then z = 0 (symmetric: the middle, as ever).
Left out: float zero points; where the range comes from (``refquant.calibration``).

References
----------
ONNX ``DynamicQuantizeLinear``; onnxruntime ``compute_scale_zp`` (1 with the degenerate cases);
PyTorch ``observer.py`` (3); ggml ``quantize_row_q4_0_ref`` (4).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.numerics.ranges import code_range, dtype_range
from refquant.numerics.rounding import round_to_integer

__all__ = ["QParams", "choose_qparams"]

Float = NDArray[np.float32] | np.float32
Int = NDArray[np.int32] | np.int32
Real = NDArray[np.floating[Any]]

_SMALLEST_NORMAL = 2.0**-126


@dataclass(frozen=True, slots=True, eq=False)
class QParams:
    """What the codes of a tensor mean: real = scale * (code - zero_point).

    ``scale`` (float32, normal, finite, not zero; negative where a contract allows it) and
    ``zero_point`` (int32, a code of ``dtype``; 0 for int32) are scalars when ``block_shape`` is
    None. Otherwise they are arrays with one element a block: ``block_shape`` has a size for each
    axis of the tensor, and they have the shape ``numerics.blocks.parameter_shape`` says.
    ``dtype`` is int1..int16, uint1..uint16 or int32. ``narrow`` gives up the lowest signed code:
    ``quantize`` then never makes it. Arrays are copied and read-only.

    >>> QParams(np.float32(0.5), np.int32(3), None, "uint8").code_range
    (0, 255)
    """

    scale: Float
    zero_point: Int
    block_shape: tuple[int, ...] | None
    dtype: str
    narrow: bool = False

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing, and freeze the arrays."""
        scale = np.array(self.scale, np.float32)
        if np.asarray(self.zero_point).dtype.kind not in "iu":
            raise ValueError(f"zero_point must be integers, got {self.zero_point!r}")
        zero_point = np.array(self.zero_point, np.int64)
        blocks = None if self.block_shape is None else tuple(self.block_shape)
        if scale.shape != zero_point.shape or scale.ndim != len(blocks or ()):
            raise ValueError(
                f"scale and zero_point must have one shape with an axis for each size of "
                f"block_shape {blocks}, got shapes {scale.shape} and {zero_point.shape}"
            )
        if not (np.isfinite(scale) & (np.abs(scale) >= np.float32(_SMALLEST_NORMAL))).all():
            raise ValueError(f"scale must be finite, normal and not 0, got {self.scale}")
        qmin, qmax = (0, 0) if self.dtype == "int32" else self.code_range
        if ((zero_point < qmin) | (zero_point > qmax)).any():
            raise ValueError(
                f"zero_point must be in [{qmin}, {qmax}] for {self.dtype}, got {self.zero_point}"
            )
        object.__setattr__(self, "scale", _frozen(scale))
        object.__setattr__(self, "zero_point", _frozen(zero_point.astype(np.int32)))
        object.__setattr__(self, "block_shape", blocks)

    @property
    def full_range(self) -> tuple[int, int]:
        """The smallest and the largest code of ``dtype``."""
        return (-(2**31), 2**31 - 1) if self.dtype == "int32" else dtype_range(self.dtype)

    @property
    def code_range(self) -> tuple[int, int]:
        """The smallest and the largest code that ``quantize`` makes."""
        qmin, qmax = self.full_range
        return qmin + (self.narrow and qmin < 0), qmax

    def __eq__(self, other: object) -> bool:
        """Two rulers are equal when every mark is: the same values, not the same arrays."""
        if not isinstance(other, QParams):
            return NotImplemented
        return (
            (self.dtype, self.block_shape, self.narrow)
            == (other.dtype, other.block_shape, other.narrow)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays


def choose_qparams(
    lo: Float,
    hi: Float,
    *,
    dtype: str,
    symmetric: bool,
    contract: Contract,
    block_shape: tuple[int, ...] | None = None,
) -> QParams:
    """Return the parameters of the range ``[lo, hi]``: eq. (1), or (2) to (4) when symmetric.

    ``lo`` and ``hi`` are float32, finite, ``lo <= hi``: scalars, or one element a block with a
    ``block_shape``. ``dtype`` has 1 to 16 bits. The arithmetic is that of ``parameter_dtype``; the
    scale is then rounded to float32. Symmetric signed codes are narrow if ``weight_range`` is.
    ``ValueError`` for an empty, infinite or NaN range, and for one too wide to compute with.

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
    if narrow:
        qmin, qmax = code_range(num_bits=qmax.bit_length() + 1, signed=True, narrow=True)
    real = np.dtype(contract.parameter_dtype).type
    choose = _symmetric if symmetric else _asymmetric
    with np.errstate(over="ignore", under="ignore"):  # refused, respectively repaired, below
        step, zero_point = choose(
            low.astype(real), high.astype(real), qmin=qmin, qmax=qmax, contract=contract
        )
        scale = step.astype(np.float32)
    if not np.isfinite(scale).all():
        raise ValueError(
            f"the range must be narrower than float32 can hold: lo {lo}, hi {hi} give scale {scale}"
        )
    return QParams(_frozen(scale), _frozen(zero_point), block_shape, dtype, narrow)


def _asymmetric(
    lo: Real, hi: Real, *, qmin: int, qmax: int, contract: Contract
) -> tuple[Real, NDArray[np.int32]]:
    """Return scale and zero point by eq. (1), in the dtype of ``lo``."""
    real = lo.dtype.type
    widen = np.logical_or(contract.range_includes_zero, lo == hi)
    lo = np.where(widen, np.minimum(lo, real(0)), lo)
    hi = np.where(widen, np.maximum(hi, real(0)), hi)
    scale, tiny = _at_least_normal((hi - lo) / real(qmax - qmin), contract)
    zero_point = round_to_integer(real(qmin) - lo / scale, rule=contract.rounding)
    # Without zero in the range z is far from the codes: clip in float, then cast.
    inside = np.clip(np.where(tiny, real(0), zero_point), qmin, qmax)
    return scale, inside.astype(np.int32)


def _symmetric(
    lo: Real, hi: Real, *, qmin: int, qmax: int, contract: Contract
) -> tuple[Real, NDArray[np.int32]]:
    """Return scale and zero point by eq. (2), (3) or (4), in the dtype of ``lo``."""
    real = lo.dtype.type
    middle = 0 if qmin < 0 else (qmax + 1) // 2
    amax = np.maximum(np.abs(lo), np.abs(hi))
    if contract.symmetric_scale == "amax_over_qmax":
        if qmax == middle:
            raise ValueError(
                "amax_over_qmax needs a positive code, 1-bit codes have none; "
                f"got the range [{qmin}, {qmax}] around {middle}"
            )
        scale: Real = amax / real(qmax - middle)
    elif contract.symmetric_scale == "amax_over_half_range":
        scale = amax / (real(qmax - qmin) / real(2))
    else:  # signed_amax_over_qmin
        scale = np.where(np.abs(lo) >= np.abs(hi), lo, hi) / real(qmin - middle)
    scale, _ = _at_least_normal(scale, contract)
    return scale, np.full(scale.shape, middle, np.int32)


def _at_least_normal(scale: Real, contract: Contract) -> tuple[Real, NDArray[np.bool_]]:
    """Replace scales that float32 holds as zero or subnormal; also say which ones."""
    tiny = np.asarray(np.abs(scale) < scale.dtype.type(_SMALLEST_NORMAL))
    return np.where(tiny, scale.dtype.type(contract.zero_range_scale), scale), tiny


def _frozen(array: NDArray[Any]) -> Any:
    """Return a scalar for a 0-d array, otherwise the array, read-only."""
    array.setflags(write=False)
    return array[()]
