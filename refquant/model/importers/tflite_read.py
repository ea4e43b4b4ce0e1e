"""The bytes of a ``.tflite`` file -> `TfliteModel`; the one module that imports ``tflite``.

A flatbuffer is tables that point at tables by offsets::

    0  u32  offset of the root table, a Model
    4  "TFL3"
    8  tables, vectors, strings, in any order, each reached by an offset only

The generated accessors follow an offset wherever it leads. Python's own bounds turn one that leaves
the file into an exception, but not one that leads back: a hundred tensors may share one long vector
and so be a hundred times as long as the file. So what is read is counted, and a file that says more
than it has bytes is refused (writers do let equal vectors share: a little is allowed).

Checked besides: every number of a tensor, buffer and operator code, sizes of constants, that
constants are not computed and inputs are not constants, the order of operators.

References: ``schema.fbs`` of LiteRT, file identifier TFL3, schema version 3.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.importers.tflite_model import (
    Option,
    TfliteModel,
    TfliteOperator,
    TfliteTensor,
    misplaced,
)
from refquant.model.importers.tflite_schema import DTYPES, OPTIONS
from refquant.model.loaders.tensors import ModelFileError

__all__ = ["read_tflite"]

Array = NDArray[Any]

_SHARED = 1 << 16  # elements that may be said more than once
_RANK = 8


def read_tflite(data: bytes, *, path: str) -> TfliteModel:
    """Return the model whose file is ``data``; ``path`` is what errors call it.

    Constants are views of ``data``. `ModelFileError` says what is wrong: another file, cut short,
    damaged, or the extra that is not installed.
    """
    schema = _schema(path)
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise ModelFileError(f"{path}: is no TFLite file (bytes 4 to 7 must be TFL3); give another")
    try:
        model = _Reader(schema, data, path).model()
    except ModelFileError:
        raise
    except (
        struct.error, ValueError, TypeError, IndexError, AttributeError, OverflowError, MemoryError,
    ) as error:  # fmt: skip  # what an offset that leads nowhere ends in, by where it leads
        raise ModelFileError(
            f"{path}: an offset or number of the file leads nowhere ({error}); the file is damaged "
            "or cut short, copy it again"
        ) from error
    return model


def _schema(path: str) -> Any:
    try:
        import tflite
    except ImportError as error:
        raise ModelFileError(
            f"{path}: reading TFLite needs the extra refquant[tflite]; install it"
        ) from error
    return tflite


class _Reader:
    """Walks one file; ``left`` counts down what it may still say."""

    def __init__(self, schema: Any, data: bytes, path: str) -> None:
        self.schema, self.data, self.path = schema, data, path
        self.left = len(data) + _SHARED

    def model(self) -> TfliteModel:
        root = self.schema.Model.GetRootAs(self.data, 0)
        if root.Version() != 3:
            self.refuse(f"its schema has version {root.Version()}, not 3")
        graphs = self.tables(root.SubgraphsLength, root.Subgraphs)
        if not graphs:
            self.refuse("it holds no subgraph")
        codes = [self._code(c) for c in self.tables(root.OperatorCodesLength, root.OperatorCodes)]
        buffers = self.tables(root.BuffersLength, root.Buffers)
        found = self._graph(graphs[0], codes, buffers)
        if not found.outputs:
            self.refuse("it has no output")
        once = {o.options.get("InitSubgraphIndex") for o in found.operators if o.op == "CALL_ONCE"}
        if not once <= {*range(1, len(graphs))}:
            self.refuse("it calls a subgraph that is not there")
        called = {i: self._graph(graphs[i], codes, buffers) for i in range(1, len(graphs))
                  if i in once}  # fmt: skip
        return replace(found, description=self.text(root.Description()), once=called)

    def _graph(self, table: Any, codes: list[str], buffers: list[Any]) -> TfliteModel:
        held = self.tables(table.TensorsLength, table.Tensors)
        tensors = tuple(self._tensor(i, tensor, buffers) for i, tensor in enumerate(held))
        steps = self.tables(table.OperatorsLength, table.Operators)
        operators = tuple(self._operator(i, o, codes, len(tensors)) for i, o in enumerate(steps))
        ends = table.InputsAsNumpy, table.OutputsAsNumpy
        inputs, outputs = (self.indices(end, len(tensors)) for end in ends)
        found = TfliteModel(self.path, len(self.data), "", tensors, operators, inputs, outputs)
        if rule := misplaced(found):
            self.refuse(rule)
        return found

    def refuse(self, rule: str) -> None:
        raise ModelFileError(f"{self.path}: {rule}; the file is damaged, or of another version")

    def charge(self, count: int) -> None:
        """Count what the file says, before it is believed."""
        self.left -= count
        if self.left < 0:
            self.refuse("it says more than it has bytes")

    def tables(self, length: Callable[[], int], item: Callable[[int], Any]) -> list[Any]:
        count = length()
        self.charge(4 * count)
        return [item(i) for i in range(count)]

    def numbers(self, vector: Callable[[], Any]) -> tuple[int, ...]:
        """Return a vector of integers; the accessors give the number 0 for one that is absent."""
        found = vector()
        if isinstance(found, int):
            return ()
        self.charge(found.nbytes)
        return tuple(int(v) for v in found)

    def indices(self, vector: Callable[[], Any], count: int) -> tuple[int, ...]:
        found = self.numbers(vector)
        if any(not -1 <= i < count for i in found):
            self.refuse(f"it names a tensor that is not there ({found}, of {count})")
        return found

    def text(self, raw: bytes | None) -> str:
        self.charge(len(raw or b""))
        return (raw or b"").decode("utf-8", "replace")

    def _code(self, code: Any) -> str:
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        names = self.schema.utils.BUILTIN_OPCODE2NAME
        if number == 32:
            return f"CUSTOM {self.text(code.CustomCode())}".rstrip()
        return str(names.get(number, f"BUILTIN {number}"))

    def _tensor(self, index: int, table: Any, buffers: list[Any]) -> TfliteTensor:
        shape = self.numbers(table.ShapeAsNumpy)
        signature = self.numbers(table.ShapeSignatureAsNumpy)
        if len(shape) > _RANK or any(d < 0 for d in shape) or math.prod(shape) >= 1 << 31:
            self.refuse(f"tensor {index} has the shape {list(shape)[:_RANK]}")
        if table.Type() not in DTYPES:
            self.refuse(f"tensor {index} has the unknown type {table.Type()}")
        name, kind = DTYPES[table.Type()]
        scale, zero_point, axis, special = self._quantization(index, table.Quantization())
        special = special or ("sparse" if table.Sparsity() is not None else "")
        special = special or ("a variable" if table.IsVariable() else "")
        if not 0 <= table.Buffer() < len(buffers):
            self.refuse(f"tensor {index} names buffer {table.Buffer()} of {len(buffers)}")
        data = self._constant(index, buffers[table.Buffer()], shape, name, kind, special)
        return TfliteTensor(
            index, self.text(table.Name()), name, shape, signature if len(signature) == len(shape)
            else shape, data, scale, zero_point, axis, special,
        )  # fmt: skip

    def _quantization(self, index: int, table: Any) -> tuple[Array, Array, int, str]:
        none = np.zeros(0, np.float32), np.zeros(0, np.int64)
        if table is None:
            return *none, 0, ""
        if table.DetailsType():
            return *none, 0, "quantized in a way of its own"
        scale, zero_point = table.ScaleAsNumpy(), table.ZeroPointAsNumpy()
        if isinstance(scale, int) or not scale.size:
            return *none, 0, ""
        if isinstance(zero_point, int):
            zero_point = np.zeros(scale.size, np.int64)
        self.charge(scale.nbytes + zero_point.nbytes)
        if zero_point.size not in (1, scale.size):
            self.refuse(f"tensor {index} has {scale.size} scales and {zero_point.size} zero points")
        zeros = np.broadcast_to(zero_point.astype(np.int64), scale.shape)
        return scale.astype(np.float32), zeros, table.QuantizedDimension(), ""

    def _constant(
        self, index: int, buffer: Any, shape: tuple[int, ...], dtype: str, kind: Any, special: str
    ) -> Array | None:
        found: Any = buffer.DataAsNumpy()
        if buffer.Offset() > 1:  # of large models: beside the flatbuffer, in the same file
            begin, size = buffer.Offset(), buffer.Size()
            if begin + size > len(self.data):
                self.refuse(f"the constant of tensor {index} ends beyond the file")
            found = np.frombuffer(self.data, np.uint8, size, begin)
        if isinstance(found, int) or not found.size:
            return None
        if special or kind is None:
            return np.asarray(found)  # whoever uses it refuses it by name
        if found.size != math.prod(shape) * np.dtype(kind).itemsize:
            self.refuse(f"tensor {index} is {dtype} {list(shape)}, its constant {found.size} bytes")
        array: Array = np.asarray(found).view(kind).reshape(shape)
        return array

    def _operator(self, index: int, table: Any, codes: list[str], count: int) -> TfliteOperator:
        if not 0 <= table.OpcodeIndex() < len(codes):
            self.refuse(f"operator {index} names code {table.OpcodeIndex()} of {len(codes)}")
        op = codes[table.OpcodeIndex()]
        inputs = self.indices(table.InputsAsNumpy, count)
        outputs = self.indices(table.OutputsAsNumpy, count)
        if (not outputs and op not in ("ASSIGN_VARIABLE", "CALL_ONCE")) or -1 in outputs:
            self.refuse(f"operator {index} {op} makes nothing")
        return TfliteOperator(index, op, inputs, outputs, self._options(op, table))

    def _options(self, op: str, table: Any) -> dict[str, Option]:
        kind, fields = OPTIONS.get(op, ("", ()))
        options = table.BuiltinOptions() if kind else None
        if options is None:
            return {}
        if table.BuiltinOptionsType() != getattr(self.schema.BuiltinOptions, kind):
            self.refuse(f"an operator {op} has the options of another")
        own = getattr(self.schema, kind)()
        own.Init(options.Bytes, options.Pos)
        found: dict[str, Option] = {}
        for field in fields:
            accessor = getattr(own, field)
            if field.endswith("AsNumpy"):
                found[field.removesuffix("AsNumpy")] = self.numbers(accessor)
            else:
                value = accessor()
                found[field] = self.text(value) if isinstance(value, bytes) else value
        return found
