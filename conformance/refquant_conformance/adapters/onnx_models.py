"""Cases as ONNX models, for every engine that reads them: one builder, two ways to say it.

``direct`` is the operator on codes, ``pairs`` the float operator between DequantizeLinear and
QuantizeLinear, which an engine may compute so, or fuse into something on codes::

    direct      a, b ---------> QLinearMatMul ---------------------> y
    pairs       a --> DQ --+
                           +--> MatMul --> Q ----------------------> y
                b --> DQ --+

A model is plain data here (:class:`Model`): nodes, which inputs are constants of the model and
which are fed. ``serialized`` makes a file of it, ``program`` the Python source that makes the same
file. Operators of onnxruntime's own (QLinearAdd, QGemm, ...) have the domain ``com.microsoft``.

Codes below a byte are packed as ONNX packs them: the first element in the lowest bits.

References
----------
ONNX, ``docs/Operators.md`` and ``onnx.proto`` (``raw_data``, ``int32_data``); onnxruntime,
``docs/ContribOperators.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant_conformance.protocol import Array
from refquant_conformance.types import INTEGERS, code_range, storage

__all__ = [
    "ELEMENT_TYPES",
    "MICROSOFT",
    "Model",
    "Node",
    "Parts",
    "packed",
    "program",
    "serialized",
    "unpacked",
]

ELEMENT_TYPES: Mapping[str, int] = MappingProxyType(
    {
        **{"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7},
        **{"float16": 10, "float64": 11, "bfloat16": 16, "float8_e4m3fn": 17},
        **{"float8_e4m3fnuz": 18, "float8_e5m2": 19, "float8_e5m2fnuz": 20, "uint4": 21},
        **{"int4": 22, "float4_e2m1fn": 23, "float8_e8m0fnu": 24, "uint2": 25, "int2": 26},
    }
)
"""The number in ``onnx.TensorProto.DataType`` of each type that ONNX has."""

MICROSOFT = "com.microsoft"
_STATES = {"y_h": (None, None), "y_c": (None, None)}  # outputs of layers that carry a state
Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of a graph."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ("y",)
    attributes: Attributes = field(default_factory=dict)
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """A graph: constants as ``(logical type, codes)``, ``feeds`` by name and logical type."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, tuple[str, Array]]
    feeds: Mapping[str, str]
    outputs: Mapping[str, str]
    opset: int = 21

    @property
    def key(self) -> tuple[Any, ...]:
        """What a session made for this model may be kept by, next to the shapes of the feeds."""
        held = tuple((n, t, a.shape, a.tobytes()) for n, (t, a) in sorted(self.constants.items()))
        nodes = tuple((*_names(node), repr(dict(node.attributes))) for node in self.nodes)
        return nodes, held, tuple(self.feeds.items()), self.opset


def _names(node: Node) -> tuple[Any, ...]:
    return node.op, node.inputs, node.outputs


@dataclass(frozen=True, slots=True)
class Parts:
    """Nodes, and the constants that are no inputs of the case, or replace one."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, tuple[str, Array]] = field(default_factory=dict)


def _bits(logical: str) -> int:
    if logical in INTEGERS:
        low, high = code_range(logical)
        return (high - low).bit_length()
    return 4 if logical == "float4_e2m1fn" else 8 * storage(logical).itemsize


def packed(array: Array, logical: str) -> bytes:
    """Return the elements as ONNX holds them in ``raw_data``.

    >>> packed(np.array([1, -1, 3], np.int8), "int4").hex()
    'f103'
    """
    bits = _bits(logical)
    if bits >= 8:
        return np.ascontiguousarray(array).tobytes()
    count = 8 // bits
    codes = np.ascontiguousarray(array).reshape(-1).astype(np.uint8) & ((1 << bits) - 1)
    whole = np.concatenate([codes, np.zeros(-codes.size % count, np.uint8)]).reshape(-1, count)
    shifts = np.arange(count, dtype=np.uint8) * np.uint8(bits)
    return bytes(np.bitwise_or.reduce(whole << shifts, axis=1).astype(np.uint8))


def unpacked(data: bytes, logical: str, shape: tuple[int, ...]) -> Array:
    """Return the codes that ``packed`` has packed, one an element.

    >>> unpacked(bytes.fromhex("f103"), "int4", (3,)).tolist()
    [1, -1, 3]
    """
    bits, size = _bits(logical), int(np.prod(shape))
    if bits >= 8:
        return np.frombuffer(data, storage(logical), size).reshape(shape).copy()
    shifts = np.arange(8 // bits, dtype=np.uint8) * np.uint8(bits)
    codes = (np.frombuffer(data, np.uint8)[:, None] >> shifts) & ((1 << bits) - 1)
    flat = codes.reshape(-1)[:size].astype(np.int16)
    if logical.startswith("int"):
        flat = np.where(flat >= 1 << (bits - 1), flat - (1 << bits), flat)
    return flat.astype(storage(logical)).reshape(shape)


def serialized(onnx: Any, model: Model, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """Return the file of a model whose feeds have ``shapes``; ``onnx`` is the package."""
    make = onnx.helper
    nodes = [
        make.make_node(n.op, n.inputs, n.outputs, domain=n.domain or None, **n.attributes)
        for n in model.nodes
    ]
    held = [
        make.make_tensor(name, ELEMENT_TYPES[t], a.shape, packed(a, t), raw=True)
        for name, (t, a) in model.constants.items()
    ]
    rank = len(next(iter(shapes.values())))
    known = {"y": (None,) * rank, "scale": (), "zero_point": (), **_STATES, **shapes}
    fed, out = (
        [make.make_tensor_value_info(name, ELEMENT_TYPES[t], known[name]) for name, t in ends]
        for ends in (model.feeds.items(), model.outputs.items())
    )
    graph = make.make_graph(nodes, "case", fed, out, held)
    opsets = [make.make_opsetid(domain, number) for domain, number in _opsets(model)]
    made = make.make_model(graph, opset_imports=opsets, ir_version=_ir_version(model))
    data: bytes = made.SerializeToString()
    return data


def _opsets(model: Model) -> list[tuple[str, int]]:
    domains = sorted({node.domain for node in model.nodes if node.domain})
    return [("", model.opset), *((domain, 1) for domain in domains)]


def _ir_version(model: Model) -> int:
    return 13 if model.opset > 24 else 10


def program(model: Model, fed: Mapping[str, Array], *, title: str, engine: str) -> str:
    """Return a Python program that makes the model, and then does what ``engine`` says.

    ``engine`` is source that finds ``model``, an ``onnx.ModelProto``, and ``feeds``: element type,
    shape and bytes by name.
    """
    nodes = "".join(
        f"    helper.make_node({n.op!r}, {list(n.inputs)}, {list(n.outputs)}, "
        f"domain={n.domain or None!r}, **{dict(n.attributes)!r}),\n"
        for n in model.nodes
    )
    held = "".join(
        f"    helper.make_tensor({name!r}, {ELEMENT_TYPES[t]}, {a.shape}, "
        f"bytes.fromhex({packed(a, t).hex()!r}), raw=True),  # {_glimpse(a)}\n"
        for name, (t, a) in model.constants.items()
    )
    feeds = "".join(
        f"    {name!r}: ({ELEMENT_TYPES[t]}, {fed[name].shape}, "
        f"bytes.fromhex({packed(fed[name], t).hex()!r})),  # {_glimpse(fed[name])}\n"
        for name, t in model.feeds.items()
    )
    rank = next(iter(fed.values())).ndim
    ends = [
        (name, ELEMENT_TYPES[t], (None,) * rank if name == "y" else _STATES.get(name, ()))
        for name, t in model.outputs.items()
    ]
    return _PROGRAM.format(
        title=title, nodes=nodes, held=held, feeds=feeds, ends=ends,
        opsets=_opsets(model), ir=_ir_version(model), engine=engine,
    )  # fmt: skip


def _glimpse(array: Array) -> str:
    """Return the first numbers, for the reader of a program."""
    first = array.reshape(-1)[:8].tolist()
    return f"{first if array.ndim else first[0]}{' ...' if array.size > 8 else ''}"


_PROGRAM = '''"""{title}"""

import ctypes

import numpy as np
import onnx
from onnx import helper

nodes = [
{nodes}]
held = [  # name, element type, shape, little-endian bytes
{held}]
feeds = {{  # the same of what is fed
{feeds}}}
model = helper.make_model(
    helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info(n, t, s) for n, (t, s, _) in feeds.items()],
        [helper.make_tensor_value_info(n, t, s) for n, t, s in {ends}],
        held,
    ),
    opset_imports=[helper.make_opsetid(d, v) for d, v in {opsets}],
    ir_version={ir},
)
{engine}'''
