"""A file's tensors, taken by name and shape: what a loader asks, and how it fails.

A loader knows an architecture; the file has to fit it. What is missing, of another shape, of
another dtype, NaN or infinite is an error that names file and tensor, before any graph is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ModelFileError", "Tensors"]


class ModelFileError(ValueError):
    """The file is not the model it should be; the message names file, tensor, rule and remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class Tensors:
    """The tensors of the file ``path``, by name.

    >>> Tensors("m.npz", {"w": np.ones((2, 3), np.float16)}).take("w", (2, 3)).dtype.name
    'float32'
    """

    path: str
    arrays: Mapping[str, NDArray[Any]]

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the tensor ``name`` as float32, which float16 widens to exactly."""
        array = self.arrays.get(name)
        if array is None:
            raise ModelFileError(
                f"{self.path}: lacks the tensor {name!r}; it is another architecture, or not whole"
            )
        if array.shape != shape or array.dtype not in (np.float32, np.float16):
            raise ModelFileError(
                f"{self.path}: tensor {name!r} must be float32 or float16 {list(shape)}, got "
                f"{array.dtype} {list(array.shape)}; give the model this loader is for"
            )
        if not np.isfinite(array).all():
            raise ModelFileError(f"{self.path}: tensor {name!r} has NaN or infinity; copy it again")
        return array.astype(np.float32)

    def count(self, pattern: str) -> int:
        """Return for how many i from 0 on there is a tensor ``pattern.format(i)``.

        >>> Tensors("m", {"a.0": np.zeros(1), "a.1": np.zeros(1)}).count("a.{}")
        2
        """
        i = 0
        while pattern.format(i) in self.arrays:
            i += 1
        return i

    def shape(self, name: str, rank: int) -> tuple[int, ...]:
        """Return the shape of the tensor ``name``, which has ``rank`` axes.

        >>> Tensors("m", {"a": np.zeros((2, 3))}).shape("a", 2)
        (2, 3)
        """
        if name not in self.arrays or self.arrays[name].ndim != rank:
            got = list(self.arrays[name].shape) if name in self.arrays else "none"
            raise ModelFileError(
                f"{self.path}: needs a tensor {name!r} of {rank} axes, got {got}; it is another "
                "architecture, or not whole"
            )
        return tuple(self.arrays[name].shape)
