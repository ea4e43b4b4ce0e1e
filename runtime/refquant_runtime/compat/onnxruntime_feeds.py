"""How an ``InferenceSession`` describes its ends, and what may be fed to them.

A size that has a letter in the file is that letter, ``"N"`` or ``"T"``, unless the options fix it.

References: onnxruntime 1.32, Python API of ``InferenceSession``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.compat.onnxruntime_errors import InvalidArgument
from refquant_runtime.compat.onnxruntime_options import NodeArg
from refquant_runtime.compat.onnxruntime_values import OrtValue, type_name
from refquant_runtime.graph import Graph, Value

__all__ = ["checked", "described"]


def described(value: Value, sizes: Mapping[str, int]) -> NodeArg:
    """Return name, shape and type of an end; ``sizes`` are those that the options fix.

    >>> described(Value("x", "float32", (0, 1, 4), True, None, None, (1,)), {"N": 3}).shape
    [3, 'T', 4]
    """
    shape: list[int | str] = list(value.shape)
    if value.batched:
        shape[0] = sizes.get("N", "N")
    for axis in value.lengths:
        shape[axis] = sizes.get("T", "T")
    return NodeArg(value.name, shape, type_name(value.dtype))


def checked(graph: Graph, sizes: Mapping[str, int], name: str, fed: Any) -> NDArray[Any]:
    """Return what is fed as an array of the input ``name``, or raise ``InvalidArgument``."""
    if name not in graph.inputs:
        raise InvalidArgument(f"Invalid input name: {name}; the inputs are {list(graph.inputs)}")
    value = graph.values[name]
    array = fed.numpy() if isinstance(fed, OrtValue) else fed
    if not isinstance(array, np.ndarray):
        array = np.asarray(array, value.dtype)
    if array.dtype != value.dtype:
        raise InvalidArgument(
            f"Unexpected input data type of {name}. Actual: ({type_name(array.dtype.name)}) , "
            f"expected: ({type_name(value.dtype)})"
        )
    if array.ndim != len(value.shape):
        raise InvalidArgument(
            f"Invalid rank for input: {name} Got: {array.ndim} Expected: {len(value.shape)} "
            "Please fix either the inputs/outputs or the model."
        )
    wrong = [
        f" index: {axis} Got: {got} Expected: {size}"
        for axis, (got, size) in enumerate(
            zip(array.shape, described(value, sizes).shape, strict=True)
        )
        if not isinstance(size, str) and got != size
    ]
    if wrong:
        lines = "\n".join(wrong)
        raise InvalidArgument(
            f"Got invalid dimensions for input: {name} for the following indices\n{lines}\n"
            " Please fix either the inputs/outputs or the model."
        )
    return np.ascontiguousarray(array).reshape(array.shape)
