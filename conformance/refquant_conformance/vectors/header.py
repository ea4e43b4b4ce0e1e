"""Vectors as a C header: for a device that has no Python, and no JSON.

One array for each input and output, one structure a test. The device computes ``y`` and compares it
with memcmp; nothing else is needed.
"""

from collections.abc import Iterable

from refquant_conformance.protocol import Array
from refquant_conformance.vectors.read import Vector

__all__ = ["header"]


def header(vectors: Iterable[Vector], *, contract: str) -> str:
    """Return the header of the tests on which ``contract`` has an answer.

    ``ValueError`` if it has none: then there is nothing to compare with.
    """
    lines = [
        "/* Test vectors of refquant-conformance; public domain (CC0-1.0). */",
        f"/* The answers are those of the contract {contract}; bytes are little-endian. */",
        "#include <stddef.h>",
        "",
        "struct refquant_vector {",
        "    const char *op, *scheme, *params;",
        "    int number;",
        "    struct { const char *name; size_t size; const unsigned char *bytes; } data[12];",
        "    size_t expected; /* the first entry of data that is an output */",
        "};",
        "",
    ]
    entries = []
    for vector in vectors:
        outputs = next((e.outputs for e in vector.expected if contract in e.contracts), None)
        if outputs is None:
            continue
        inputs = vector.case.inputs
        arrays = [*inputs.items(), *outputs.items()]
        names: list[str] = []
        for name, array in arrays:
            label = f"refquant_{vector.case.op}_{vector.number}_{len(names)}"
            names.append(f'{{"{name}", {array.nbytes}, {label}}}')
            lines.append(f"static const unsigned char {label}[] = {{{_bytes(array)}}};")
        params = " ".join(f"{key}={value}" for key, value in vector.case.params.items())
        entries.append(
            f'    {{"{vector.case.op}", "{vector.case.scheme}", "{params}", {vector.number}, '
            f"{{{', '.join(names)}}}, {len(inputs)}}},"
        )
    if not entries:
        raise ValueError(f"no vector has an answer of the contract {contract!r}")
    lines += ["", "static const struct refquant_vector refquant_vectors[] = {", *entries, "};", ""]
    return "\n".join(lines)


def _bytes(array: Array) -> str:
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return ",".join(f"0x{byte:02x}" for byte in data) or "0"
