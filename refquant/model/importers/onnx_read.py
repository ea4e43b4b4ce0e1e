"""Bytes of a ``.onnx`` file -> `OnnxModel`: the one module that imports ``onnx``.

From the library comes the schema, as classes that parse protobufs. Everything a file says is
checked before an array is made from it: `refquant.model.importers.onnx_tensor`.

Left out: ``onnx.checker`` and shape inference, which are C++ and trust their input more than we do;
sparse tensors, sequences.

References: ``onnx.proto3``.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from refquant.model.importers.onnx_functions import Function, Reference, expanded
from refquant.model.importers.onnx_half import widened_halves
from refquant.model.importers.onnx_model import (
    OnnxGraph,
    OnnxInput,
    OnnxModel,
    OnnxNode,
    Opaque,
    Tensor,
    check_graph,
    check_opsets,
)
from refquant.model.importers.onnx_tensor import TensorReader, dtype_of
from refquant.model.importers.onnx_wire import OnnxFormatError, check_wire

__all__ = ["read_onnx"]


def read_onnx(source: str | Path | bytes) -> OnnxModel:
    """Return the model in the file ``source``, or in its bytes.

    `OnnxFormatError` if it is none, or has what nothing here understands; `ModuleNotFoundError`
    names the extra where the library is missing.

    >>> read_onnx(b"")
    Traceback (most recent call last):
    ...
    refquant.model.importers.onnx_wire.OnnxFormatError: the model has no graph; export it again
    """
    folder = None if isinstance(source, bytes) else Path(source).parent
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    check_wire(data)
    proto = _parse(data)
    if not proto.HasField("graph"):
        raise OnnxFormatError("the model has no graph; export it again")
    reader = TensorReader(folder, len(data))
    opsets = _opsets(proto)
    _check_outputs([_text(v.name) for v in proto.graph.output])
    graph = expanded(_graph(proto.graph, reader), _functions(proto, reader), opsets)
    check_opsets(opsets, list(_all_nodes(graph)))
    producer = f"{_text(proto.producer_name)} {_text(proto.producer_version)}".strip()
    digest = hashlib.sha256(data).hexdigest()
    return widened_halves(OnnxModel(graph, opsets, producer, digest, reader.size))


def _check_outputs(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise OnnxFormatError(f"the output {name!r} is there twice; remove one")
        seen.add(name)


def _opsets(proto: Any) -> dict[str, int]:
    opsets: dict[str, int] = {}
    for entry in proto.opset_import:
        domain = _domain(entry.domain)
        if opsets.setdefault(domain, entry.version) != entry.version:
            raise OnnxFormatError(f"two versions of the domain {domain!r}; export the model again")
    return opsets


def _functions(proto: Any, reader: TensorReader) -> dict[tuple[str, str, str], Function]:
    """Return the model's own functions by domain, name and overload."""
    functions: dict[tuple[str, str, str], Function] = {}
    for own in proto.functions:
        key = _domain(own.domain), _text(own.name), _text(own.overload)
        if key in functions:
            raise OnnxFormatError(f"the function {key[1]!r} is there twice; rename one")
        inputs, outputs = (tuple(map(_text, names)) for names in (own.input, own.output))
        nodes = tuple(_node(n, reader) for n in own.node)
        ends = tuple(OnnxInput(name, "", None) for name in inputs)
        nodes = check_graph(OnnxGraph(key[1], ends, outputs, nodes, {})).nodes
        defaults = {_text(a.name): _attribute(a, reader) for a in own.attribute_proto}
        names = (*map(_text, own.attribute), *defaults)
        functions[key] = Function(inputs, outputs, names, defaults, nodes, _opsets(own))
    return functions


def _domain(text: Any) -> str:
    return "" if text == "ai.onnx" else _text(text)


def _parse(data: bytes) -> Any:
    try:
        # protobuf comes with onnx; its types are a package of their own that nobody needs here.
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        from onnx import ModelProto
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading .onnx files needs the library onnx; run: pip install 'refquant[onnx]'"
        ) from error
    try:
        return ModelProto.FromString(data)
    except DecodeError as error:
        raise OnnxFormatError(f"not an ONNX file: {error}; export the model again") from None


def _all_nodes(graph: OnnxGraph) -> Sequence[OnnxNode]:
    inner = [a for n in graph.nodes for a in n.attributes.values() if isinstance(a, OnnxGraph)]
    return [*graph.nodes, *(node for branch in inner for node in _all_nodes(branch))]


def _graph(proto: Any, reader: TensorReader) -> OnnxGraph:
    if proto.sparse_initializer:
        raise OnnxFormatError("the graph has sparse constants; export them as dense ones")
    constants: dict[str, Tensor | Opaque] = {}
    for tensor in proto.initializer:
        name = _text(tensor.name)
        if name in constants:
            raise OnnxFormatError(f"the constant {name!r} is there twice; rename one")
        constants[name] = reader.read(tensor)
    # Before IR version 4 every constant was listed as an input, too.
    inputs = tuple(_input(v) for v in proto.input if v.name not in constants)
    nodes = tuple(_node(n, reader) for n in proto.node)
    outputs = tuple(_text(v.name) for v in proto.output)
    return check_graph(OnnxGraph(_text(proto.name), inputs, outputs, nodes, constants))


def _node(proto: Any, reader: TensorReader) -> OnnxNode:
    attributes = {_text(a.name): _attribute(a, reader) for a in proto.attribute}
    names = tuple(map(_text, proto.input)), tuple(map(_text, proto.output))
    kind, overload = _domain(proto.domain), _text(proto.overload)
    return OnnxNode(_text(proto.name), _text(proto.op_type), *names, attributes, kind, overload)


def _attribute(proto: Any, reader: TensorReader) -> Any:
    kinds: Mapping[int, Callable[[], Any]] = {
        1: lambda: float(proto.f),
        2: lambda: int(proto.i),
        3: lambda: proto.s.decode("utf-8", "replace"),
        4: lambda: reader.read(proto.t),
        5: lambda: _graph(proto.g, reader),
        6: lambda: tuple(proto.floats),
        7: lambda: tuple(proto.ints),
        8: lambda: tuple(s.decode("utf-8", "replace") for s in proto.strings),
    }
    if proto.ref_attr_name:
        return Reference(_text(proto.ref_attr_name))
    make = kinds.get(proto.type)
    return make() if make is not None else Opaque(f"an attribute of type {proto.type}")


def _text(text: Any) -> str:
    """Return a name; the parser hands out bytes where they are no UTF-8."""
    if not isinstance(text, str):
        raise OnnxFormatError(f"a name is no UTF-8: {text!r}; export the model again")
    return text


def _input(proto: Any) -> OnnxInput:
    if not proto.type.HasField("tensor_type"):
        raise OnnxFormatError(f"input {proto.name!r} is no tensor; give the model tensors")
    tensor = proto.type.tensor_type
    dims = tuple(_dim(d) for d in tensor.shape.dim) if tensor.HasField("shape") else None
    return OnnxInput(_text(proto.name), dtype_of(tensor.elem_type), dims)


def _dim(proto: Any) -> int | str | None:
    """Return a number, a letter, or None: exporters write 0 and -1 for what they do not know."""
    if proto.HasField("dim_value") and proto.dim_value > 0:
        return int(proto.dim_value)
    text = _text(proto.dim_param)
    return text if text and text != "?" else None
