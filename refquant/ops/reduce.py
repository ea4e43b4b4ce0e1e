"""Sums over axes: ReduceSum and ReduceMean.

    ReduceSum     s  = sum of x over ``axes``, row-major (last of the axes fastest), from +0.0 (1)
    ReduceMean    y  = f32(s / f32(n)),   n = how many elements were added                     (2)

Every addition is rounded to float32.

Left out: axes as an input, ``noop_with_empty_axes``, the other reductions.

Source: ONNX ``ReduceSum``, ``ReduceMean``; ``docs/spec/operators.md`` §7.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.dot import sum_f32
from refquant.ops.rescale import need_float32

__all__ = ["different_axes", "reduce_mean", "reduce_sum"]

Float = NDArray[np.float32]


def reduce_sum(x: Float, *, axes: Sequence[int], keepdims: int = 1) -> Float:
    """Return eq. (1); the axes stay with length 1 if ``keepdims``. The sum of nothing is +0.0.

    >>> reduce_sum(np.array([[1, 2], [3, 4]], np.float32), axes=[-1], keepdims=0).tolist()
    [3.0, 7.0]
    """
    return _reduced("ReduceSum", x, axes, keepdims)[0]


def reduce_mean(x: Float, *, axes: Sequence[int], keepdims: int = 1) -> Float:
    """Return eq. (2). The mean of nothing is NaN.

    >>> reduce_mean(np.array([[1, 2], [3, 4]], np.float32), axes=[0, 1]).tolist()
    [[2.5]]
    """
    total, n = _reduced("ReduceMean", x, axes, keepdims)
    with np.errstate(invalid="ignore"):
        y: Float = total / np.float32(n)
    return y


def different_axes(op: str, x: NDArray[Any], axes: Sequence[int]) -> list[int]:
    """Return the places, from 0 on, of ``axes`` of ``x``; `ValueError` for none of its, or equals.

    >>> different_axes("ReduceSum", np.zeros((2, 3)), [-1, 0])
    [1, 0]
    """
    places = [axis % x.ndim for axis in axes if -x.ndim <= axis < x.ndim]
    if len(places) != len(axes) or len(set(places)) != len(places):
        raise ValueError(
            f"{op}: attribute axes must be different axes of x {x.shape}, got {list(axes)}"
        )
    return places


def _reduced(op: str, x: Float, axes: Sequence[int], keepdims: int) -> tuple[Float, int]:
    need_float32(op, x=x)
    places = different_axes(op, x, axes)
    if keepdims not in (0, 1):
        raise ValueError(f"{op}: attribute keepdims must be 0 or 1, got {keepdims!r}")
    kept = [axis for axis in range(x.ndim) if axis not in places]
    n = math.prod(x.shape[axis] for axis in places)
    lead = tuple(x.shape[axis] for axis in kept)
    flat = x.transpose([*kept, *sorted(places)]).reshape(*lead, n)
    total = sum_f32(flat, -1)[..., 0]
    shape = [1 if axis in places else size for axis, size in enumerate(x.shape)]
    return (total.reshape(shape) if keepdims else total), n
