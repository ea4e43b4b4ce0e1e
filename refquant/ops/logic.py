"""Truths: what comparisons say, and what chooses by them.

A truth is uint8, 0 or 1; where one is read, any code but 0 is true.  Booleans have no dtype of
their own in a graph: they are rare, and a byte is what every runtime keeps them in.

    Equal Less Greater LessOrEqual GreaterOrEqual   of reals, of int32; with NaN all are 0     (1)
    And Or Not                                      of truths                                  (2)
    Where(c, x, y) = x if c else y                  x, y of one dtype                          (3)

All with numpy broadcasting; (3) copies bits, NaN and -0.0 too.

Left out: Xor (Equal of truths, negated), comparisons of codes that have scales.

Source: ONNX operators of the same names; ``docs/spec/operators.md`` §10.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMPARISONS", "compare", "logical_not", "where"]

Array = NDArray[Any]
Truths = NDArray[np.uint8]

COMPARISONS: Mapping[str, Callable[[Array, Array], Array]] = MappingProxyType(
    {
        "Equal": np.equal,
        "Less": np.less,
        "Greater": np.greater,
        "LessOrEqual": np.less_equal,
        "GreaterOrEqual": np.greater_equal,
        "And": np.logical_and,
        "Or": np.logical_or,
    }
)
"""Operators of two operands that give truths."""

_DTYPES = ("float32", "int32", "uint8")


def compare(op: str, a: Array, b: Array) -> Truths:
    """Return the truths that ``op`` says of ``a`` and ``b``: eq. (1) and (2).

    >>> compare("Less", np.array([1, np.nan], np.float32), np.array([2], np.float32)).tolist()
    [1, 0]
    >>> compare("And", np.array([0, 2], np.uint8), np.array([1], np.uint8)).tolist()
    [0, 1]
    """
    if op not in COMPARISONS:
        raise ValueError(f"a comparison is one of {', '.join(COMPARISONS)}, got {op!r}")
    known = ("uint8",) if op in ("And", "Or") else _DTYPES
    if a.dtype != b.dtype or a.dtype.name not in known:
        raise ValueError(
            f"{op}: both inputs must be {' or '.join(known)}, got {a.dtype}, {b.dtype}"
        )
    return np.asarray(COMPARISONS[op](a, b)).astype(np.uint8)


def logical_not(a: Truths) -> Truths:
    """Return 1 where ``a`` is 0, else 0: eq. (2).

    >>> logical_not(np.array([0, 1, 7], np.uint8)).tolist()
    [1, 0, 0]
    """
    if a.dtype != np.uint8:
        raise ValueError(f"Not: a truth must be uint8, got {a.dtype}")
    return np.asarray(a == 0).astype(np.uint8)


def where(condition: Truths, x: Array, y: Array) -> Array:
    """Return ``x`` where the truth ``condition`` is not 0, else ``y``: eq. (3).

    >>> where(np.array([1, 0], np.uint8), np.array([5], np.int32), np.array([7], np.int32)).tolist()
    [5, 7]
    """
    if condition.dtype != np.uint8 or x.dtype != y.dtype or x.dtype.name not in _DTYPES:
        raise ValueError(
            f"Where: the condition must be uint8, x and y of one dtype of {', '.join(_DTYPES)}, "
            f"got {condition.dtype}, {x.dtype}, {y.dtype}"
        )
    return np.where(condition != 0, x, y)
