"""Values of a ``.rq`` file: dtype, shape, and the constants' bytes.

Follows ``docs/spec/rq-format.md`` section 2, VALUE; QUANT, what codes mean, is the next module's:
:mod:`refquant_runtime.read_quant`.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.fields import Fields
from refquant_runtime.graph import DTYPES, SUBBYTE, Value
from refquant_runtime.read_quant import QuantReader

__all__ = ["ValueReader"]

Array = NDArray[Any]
Shape = tuple[int, ...]
MAX_ELEMENTS = 2**31
MAX_RANK = 6


class ValueReader(Fields):
    """Reads ``entries``, the file's ``values``; ``signs``: a contract has negative scales."""

    def __init__(
        self,
        path: Path,
        tensors: Mapping[str, Array],
        entries: Mapping[str, Any],
        *,
        signs: bool,
    ) -> None:
        super().__init__(path)
        self.tensors, self.entries = tensors, entries
        self.quants = QuantReader(path, tensors, signs=signs)

    def value(self, name: str, entry: Any) -> Value:
        """Return one value; its constant and its parameters fit its dtype and shape."""
        where = f"value {name!r}"
        self.keys(where, entry, {"dtype", "shape"}, {"quant"})
        if not name:
            self.fail(where, "has an empty name")
        dtype = entry["dtype"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            self.fail(where, f"dtype {dtype!r:.60} is none of {list(DTYPES)}")
        shape, batched, lengths = self.shape(where, entry["shape"])
        data = self.constant(where, name, dtype, shape, batched or bool(lengths))
        if dtype in SUBBYTE and data is None:
            self.fail(where, f"{dtype} is for constants only")
        quant = None
        if "quant" in entry:
            plain = Value(name, dtype, shape, batched, None, data, lengths)
            quant = self.quants.quant(plain, entry["quant"], self.scales(where, entry["quant"]))
        return Value(name, dtype, shape, batched, quant, data, lengths)

    def scales(self, where: str, quant: Any) -> Value | None:
        """Return the constant that holds a value's scales as codes, ``None`` for other scales."""
        name = quant.get("scale") if isinstance(quant, dict) else None
        entry = self.entries.get(name) if isinstance(name, str) else None
        inner = entry.get("quant") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(inner, dict):
            return None
        own = self.tensors.get(inner["scale"]) if isinstance(inner.get("scale"), str) else None
        if own is None and isinstance(inner.get("scale"), str):  # it may name itself, and so on
            self.fail(where, f"the scale of its scale {name!r} is no constant of the file")
        if own is not None and own.dtype != "float32":
            self.fail(where, f"the scales of its scale {name!r} are codes, too")
        return self.value(name, entry)

    def shape(self, where: str, shape: Any) -> tuple[Shape, bool, tuple[int, ...]]:
        """Return the sizes (0 for an N, 1 for a T), whether there is an N, and where T is."""
        if not isinstance(shape, list) or len(shape) > MAX_RANK:
            self.fail(where, f"shape {shape!r:.60} is not a list of at most {MAX_RANK} sizes")
        batched = bool(shape) and shape[0] == "N"
        lengths = tuple(i for i, size in enumerate(shape) if i and size == "T")
        sizes = tuple(1 if i in lengths else size for i, size in enumerate(shape))
        sizes = (0, *sizes[1:]) if batched else sizes
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
        return sizes, batched, lengths

    def constant(
        self, where: str, name: str, dtype: str, shape: Shape, variable: bool
    ) -> Array | None:
        """Return the value's tensor, ``None`` if it has none."""
        data = self.tensors.get(name)
        if data is None:
            return None
        if variable:
            self.fail(where, "is a constant, but its shape has an 'N' or a 'T'")
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
