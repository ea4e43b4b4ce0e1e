"""A `Draft` as a protobuf, and on the disk: the one exporter that imports ``onnx``.

From the library come the schema and the checker, which sees every model before it is written.
Constants beyond what one protobuf holds (2 GB) go to a file beside it::

    q.onnx                       nodes, small constants
    q.onnx.0f3a....data          the others, each at a multiple of 4096 bytes

References: ``onnx.proto3``; ONNX, "External Data".
"""

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refquant.formats.whole_file import whole_file
from refquant.model.exporters.onnx_draft import Draft, Tensor
from refquant.numerics.packing import pack

__all__ = ["LARGEST", "onnx_model", "save"]

LARGEST = (1 << 31) - (64 << 20)
"""Bytes of constants that fit beside the nodes: a protobuf is below 2 GB."""

_SMALL, _PAGE = 1024, 4096
_TYPES = {
    **{"float32": "FLOAT", "float8e4m3fn": "FLOAT8E4M3FN", "float8e5m2": "FLOAT8E5M2"},
    "float4e2m1": "FLOAT4E2M1",
}
_BITS = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4, "float4e2m1": 4}
_IR = {21: 10, 22: 10, 23: 11, 24: 12, 25: 13}

Ends = Mapping[str, Sequence[tuple[str, str, Sequence[int | str]]]]


def onnx_model(draft: Draft, ends: Ends, told: Mapping[str, str]) -> Any:
    """Return the ``ModelProto``, after ``onnx.checker`` has seen it.

    >>> from refquant.model.graph import Graph
    >>> draft = Draft(Graph("g", (), (), {}, (), {}, {}, {}), "float")
    >>> onnx_model(draft, {"inputs": [], "outputs": []}, {}).graph.name
    'g'
    """
    model = _described(draft, ends, told)
    for name, tensor in draft.constants.items():
        proto = _header(model, name, tensor)
        proto.raw_data = _raw(tensor)
    _library().checker.check_model(model)
    return model


def save(
    path: str | os.PathLike[str], draft: Draft, ends: Ends, told: Mapping[str, str], *, largest: int
) -> tuple[str, ...]:
    """Write the model to ``path``, replacing what is there in one step; return the files' names.

    >>> import tempfile
    >>> from refquant.model.graph import Graph
    >>> draft = Draft(Graph("g", (), (), {}, (), {}, {}, {}), "float")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/g.onnx", draft, {"inputs": [], "outputs": []}, {}, largest=LARGEST)
    ('g.onnx',)
    """
    target = Path(path)
    if sum(tensor.array.nbytes for tensor in draft.constants.values()) <= largest:
        _replace(target, onnx_model(draft, ends, told).SerializeToString(deterministic=True))
        return (target.name,)
    model = _described(draft, ends, told)
    outside = {n: t for n, t in draft.constants.items() if t.array.nbytes >= _SMALL}
    part = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        digest, places = _write_tensors(part, outside)
        beside = target.with_name(f"{target.name}.{digest[:16]}.data")
        for name, tensor in draft.constants.items():
            proto = _header(model, name, tensor)
            if name not in places:
                proto.raw_data = _raw(tensor)
                continue
            proto.data_location = 1  # EXTERNAL
            offset, length = places[name]
            for key, value in (("location", beside.name), ("offset", offset), ("length", length)):
                proto.external_data.add(key=key, value=str(value))
        part.replace(beside)  # before the model that names it
    finally:
        part.unlink(missing_ok=True)
    _replace(target, model.SerializeToString(deterministic=True), check=True)
    return target.name, beside.name


def _described(draft: Draft, ends: Ends, told: Mapping[str, str]) -> Any:
    onnx = _library()
    helper = onnx.helper
    nodes = [
        helper.make_node(
            made.op, made.inputs, made.outputs, name=f"{made.outputs[0]}/{made.op}",
            domain=made.domain, **{k: made.attributes[k] for k in sorted(made.attributes)},
        )
        for made in draft.nodes
    ]  # fmt: skip

    def described(end: tuple[str, str, Sequence[int | str]]) -> Any:
        name, dtype, shape = end
        return helper.make_tensor_value_info(name, _type(dtype), list(shape))

    graph = helper.make_graph(
        nodes, draft.graph.name or "graph",
        [described(end) for end in ends["inputs"]], [described(end) for end in ends["outputs"]],
    )  # fmt: skip
    domains = sorted({made.domain for made in draft.nodes} - {""})
    opsets = [helper.make_opsetid("", draft.opset), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=_IR[draft.opset], producer_name="refquant"
    )
    helper.set_model_props(model, dict(sorted(told.items())))
    return model


def _library() -> Any:
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "writing .onnx files needs the library onnx; run: pip install 'refquant[onnx]'"
        ) from error
    return onnx


def _type(dtype: str) -> int:
    number: int = getattr(_library().TensorProto, _TYPES.get(dtype, dtype.upper()))
    return number


def _header(model: Any, name: str, tensor: Tensor) -> Any:
    shape = tensor.array.shape
    return model.graph.initializer.add(name=name, data_type=_type(tensor.dtype), dims=shape)


def _raw(tensor: Tensor) -> bytes:
    bits = _BITS.get(tensor.dtype)
    if bits is not None:  # the first element in the lowest bits, and bytes filled with zeros
        codes = (tensor.array.astype(np.int16) & ((1 << bits) - 1)).astype(np.uint8)
        return pack(codes.ravel(), num_bits=bits).tobytes()
    array = np.ascontiguousarray(tensor.array)
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _write_tensors(
    path: Path, tensors: Mapping[str, Tensor]
) -> tuple[str, dict[str, tuple[int, int]]]:
    """Write the tensors; return the digest of the file, and where each begins and how long."""
    digest, places = hashlib.sha256(), dict[str, tuple[int, int]]()
    with path.open("xb") as file:
        for name, tensor in tensors.items():
            raw = _raw(tensor)
            filled = raw + bytes(-len(raw) % _PAGE)
            places[name] = (file.tell(), len(raw))
            digest.update(filled)
            file.write(filled)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), places


def _replace(target: Path, data: bytes, *, check: bool = False) -> None:
    with whole_file(target) as file:
        file.write(data)
        if check:  # by its path: the checker looks for the data beside it
            file.flush()
            _library().checker.check_model(file.name)
