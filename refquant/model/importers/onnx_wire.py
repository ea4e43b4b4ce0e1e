r"""How much memory a protobuf would take, from its bytes, before anything parses them.

A protobuf is a list of fields: a *tag* (number of the field, kind of what follows), then a varint,
4 or 8 bytes, or a length and so many bytes, which may be a message again::

    tag = number << 3 | kind      kind 0 varint, 1 eight bytes, 2 length + bytes, 5 four bytes

Two bytes can be an empty message, for which a parser allocates a hundred and more; one byte of a
packed list of integers becomes eight. So a file of 100 MB can ask for gigabytes. Walking the fields
without building anything, the memory is at most

.. math:: \mathrm{need} = \sum_\mathrm{messages} 320
    + \sum_\mathrm{strings} (48 + \mathrm{bytes})
    + \sum_\mathrm{other\ fields} 8\,\mathrm{bytes}                             \tag{1}

Fields that this walk does not know count as strings: a parser keeps their bytes. Numbers measured
with the parser of protobuf 6 (upb), rounded up.

Left out: the meaning of anything; groups (kinds 3 and 4), which ONNX does not have.

References: protocol buffers, "Encoding"; ``onnx.proto3`` for the numbers of the fields.
"""

from collections.abc import Mapping

__all__ = ["MOST_FIELDS", "OnnxFormatError", "check_wire", "memory_need"]

MOST_FIELDS = 1 << 21
_DEEPEST = 64
_MESSAGE, _STRING = 320, 48
_SPARE = 128 << 20

# Fields that are messages: message -> number of the field -> message. Others are bytes or numbers.
_SCHEMA: Mapping[str, Mapping[int, str]] = {
    "Model": {
        **{7: "Graph", 8: "OperatorSet", 14: "Entry", 20: "Training", 25: "Function"},
        26: "Entry",
    },
    "Graph": {
        **{1: "Node", 5: "Tensor", 11: "ValueInfo", 12: "ValueInfo", 13: "ValueInfo"},
        **{14: "Annotation", 15: "SparseTensor", 16: "Entry"},
    },
    "Node": {5: "Attribute", 9: "Entry", 10: "Device"},
    "Attribute": {
        **{5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 14: "Type", 15: "Type"},
        **{22: "SparseTensor", 23: "SparseTensor"},
    },
    "Tensor": {3: "Entry", 13: "Entry", 16: "Entry"},
    "ValueInfo": {2: "Type", 4: "Entry"},
    "Type": {
        **{1: "TypeTensor", 4: "TypeOf", 5: "TypeOf", 7: "Entry", 8: "TypeTensor", 9: "TypeOf"},
    },
    "TypeTensor": {2: "Shape"},
    "TypeOf": {1: "Type", 2: "Type"},
    "Shape": {1: "Entry"},
    "Annotation": {2: "Entry"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Training": {1: "Graph", 2: "Graph", 3: "Entry", 4: "Entry"},
    "Function": {7: "Node", 9: "OperatorSet", 11: "Attribute", 12: "ValueInfo", 14: "Entry"},
    "Device": {2: "Sharding"},
    "Sharding": {3: "Entry", 4: "Sharded"},
    "Sharded": {2: "Entry"},
    "OperatorSet": {},
    "Entry": {},
}
# Packed integers: a byte may become eight.
_PACKED: Mapping[str, frozenset[int]] = {
    "Tensor": frozenset({1, 5, 7, 11}),
    "Attribute": frozenset({8}),
    "SparseTensor": frozenset({3}),
    "Device": frozenset({3}),
    "Sharding": frozenset({2}),
}


class OnnxFormatError(ValueError):
    """The file is no ONNX model that can be imported; the message says where, why, what to do."""


def check_wire(data: bytes) -> None:
    """Refuse ``data`` that is no protobuf, or would need more than 2x its size + 128 MB parsed.

    >>> check_wire(bytes([0x3A, 0]))  # a model with an empty graph
    >>> check_wire(b"no model")
    Traceback (most recent call last):
    ...
    refquant.model.importers.onnx_wire.OnnxFormatError: not an ONNX file: at byte 0, a field of \
kind 6; export the model again
    """
    need = memory_need(data)
    if need > 2 * len(data) + _SPARE:
        raise OnnxFormatError(
            f"not an ONNX file to trust: its {len(data)} bytes ask for {need} bytes of memory; "
            "export the model again, with weights as raw data"
        )


def memory_need(data: bytes) -> int:
    """Return eq. (1) in bytes; `OnnxFormatError` if the fields are none.

    >>> memory_need(bytes([0x3A, 0]))
    640
    """
    need, fields = _MESSAGE, 0
    pending = [("Model", 0, len(data), 0)]
    while pending:
        message, at, end, depth = pending.pop()
        nested, packed = _SCHEMA[message], _PACKED.get(message, frozenset())
        while at < end:
            start = at
            tag, at = _varint(data, at, end)
            number, kind = tag >> 3, tag & 7
            if kind not in (0, 1, 2, 5) or number == 0:
                raise _bad(start, f"a field of kind {kind}" if number else "a field without number")
            size, at = _size(data, at, end, kind)
            fields += 1
            if fields > MOST_FIELDS or depth > _DEEPEST:
                raise _bad(start, f"more than {MOST_FIELDS} fields, or {_DEEPEST} messages deep")
            if kind == 2 and number in nested:
                need += _MESSAGE
                pending.append((nested[number], at, at + size, depth + 1))
            elif kind == 2 and number not in packed:
                need += _STRING + size
            else:
                need += 8 * size + (_STRING if kind == 2 else 0)
            at += size
    return need


def _size(data: bytes, at: int, end: int, kind: int) -> tuple[int, int]:
    """Return (bytes of the field's content, where it begins)."""
    if kind == 0:
        return _varint(data, at, end)[1] - at, at
    start = at
    size, at = _varint(data, at, end) if kind == 2 else ({1: 8, 5: 4}[kind], at)
    if at + size > end:
        raise _bad(start, f"{size} bytes are promised and {end - at} are there")
    return size, at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    result = shift = 0
    start = at
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
    raise _bad(start, "a number without an end")


def _bad(at: int, what: str) -> OnnxFormatError:
    return OnnxFormatError(f"not an ONNX file: at byte {at}, {what}; export the model again")
