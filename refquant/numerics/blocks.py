r"""Blocks: a granularity is the shape of the elements that share one scale.

Per tensor, per channel, per token, per group and two-dimensional blocks are one idea, told by
one tuple: the ``block_shape``, as long as the tensor's shape. The parameters of a tensor of
shape :math:`d` then have the shape

.. math::

    p_i = \lceil d_i / b_i \rceil                                              \tag{1}

and the element at index :math:`j` takes the parameter at

.. math::

    k_i = \lfloor j_i / b_i \rfloor.                                           \tag{2}

The last block of an axis may be ragged. An axis without elements has no parameters; sizes of
blocks are at least 1, so the block of an empty axis is 1.
Left out: overlapping blocks, blocks that do not align with the axes.

References
----------
torchao ``choose_qparams_affine(block_size=...)`` (the idea); ONNX ``QuantizeLinear`` 21
(ragged last block); ``docs/spec/rq-format.md`` section 2.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "block_sizes",
    "expand",
    "is_integer",
    "parameter_shape",
    "per_channel",
    "per_group",
    "per_tensor",
    "per_token",
    "reduce_blocks",
]

Shape = tuple[int, ...]
ScalarT = TypeVar("ScalarT", bound=np.generic)


def is_integer(value: object) -> bool:
    """Say whether ``value`` counts something: an axis, a size. A bool does not.

    >>> is_integer(np.int64(3)), is_integer(3.0), is_integer(True)
    (True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def per_tensor(shape: Sequence[int]) -> Shape:
    """Return the block that is the whole tensor: one scale.

    >>> per_tensor((16, 3, 3, 3))
    (16, 3, 3, 3)
    """
    return tuple(max(1, d) for d in shape)


def per_channel(shape: Sequence[int], axis: int) -> Shape:
    """Return the block of one index of ``axis``: a scale for each channel.

    ``axis`` may be negative.

    >>> per_channel((16, 3, 3, 3), 0)
    (1, 3, 3, 3)
    """
    axis = _axis(shape, axis)
    return tuple(1 if i == axis else max(1, d) for i, d in enumerate(shape))


def per_token(shape: Sequence[int]) -> Shape:
    """Return the block of one row along the last axis: a scale for each token of (..., K).

    >>> per_token((2, 5, 64))
    (1, 1, 64)
    """
    return per_group(shape, -1, max(1, shape[_axis(shape, -1)]))


def per_group(shape: Sequence[int], axis: int, group_size: int) -> Shape:
    """Return the block of ``group_size`` neighbours along ``axis``, one index of all others.

    ``axis`` may be negative. The size may exceed the axis (one ragged group).

    >>> per_group((128, 10), 0, 32)
    (32, 1)
    """
    axis = _axis(shape, axis)
    if not is_integer(group_size) or group_size < 1:
        raise ValueError(f"group_size must be an integer of at least 1, got {group_size!r}")
    return tuple(group_size if i == axis else 1 for i in range(len(shape)))


def parameter_shape(shape: Sequence[int], block_shape: Sequence[int]) -> Shape:
    """Return the shape of the parameters: eq. (1).

    >>> parameter_shape((100, 10), (32, 1))
    (4, 10)
    """
    sizes = block_sizes(block_shape)
    if len(shape) != len(sizes) or min(sizes, default=1) < 1:
        raise ValueError(f"block_shape must have {len(shape)} sizes of at least 1, got {sizes}")
    return tuple(-(-d // b) for d, b in zip(shape, sizes, strict=True))


def block_sizes(block_shape: object) -> Shape:
    """Return a block's shape as a tuple of integers; anything else is a ``ValueError``.

    >>> block_sizes([np.int64(1), 32])
    (1, 32)
    """
    sizes = tuple(block_shape) if isinstance(block_shape, Sequence | np.ndarray) else None
    if sizes is None or not all(is_integer(size) for size in sizes):
        raise ValueError(
            f"block_shape must be a tuple of integers, one an axis; got {block_shape!r}"
        )
    return tuple(int(size) for size in sizes)


def expand(
    params: NDArray[ScalarT], shape: Sequence[int], block_shape: Sequence[int]
) -> NDArray[ScalarT]:
    """Return the parameter of each element, an array of ``shape``: eq. (2).

    >>> expand(np.array([[0.5], [2.0]]), (3, 2), (2, 2)).tolist()
    [[0.5, 0.5], [0.5, 0.5], [2.0, 2.0]]
    """
    params = np.asarray(params)
    expected = parameter_shape(shape, block_shape)
    if params.shape != expected:
        raise ValueError(f"params must have shape {expected}, got {params.shape}")
    for axis, (d, b) in enumerate(zip(shape, block_shape, strict=True)):
        params = np.take(params, np.arange(d) // b, axis=axis)  # (.., p, ..) -> (.., d, ..)
    return params


def reduce_blocks(x: NDArray[ScalarT], block_shape: Sequence[int], fn: str) -> NDArray[ScalarT]:
    """Return ``fn`` of each block, an array of ``parameter_shape``; ``fn``: min, max, absmax.

    NaN wins in its block. Signed integers must be widened first: |-128| is no int8.

    >>> x = np.array([[1, -5], [2, 3], [4, 0]], np.float32)
    >>> reduce_blocks(x, (2, 2), "absmax").tolist()
    [[5.0], [4.0]]
    """
    if fn not in _REDUCTIONS:
        raise ValueError(f"fn must be one of {', '.join(_REDUCTIONS)}; got {fn!r}")
    parameter_shape(x.shape, block_shape)  # checks block_shape
    y: NDArray[Any] = np.abs(x) if fn == "absmax" else np.asarray(x)
    for axis, (d, b) in enumerate(zip(x.shape, block_shape, strict=True)):
        y = _REDUCTIONS[fn].reduceat(y, np.arange(0, d, b), axis=axis)  # (.., d, ..) -> (.., p, ..)
    return y


_REDUCTIONS = {"min": np.minimum, "max": np.maximum, "absmax": np.maximum}


def _axis(shape: Sequence[int], axis: int) -> int:
    """Return ``axis`` counted from the front."""
    if not is_integer(axis) or not -len(shape) <= axis < len(shape):
        raise ValueError(f"axis must be an integer in [-{len(shape)}, {len(shape)}), got {axis!r}")
    return int(axis) % len(shape)
