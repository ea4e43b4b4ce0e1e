"""Vectors as a C header: for a device that has no Python, and no JSON.

One array for each input and output, with its type and its shape, one structure a test. The device
computes the outputs and compares them with memcmp; nothing else is needed.
"""

from collections.abc import Iterable, Iterator, Mapping

from refquant_conformance.protocol import Array
from refquant_conformance.vectors.read import Vector

__all__ = ["header"]

_HEAD = """/* Test vectors of refquant-conformance; public domain (CC0-1.0). */
/* The answers are those of the contract {contract}; bytes are little-endian, in C order. */
#include <stddef.h>

struct refquant_array {{
    const char *name, *type; /* a type of 4 bits or less has one code a byte */
    size_t rank, shape[{rank}], size; /* size: of bytes */
    const unsigned char *bytes;
}};

struct refquant_vector {{
    const char *op, *scheme, *params;
    int number;
    size_t expected, arrays; /* data[0] to data[expected - 1] are inputs, then come outputs */
    struct refquant_array data[{arrays}];
}};
"""


def header(vectors: Iterable[Vector], *, contract: str) -> str:
    """Return the header of the tests on which ``contract`` has an answer.

    ``ValueError`` if it has none: then there is nothing to compare with.
    """
    bytes_of: list[str] = []
    entries: list[str] = []
    rank = arrays = 1
    for vector in vectors:
        outputs = next((e.outputs for e in vector.expected if contract in e.contracts), None)
        if outputs is None:
            continue
        data = [*vector.case.inputs.items(), *outputs.items()]
        rank = max(rank, *(array.ndim for _, array in data))
        arrays = max(arrays, len(data))
        label = f"refquant_{vector.case.op}_{vector.number}"
        bytes_of += [
            f"static const unsigned char {label}_{place}[] = {{{_bytes(array)}}};"
            for place, (_, array) in enumerate(data)
        ]
        listed = ",\n      ".join(_entries(data, vector.case.types, label))
        entries.append(
            f'    {{"{vector.case.op}", "{vector.case.scheme}", "{_params(vector)}", '
            f"{vector.number}, {len(vector.case.inputs)}, {len(data)}, {{\n      {listed}}}}},"
        )
    if not entries:
        raise ValueError(f"no vector has an answer of the contract {contract!r}")
    head = _HEAD.format(contract=contract, rank=rank, arrays=arrays)
    table = ["static const struct refquant_vector refquant_vectors[] = {", *entries, "};", ""]
    return "\n".join([head, *bytes_of, "", *table])


def _entries(
    data: Iterable[tuple[str, Array]], types: Mapping[str, str], label: str
) -> Iterator[str]:
    for place, (name, array) in enumerate(data):
        shape = ", ".join(map(str, array.shape)) or "0"
        yield (
            f'{{"{name}", "{types[name]}", {array.ndim}, {{{shape}}}, {array.nbytes}, '
            f"{label}_{place}}}"
        )


def _params(vector: Vector) -> str:
    """Return the parameters as words: ``axis=None pads=1,1,0,0``."""
    return " ".join(
        f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for key, value in vector.case.params.items()
    )


def _bytes(array: Array) -> str:
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return ",".join(f"0x{byte:02x}" for byte in data) or "0"
