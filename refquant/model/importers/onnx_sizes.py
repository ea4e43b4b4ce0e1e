"""Lists of sizes as ONNX means them: axes, places of a slice, targets of a reshape."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from refquant.model.importers.onnx_known import has_letters

__all__ = ["axes_of", "axis_in", "check_places", "listed", "range_of", "reshape_to", "split_sizes"]

Array = NDArray[Any]
Inputs = Sequence[Array | None]
Attributes = Mapping[str, Any]


def listed(array: Array | None, what: str) -> tuple[int, ...]:
    """Return a known array of integers as a tuple; letters are an error that names ``what``.

    >>> import numpy as np
    >>> listed(np.array([1, 2]), "axes")
    (1, 2)
    """
    if array is None or has_letters(array) or array.dtype.kind not in "iu":
        got = "nothing" if array is None else str(array.ravel()[:8].tolist())
        raise ValueError(f"{what} must be known integers, got {got}; give the inputs sizes")
    return tuple(int(item) for item in array.ravel())


def reshape_to(shape: Sequence[int], target: Sequence[int], *, allowzero: bool) -> tuple[int, ...]:
    """Return the sizes that ONNX ``Reshape`` means by ``target``.

    >>> reshape_to((2, 3, 4), (0, -1), allowzero=False)
    (2, 12)
    """
    sizes = [shape[i] if d == 0 and not allowzero else d for i, d in enumerate(target)]
    if sizes.count(-1) == 1:
        rest = math.prod(d for d in sizes if d != -1)
        sizes[sizes.index(-1)] = math.prod(shape) // rest if rest else 0
    return tuple(sizes)


def range_of(
    length: int, start: int, end: int, step: int
) -> range:  # ONNX clamps by the sign of the step, as Python does
    """Return the places that ``Slice`` keeps of an axis.

    >>> list(range_of(5, -1, -100, -2))
    [4, 2, 0]
    """
    if step == 0:
        raise ValueError("Slice: steps are not 0")
    return range(*slice(start, end if step > 0 or end >= -length else None, step).indices(length))


def axes_of(inputs: Inputs, attributes: Attributes, place: int, key: str = "axes") -> Any:
    """Return a list that older opsets have as an attribute, newer ones as an input, or None.

    >>> import numpy as np
    >>> axes_of([np.zeros(2), np.array([1])], {}, 1)
    (1,)
    """
    if key in attributes:
        return tuple(attributes[key])
    array = inputs[place] if place < len(inputs) else None
    return None if array is None else listed(array, key)


def axis_in(axis: int, rank: int) -> int:
    """Return ``axis`` counted from the front; an axis that is not there is no other one.

    >>> axis_in(-1, 3), axis_in(0, 3)
    (2, 0)
    >>> axis_in(3, 3)
    Traceback (most recent call last):
    ...
    ValueError: axis is in [-3, 2], got 3
    """
    if not -rank <= axis < rank:
        raise ValueError(f"axis is in [{-rank}, {rank - 1}], got {axis}")
    return axis % rank


def check_places(places: Array, size: int | str) -> None:
    """Refuse constant ``places`` outside an axis of ``size`` elements; a letter is for a run.

    >>> import numpy as np
    >>> check_places(np.array([0, -3]), 3)
    >>> check_places(np.array([0, 3]), 3)
    Traceback (most recent call last):
    ...
    ValueError: places are in [-3, 2], got 3
    """
    if has_letters(places) or isinstance(size, str):
        return
    outside = places[(places < -size) | (places >= size)]
    if outside.size:
        raise ValueError(f"places are in [{-size}, {size - 1}], got {outside.ravel()[0]}")


def split_sizes(length: int, parts: int, sizes: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the sizes of a ``Split`` into ``parts``: those given, or equal ones, the last smaller.

    >>> split_sizes(7, 3)
    (3, 3, 1)
    >>> split_sizes(7, 2, (3, 3))
    Traceback (most recent call last):
    ...
    ValueError: Split: 2 sizes from 0 that add up to 7, got [3, 3]
    """
    if sizes is None:
        size = -(-length // parts)
        sizes = (*[size] * (parts - 1), length - size * (parts - 1))
    if len(sizes) != parts or min(sizes, default=0) < 0 or sum(sizes) != length:
        raise ValueError(
            f"Split: {parts} sizes from 0 that add up to {length}, got {list(sizes)[:20]}"
        )
    return tuple(sizes)
