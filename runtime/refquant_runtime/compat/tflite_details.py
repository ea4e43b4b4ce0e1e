"""What an ``Interpreter`` says of a tensor: shape, type, and what its codes mean.

A size that has a letter in the file, the batch ``"N"`` or the length ``"T"``, is -1 in the
``shape_signature``. Computed codes have one scale and one zero point; reals have none.

References: LiteRT 2.3, Python API of ``Interpreter``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refquant_runtime.graph import Value

__all__ = ["described", "letters", "shape_of"]


def letters(value: Value) -> list[tuple[int, str]]:
    """Return the axes that have a letter, with it.

    >>> letters(Value("x", "float32", (0, 1, 4), True, None, None, (1,)))
    [(0, 'N'), (1, 'T')]
    """
    return [*([(0, "N")] if value.batched else []), *((axis, "T") for axis in value.lengths)]


def shape_of(value: Value, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape with ``sizes`` for the letters; what is not there is 1.

    >>> shape_of(Value("x", "float32", (0, 1, 4), True, None, None, (1,)), {"T": 7})
    (1, 7, 4)
    """
    shape = list(value.shape)
    for axis, letter in letters(value):
        shape[axis] = sizes.get(letter, 1)
    return tuple(shape)


def described(index: int, value: Value, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the details of the tensor ``index``, which has this ``shape`` now.

    >>> described(0, Value("x", "int8", (0, 2), True, None, None), (1, 2))["quantization"]
    (0.0, 0)
    """
    signature = list(shape)
    for axis, _ in letters(value):
        signature[axis] = -1
    scale, zero = np.zeros(0, np.float32), np.zeros(0, np.int32)
    if value.quant is not None:
        scale = np.asarray(value.quant.scale, np.float32).reshape(-1)
        zero = np.asarray(value.quant.zero_point, np.int32).reshape(-1)
    return {
        "name": value.name,
        "index": index,
        "shape": np.array(shape, np.int32),
        "shape_signature": np.array(signature, np.int32),
        "dtype": np.dtype(value.dtype).type,
        "quantization": (float(scale[0]), int(zero[0])) if scale.size else (0.0, 0),
        "quantization_parameters": {
            "scales": scale,
            "zero_points": zero,
            "quantized_dimension": 0,
            "block_size": 0,
        },
        "sparsity_parameters": {},
    }
