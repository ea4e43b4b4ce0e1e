"""Models of LiteRT as plain data, and the FlatBuffer that holds one.

A :class:`Model` has tensors by number, and operators that name them by number::

    tensors     0: a int8 (2, 4), flows     1: b int8 (3, 4), constant     2: y int8, flows
    operators   FULLY_CONNECTED (0, 1, none) -> (2)

LiteRT keeps images as (n, rows, columns, channels): ``orders`` says how a case's arrays are turned
on their way in, and the answer on its way out.

References
----------
LiteRT, ``schema.fbs``; its Python form is ``ai_edge_litert.schema_py_generated``.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refquant_conformance.protocol import Array
from refquant_conformance.types import storage

__all__ = ["IMAGES", "Model", "Operator", "Tensor", "program", "serialized"]

_KINDS = {
    **{"float32": "FLOAT32", "float16": "FLOAT16", "int32": "INT32", "uint8": "UINT8"},
    **{"int8": "INT8", "int16": "INT16", "uint16": "UINT16"},
}
_VERSIONS = {  # the first for int8
    **{"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1}
}
IMAGES = (0, 2, 3, 1)
"""The order of axes that turns (n, channels, rows, columns) into LiteRT's."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor; ``array`` is None if it flows. ``axis`` is that of several scales."""

    name: str
    shape: tuple[int, ...]
    logical: str
    array: Array | None = None
    scale: Array | None = None
    zero_point: Array | None = None
    axis: int = 0

    @property
    def kind(self) -> str:
        """The name of the type in LiteRT; ``KeyError`` if it has none."""
        return _KINDS[self.logical]


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator, -1 for an input that is absent; ``table`` names its options."""

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """A graph whose inputs have the names of a case's; ``output`` is the tensor of ``y``."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    output: int
    orders: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Any, ...]:
        """What an interpreter may be kept by, next to the shapes of what flows."""
        held = tuple(
            (
                t.logical,
                t.axis,
                *(None if a is None else (a.shape, a.tobytes()) for a in _arrays(t)),
            )
            for t in self.tensors
        )
        operators = tuple((o.code, o.inputs, repr(dict(o.options))) for o in self.operators)
        return operators, held

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of what is fed."""
        return tuple(self.tensors[index].shape for index in self.inputs)

    def fed(self, arrays: Mapping[str, Array]) -> dict[int, Array]:
        """Return what is fed by number, turned as LiteRT keeps it."""
        found = {}
        for index in self.inputs:
            name = self.tensors[index].name
            order = self.orders.get(name)
            array = arrays[name]
            found[index] = array if order is None else np.ascontiguousarray(array.transpose(order))
        return found

    def turned_back(self, y: Array) -> Array:
        """Return the answer in the case's order of axes."""
        order = self.orders.get("y")
        if order is None:
            return y
        return np.ascontiguousarray(y.transpose(tuple(int(i) for i in np.argsort(order))))


def _arrays(tensor: Tensor) -> tuple[Array | None, ...]:
    return tensor.array, tensor.scale, tensor.zero_point


def serialized(schema: Any, flatbuffers: Any, model: Model) -> bytes:
    """Return the file; ``schema`` is LiteRT's generated module, ``flatbuffers`` the package."""
    codes = list(dict.fromkeys(operator.code for operator in model.operators))
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(schema, t, i + 1) for i, t in enumerate(model.tensors)]
    graph.operators = [_operator(schema, o, codes.index(o.code)) for o in model.operators]
    graph.inputs, graph.outputs = list(model.inputs), [model.output]
    made = schema.ModelT()
    made.version, made.subgraphs = 3, [graph]
    made.operatorCodes = [_code(schema, code) for code in codes]
    made.buffers = [_buffer(schema, None), *(_buffer(schema, t.array) for t in model.tensors)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema: Any, tensor: Tensor, buffer: int) -> Any:
    made = schema.TensorT()
    made.name, made.shape, made.buffer = tensor.name, list(tensor.shape), buffer
    made.type = getattr(schema.TensorType, tensor.kind)
    if tensor.scale is not None:
        rule = schema.QuantizationParametersT()
        rule.scale = [float(s) for s in np.atleast_1d(tensor.scale)]
        zero = np.zeros(len(rule.scale)) if tensor.zero_point is None else tensor.zero_point
        rule.zeroPoint = [int(z) for z in np.atleast_1d(zero)]
        rule.quantizedDimension = tensor.axis
        made.quantization = rule
    return made


def _operator(schema: Any, operator: Operator, index: int) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex = index
    made.inputs, made.outputs = list(operator.inputs), list(operator.outputs)
    if operator.table:
        made.builtinOptionsType = getattr(schema.BuiltinOptions, operator.table)
        made.builtinOptions = getattr(schema, f"{operator.table}T")()
        for name, value in operator.options.items():
            setattr(made.builtinOptions, name, value)
    return made


def _code(schema: Any, code: str) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode = getattr(schema.BuiltinOperator, code)
    made.deprecatedBuiltinCode = min(made.builtinCode, 127)
    made.version = _VERSIONS.get(code, 2)
    return made


def _buffer(schema: Any, array: Array | None) -> Any:
    made = schema.BufferT()
    if array is not None and array.size:
        made.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
    return made


def program(model: Model, data: bytes, fed: Mapping[int, Array], *, title: str, engine: str) -> str:
    """Return a Python program that runs the file ``data``; ``engine`` is its resolver."""
    feeds = "".join(
        f"    {index}: np.frombuffer(bytes.fromhex({array.tobytes().hex()!r}), "
        f"{storage(model.tensors[index].logical).name!r}).reshape({array.shape}),"
        f"  # {model.tensors[index].name}\n"
        for index, array in fed.items()
    )
    text = base64.b64encode(data).decode()
    lines = "".join(f'    "{text[i : i + 90]}"\n' for i in range(0, len(text), 90))
    told = " -> ".join(operator.code for operator in model.operators)
    return _PROGRAM.format(
        title=title, told=told, lines=lines, feeds=feeds, engine=engine, output=model.output
    )


_PROGRAM = '''"""{title}"""

import base64

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

model = base64.b64decode(  # {told}
{lines})
feeds = {{  # by the number of the tensor
{feeds}}}
{engine}
it.allocate_tensors()
for index, array in feeds.items():
    it.set_tensor(index, array)
it.invoke()
for t in (t for t in it.get_tensor_details() if t["quantization_parameters"]["scales"].size):
    print(t["index"], t["name"], t["shape"], t["quantization_parameters"])
y = it.get_tensor({output})
print("y", y.dtype, y.tolist())
'''
