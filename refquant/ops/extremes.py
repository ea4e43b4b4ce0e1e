"""The larger of two, the largest of many, and where it is.

    Max(a, b) = a if a >= b or a is NaN, else b; Min(a, b) = a if a <= b or a is NaN, else b   (1)
    ReduceMax, ReduceMin   (1) from the first element on, along ``axes``, row-major            (2)
    ArgMax, ArgMin         the place of (2) along one axis; of equals the first, or the last   (3)
    TopK                   the k first of a descending (ascending) order; equals by place      (4)

So NaN wins, in (3) and (4) too, where it counts as larger than everything, for the smallest as
smaller.  Nothing is rounded.

Left out: more than two operands (a chain of (1)), integers, ``sorted`` = 0 of ``TopK``.

Source: ONNX operators of the same names, which leave NaN and equals open;
``docs/spec/operators.md`` §10.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.ops.reduce import different_axes
from refquant.ops.rescale import need_float32

__all__ = ["arg_extreme", "larger", "reduce_extreme", "smaller", "top_k"]

Float = NDArray[np.float32]


def larger(a: Float, b: Float) -> Float:
    """Return eq. (1), with numpy broadcasting.

    >>> larger(np.array([1, 5], np.float32), np.array([3], np.float32)).tolist()
    [3.0, 5.0]
    """
    need_float32("Max", a=a, b=b)
    return np.where((a >= b) | (a != a), a, b)


def smaller(a: Float, b: Float) -> Float:
    """Return eq. (1), with numpy broadcasting.

    >>> smaller(np.array([1, 5], np.float32), np.array([3], np.float32)).tolist()
    [1.0, 3.0]
    """
    need_float32("Min", a=a, b=b)
    return np.where((a <= b) | (a != a), a, b)


def reduce_extreme(op: str, x: Float, *, axes: Sequence[int], keepdims: int = 1) -> Float:
    """Return the largest (``ReduceMax``) or smallest elements along ``axes``: eq. (2).

    >>> x = np.array([[1, 4], [3, 2]], np.float32)
    >>> reduce_extreme("ReduceMax", x, axes=[1], keepdims=0).tolist()
    [4.0, 3.0]
    """
    need_float32(op, x=x)
    places = different_axes(op, x, axes)
    kept = [axis for axis in range(x.ndim) if axis not in places]
    flat = x.transpose([*kept, *sorted(places)]).reshape(*(x.shape[axis] for axis in kept), -1)
    if flat.shape[-1] == 0:
        raise ValueError(f"{op}: nothing has no extreme: x {x.shape} along {list(axes)}")
    chosen = np.take_along_axis(flat, _first(flat, op == "ReduceMax")[..., None], -1)[..., 0]
    shape = [1 if axis in places else size for axis, size in enumerate(x.shape)]
    return chosen.reshape(shape) if keepdims else chosen


def arg_extreme(
    op: str, x: Float, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
) -> NDArray[np.int32]:
    """Return where the largest (``ArgMax``) or smallest elements are along ``axis``: eq. (3).

    >>> arg_extreme("ArgMax", np.array([[1, 4, 4]], np.float32), axis=1).tolist()
    [[1]]
    """
    need_float32(op, x=x)
    (place,) = different_axes(op, x, [axis])
    if x.shape[place] == 0:
        raise ValueError(f"{op}: nothing has no extreme: x {x.shape} along {axis}")
    along = np.moveaxis(x, place, -1)
    if select_last_index:
        index = x.shape[place] - 1 - _first(along[..., ::-1], op == "ArgMax")
    else:
        index = _first(along, op == "ArgMax")
    result = index.astype(np.int32)
    return np.expand_dims(result, place) if keepdims else result


def top_k(x: Float, *, k: int, axis: int = -1, largest: int = 1) -> tuple[Float, NDArray[np.int32]]:
    """Return the ``k`` largest (smallest) elements along ``axis``, and their places: eq. (4).

    >>> values, places = top_k(np.array([1, 4, 4, 2], np.float32), k=3)
    >>> values.tolist(), places.tolist()
    ([4.0, 4.0, 2.0], [1, 2, 3])
    """
    need_float32("TopK", x=x)
    (place,) = different_axes("TopK", x, [axis])
    if not 0 <= k <= x.shape[place]:
        raise ValueError(f"TopK: k must be in [0, {x.shape[place]}], got {k}")
    along = np.moveaxis(x, place, -1)
    keys = np.where(np.isnan(along), np.float32(-np.inf), -along if largest else along)
    # Stable, twice: by place, then by size, then NaN before all.
    order = np.argsort(keys, -1, kind="stable")
    nans = np.take_along_axis(~np.isnan(along), order, -1)
    order = np.take_along_axis(order, np.argsort(nans, -1, kind="stable"), -1)[..., :k]
    values = np.take_along_axis(along, order, -1)
    return np.moveaxis(values, -1, place), np.moveaxis(order, -1, place).astype(np.int32)


def _first(x: Float, largest: bool) -> NDArray[np.int64]:
    """Return the first place of the extreme along the last axis; NumPy's NaN wins too."""
    return np.asarray(np.argmax(x, -1) if largest else np.argmin(x, -1), np.int64)
