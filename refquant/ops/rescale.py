"""From the accumulator back to codes or reals: what every dot product does last.

An accumulator counts in steps of sx * sw[c]; the output counts in steps of sy.  The ratio is the
multiplier, and the contract's axis ``requantize`` says in which arithmetic it is formed and used:

    m[c] = f32(f32(sx * sw[c]) / sy)                        the float32 modes                  (1)
    m[c] = float64(sx) * float64(sw[c]) / float64(sy)       all others                         (2)
    q_y  = clamp(requantize(acc, m[c]) + zy)                                                   (3)

That nothing leaves int32 on the way is proved before anything runs: :mod:`refquant.ops.proofs`.

Source: ``docs/spec/operators.md`` §4 and §5; the modes: :mod:`refquant.numerics.requantize`.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams
from refquant.numerics.casts import wrap
from refquant.numerics.ranges import dtype_range
from refquant.numerics.requantize import INT48_MODES, ZERO_POINT_MODES, requantize
from refquant.ops.accumulate import int32_accumulator

__all__ = [
    "FLOAT_MODES",
    "accumulator_limit",
    "add_bias",
    "channel_parameters",
    "clamp_codes",
    "need_float32",
    "output_multiplier",
    "rescale",
    "scalar_parameters",
    "to_float",
]

Array = NDArray[Any]

FLOAT_MODES = ("float_rne", *ZERO_POINT_MODES)
"""Modes of a float32 product, whose multiplier is eq. (1): no result is too large for them."""


def accumulator_limit(x_dtype: str, contract: Contract) -> int:
    """Return the largest accumulator: of 48 bits for 16-bit codes where the mode takes them.

    >>> from refquant.contracts import preset
    >>> [accumulator_limit(x, preset("tflite_int16")).bit_length() for x in ("int8", "int16")]
    [31, 47]
    """
    wide = x_dtype in ("int16", "uint16") and contract.requantize in INT48_MODES
    return 2**47 - 1 if wide else 2**31 - 1


def need_float32(op: str, **arrays: Array) -> None:
    """Refuse operands of the float operator ``op`` that are not float32 arrays.

    >>> need_float32("Exp", x=np.zeros(2, np.int8))
    Traceback (most recent call last):
    ...
    ValueError: Exp: x must be float32, got int8; convert or dequantize it first
    """
    for name, array in arrays.items():
        if array.dtype != np.float32:
            raise ValueError(
                f"{op}: {name} must be float32, got {array.dtype}; convert or dequantize it first"
            )


def scalar_parameters(op: str, name: str, qparams: QParams) -> tuple[np.float32, int]:
    """Return the scale and zero point of a value quantized per tensor.

    >>> q = QParams(scale=np.float32(0.5), zero_point=np.int32(3), block_shape=None, dtype="int8")
    >>> scale, zero_point = scalar_parameters("Add", "a", q)
    >>> float(scale), zero_point
    (0.5, 3)
    """
    scale, zero_point = np.asarray(qparams.scale), np.asarray(qparams.zero_point)
    if scale.size != 1 or zero_point.size != 1:
        raise ValueError(
            f"{op}: {name} must be quantized per tensor (one scale, one zero point), "
            f"got scale of shape {scale.shape}, zero point of shape {zero_point.shape}"
        )
    return np.float32(scale.reshape(())), int(zero_point.reshape(()))


def channel_parameters(
    op: str, qparams: QParams, shape: tuple[int, ...], *, axis: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return scale and zero point of weights of ``shape`` as vectors: one, or one a channel.

    The parameters may vary along ``axis`` only (the output channels).

    >>> q = QParams(scale=np.array([[1], [2]], np.float32), zero_point=np.zeros((2, 1), np.int32),
    ...             block_shape=(1, 9), dtype="int8")
    >>> channel_parameters("Gemm", q, (2, 9), axis=0)[0].tolist()
    [1.0, 2.0]
    """
    allowed = tuple(shape[axis] if index == axis % len(shape) else 1 for index in range(len(shape)))
    vectors = []
    for name, values in (("scale", qparams.scale), ("zero point", qparams.zero_point)):
        array = np.asarray(values)
        if array.size != 1 and array.shape != allowed:
            raise ValueError(
                f"{op}: the {name} of w {shape} must be one number or one an output channel "
                f"(shape {allowed}), got shape {array.shape}; dequantize finer blocks first, and "
                f"turn the parameters when you turn w"
            )
        vectors.append(array.reshape(-1))
    return vectors[0].astype(np.float32), vectors[1].astype(np.int32)


def add_bias(op: str, values: Array, bias: Array | None, *, axis: int) -> Array:
    """Add ``bias``, one number an output channel, along ``axis``; ``None`` adds nothing.

    Integers stay exact (int64); float32 takes one more rounding.

    >>> add_bias("Gemm", np.array([[1, 2]]), np.array([10, 20], np.int32), axis=-1).tolist()
    [[11, 22]]
    """
    if bias is None:
        return values
    channels = values.shape[axis]
    if bias.shape != (channels,):
        raise ValueError(f"{op}: bias must have shape ({channels},), got {bias.shape}")
    if (bias.dtype.kind == "f") != (values.dtype.kind == "f") or bias.dtype == np.float64:
        raise ValueError(
            f"{op}: bias must be {'float32' if values.dtype.kind == 'f' else 'int32'}, "
            f"got {bias.dtype}"
        )
    shape = [channels if index == axis % values.ndim else 1 for index in range(values.ndim)]
    with np.errstate(over="ignore", invalid="ignore"):
        total: Array = values + bias.reshape(shape).astype(values.dtype)
    return total


def output_multiplier(
    x_scale: ArrayLike, w_scale: ArrayLike, y_scale: ArrayLike, *, contract: Contract
) -> Array:
    """Return m, eq. (1) as float32 or eq. (2) as float64; the scales broadcast.

    >>> from refquant.contracts import preset
    >>> output_multiplier(0.5, [0.25, 1.0], 2.0, contract=preset("onnx")).tolist()
    [0.0625, 0.25]
    """
    # float32 scales first: float32(0.1) is the scale, 0.1 is not.
    sx, sw, sy = (np.asarray(scale, np.float32) for scale in (x_scale, w_scale, y_scale))
    multiplier: Array
    if contract.requantize in (*FLOAT_MODES, "gemmlowp_double_f32"):
        with np.errstate(over="ignore", under="ignore"):
            multiplier = np.asarray((sx * sw) / sy)
    else:
        multiplier = np.asarray(
            sx.astype(np.float64) * sw.astype(np.float64) / sy.astype(np.float64)
        )
    return multiplier


def rescale(
    op: str,
    acc: Array,
    multiplier: ArrayLike,
    *,
    y_qparams: QParams,
    contract: Contract,
    clamp_min: int | None = None,
    clamp_max: int | None = None,
) -> Array:
    """Return the codes of y: eq. (3); ``multiplier`` broadcasts against ``acc``.

    >>> from refquant.contracts import preset
    >>> y = QParams(np.float32(1), np.int32(10), None, "int8")
    >>> rescale("Conv", np.array([-6, 6]), np.float32(0.25), y_qparams=y,
    ...         contract=preset("tflite_builtin")).tolist()
    [9, 12]
    """
    if contract.accumulator == "float32":
        raise ValueError(
            f"{op}: contract {contract.name!r} has accumulator 'float32', which integer operators "
            f"do not define; use 'int32_exact' or 'int32_wrap'"
        )
    if contract.requantize == "unspecified":
        raise ValueError(
            f"{op}: contract {contract.name!r} has requantize 'unspecified': its tool has no "
            f"integer operators; dequantize before it"
        )
    _, zero_point = scalar_parameters(op, "y", y_qparams)
    # Only the modes that add the zero point too early want to know it.
    early = zero_point if contract.requantize in ZERO_POINT_MODES else None
    if contract.accumulator == "int32_wrap":
        acc = wrap(acc, num_bits=32, signed=True)  # of the exact sum: wrapping early is the same
    if contract.requantize not in INT48_MODES:  # a loader has proved which of them fit int32, too
        acc = int32_accumulator(acc, op=op)
    codes = requantize(acc, multiplier, mode=contract.requantize, zero_point=early) + zero_point
    return clamp_codes(op, codes, y_qparams.dtype, clamp_min, clamp_max)


def clamp_codes(
    op: str, codes: Array, dtype: str, clamp_min: int | None, clamp_max: int | None
) -> Array:
    """Clamp integers to ``[clamp_min, clamp_max]`` (``None``: the dtype's own) and cast them.

    >>> clamp_codes("Clip", np.array([-300, 5, 300]), "int8", None, 6).tolist()
    [-128, 5, 6]
    """
    qmin, qmax = dtype_range(dtype)
    low = qmin if clamp_min is None else clamp_min
    high = qmax if clamp_max is None else clamp_max
    if not qmin <= low <= high <= qmax:
        raise ValueError(
            f"{op}: attributes clamp_min and clamp_max must be ordered codes of {dtype} "
            f"[{qmin}, {qmax}], got {clamp_min} and {clamp_max}"
        )
    return np.clip(codes, low, high).astype(dtype)


def to_float(
    op: str, acc: Array, x_scale: ArrayLike, w_scale: Array, w_zero_point: Array, *, axis: int
) -> NDArray[np.float32]:
    """Return f32(f32(acc) * f32(sx * sw[c])), channels along ``axis``.

    The zero point of w must be 0: the accumulator was made without it.

    >>> sw, zw = np.array([0.5, 2.0], np.float32), np.zeros(1, np.int32)
    >>> to_float("MatMulIntegerToFloat", np.array([[3, 3]]), 0.5, sw, zw, axis=-1).tolist()
    [[0.75, 3.0]]
    """
    if w_zero_point.any():
        raise ValueError(
            f"{op}: the zero point of w must be 0, got {w_zero_point[w_zero_point != 0][0]}; "
            f"quantize the weights symmetrically"
        )
    sx = np.asarray(x_scale, np.float32)
    if sx.size != 1:
        raise ValueError(f"{op}: x_scale must be one number, got shape {sx.shape}")
    shape = [-1 if index == axis % acc.ndim else 1 for index in range(acc.ndim)]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        step = (sx.reshape(()) * w_scale).reshape(shape)
        y: NDArray[np.float32] = int32_accumulator(acc, op=op).astype(np.float32) * step
    return y
