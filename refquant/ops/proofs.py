"""Proofs: what a loader checks of an integer node, so that its kernel need not.

A multiplier in fixed point is M * 2**(shift - 31) with M < 2**31.  ``gemmlowp_double``,
``neon_double`` and ``emulate_float`` shift the accumulator left first when shift > 0, which stays
in int32 if

    bound[c] * 2**max(shift[c], 0)  <=  2**31 - 1,                                             (1)

with the bound of :mod:`refquant.ops.accumulate`, eq. (2).  Every other fixed-point mode needs

    bound[c] * m[c] + 1  <=  2**31 - 1                                                         (2)

(the 1 is its rounding).  ``rndnu16`` saturates to int16; the float modes saturate, too, and need
a finite multiplier only.

A quantized ``Add`` grows with each of its two codes (or falls, or stays), so its extremes are at
the four pairs of extreme codes: what is defined there is defined everywhere.

Source: ``docs/spec/operators.md`` §3 and §4.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams
from refquant.numerics.fixedpoint import quantize_multiplier
from refquant.numerics.ranges import dtype_range
from refquant.numerics.requantize import requantize
from refquant.ops.accumulate import AccumulatorOverflowError
from refquant.ops.elementwise import add_quantized
from refquant.ops.rescale import FLOAT_MODES, output_multiplier, rescale, scalar_parameters

__all__ = ["prove_add", "prove_mul", "prove_rescale"]

_INT32_MAX = 2**31 - 1
_LARGEST_FLOAT32 = (2.0 - 2.0**-23) * 2.0**127
_SHIFTED_FIRST = ("gemmlowp_double", "gemmlowp_double_f32", "neon_double", "emulate_float")


def prove_rescale(
    bound: NDArray[np.int64], multiplier: NDArray[Any], *, contract: Contract, name: str
) -> None:
    """Raise if the rescaling of node ``name`` can leave int32: eq. (1) or (2).

    So does a multiplier that the contract's mode does not take.
    ``bound`` has one number a channel; ``multiplier`` one, or one a channel.

    >>> from refquant.contracts import preset
    >>> tflite = preset("tflite_reference")
    >>> prove_rescale(np.array([2**29]), np.array([1.5]), contract=tflite, name="conv")
    >>> prove_rescale(np.array([2**30]), np.array([1.5]), contract=tflite, name="conv")
    Traceback (most recent call last):
    ...
    refquant.ops.accumulate.AccumulatorOverflowError: conv: the accumulator of output channel 0, \
up to 1073741824, leaves int32 when multiplied by 1.5 (gemmlowp_double); use a larger output scale
    """
    wide = np.asarray(multiplier, np.float64)
    if not ((wide >= 0) & (wide <= _LARGEST_FLOAT32)).all():  # false for NaN
        raise ValueError(
            f"{name}: the multiplier sx * sw / sy is a finite float32 and not negative, got "
            f"{wide.tolist()}; use positive scales, and a larger one for the output"
        )
    if contract.requantize in FLOAT_MODES:
        return
    real = np.broadcast_to(wide.reshape(-1), bound.shape)
    try:
        requantize(np.zeros_like(bound), real, mode=contract.requantize)
    except ValueError as error:  # each mode says which multipliers it takes
        raise ValueError(f"{name}: {error}; choose other scales, or another contract") from error
    if contract.requantize == "rndnu16":
        return
    _, shifts = quantize_multiplier(real)
    for channel, (size, m, shift) in enumerate(
        zip(bound.tolist(), real.tolist(), shifts.tolist(), strict=True)
    ):
        if contract.requantize in _SHIFTED_FIRST:
            leaves = size << max(shift, 0) > _INT32_MAX
        else:
            leaves = size * Fraction(m) + 1 > _INT32_MAX
        if leaves:
            raise AccumulatorOverflowError(
                f"{name}: the accumulator of output channel {channel}, up to {size}, leaves int32 "
                f"when multiplied by {m} ({contract.requantize}); use a larger output scale"
            )


def prove_mul(
    *, a_qparams: QParams, b_qparams: QParams, y_qparams: QParams, contract: Contract, name: str
) -> None:
    """Raise if the quantized ``Mul`` of node ``name`` can leave int32, for any codes.

    >>> from refquant.contracts import preset
    >>> one = QParams(np.float32(1), np.int32(0), None, "int8")
    >>> prove_mul(a_qparams=one, b_qparams=one, y_qparams=one, contract=preset("onnx"), name="mul")
    """
    (sa, reach_a), (sb, reach_b) = _reach("a", a_qparams), _reach("b", b_qparams)
    sy, _ = scalar_parameters("Mul", "y", y_qparams)
    bound = np.array([reach_a * reach_b])
    if bound[0] > _INT32_MAX:
        raise AccumulatorOverflowError(
            f"{name}: the product of two codes can reach {bound[0]} > {_INT32_MAX}; use 8-bit codes"
        )
    multiplier = output_multiplier(sa, sb, sy, contract=contract)
    prove_rescale(bound, multiplier, contract=contract, name=name)
    # What is defined for the extreme products is defined for those between them.
    rescale("Mul", np.stack([-bound, bound]), multiplier, y_qparams=y_qparams, contract=contract)


def prove_add(
    *, a_qparams: QParams, b_qparams: QParams, y_qparams: QParams, contract: Contract, name: str
) -> None:
    """Raise if the quantized ``Add`` of node ``name`` is not defined for all codes.

    >>> from refquant.contracts import preset
    >>> one = QParams(np.float32(1), np.int32(0), None, "int8")
    >>> prove_add(a_qparams=one, b_qparams=one, y_qparams=one, contract=preset("onnx"), name="add")
    """
    corners = [
        np.array(dtype_range(qparams.dtype)).astype(qparams.dtype)
        for qparams in (a_qparams, b_qparams)
    ]
    try:
        add_quantized(
            corners[0][:, None],
            corners[1][None, :],
            a_qparams=a_qparams,
            b_qparams=b_qparams,
            y_qparams=y_qparams,
            contract=contract,
        )
    except ValueError as error:
        raise ValueError(f"{name}: {error}; use a larger output scale") from error


def _reach(name: str, qparams: QParams) -> tuple[np.float32, int]:
    """Return the scale, and the largest |code - zero point|."""
    scale, zero_point = scalar_parameters("Mul", name, qparams)
    qmin, qmax = dtype_range(qparams.dtype)
    return scale, max(qmax - zero_point, zero_point - qmin)
