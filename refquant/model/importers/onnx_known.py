r"""What is known before the model runs: constants and shapes, computed at import.

Exporters write shapes as programs: ``Shape -> Gather -> Unsqueeze -> Concat -> Reshape``. All of it
is known when the sizes of the inputs are, but for the batch and the length of a sequence. So an
array of integers may hold ``"N"``, ``"T"``, and None, a number that only a run knows:

.. math::

    s + 0 = s \qquad s \cdot 1 = s \qquad s / 1 = s
    \qquad s \circ t = \mathrm{None}\ \text{otherwise}                                     \tag{1}

for a letter :math:`s`. (``s = t`` is true for equal letters, and false for a letter and a number
below 1; else None.) Such an array has dtype ``object``; as soon as no letter is left it is int64.

Floats are computed by what docs/spec/operators.md says of the operators, so that folding changes no
bits; operators that sum (``MatMul``, ``Conv``) are not folded.

Left out: everything whose result is not bounded by its inputs, beyond `refquant.model.shapes`'
number of elements.

References: ONNX operators of the same names.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.ops.logic import COMPARISONS
from refquant.ops.unary import UNARY

__all__ = ["ELEMENTWISE", "MOST_FOLDED", "as_known", "broadcast_size", "elementwise", "has_letters"]

Array = NDArray[Any]
MOST_FOLDED = 1 << 21
"""Elements of an array that folding may make of smaller ones: a shape is short, a mask is not."""


def has_letters(array: Array) -> bool:
    """Say whether ``array`` holds sizes that only a run knows.

    >>> has_letters(np.array(["N", 3], object)), has_letters(np.array([1, 3]))
    (True, False)
    """
    return array.dtype == object


def as_known(items: Any) -> Array:
    """Return ``items`` as int64, or with letters as objects.

    >>> as_known([1, 2]).dtype.name, as_known(["N", 2]).dtype.name
    ('int64', 'object')
    """
    array = np.asarray(items, object)
    if all(isinstance(item, int | np.integer) for item in array.flat):
        return np.asarray(array, np.int64)
    return array


def broadcast_size(*arrays: Array) -> int:
    """Return how many elements the arrays have together, as NumPy broadcasts them.

    >>> broadcast_size(np.zeros((3, 1)), np.zeros(4))
    12
    """
    return int(np.prod(np.broadcast_shapes(*(array.shape for array in arrays)), dtype=np.float64))


def elementwise(op: str, arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Return the elementwise ``op`` of ``arrays``: eq. (1) where there are letters.

    >>> elementwise("Mul", [np.array(["N", 4], object), np.array([1, 3])], {}).tolist()
    ['N', 12]
    >>> elementwise("Div", [np.array([-7]), np.array([2])], {}).tolist()
    [-3]
    """
    if op not in ELEMENTWISE and op not in UNARY:
        raise KeyError(op)
    if broadcast_size(*arrays) > max(MOST_FOLDED, *(array.size for array in arrays)):
        raise ValueError(f"{op} of constants has more than {MOST_FOLDED} elements")
    if any(has_letters(array) for array in arrays):
        if op not in _LETTERS:
            raise ValueError(f"{op} of a size that only a run knows")
        result = np.frompyfunc(_LETTERS[op], len(arrays), 1)(*arrays)
        if op in COMPARISONS:
            if None in np.asarray(result, object).ravel().tolist():
                raise ValueError(f"{op} of a size that only a run knows")
            return np.asarray(result, np.bool_)
        return as_known(result)
    with np.errstate(all="ignore"):
        if op in UNARY and arrays[0].dtype == np.float32:
            return UNARY[op](arrays[0], attributes)
        if op not in ELEMENTWISE:
            raise ValueError(f"{op} of constants of {arrays[0].dtype}")
        return np.asarray(ELEMENTWISE[op](*arrays))


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if (b == 0).any():
        raise ValueError("Div of integers by 0")
    quotient = np.abs(a) // np.abs(b)
    return np.asarray(quotient * np.sign(a) * np.sign(b)).astype(a.dtype)


def _letters(function: Callable[[Any, Any], Any], unit: int | None) -> Callable[[Any, Any], Any]:
    """Return ``function`` for numbers, and eq. (1) with the neutral element ``unit``."""

    def call(a: Any, b: Any) -> Any:
        if isinstance(a, str | None) or isinstance(b, str | None):
            if b == unit:
                return a
            return b if a == unit and function is not operator.floordiv else None
        return function(int(a), int(b))

    return call


def _compare(function: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool | None]:
    def call(a: Any, b: Any) -> bool | None:
        letters = [x for x in (a, b) if isinstance(x, str | None)]
        if not letters:
            return bool(function(int(a), int(b)))
        if isinstance(a, str) and a == b:
            return bool(function(0, 0))
        number = next((x for x in (a, b) if not isinstance(x, str | None)), None)
        if number is None or number >= 1 or None in letters:
            return None
        return bool(function(*(1 if isinstance(x, str) else int(x) for x in (a, b))))

    return call


def _choose(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


_LETTERS: Mapping[str, Callable[..., Any]] = {
    "Add": _letters(operator.add, 0),
    "Sub": lambda a, b: a if b == 0 else _letters(operator.sub, None)(a, b),
    "Mul": _letters(operator.mul, 1),
    "Div": _letters(operator.floordiv, 1),
    "Equal": _compare(operator.eq),
    "Less": _compare(operator.lt),
    "Greater": _compare(operator.gt),
    "LessOrEqual": _compare(operator.le),
    "GreaterOrEqual": _compare(operator.ge),
    "Where": _choose,
    "Cast": lambda a: a,
    "Identity": lambda a: a,
}
ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Mod": np.mod,
    "Max": lambda *arrays: np.maximum.reduce(np.broadcast_arrays(*arrays)),
    "Min": lambda *arrays: np.minimum.reduce(np.broadcast_arrays(*arrays)),
    "Abs": np.abs,
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Sign": np.sign,
    "Reciprocal": lambda a: np.asarray(1, a.dtype) / a,
    **COMPARISONS,
    "Xor": np.logical_xor,
    "Not": np.logical_not,
    "IsNaN": np.isnan,
    "IsInf": np.isinf,
    "Where": np.where,
    "Identity": lambda a: a,
}
