r"""Cases and results as JSON: one line each, arrays as the hexadecimal of their bytes.

For programs in any language, for vectors and for reports. A request and its reply are::

    {"id":7,"op":"quantize_linear","scheme":"f32_u8","params":{"axis":null,"block_size":0},
     "inputs":{"x":{"type":"float32","shape":[2],"hex":"0000003f0000c03f"},
               "scale":{"type":"float32","shape":[],"hex":"0000803f"},
               "zero_point":{"type":"uint8","shape":[],"hex":"00"}},"outputs":{"y":"uint8"}}
    {"id":7,"outputs":{"y":{"type":"uint8","shape":[2],"hex":"0002"}}}

Bytes are little-endian and in C order, types are those of :mod:`refquant_conformance.types`; a line
has no line break and no space outside strings. Instead of ``outputs`` a reply may have
``unsupported`` or ``rejected`` with a reason. The first line of a conversation is
``{"hello":1}``; the answer gives ``protocol``, ``name``, ``version`` and ``capabilities``, a list
of pairs of operator and scheme.

References
----------
``docs/how-to/certify-your-backend.md``.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.protocol import Array, Case, Rejected, Result, Unsupported
from refquant_conformance.types import storage

__all__ = [
    "WireError",
    "array_from_json",
    "array_to_json",
    "case_from_json",
    "case_to_json",
    "dumps",
    "result_from_json",
]


class WireError(ValueError):
    """A line that is no reply. The message says which key is wrong and what stands there."""


def dumps(value: object) -> str:
    """Return the canonical line: keys in order of insertion, no spaces, no NaN.

    >>> dumps({"id": 1, "shape": [2]})
    '{"id":1,"shape":[2]}'
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def array_to_json(array: Array, logical: str) -> dict[str, Any]:
    """Return an array as type, shape and bytes.

    >>> array_to_json(np.float32([0.5]), "float32")
    {'type': 'float32', 'shape': [1], 'hex': '0000003f'}
    """
    little = np.asarray(array, storage(logical).newbyteorder("<"))
    return {"type": logical, "shape": list(array.shape), "hex": little.tobytes().hex()}


def array_from_json(value: object, name: str, logical: str) -> Array:
    """Return the array that ``array_to_json`` wrote; ``WireError`` says what is wrong with it.

    >>> array_from_json({"shape": [2], "hex": "0002"}, "y", "uint8").tolist()
    [0, 2]
    """
    if not isinstance(value, Mapping):
        raise WireError(f"{name} must be an object with shape and hex, got {_short(value)}")
    if value.get("type", logical) != logical:
        raise WireError(f"{name} has type {_short(value['type'])}, wanted {logical!r}")
    shape, text = value.get("shape"), value.get("hex")
    sizes = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
    if not isinstance(shape, list) or not sizes:
        raise WireError(f"{name}.shape must be a list of sizes, got {_short(shape)}")
    try:
        data = bytes.fromhex(text if isinstance(text, str) else "not hex")
    except ValueError:
        raise WireError(f"{name}.hex must be hexadecimal, got {_short(text)}") from None
    dtype = storage(logical)
    count = 1
    for n in shape:
        count *= n
    if len(data) != count * dtype.itemsize:
        raise WireError(
            f"{name}.hex has {len(data)} bytes; shape {shape} of {logical} needs "
            f"{count * dtype.itemsize}"
        )
    flat = np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype)
    try:
        return flat.reshape(shape)
    except ValueError as error:  # more axes, or an axis longer, than there can be
        raise WireError(f"{name}.shape is {_short(shape)}: {error}") from None


def case_to_json(case: Case, identifier: int) -> dict[str, Any]:
    """Return a request. Layout and environment are not for other processes and stay out.

    >>> case = Case("dequantize_linear", "u8_f32", {"x": np.uint8([1])},
    ...             types={"x": "uint8", "y": "float32"})
    >>> case_to_json(case, 1)["outputs"]
    {'y': 'float32'}
    """
    inputs = {name: array_to_json(a, case.types[name]) for name, a in case.inputs.items()}
    outputs = {name: kind for name, kind in case.types.items() if _is_output(case.op, name)}
    params = {k: list(v) if isinstance(v, tuple) else v for k, v in case.params.items()}
    return {
        **{"id": identifier, "op": case.op, "scheme": case.scheme, "params": params},
        **{"inputs": inputs, "outputs": outputs},
    }


def case_from_json(value: Mapping[str, Any]) -> Case:
    """Return the case of a request: for backends in Python that read lines, and for vectors."""
    op, scheme = value.get("op"), value.get("scheme")
    if not isinstance(op, str) or not isinstance(scheme, str):
        raise WireError(f"a case needs op and scheme, got {_short(op)} and {_short(scheme)}")
    try:
        types = types_of(op, scheme)
    except ValueError as error:
        raise WireError(str(error)) from None
    inputs, given, params = {}, value.get("inputs"), value.get("params")
    if not isinstance(given, Mapping) or not isinstance(params, Mapping):
        raise WireError(f"a case needs inputs and params, got {_short(given)}, {_short(params)}")
    for name, array in given.items():
        if name not in types:
            raise WireError(f"{op} {scheme} has no input {name!r}; it has {', '.join(types)}")
        inputs[name] = array_from_json(array, name, types[name])
    for key, param in params.items():
        for part in param if isinstance(param, list) else [param]:
            if part is not None and not isinstance(part, str | int | float):
                raise WireError(f"parameter {key} is {_short(param)}")
    made = {k: tuple(v) if isinstance(v, list) else v for k, v in params.items()}
    return Case(op, scheme, inputs, made, types)


def result_from_json(line: str, case: Case, identifier: int) -> Result:
    """Return the result that a reply holds; raise what it says instead.

    ``Unsupported`` and ``Rejected`` carry the program's reason; ``WireError`` is for a line that is
    no reply to this request.
    """
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        raise WireError(f"not a line of JSON: {_short(line)}") from None
    if not isinstance(reply, dict):
        raise WireError(f"a reply must be an object, got {_short(reply)}")
    if reply.get("id") != identifier:
        raise WireError(f"reply to {_short(reply.get('id'))}, asked was {identifier}")
    for key, kind in (("unsupported", Unsupported), ("rejected", Rejected)):
        if key in reply:
            raise kind(str(reply[key]) or "no reason given")
    outputs = reply.get("outputs")
    if not isinstance(outputs, dict):
        raise WireError(f"a reply needs outputs, unsupported or rejected; got {_short(reply)}")
    arrays = {
        name: array_from_json(value, name, case.types[name])
        for name, value in outputs.items()
        if name in case.types
    }
    return Result(arrays)


def _is_output(op: str, name: str) -> bool:
    return name in OPERATORS[op].outputs


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
