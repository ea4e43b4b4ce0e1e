"""What the codes of a value mean: scales, zero points, tables, groups.

Follows ``docs/spec/rq-format.md`` section 2, QUANT. Scales that are codes themselves are decoded
here, so that the rest of the runtime sees float32.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.fields import Fields
from refquant_runtime.graph import DTYPE_RANGE, Quant, Value
from refquant_runtime.weights import dequantized, grouped_axis, unpack

__all__ = ["QuantReader"]

Array = NDArray[Any]
Shape = tuple[int, ...]
SMALLEST_NORMAL = np.float32(2.0**-126)
LARGEST = float(np.finfo(np.float32).max)
AGAIN = "quantize again"
WIDE = ("int64", "int32", "int16", "uint16")


class QuantReader(Fields):
    """Reads the entries ``quant``; ``signs`` tells whether a contract has negative scales."""

    def __init__(self, path: Path, tensors: Mapping[str, Array], *, signs: bool) -> None:
        super().__init__(path)
        self.tensors, self.signs = tensors, signs

    def quant(self, value: Value, entry: Any, scales: Value | None) -> Quant:
        """Return the meaning of the codes of ``value``; ``scales``: its scales, if of codes."""
        where = f"value {value.name!r} quant"
        optional = {"block_shape", "table", "g_idx"}
        self.keys(where, entry, {"scale", "zero_point"}, optional)
        if value.dtype not in DTYPE_RANGE:
            self.fail(where, f"a {value.dtype} value cannot be quantized")
        if "table" in entry or "g_idx" in entry:
            self.small_constant(where, value)
        block, grid = self.blocks(where, value, entry)
        if scales is None:
            scale = self.parameter(where, "scale", entry["scale"], ("float32",), grid)
        else:
            scale = self.decoded(where, scales, grid)
        zero_point = self.parameter(
            where, "zero_point", entry["zero_point"], ("int32", "float32"), grid
        )
        table = g_idx = None
        if "g_idx" in entry:
            g_idx = self.groups(where, value, entry["g_idx"], block)
        if "table" in entry:
            table = self.table(where, value, entry, scale)
        else:
            self.ruler(where, value, scale, zero_point)
        return Quant(scale, zero_point, block, table, g_idx)

    def small_constant(self, where: str, value: Value) -> None:
        """Refuse a table, float zero points or groups of anything but small constants."""
        if value.data is None or value.dtype in WIDE:
            self.fail(where, f"{value.dtype} is no constant of at most 8 bits, but has a table, "
                      "float zero points or g_idx")  # fmt: skip

    def blocks(self, where: str, value: Value, entry: Any) -> tuple[Shape | None, Shape]:
        """Return the shape of a block, and the shape of the parameters."""
        named = [k for k in ("scale", "zero_point") if isinstance(entry[k], str)]
        block, shape = entry.get("block_shape"), value.shape
        if bool(named) != ("block_shape" in entry):
            self.fail(where, "block_shape goes with named tensors, and only with them")
        if not named:
            return None, ()
        if value.data is None:
            self.fail(where, "only constants may have tensors of parameters")
        listed = isinstance(block, list) and len(block) == len(shape)
        if not listed or not all(type(b) is int and b >= 1 for b in block):
            self.fail(where, f"block_shape {block!r:.60} does not fit shape {list(shape)}")
        return tuple(block), tuple(-(-size // b) for size, b in zip(shape, block, strict=True))

    def decoded(self, where: str, scales: Value, grid: Shape) -> Array:
        """Return the scales that codes mean."""
        if scales.data is None or scales.dtype in WIDE or scales.shape != grid:
            have = f"{scales.dtype}{list(scales.shape)}"
            self.fail(where, f"scale {scales.name!r} is {have}, expected a constant of at most 8 "
                      f"bits of shape {list(grid)}")  # fmt: skip
        return dequantized(scales)

    def ruler(self, where: str, value: Value, scale: Array, zero_point: Array) -> None:
        """Check that scales are finite, normal and positive, zero points codes or finite."""
        if not (np.isfinite(scale) & (np.abs(scale) >= SMALLEST_NORMAL)).all():
            self.fail(where, "a scale is not a finite, normal float32", AGAIN)
        if not (scale > 0).all():
            if self.signs:
                raise UnsupportedError(f"{self.path}: {where}: negative scales are not "
                                       "implemented; quantize with positive ones")  # fmt: skip
            self.fail(where, "a scale is not positive", AGAIN)
        low, high = DTYPE_RANGE[value.dtype] if value.dtype not in WIDE[:2] else (0, 0)
        if zero_point.dtype == np.float32:
            self.small_constant(where, value)
            if not np.isfinite(zero_point).all():
                self.fail(where, "a zero point is not finite", AGAIN)
            ends = np.abs(np.array([low, high], np.float32).reshape(2, *[1] * zero_point.ndim)
                          - zero_point)  # fmt: skip
            self.finite(where, ends.max(axis=0), scale)
        elif ((zero_point < low) | (zero_point > high)).any():
            self.fail(where, f"a zero point is outside [{low}, {high}]", AGAIN)

    def table(self, where: str, value: Value, entry: Any, scale: Array) -> Array:
        """Return the table: a finite number for each code that the constant holds."""
        low, high = DTYPE_RANGE[value.dtype]
        if low < 0 or entry["zero_point"] != 0:
            self.fail(where, "a table goes with unsigned codes and the zero point 0")
        name = self.kind(f"{where} table", entry["table"], str)
        table = self.tensors.get(name)
        if table is None or table.dtype != np.float32 or table.shape != (high + 1,):
            have = "absent" if table is None else f"{table.dtype.name}{list(table.shape)}"
            self.fail(where, f"table {name!r:.60} is {have}, expected float32[{high + 1}]")
        if np.isinf(table).any():
            self.fail(where, f"table {name!r:.60} has an infinite entry", AGAIN)
        missing = np.isnan(table)
        if missing.any() and missing[unpack(value)].any():
            self.fail(where, "a code has no meaning: its entry in the table is NaN", AGAIN)
        if not (np.isfinite(scale) & (scale >= 0)).all():
            self.fail(where, "a scale is not finite, or negative beside a table", AGAIN)
        self.finite(where, np.abs(table[~missing]).max(initial=np.float32(0)), scale)
        return table

    def finite(self, where: str, largest: Any, scale: Array) -> None:
        """Refuse codes that could mean infinities."""
        with np.errstate(over="ignore"):
            if not np.isfinite(np.asarray(largest * scale, np.float32)).all():
                self.fail(where, "a code may mean an infinity: its scale is too large", AGAIN)

    def groups(self, where: str, value: Value, name: Any, block: Shape | None) -> Array:
        """Return the group of each index of one axis: all groups, in any order."""
        self.kind(f"{where} g_idx", name, str)
        listed, rank = self.tensors.get(name), len(value.shape)
        if block is None or listed is None or listed.dtype != np.int32 or not rank:
            self.fail(where, f"g_idx {name!r:.60} is an int32 tensor, beside a block_shape")
        axis = grouped_axis(listed, value.shape)
        size = value.shape[axis] if axis < rank else -1
        if listed.shape != tuple(size if i == axis else 1 for i in range(rank)):
            self.fail(where, f"g_idx {name!r:.60} of shape {list(listed.shape)} is not 1 but on an "
                      f"axis of {list(value.shape)}")  # fmt: skip
        expected = np.arange(size) // block[axis]
        if not np.array_equal(np.sort(listed.reshape(-1)), expected):
            problem = f"does not have each of the {len(set(expected.tolist()))} groups"
            self.fail(where, f"g_idx {name!r:.60} {problem} {block[axis]} times", AGAIN)
        return listed

    def parameter(
        self, where: str, key: str, value: Any, dtypes: tuple[str, ...], grid: Shape
    ) -> Array:
        """Return a number as an array of the first dtype, or the tensor that ``value`` names."""
        if isinstance(value, str):
            tensor = self.tensors.get(value)
            if tensor is None or tensor.dtype.name not in dtypes or tensor.shape != grid:
                have = "absent" if tensor is None else f"{tensor.dtype.name}{list(tensor.shape)}"
                self.fail(where, f"{key} {value!r} is {have}, expected "
                          f"{' or '.join(dtypes)}{list(grid)}")  # fmt: skip
            return tensor
        real, name = dtypes[0] == "float32", dtypes[0]
        if type(value) not in ((int, float) if real else (int,)):
            self.fail(where, f"{key} {value!r:.40} is neither a number nor a tensor's name")
        if real:
            value = float(value)  # what the text says of a number is said of its float64
        # The range first: an integer out of it raises, a float overflows.
        fits = abs(value) <= LARGEST if real else -(2**31) <= value < 2**31
        number: Array = np.array(value if fits else 0, name)
        # item(): a Python number, or NumPy would round ``value`` before comparing.
        if not fits or number.item() != value:
            self.fail(where, f"{key} {value!r} is not exactly a {name}")
        return number
