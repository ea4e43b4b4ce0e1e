"""Operators on what is known: from a node whose inputs are constants to its outputs.

The elementwise ones are in `refquant.model.importers.onnx_known`; here those that move elements,
make arrays out of sizes, or count. An operator that is not in the table is not folded: the importer
then asks for a lowering, as if its inputs came from outside.

Every function takes the arrays (None: absent), the attributes and the opset.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.importers.onnx_half import HALF, rounded_to_half
from refquant.model.importers.onnx_known import (
    ELEMENTWISE,
    MOST_FOLDED,
    as_known,
    elementwise,
    has_letters,
)
from refquant.model.importers.onnx_model import Tensor
from refquant.model.importers.onnx_sizes import (
    axes_of,
    axis_in,
    check_places,
    listed,
    range_of,
    reshape_to,
    split_sizes,
)
from refquant.model.importers.onnx_tensor import DTYPE_NAMES
from refquant.ops.unary import UNARY

__all__ = ["fold"]

Array = NDArray[Any]
Inputs = Sequence[Array | None]
Attributes = Mapping[str, Any]


def fold(
    op: str, inputs: Inputs, attributes: Attributes, *, opset: int, outputs: int
) -> list[Array] | None:
    """Return the outputs of a node of constants, None if this operator is not folded.

    >>> fold("Concat", [np.array([1]), np.array([2])], {"axis": 0}, opset=17, outputs=1)[0].tolist()
    [1, 2]
    """
    if op == "Split":
        return _split(inputs, attributes, outputs)
    if op == "Expand" and inputs[1] is not None and has_letters(inputs[1]):
        return None  # of one number it is a size for a run to know
    if op in _TABLE:
        return [np.asarray(_TABLE[op](inputs, attributes, opset))]
    known = [array for array in inputs if array is not None]
    if (op in ELEMENTWISE or op in UNARY) and len(known) == len(inputs):
        return [elementwise(op, known, attributes)]
    return None


def _need(inputs: Inputs, place: int) -> Array:
    array = inputs[place] if place < len(inputs) else None
    if array is None:
        raise ValueError(f"input {place} is absent")
    return array


def _bounded(count: float) -> None:
    if count > MOST_FOLDED:
        raise ValueError(f"a constant of {count:.0f} elements, more than {MOST_FOLDED}")


def _made(array: Array) -> Array:
    if not isinstance(array, np.ndarray):  # one item: a letter is an object, too
        array = np.asarray(array, object if isinstance(array, str | None) else None)
    return as_known(array) if array.dtype == object else array


def _constant(inputs: Inputs, a: Attributes, opset: int) -> Array:
    for key, value in a.items():
        if isinstance(value, Tensor):
            return value.array
        if key in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if key in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise ValueError(f"Constant has a value that is a tensor or numbers, got {sorted(a)}")


def _constant_of_shape(inputs: Inputs, a: Attributes, opset: int) -> Array:
    shape = listed(_need(inputs, 0), "the shape")
    value = a["value"].array if "value" in a else np.zeros(1, np.float32)
    _bounded(math.prod(shape))
    return np.full(shape, value.ravel()[0], value.dtype)


def _cast(inputs: Inputs, a: Attributes, opset: int) -> Array:
    x = _need(inputs, 0)
    dtype = DTYPE_NAMES.get(a["to"], "unknown")
    if has_letters(x):
        return x
    if dtype not in np.sctypeDict:
        raise ValueError(f"Cast to {dtype}")
    if HALF in a:
        return rounded_to_half(x, a[HALF])
    with np.errstate(all="ignore"):
        return x.astype(dtype)


def _gather(inputs: Inputs, a: Attributes, opset: int) -> Array:
    x, indices = _need(inputs, 0), _need(inputs, 1)
    listed(indices, "indices")
    axis = axis_in(a.get("axis", 0), x.ndim)
    check_places(indices, x.shape[axis])
    _bounded(indices.size * x.size / max(1, x.shape[axis]))
    return _made(np.take(x, indices, axis=axis))


def _gather_nd(inputs: Inputs, a: Attributes, opset: int) -> Array:
    x, indices = _need(inputs, 0), _need(inputs, 1)
    if a.get("batch_dims", 0):
        raise ValueError("GatherND of constants with batch_dims")
    return _made(np.asarray(x[tuple(np.moveaxis(indices, -1, 0))]))


def _concat(inputs: Inputs, a: Attributes, opset: int) -> Array:
    parts = [x for x in inputs if x is not None]
    _bounded(sum(x.size for x in parts) if len(parts) > 1 else 0)
    return _made(np.concatenate(parts, a["axis"]))


def _unsqueeze(inputs: Inputs, a: Attributes, opset: int) -> Array:
    return np.expand_dims(_need(inputs, 0), axes_of(inputs, a, 1))


def _squeeze(inputs: Inputs, a: Attributes, opset: int) -> Array:
    return np.asarray(np.squeeze(_need(inputs, 0), axes_of(inputs, a, 1)))


def _reshape(inputs: Inputs, a: Attributes, opset: int) -> Array:
    x = _need(inputs, 0)
    target = listed(_need(inputs, 1), "the shape")
    return x.reshape(reshape_to(x.shape, target, allowzero=bool(a.get("allowzero", 0))))


def _slice(inputs: Inputs, a: Attributes, opset: int) -> Array:
    x = _need(inputs, 0)
    starts, ends = (axes_of(inputs, a, i, k) for i, k in ((1, "starts"), (2, "ends")))
    axes = axes_of(inputs, a, 3) or tuple(range(len(starts)))
    steps = axes_of(inputs, a, 4, "steps") or (1,) * len(starts)
    for given, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = axis_in(given, x.ndim)
        places = range_of(x.shape[axis], start, end, step)
        x = np.take(x, np.asarray(places, np.int64), axis)
    return _made(x)


def _split(inputs: Inputs, a: Attributes, outputs: int) -> list[Array]:
    x = _need(inputs, 0)
    axis = axis_in(a.get("axis", 0), x.ndim)
    sizes = split_sizes(x.shape[axis], outputs, axes_of(inputs, a, 1, "split"))
    return [_made(part) for part in np.split(x, np.cumsum(sizes)[:-1], axis)]


def _expand(inputs: Inputs, a: Attributes, opset: int) -> Array:
    x, shape = _need(inputs, 0), listed(_need(inputs, 1), "the shape")
    shape = np.broadcast_shapes(x.shape, shape)
    _bounded(math.prod(shape))
    return np.broadcast_to(x, shape).copy()


def _tile(inputs: Inputs, a: Attributes, opset: int) -> Array:
    x, repeats = _need(inputs, 0), listed(_need(inputs, 1), "repeats")
    _bounded(x.size * math.prod(repeats))
    return np.tile(x, repeats)


def _range(inputs: Inputs, a: Attributes, opset: int) -> Array:
    start, limit, delta = (_need(inputs, i).ravel()[0] for i in range(3))
    if None in (start, limit, delta) or any(isinstance(x, str) for x in (start, limit, delta)):
        raise ValueError("Range of a size that only a run knows; give the inputs sizes")
    if delta == 0:
        raise ValueError("Range has a step that is not 0")
    count = max(math.ceil((limit - start) / delta), 0)
    _bounded(count)
    return np.asarray(start + np.arange(count) * delta, _need(inputs, 0).dtype)


def _reduce(function: Callable[..., Any]) -> Callable[[Inputs, Attributes, int], Array]:
    def call(inputs: Inputs, a: Attributes, opset: int) -> Array:
        x = _need(inputs, 0)
        if has_letters(x) or x.dtype.kind == "f":
            raise ValueError("a reduction of constants is of known integers")
        axes = axes_of(inputs, a, 1)
        keep = bool(a.get("keepdims", 1))
        return np.asarray(function(x, axis=axes, keepdims=keep)).astype(x.dtype)

    return call


_TABLE: Mapping[str, Callable[[Inputs, Attributes, int], Array]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Cast": _cast,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Flatten": lambda i, a, o: _need(i, 0).reshape(
        math.prod(_need(i, 0).shape[: a.get("axis", 1)]),
        -1,  # a slice counts from the end, too
    ),
    "Transpose": lambda i, a, o: np.transpose(_need(i, 0), a.get("perm")),
    "Slice": _slice,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Shape": lambda i, a, o: np.asarray(
        _need(i, 0).shape[slice(a.get("start", 0), a.get("end"))], np.int64
    ),
    "Size": lambda i, a, o: np.asarray(_need(i, 0).size, np.int64),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
}
