"""What every lowering uses: where values live, in which layout, and how steps are emitted.

Activations of rank 3 and more may live channels **first** (as in the file) or channels **last**
(what convolutions want). A value is converted when somebody needs the other layout, once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.contracts import Arithmetic
from refquant_runtime.graph import DTYPE_RANGE, Graph, Node, Quant, Value
from refquant_runtime.kernels.move import FILL, MOVE, fill, move
from refquant_runtime.kernels.tiles import Tile, f32_tile, int8_tile
from refquant_runtime.plan import At, Buffer, Constants, Guards, Step
from refquant_runtime.weights import unpack

__all__ = [
    "FIRST", "KINDS", "LAST", "Lowering", "Params", "bounds", "clamp_of", "f32_bits", "nan_code",
    "permuted", "quant_of", "strides_of",
]  # fmt: skip

FIRST, LAST = "first", "last"
KINDS = {"float32": 0, "int32": 1, "uint8": 2}  # what kernels of several dtypes call them
_USUAL = 32  # steps of a sequence, for the width of tiles
Array = NDArray[Any]
Shape = tuple[int, ...]
Params = dict[str, int | Buffer | At]


def f32_bits(value: Any) -> int:
    """Return the bits of a float32, as plan rows carry reals."""
    return int(np.float32(value).view(np.int32))


def bounds(node: Node) -> Params:
    """Return the bits of the bounds of a fused Relu or Clip."""
    return {
        "low": f32_bits(node.attributes.get("fused_min", -np.inf)),
        "high": f32_bits(node.attributes.get("fused_max", np.inf)),
    }


def quant_of(value: Value) -> Quant:
    """Return the parameters of a value that the checks found to be quantized."""
    assert value.quant is not None, "check.bind: integer operators have quantized operands"
    return value.quant


def clamp_of(node: Node, y: Value) -> tuple[int, int]:
    """Return the lowest and highest code that an integer node may give."""
    low, high = DTYPE_RANGE[y.dtype]
    return (
        max(low, node.attributes.get("clamp_min", low)),
        min(high, node.attributes.get("clamp_max", high)),
    )


def nan_code(kind: str, low: int, high: int) -> int:
    """Return the code that NaN becomes under a contract (``int32_min`` is the kernel's own)."""
    return high if kind == "qmax" else low


def permuted(shape: Shape, layout: str) -> Shape:
    """Return a shape in the order in which its elements lie."""
    return (shape[0], *shape[2:], shape[1]) if layout == LAST and len(shape) > 2 else shape


def strides_of(shape: Shape) -> Shape:
    """Return the strides, in elements, of a contiguous array."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _same_memory(shape: Shape) -> bool:
    """Return whether both layouts are one."""
    return len(shape) < 3 or shape[1] == 1 or math.prod(shape[2:]) == 1


class Lowering:
    """Collects the steps of one plan."""

    def __init__(
        self, graph: Graph, arithmetics: Mapping[str, Arithmetic], *, isa: str, nthreads: int,
        constants: Constants | None = None,
    ) -> None:  # fmt: skip
        self.graph, self.arithmetics = graph, arithmetics
        self.isa, self.nthreads = isa, nthreads
        self.constants = Constants() if constants is None else constants
        self.guards = Guards()
        self.steps: list[Step] = []
        self.places: dict[tuple[str, str], Buffer] = {}
        self.node: Node | None = None
        for name in graph.inputs:
            value = graph.values[name]
            self.places[name, FIRST] = Buffer(self.nbytes(value), name, pinned=True)

    # -- values ---------------------------------------------------------------------------------

    def value(self, name: str) -> Value:
        """Return a value of the graph."""
        return self.graph.values[name]

    def inputs(self, node: Node) -> list[Value | None]:
        """Return a node's operands, ``None`` for absent ones."""
        return [self.graph.values[name] if name else None for name in node.inputs]

    def arithmetic(self, node: Node) -> Arithmetic:
        """Return the arithmetic of a node's contract."""
        return self.arithmetics[str(node.contract)]

    @staticmethod
    def itemsize(value: Value) -> int:
        """Return the bytes of one element as it lies in the arena."""
        return {"float32": 4, "int32": 4, "int16": 2, "uint16": 2}.get(value.dtype, 1)

    def nbytes(self, value: Value) -> int:
        """Return the bytes of a value in the arena."""
        return math.prod(value.shape) * self.itemsize(value)

    def layout_of(self, name: str) -> str:
        """Return the layout in which a value is there already."""
        return FIRST if (name, FIRST) in self.places else LAST

    def read(self, name: str, layout: str) -> Buffer:
        """Return the value's buffer in that layout, converting it if need be."""
        value = self.value(name)
        if (name, layout) not in self.places:
            if value.data is not None:
                data = unpack(value)
                if layout == LAST and data.ndim > 2:
                    data = np.moveaxis(data, 1, -1)
                self.places[name, layout] = self.resident(data, name, dtype=value.dtype)
            else:
                other = FIRST if layout == LAST else LAST
                source = self.places[name, other]
                if _same_memory(value.shape):
                    self.places[name, layout] = source
                else:
                    target = Buffer(self.nbytes(value), f"{name} ({layout})")
                    self.places[name, layout] = target
                    self._convert(value, source, target, layout)
        return self.places[name, layout]

    def write(self, name: str, layout: str) -> Buffer:
        """Return a new buffer for a value that is about to be computed."""
        buffer = Buffer(self.nbytes(self.value(name)), name)
        self.places[name, layout] = buffer
        return buffer

    def alias(self, name: str, layout: str, buffer: Buffer) -> None:
        """Let a value live where another already does."""
        self.places[name, layout] = buffer

    def tile(self, x: Value, *, n: int, m: int, codes: bool = False) -> Tile:
        """Return the tile for a product of ``m`` rows that come from ``x`` and ``n`` columns.

        Weights are packed once, so every length of a sequence has tiles of one width.
        """
        choose = int8_tile if codes else f32_tile
        if not x.lengths:
            return choose(self.isa, n=n, m=m)
        width = choose(self.isa, n=n, m=_USUAL).nr
        return choose(self.isa, n=n, m=m, nr=width)

    def table(self, name: str) -> int:
        """Return where a constant lies among the packed weights, as it is in the file."""
        value = self.value(name)
        place: int = self.constants.once(("as is", name), lambda: self.constants.add(unpack(value)))
        return place

    def resident(self, data: Array, label: str, *, dtype: str = "") -> Buffer:
        """Return a buffer that holds constant operands of kernels which read the arena.

        ``dtype``: that of the value; codes are bytes there, but those of 16 bits.
        """
        wide = data.dtype.kind == "f" or data.dtype.itemsize == 4 or dtype == "int16"
        stored = data if wide else data.astype(np.int16).astype(np.uint8)
        stored = np.ascontiguousarray(stored)
        return Buffer(stored.nbytes, label, pinned=True, data=stored)

    # -- steps ----------------------------------------------------------------------------------

    def emit(
        self,
        kernel: Callable[..., None],
        fields: Sequence[str],
        *,
        params: Mapping[str, int | Buffer | At],
        reads: Sequence[Buffer],
        writes: Sequence[Buffer],
        scratch: int = 0,
        macs: int = 0,
    ) -> None:
        """Append one kernel call; ``scratch`` bytes are set aside for every thread."""
        assert self.node is not None
        if not any(buffer.nbytes for buffer in writes):
            return  # nothing to compute: kernels need not know of empty tensors
        unknown = params.keys() - set(fields)
        assert not unknown, f"{kernel.__name__} has no fields {unknown}"
        numbers = dict(params)
        writes = list(writes)
        if scratch:
            size = -(-scratch // 64) * 64
            area = Buffer(size * self.nthreads, "scratch")
            numbers |= {"scratch": area, "scratch_size": size}
            writes.append(area)
        self.steps.append(
            Step(kernel, fields, numbers, list(reads), writes, self.node.name, self.node.op, macs)
        )

    def copy(
        self, source: Buffer, target: Buffer, itemsize: int, dims: Shape, from_strides: Shape,
        to_strides: Shape, from_offset: int = 0, to_offset: int = 0,
    ) -> None:  # fmt: skip
        """Append a strided copy; offsets and strides in elements."""
        if 0 in dims:
            return
        pad = 6 - len(dims)
        params: dict[str, int | Buffer | At] = {
            "x": At(source, from_offset * itemsize),
            "y": At(target, to_offset * itemsize),
            "element": itemsize,
        }
        for axis in range(6):
            inside = axis >= pad
            params[f"d{axis}"] = dims[axis - pad] if inside else 1
            params[f"x{axis}"] = from_strides[axis - pad] if inside else 0
            params[f"y{axis}"] = to_strides[axis - pad] if inside else 0
        self.emit(move, MOVE, params=params, reads=[source], writes=[target])

    def fill(self, target: Buffer, itemsize: int, value: int) -> None:
        """Append a fill of the whole buffer with one element's bits."""
        params: dict[str, int | Buffer | At] = {
            "y": target, "n": target.nbytes // itemsize, "element": itemsize, "value": value,
        }  # fmt: skip
        self.emit(fill, FILL, params=params, reads=[], writes=[target])

    def _convert(self, value: Value, source: Buffer, target: Buffer, layout: str) -> None:
        shape = value.shape
        wanted = permuted(shape, layout)
        have = strides_of(permuted(shape, LAST if layout == FIRST else FIRST))
        rank = len(shape)
        if layout == LAST:  # file order N C spatial -> N spatial C
            steps = (have[0], *have[2:], have[1])
        else:  # N spatial C -> N C spatial
            steps = (have[0], have[rank - 1], *have[1 : rank - 1])
        self.copy(source, target, self.itemsize(value), wanted, steps, strides_of(wanted))
