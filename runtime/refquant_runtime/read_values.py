"""Values of a ``.rq`` file: dtype, shape, what codes mean, and the constants' bytes.

Follows ``docs/spec/rq-format.md`` section 2, VALUE and QUANT.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.fields import Fields
from refquant_runtime.graph import DTYPE_RANGE, DTYPES, SUBBYTE, Quant, Value

__all__ = ["ValueReader"]

Array = NDArray[Any]
Shape = tuple[int, ...]
MAX_ELEMENTS = 2**31
MAX_RANK = 6
SMALLEST_NORMAL = np.float32(2.0**-126)
LARGEST = float(np.finfo(np.float32).max)


class ValueReader(Fields):
    """Reads the entries of ``values``; ``signs`` tells whether a contract has negative scales."""

    def __init__(self, path: Path, tensors: Mapping[str, Array], *, signs: bool) -> None:
        super().__init__(path)
        self.tensors, self.signs = tensors, signs

    def value(self, name: str, entry: Any) -> Value:
        """Return one value; its constant and its parameters fit its dtype and shape."""
        where = f"value {name!r}"
        self.keys(where, entry, {"dtype", "shape"}, {"quant"})
        if not name:
            self.fail(where, "has an empty name")
        dtype = entry["dtype"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            self.fail(where, f"dtype {dtype!r:.60} is none of {list(DTYPES)}")
        shape, batched = self.shape(where, entry["shape"])
        data = self.constant(where, name, dtype, shape, batched)
        if dtype in SUBBYTE and data is None:
            self.fail(where, f"{dtype} is for constants only")
        quant = None
        if "quant" in entry:
            quant = self.quant(where, dtype, shape, entry["quant"], constant=data is not None)
        return Value(name, dtype, shape, batched, quant, data)

    def shape(self, where: str, shape: Any) -> tuple[Shape, bool]:
        """Return the sizes, 0 for an ``N``, and whether there is one."""
        if not isinstance(shape, list) or len(shape) > MAX_RANK:
            self.fail(where, f"shape {shape!r:.60} is not a list of at most {MAX_RANK} sizes")
        batched = bool(shape) and shape[0] == "N"
        sizes = tuple([0, *shape[1:]] if batched else shape)
        if not all(type(size) is int and size >= 0 for size in sizes):
            self.fail(where, f"shape {shape!r:.60} has a size that is not an integer >= 0")
        if math.prod(sizes[batched:]) >= MAX_ELEMENTS:
            self.fail(where, f"shape {shape!r:.60} has 2**31 elements or more")
        if math.prod(size for size in sizes if size) >= MAX_ELEMENTS:
            # Nothing to hold, but loops over the other axes would never end.
            raise UnsupportedError(
                f"{self.path}: {where}: the sizes of shape {shape!r:.60} that are not 0 have a "
                "product of 2**31 or more, which is not implemented; use smaller ones"
            )
        return sizes, batched

    def constant(
        self, where: str, name: str, dtype: str, shape: Shape, batched: bool
    ) -> Array | None:
        """Return the value's tensor, ``None`` if it has none."""
        data = self.tensors.get(name)
        if data is None:
            return None
        if batched:
            self.fail(where, "is a constant, but its shape has an 'N'")
        expected, physical = shape, dtype
        bits = math.prod(shape) * SUBBYTE.get(dtype, 0)
        if dtype in SUBBYTE:
            expected, physical = ((bits + 7) // 8,), "uint8"
        if data.dtype.name != physical or data.shape != expected:
            have = f"{data.dtype.name}{list(data.shape)}"
            self.fail(where, f"its tensor is {have}, expected {physical}{list(expected)}")
        if bits % 8 and int(data[-1]) >> bits % 8:
            self.fail(where, "the unused high bits of its last byte are not zero")
        return data

    def quant(self, where: str, dtype: str, shape: Shape, entry: Any, *, constant: bool) -> Quant:
        """Return the meaning of a value's codes."""
        where += " quant"
        self.keys(where, entry, {"scale", "zero_point"}, {"block_shape"})
        if dtype not in DTYPE_RANGE:
            self.fail(where, f"a {dtype} value cannot be quantized")
        named = [k for k in ("scale", "zero_point") if isinstance(entry[k], str)]
        block = entry.get("block_shape")
        if bool(named) != ("block_shape" in entry):
            self.fail(where, "block_shape goes with named tensors, and only with them")
        grid: Shape = ()
        if named:
            if not constant:
                self.fail(where, "only constants may have tensors of parameters")
            listed = isinstance(block, list) and len(block) == len(shape)
            if not listed or not all(type(b) is int and b >= 1 for b in block):
                self.fail(where, f"block_shape {block!r:.60} does not fit shape {list(shape)}")
            grid = tuple(-(-size // b) for size, b in zip(shape, block, strict=True))
        scale = self.parameter(where, "scale", entry["scale"], np.float32, grid)
        zero_point = self.parameter(where, "zero_point", entry["zero_point"], np.int32, grid)
        self.meaningful(where, dtype, scale, zero_point)
        return Quant(scale, zero_point, tuple(block) if named else None)

    def meaningful(self, where: str, dtype: str, scale: Array, zero_point: Array) -> None:
        """Check that scales are finite, normal and positive, zero points codes."""
        if not (np.isfinite(scale) & (np.abs(scale) >= SMALLEST_NORMAL)).all():
            self.fail(where, "a scale is not a finite, normal float32", "quantize again")
        if not (scale > 0).all():
            if self.signs:
                raise UnsupportedError(f"{self.path}: {where}: negative scales are not "
                                       "implemented; quantize with positive ones")  # fmt: skip
            self.fail(where, "a scale is not positive", "quantize again")
        low, high = DTYPE_RANGE[dtype] if dtype != "int32" else (0, 0)
        if ((zero_point < low) | (zero_point > high)).any():
            self.fail(where, f"a zero point is outside [{low}, {high}]", "quantize again")

    def parameter(self, where: str, key: str, value: Any, dtype: Any, grid: Shape) -> Array:
        """Return a number as an array, or the tensor that ``value`` names."""
        if isinstance(value, str):
            tensor = self.tensors.get(value)
            if tensor is None or tensor.dtype != dtype or tensor.shape != grid:
                have = "absent" if tensor is None else f"{tensor.dtype.name}{list(tensor.shape)}"
                name = np.dtype(dtype).name
                self.fail(where, f"{key} {value!r} is {have}, expected {name}{list(grid)}")
            return tensor
        kinds = (int, float) if dtype is np.float32 else (int,)
        if type(value) not in kinds:
            self.fail(where, f"{key} {value!r:.40} is neither a number nor a tensor's name")
        if dtype is np.float32:
            value = float(value)  # what the text says of a number is said of its float64
        # The range first: an integer out of it raises, a float overflows.
        fits = abs(value) <= LARGEST if dtype is np.float32 else -(2**31) <= value < 2**31
        number: Array = np.array(value if fits else 0, dtype)
        # item(): a Python number, or NumPy would round ``value`` before comparing.
        if not fits or number.item() != value:
            self.fail(where, f"{key} {value!r} is not exactly a {np.dtype(dtype).name}")
        return number
