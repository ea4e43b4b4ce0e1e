"""Logical types: what the bytes of an array in a case mean, and how they are stored.

An int4 code is one element of an int8 array, a uint4 code one of a uint8 array; a small float and
a bfloat16 are their bit patterns in unsigned integers. Only packing operators see packed bytes.

>>> storage("int4"), storage("float8_e4m3fn"), storage("bfloat16")
(dtype('int8'), dtype('uint8'), dtype('uint16'))
>>> code_range("uint4"), code_range("int2")
((0, 15), (-2, 1))
"""

import numpy as np

__all__ = ["FLOATS", "INTEGERS", "SMALL_FLOATS", "code_range", "short", "storage"]

INTEGERS = (
    *("int2", "uint2", "int4", "uint4", "int8", "uint8"),
    *("int16", "uint16", "int32", "int64"),
)
FLOATS = ("float16", "float32", "float64")
SMALL_FLOATS = (
    *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"),
    *("float8_e8m0fnu", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "bfloat16"),
)

_SHORT = {"float": "f", "uint": "u", "int": "i", "bfloat": "bf"}


def storage(logical: str) -> np.dtype[np.generic]:
    """Return the NumPy dtype that holds one element of a logical type.

    ``ValueError`` for a name that is no type.
    """
    if logical in FLOATS:
        return np.dtype(logical)
    if logical in INTEGERS:
        kind = logical.rstrip("0123456789")
        return np.dtype(f"{kind}{max(8, int(logical.removeprefix(kind)))}")
    if logical in SMALL_FLOATS:
        return np.dtype(np.uint16 if logical == "bfloat16" else np.uint8)
    if logical == "bytes":
        return np.dtype(np.uint8)
    known = ", ".join((*INTEGERS, *FLOATS, *SMALL_FLOATS, "bytes"))
    raise ValueError(f"unknown type {logical!r}; known: {known}")


def code_range(logical: str) -> tuple[int, int]:
    """Return the smallest and the largest code of an integer type."""
    if logical not in INTEGERS:
        raise ValueError(f"{logical!r} has no range of codes; integer types: {', '.join(INTEGERS)}")
    kind = logical.rstrip("0123456789")
    bits = int(logical.removeprefix(kind))
    return (0, 2**bits - 1) if kind == "uint" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def short(logical: str) -> str:
    """Return the name as it stands in a scheme: ``u8`` for uint8, ``e4m3fn`` for that float8.

    >>> short("uint8"), short("float32"), short("bfloat16"), short("float8_e4m3fn")
    ('u8', 'f32', 'bf16', 'e4m3fn')
    """
    if "_" in logical:
        return logical.split("_")[1]
    kind = logical.rstrip("0123456789")
    return _SHORT[kind] + logical.removeprefix(kind)
