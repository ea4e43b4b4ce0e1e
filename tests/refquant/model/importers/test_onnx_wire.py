"""What the bytes of a protobuf ask for, and the ones that ask for too much."""

import onnx
import pytest
from onnx import helper

from refquant.model.importers.onnx_wire import (
    MOST_FIELDS,
    OnnxFormatError,
    check_wire,
    memory_need,
)


def field(number: int, content: bytes) -> bytes:
    """A field of kind 2: tag, length, content."""
    length, size = b"", len(content)
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_the_need_is_a_sum_over_messages_strings_and_numbers() -> None:
    graph = field(1, field(4, b"Relu") + field(1, b"x")) + field(2, b"g")
    need = memory_need(field(7, graph))
    assert need == 3 * 320 + 3 * 48 + len(b"Reluxg"), "model, graph, node; three strings"
    tensor = field(5, field(7, bytes(10)))  # ten int64 in a byte each
    assert memory_need(field(7, tensor)) == 3 * 320 + 48 + 80, "a packed byte becomes eight"


def test_empty_messages_are_a_bomb() -> None:
    nodes = field(7, field(1, b"") * 800_000)
    assert len(nodes) < 2_000_000, "a small file"
    with pytest.raises(OnnxFormatError, match=r"ask for 25\d+ bytes of memory"):
        check_wire(nodes)


def test_fields_and_depth_are_counted() -> None:
    with pytest.raises(OnnxFormatError, match=f"more than {MOST_FIELDS} fields"):
        check_wire(b"\x08\x01" * (MOST_FIELDS + 1))
    deep = b""
    for _ in range(30):  # a graph in an attribute of a node of a graph
        deep = field(1, field(5, field(6, deep)))
    with pytest.raises(OnnxFormatError, match="64 messages deep"):
        check_wire(field(7, deep))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x0f", "a field of kind 7"),
        (b"\x02", "a field without number"),
        (b"\x3a\x05ab", "5 bytes are promised and 2 are there"),
        (b"\x08" + b"\xff" * 11, "a number without an end"),
        (b"\x80", "a number without an end"),
        (b"\x09\x00", "8 bytes are promised and 1 are there"),
    ],
)
def test_bytes_that_are_no_fields(data: bytes, what: str) -> None:
    with pytest.raises(OnnxFormatError, match=what):
        check_wire(data)


def test_the_schema_is_that_of_the_library() -> None:
    """Every field that onnx says is a message is one here, else bombs could hide in it."""
    from refquant.model.importers.onnx_wire import _SCHEMA

    names = {
        **{"Model": "ModelProto", "Graph": "GraphProto", "Node": "NodeProto"},
        **{"Attribute": "AttributeProto", "Tensor": "TensorProto", "ValueInfo": "ValueInfoProto"},
        **{"Type": "TypeProto", "Shape": "TensorShapeProto", "Annotation": "TensorAnnotation"},
        **{"SparseTensor": "SparseTensorProto", "Training": "TrainingInfoProto"},
        **{
            "Function": "FunctionProto",
            "OperatorSet": "OperatorSetIdProto",
            "Device": "NodeDeviceConfigurationProto",
            "Sharding": "ShardingSpecProto",
            "Sharded": "ShardedDimProto",
        },
    }
    for ours, theirs in names.items():
        fields = getattr(onnx, theirs).DESCRIPTOR.fields
        messages = {f.number for f in fields if f.message_type is not None}
        known = set(_SCHEMA[ours])
        missing = {f.name for f in fields if f.number in messages - known}
        assert not missing, f"{theirs} has messages that are not walked: {missing}"


def test_a_model_needs_little() -> None:
    made = helper.make_model(helper.make_graph([], "g", [], []))
    assert memory_need(made.SerializeToString()) < 4000, "an empty model"
