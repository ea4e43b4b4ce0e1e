"""Call one kernel outside a plan: a row of named numbers, an arena, a block of constants."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refquant_runtime.kernels.abi import call_kernel, compiled
from refquant_runtime.kernels.pointers import aligned_empty, pointer

Array = NDArray[Any]


@njit
def _call(code: int, arena: Any, consts: Any, row: Any, threads: int) -> None:
    for tid in range(threads):
        call_kernel(code, pointer(arena), pointer(consts), pointer(row), tid, threads)


class Memory:
    """A block in which arrays are placed one after the other, 64 bytes apart at least."""

    def __init__(self, size: int = 1 << 16) -> None:
        self.block = aligned_empty(size)
        self.block[:] = 0xA5  # what nobody wrote is noticed
        self.used = 0

    def put(self, array: Array) -> int:
        """Copy an array in and return where it lies."""
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        at = self.reserve(data.size)
        self.block[at : at + data.size] = data
        return at

    def reserve(self, size: int) -> int:
        """Return the place of ``size`` bytes."""
        at = self.used
        self.used += -(-(size + 128) // 64) * 64
        assert self.used <= self.block.size, "the test needs a larger block"
        return at

    def get(self, at: int, dtype: Any, shape: tuple[int, ...]) -> Array:
        """Read an array back."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        found: Array = self.block[at : at + size].view(dtype).reshape(shape)
        return found


def call(
    kernel: Callable[..., None], fields: Sequence[str], params: Mapping[str, int], arena: Memory,
    consts: Memory | None = None, *, threads: int = 1,
) -> None:  # fmt: skip
    """Run all shares of a kernel, one after the other."""
    unknown = params.keys() - set(fields)
    assert not unknown, f"no such fields: {unknown}"
    row = np.array([params.get(name, 0) for name in fields], np.int64)
    _call(compiled(kernel), arena.block, (consts or Memory(64)).block, row, threads)


def bits(value: float) -> int:
    """Return a float32's bits, as rows carry reals."""
    return int(np.float32(value).view(np.int32))
