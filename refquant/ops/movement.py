"""Movement: operators that copy elements and compute nothing.

They take reals and codes alike; on codes, input and output have equal dtype and equal parameters.
``Pad`` is the one that invents elements: the real 0 of codes is their zero point.

Left out: ``Pad`` with negative pads or another mode, ``Reshape`` with ``allowzero``,
``Flatten`` with another axis than 1.

Source: ``docs/spec/operators.md`` §1 and §6; the ONNX operators of the same names.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.affine import QParams
from refquant.ops.rescale import scalar_parameters

__all__ = [
    "concat",
    "flatten",
    "pad",
    "pad_quantized",
    "reshape",
    "slice_axes",
    "squeeze",
    "transpose",
    "unsqueeze",
]

Array = NDArray[Any]


def concat(arrays: Sequence[Array], *, axis: int) -> Array:
    """Join ``arrays`` along ``axis``: equal dtypes, and equal shapes elsewhere.

    >>> concat([np.array([[1], [2]]), np.array([[3], [4]])], axis=1).tolist()
    [[1, 3], [2, 4]]
    """
    if not arrays:
        raise ValueError("Concat: at least one input is needed, got none")
    first = arrays[0]
    axis = _axis("Concat", axis, first.ndim)
    for array in arrays[1:]:
        shapes = [list(a.shape) for a in (first, array)]
        if array.dtype != first.dtype or array.ndim != first.ndim:
            raise ValueError(
                f"Concat: inputs must agree in dtype and number of axes, got {first.dtype} "
                f"{first.shape} and {array.dtype} {array.shape}"
            )
        if shapes[0][:axis] + shapes[0][axis + 1 :] != shapes[1][:axis] + shapes[1][axis + 1 :]:
            raise ValueError(
                f"Concat: inputs must agree outside axis {axis}, got {first.shape} and "
                f"{array.shape}"
            )
    return np.concatenate(list(arrays), axis=axis)


def pad(x: Array, *, pads: Sequence[int], value: float = 0.0) -> Array:
    """Surround ``x`` with ``value``; ``pads`` is all begins, then all ends, one an axis.

    >>> pad(np.array([[1.0, 2.0]], np.float32), pads=[0, 1, 0, 2], value=9.0).tolist()
    [[9.0, 1.0, 2.0, 9.0, 9.0]]
    """
    numbers = [int(number) for number in pads]
    if len(numbers) != 2 * x.ndim or any(number < 0 for number in numbers):
        raise ValueError(
            f"Pad: attribute pads must be {2 * x.ndim} integers >= 0 for an input of shape "
            f"{x.shape}, got {list(pads)}"
        )
    if x.ndim == 0:  # np.pad refuses a scalar, which has no side to pad
        return x.copy()
    widths = list(zip(numbers[: x.ndim], numbers[x.ndim :], strict=True))
    return np.pad(x, widths, constant_values=np.asarray(value).astype(x.dtype))


def pad_quantized(q: Array, qparams: QParams, *, pads: Sequence[int], value: float = 0.0) -> Array:
    """Surround the codes ``q`` with their zero point; ``value`` must be 0.

    >>> three = QParams(scale=np.float32(1), zero_point=np.int32(3), block_shape=None,
    ...                 dtype="int8")
    >>> pad_quantized(np.array([7], np.int8), three, pads=[1, 0]).tolist()
    [3, 7]
    """
    if value != 0:
        raise ValueError(f"Pad: attribute value must be 0 on codes, got {value}; pad before")
    _, zero_point = scalar_parameters("Pad", "x", qparams)
    return pad(q, pads=pads, value=zero_point)


def reshape(x: Array, *, shape: Sequence[int]) -> Array:
    """Give ``x`` another shape, same order of elements; 0 copies an axis, one -1 is inferred.

    >>> reshape(np.zeros((2, 3, 4)), shape=[0, -1]).shape
    (2, 12)
    """
    target = []
    for index, size in enumerate(shape):
        if size < -1 or (size == 0 and index >= x.ndim):
            raise ValueError(
                f"Reshape: attribute shape must hold sizes >= 1, 0 for an axis that x {x.shape} "
                f"has, or -1; got {list(shape)}"
            )
        target.append(x.shape[index] if size == 0 else int(size))
    if target.count(-1) > 1:
        raise ValueError(f"Reshape: attribute shape may hold one -1, got {list(shape)}")
    known = math.prod(size for size in target if size != -1)
    inferred = x.size // known if known else 0
    target = [inferred if size == -1 else size for size in target]
    if math.prod(target) != x.size:
        raise ValueError(
            f"Reshape: attribute shape {list(shape)} does not hold the {x.size} elements of "
            f"x {x.shape}"
        )
    return x.reshape(target)


def flatten(x: Array, *, axis: int = 1) -> Array:
    """Keep axis 0 and join the others: (N, ...) -> (N, K).

    >>> flatten(np.zeros((2, 3, 4))).shape
    (2, 12)
    """
    if axis != 1:
        raise ValueError(f"Flatten: attribute axis must be 1, got {axis}; use Reshape")
    if x.ndim < 1:
        raise ValueError("Flatten: x must have at least one axis, got a scalar")
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def transpose(x: Array, *, perm: Sequence[int] | None = None) -> Array:
    """Reorder the axes: axis ``i`` of the result is axis ``perm[i]`` of ``x`` (None: reversed).

    >>> transpose(np.zeros((2, 3, 4)), perm=[0, 2, 1]).shape
    (2, 4, 3)
    """
    order = list(range(x.ndim))[::-1] if perm is None else [int(axis) for axis in perm]
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(
            f"Transpose: attribute perm must be a permutation of the {x.ndim} axes, got {order}"
        )
    return x.transpose(order).copy()  # row-major; a scalar stays one


def slice_axes(
    x: Array, *, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]
) -> Array:
    """Keep the elements ``starts`` to ``ends`` (exclusive) along ``axes``: ONNX ``Slice``, steps 1.

    Negative places count from the end; places beyond an end mean that end.

    >>> slice_axes(np.array([[1, 2, 3, 4]]), starts=[1], ends=[-1], axes=[1]).tolist()
    [[2, 3]]
    """
    if not len(starts) == len(ends) == len(axes):
        raise ValueError(
            f"Slice: attributes starts, ends, axes must be as many, got {list(starts)}, "
            f"{list(ends)}, {list(axes)}"
        )
    places = _axes("Slice", axes, x.ndim)
    index = [slice(None)] * x.ndim
    for axis, start, end in zip(places, starts, ends, strict=True):
        index[axis] = slice(start, end)
    return x[tuple(index)].copy()


def unsqueeze(x: Array, *, axes: Sequence[int]) -> Array:
    """Insert axes of length 1, at the places ``axes`` of the result.

    >>> unsqueeze(np.zeros((2, 3)), axes=[1, -1]).shape
    (2, 1, 3, 1)
    """
    places = _axes("Unsqueeze", axes, x.ndim + len(axes))
    return x[tuple(None if i in places else slice(None) for i in range(x.ndim + len(axes)))].copy()


def squeeze(x: Array, *, axes: Sequence[int]) -> Array:
    """Remove the axes ``axes``, all of length 1.

    >>> squeeze(np.zeros((2, 1, 3)), axes=[-2]).shape
    (2, 3)
    """
    places = _axes("Squeeze", axes, x.ndim)
    for axis in places:
        if x.shape[axis] != 1:
            raise ValueError(f"Squeeze: axis {axis} of {x.shape} must have length 1")
    return x[tuple(0 if i in places else slice(None) for i in range(x.ndim))].copy()


def _axes(op: str, axes: Sequence[int], rank: int) -> list[int]:
    places = [_axis(op, int(axis), rank) for axis in axes]
    if len(set(places)) != len(places):
        raise ValueError(f"{op}: attribute axes must be different axes, got {list(axes)}")
    return places


def _axis(op: str, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"{op}: attribute axis must be in [{-rank}, {rank - 1}], got {axis}")
    return axis % rank
