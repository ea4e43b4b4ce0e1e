r"""The constants of a ruler: what the codes of a tensor mean.

A ruler has a scale s and a place for zero. There are three ways to say the place:

.. math::

    \hat{x} = \mathrm{f32}(\mathrm{f32}(q - z) \cdot s), \ z \text{ integer}        \tag{1}

    \hat{x} = \mathrm{f32}(\mathrm{f32}(\mathrm{f32}(q) - z) \cdot s), \ z \text{ float}  \tag{2}

    \hat{x} = \mathrm{f32}(\mathrm{f32}(\mathrm{f32}(q) \cdot s) + b), \ b \text{ real}  \tag{3}

In (1) zero has a code, exactly; in (2) zero lies anywhere between the marks (HQQ); in (3) b, the
**offset**, is what the code 0 means (MLX, quanto, ggml's ``_1`` types). Only (1) can go into
integer arithmetic, and into a model file.

Some tools do not divide by s but multiply by an **inverse** I that they computed from the range,
before s was rounded: then I is not f32(1/s), and a ruler carries both.

Which constants a range gives: ``refquant.formats.parameters``.

References
----------
``docs/spec/operators.md`` section 2; HQQ ``hqq/core/quantize.py`` (2); MLX
``mlx/backend/cpu/quantized.cpp`` (3); ncnn ``src/layer/quantize.cpp`` (the inverse).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.ranges import dtype_range

__all__ = ["KINDS", "SMALLEST_NORMAL", "QParams"]

Float = NDArray[np.float32] | np.float32
Int = NDArray[np.int32] | np.int32

SMALLEST_NORMAL = 2.0**-126
KINDS = ("integer", "float", "offset")
_SUMS = {f"int{b}": (-(1 << (b - 1)), (1 << (b - 1)) - 1) for b in (32, 64)}  # what biases are


@dataclass(frozen=True, slots=True, eq=False)
class QParams:
    """What the codes of a tensor mean: eq. (1), (2) or (3), as ``kind`` says.

    ``scale`` (float32, normal, finite, not zero; negative where a contract allows it) and
    ``zero_point`` are scalars when ``block_shape`` is None. Otherwise they are arrays with one
    element a block: ``block_shape`` has a size for each axis of the tensor, and they have the shape
    ``numerics.blocks.parameter_shape`` says. ``dtype``: int1..int16, uint1..uint16, int32, int64.

    ``zero_point`` is by ``kind`` an integer (int32, a code of ``dtype``; 0 for the last two), a
    ``float`` (finite float32, in codes), or an ``offset`` (finite float32, in the data's unit: b).
    ``inverse``, if there is one (float32, shaped as ``scale``), is what ``quantize`` multiplies by
    where the contract's ``scale_op`` is ``reciprocal_f32``; otherwise it takes f32(1 / scale).
    ``narrow`` gives up the lowest signed code: ``quantize`` then never makes it.
    Arrays are copied and read-only.

    >>> QParams(np.float32(0.5), np.int32(3), None, "uint8").code_range
    (0, 255)
    """

    scale: Float
    zero_point: Int | Float
    block_shape: tuple[int, ...] | None
    dtype: str
    narrow: bool = False
    kind: str = "integer"
    inverse: Float | None = None

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing, and freeze the arrays."""
        scale = np.array(self.scale, np.float32)
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {self.kind!r}")
        wanted, name = ("iu", "integers") if self.kind == "integer" else ("f", "floats")
        given = np.asarray(self.zero_point)
        if given.dtype.kind not in wanted:
            raise ValueError(f"zero_point must be {name}, got {self.zero_point!r}")
        zero_point = np.array(given, np.int64 if self.kind == "integer" else np.float32)
        blocks = None if self.block_shape is None else tuple(self.block_shape)
        if scale.shape != zero_point.shape or scale.ndim != len(blocks or ()):
            raise ValueError(
                f"scale and zero_point must have one shape with an axis for each size of "
                f"block_shape {blocks}, got shapes {scale.shape} and {zero_point.shape}"
            )
        if not (np.isfinite(scale) & (np.abs(scale) >= np.float32(SMALLEST_NORMAL))).all():
            raise ValueError(f"scale must be finite, normal and not 0, got {self.scale}")
        if self.kind == "integer":
            self._check_codes(zero_point)
            zero_point = zero_point.astype(np.int32)
        elif not np.isfinite(zero_point).all():
            raise ValueError(f"zero_point must be finite, got {self.zero_point}")
        if self.inverse is not None:
            inverse = np.array(self.inverse, np.float32)
            if inverse.shape != scale.shape or not np.isfinite(inverse).all():
                raise ValueError(
                    f"inverse must be finite and of the shape of scale, got {self.inverse}"
                )
            object.__setattr__(self, "inverse", frozen(inverse))
        object.__setattr__(self, "scale", frozen(scale))
        object.__setattr__(self, "zero_point", frozen(zero_point))
        object.__setattr__(self, "block_shape", blocks)

    def _check_codes(self, zero_point: NDArray[Any]) -> None:
        """Refuse a zero point that is no code."""
        qmin, qmax = (0, 0) if self.dtype in _SUMS else self.code_range
        if ((zero_point < qmin) | (zero_point > qmax)).any():
            raise ValueError(
                f"zero_point must be in [{qmin}, {qmax}] for {self.dtype}, got {self.zero_point}"
            )

    @property
    def full_range(self) -> tuple[int, int]:
        """The smallest and the largest code of ``dtype``."""
        return _SUMS.get(self.dtype) or dtype_range(self.dtype)

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
            (self.dtype, self.block_shape, self.narrow, self.kind, self.inverse is None)
            == (other.dtype, other.block_shape, other.narrow, other.kind, other.inverse is None)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
            and (self.inverse is None or np.array_equal(self.inverse, np.asarray(other.inverse)))
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays


def frozen(array: NDArray[Any]) -> Any:
    """Return a scalar for a 0-d array, otherwise the array, read-only.

    >>> frozen(np.zeros(2)).flags.writeable, float(frozen(np.array(0.5)))
    (False, 0.5)
    """
    array.setflags(write=False)
    return array[()]
