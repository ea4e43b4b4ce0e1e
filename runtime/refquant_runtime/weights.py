"""Weights of a file as matrices: unpacked codes, zero points, scales a column.

A convolution's weights ``[M, C, KH, KW]`` become a matrix of ``K = KH * KW * C`` rows, in the
order in which a window is walked (position first, then channel), and ``M`` columns.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import DTYPE_RANGE, SUBBYTE, Node, Quant, Value
from refquant_runtime.rules import can, need

__all__ = [
    "EIGHT",
    "as_matrix",
    "block_parameters",
    "codes_of",
    "column_scales",
    "dequantized",
    "grouped_axis",
    "integer_weights",
    "is_int16",
    "prove_accumulator",
    "reach_of",
    "unpack",
]

Array = NDArray[Any]
EIGHT = ("int8", "uint8")


def codes_of(value: Value) -> Quant:
    """Return the parameters of a value of 8-bit codes with one scale; refuse any other."""
    quant = value.quant
    if quant is None or value.dtype == "int32":
        raise ValueError(f"{value.name!r} must be codes with quant, got {value.dtype}")
    if quant.block_shape is not None:
        raise ValueError(f"{value.name!r} must have one scale, got blocks")
    need(quant.plain, f"{value.name!r} has a table: it goes with a weight beside floats only")
    can(value.dtype in EIGHT, f"{value.name!r} of {value.dtype}")
    return quant


def is_int16(*values: Value) -> bool:
    """Return whether one of the values is of 16-bit codes."""
    return any(value.quant is not None and value.dtype == "int16" for value in values)


def reach_of(value: Value) -> int:
    """Return the largest distance of a code from its zero point."""
    low, high = DTYPE_RANGE[value.dtype]
    zero = int(codes_of(value).zero_point)
    return max(high - zero, zero - low)


def unpack(value: Value) -> Array:
    """Return a constant's codes, one an element, in its own shape.

    >>> packed = np.array([0x21, 0x0F], np.uint8)
    >>> unpack(Value("w", "int4", (3,), False, None, packed)).tolist()
    [1, 2, -1]
    """
    assert value.data is not None
    bits = SUBBYTE.get(value.dtype)
    if bits is None:
        return value.data
    count = int(np.prod(value.shape, dtype=np.int64))
    first = np.arange(count, dtype=np.int64) * bits
    # A code lies in one byte or two: look at both, the one after the last being zero.
    held = np.append(value.data, np.zeros(2, np.uint8)).astype(np.uint16)
    both = held[first >> 3] | (held[(first >> 3) + 1] << np.uint16(8))
    flat: Array = ((both >> (first & 7).astype(np.uint16)) & ((1 << bits) - 1)).astype(np.int16)
    if value.dtype.startswith("int"):
        flat = np.where(flat >= 1 << (bits - 1), flat - (1 << bits), flat)
    return flat.reshape(value.shape)


def as_matrix(node: Node, array: Array) -> Array:
    """Reorder an array shaped like the weights (or like their blocks) into (K, N)."""
    if node.op.startswith("Conv"):
        spatial = array.reshape(*array.shape[:2], -1)  # (M, C, taps)
        return spatial.transpose(2, 1, 0).reshape(-1, array.shape[0])
    if node.op == "Gemm" and node.attributes.get("transB", 0):
        return array.T
    return array


def grouped_axis(g_idx: Array, shape: tuple[int, ...]) -> int:
    """Return the axis whose groups the list is about: the first that is not 1 long.

    Of a list of one element it is the first axis that is 1 long in the value, too.
    """
    if g_idx.size != 1:
        return next((axis for axis, size in enumerate(g_idx.shape) if size != 1), 0)
    return next((axis for axis, size in enumerate(shape) if size == 1), 0)


def _expand(parameters: Array, quant: Quant, shape: tuple[int, ...]) -> Array:
    """Repeat block parameters until there is one an element."""
    if quant.block_shape is None or parameters.ndim == 0:
        return np.broadcast_to(parameters, shape)
    listed = None if quant.g_idx is None else grouped_axis(quant.g_idx, shape)
    for axis, (block, size) in enumerate(zip(quant.block_shape, shape, strict=True)):
        if axis == listed and quant.g_idx is not None:
            parameters = parameters.take(quant.g_idx.reshape(-1), axis)
            continue
        # A block may be larger than its axis, by any amount: repeat no more than is used.
        parameters = np.repeat(parameters, min(block, max(size, 1)), axis)
        parameters = parameters[(slice(None),) * axis + (slice(0, size),)]
    return parameters


def dequantized(value: Value) -> Array:
    """Return a constant's reals, float32 of its shape: ``docs/spec/operators.md`` section 2.

    >>> two, none = np.array(2, np.float32), np.array(0, np.int32)
    >>> quant = Quant(two, none, None, np.array([-1, 0, 0.5, 3], np.float32))
    >>> dequantized(Value("w", "uint2", (3,), False, quant, np.array([0x38], np.uint8))).tolist()
    [-2.0, 1.0, 6.0]
    """
    quant, codes = value.quant, unpack(value)
    assert quant is not None, "codes have a meaning"
    if quant.table is not None:
        marks = quant.table[codes]
    else:
        # Exact: codes and their zero points have at most eight bits, or it is the law's rounding.
        zeros = _expand(quant.zero_point, quant, value.shape).astype(np.float32)
        marks = codes.astype(np.float32) - zeros
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(marks * _expand(quant.scale, quant, value.shape), np.float32)


def integer_weights(node: Node, w: Value, zero: Value | None = None) -> tuple[Array, Array]:
    """Return ``code - zero_point`` as an int32 matrix (K, N), and the scale of each column."""
    codes = unpack(w).astype(np.int32)
    scales = np.ones(1, np.float32)
    if w.quant is not None:
        _need_channels(node, w, w.quant)
        codes = codes - _expand(w.quant.zero_point, w.quant, w.shape)
        scales = column_scales(node, w)
    matrix = as_matrix(node, codes)
    if zero is not None:
        assert zero.data is not None
        matrix = matrix - zero.data.reshape(-1).astype(np.int32)
    return np.ascontiguousarray(matrix, np.int32), np.broadcast_to(scales, (matrix.shape[1],))


def _need_channels(node: Node, w: Value, quant: Quant) -> None:
    """Refuse parameters that vary along anything but the output channels."""
    rows = node.op.startswith("Conv") or bool(node.attributes.get("transB", 0))
    channel = 0 if rows else len(w.shape) - 1
    one_each = tuple(size if axis == channel else 1 for axis, size in enumerate(w.shape))
    for name, array in (("scale", quant.scale), ("zero point", quant.zero_point)):
        if array.size != 1 and array.shape != one_each:
            raise ValueError(
                f"integer weights of shape {list(w.shape)} need one {name}, or one for each output "
                f"channel, shape {list(one_each)}; got shape {list(array.shape)}"
            )


def column_scales(node: Node, w: Value) -> Array:
    """Return the scale of each output column: one for all, or one each."""
    quant = w.quant
    assert quant is not None
    if quant.scale.size == 1:
        return quant.scale.reshape(1)
    return np.ascontiguousarray(as_matrix(node, _expand(quant.scale, quant, w.shape))[0])


def block_parameters(node: Node, w: Value) -> tuple[Array, Array, Array]:
    """Return ``(block_of, scales, zeros)`` of weight-only weights.

    ``block_of[k]`` (int32) is the row of the tables that holds row k's parameters; ``scales`` and
    ``zeros`` are float32 (rows, N): an integer zero point of eight bits is one, too.
    """
    quant = w.quant
    assert quant is not None
    scales = as_matrix(node, _expand(quant.scale, quant, w.shape))
    zeros = as_matrix(node, _expand(quant.zero_point, quant, w.shape))
    # By digest: rows of a vocabulary are long, and np.unique compares them field by field.
    found: dict[bytes, int] = {}
    block_of = np.zeros(len(scales), np.int32)
    first: list[int] = []
    for k in range(len(scales)):
        row = scales[k].tobytes() + zeros[k].astype(np.float32).tobytes()
        key = hashlib.sha256(row).digest()
        if key not in found:
            found[key] = len(first)
            first.append(k)
        block_of[k] = found[key]
    return (
        block_of,
        np.ascontiguousarray(scales[first], np.float32),
        np.ascontiguousarray(zeros[first], np.float32),
    )


def prove_accumulator(matrix: Array, bias: Array | None, reach: int) -> None:
    """Refuse weights whose int32 sums could overflow for some input of magnitude <= ``reach``."""
    bound = np.abs(matrix.astype(np.int64)).sum(axis=0) * reach
    if bias is not None:
        bound = bound + np.abs(bias.astype(np.int64))
    if bound.size and int(bound.max()) > 2**31 - 1:
        channel = int(bound.argmax())
        raise ValueError(
            f"the int32 accumulator of output channel {channel} may reach {int(bound[channel])}, "
            "beyond 2**31 - 1; use smaller weights, a smaller bias, or split the layer"
        )
