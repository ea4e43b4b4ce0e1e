r"""Packing: at which bits of which bytes a code of a few bits stands, by ``order`` and ``sign``.

With :math:`p(k, j)` the place of bit j of code k in the string of bits whose bit i is bit
:math:`i \bmod 8` of byte :math:`\lfloor i / 8 \rfloor`, and b bits a code:

.. math::

    \text{low\_first}: &\ kb + j \qquad
    \text{high\_first}: \ \text{the mirror, byte by byte, of } kb + b - 1 - j      \tag{1} \\
    \text{halves}: &\ 128 \lfloor k / 32 \rfloor + 8 (k \bmod 16) + 4 [k \bmod 32 \ge 16] + j \\
    \text{awq}: &\ 32 \lfloor k / 8 \rfloor + 4 (\lfloor e / 2 \rfloor + 4 (e \bmod 2)) + j,
    \quad e = k \bmod 8 \\
    \text{words32}: &\ 32 \lfloor k / m \rfloor + b (k \bmod m) + j,
    \quad m = \lfloor 32 / b \rfloor

Each row begins a new byte (of ``halves`` a block, of the last two a word), and what is left over
is zero. Readers ignore it, or refuse what is not zero: the axis ``padding`` of ``unpack``.
Negative codes are two's complement, or have half the range added.

References
----------
ONNX ``TensorProto`` (INT4); ggml ``block_q4_0``; AutoAWQ ``pack_intweight``; compressed-tensors
``pack_to_int32``; GPTQModel (3 bits in words, dense).
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal, Outputs
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_packing import pack_exact, unpack_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import INTEGERS, code_range

__all__ = ["PACKING", "pack_case", "places", "row_bytes", "unpack_case", "width"]

_ORDERS = {
    4: ("low_first", "high_first", "halves", "awq", "words32"),
    2: ("low_first", "high_first", "words32"),
    0: ("low_first", "high_first", "words32"),
}
_SIGNS = ("twos_complement", "offset_binary")


def width(scheme: str) -> int:
    """Return the bits of a code.

    >>> width("i4"), width("u3")
    (4, 3)
    """
    return int(scheme[1:])


def pack_case(scheme: str, codes: Array) -> Case:
    """Return the case of rows of codes."""
    types = types_of("pack", scheme)
    codes = codes.astype(np.int8 if types["x"] in INTEGERS and scheme[0] == "i" else np.uint8)
    params = {"num_bits": width(scheme), "count": codes.shape[-1]}
    return Case("pack", scheme, {"x": codes}, params, types=types)


def unpack_case(scheme: str, data: Array, count: int) -> Case:
    """Return the case of rows of bytes that hold ``count`` codes each."""
    params = {"num_bits": width(scheme), "count": count}
    types = types_of("unpack", scheme)
    return Case("unpack", scheme, {"x": data.astype(np.uint8)}, params, types=types)


def row_bytes(order: AxisValue, *, num_bits: int, count: int) -> int:
    """Return how many bytes a row takes.

    >>> [row_bytes(o, num_bits=4, count=9) for o in ("low_first", "halves", "awq")]
    [5, 16, 8]
    """
    if order == "halves":
        return 16 * -(-count // 32)
    if order in ("awq", "words32"):
        return 4 * -(-count // (32 // num_bits))
    return -(-count * num_bits // 8)


def places(order: AxisValue, *, num_bits: int, count: int) -> Array:
    """Return eq. (1), (count, num_bits).

    >>> places("high_first", num_bits=4, count=2).tolist()
    [[4, 5, 6, 7], [0, 1, 2, 3]]
    """
    k, j = np.arange(count)[:, None], np.arange(num_bits)
    if order == "low_first":
        return np.asarray(k * num_bits + j)
    if order == "high_first":
        at = k * num_bits + num_bits - 1 - j
        return np.asarray(at // 8 * 8 + 7 - at % 8)
    if order == "halves":
        return np.asarray(k // 32 * 128 + k % 16 * 8 + 4 * (k % 32 >= 16) + j)
    if order == "awq":
        e = k % 8
        return np.asarray(k // 8 * 32 + 4 * (e // 2 + 4 * (e % 2)) + j)
    each = 32 // num_bits
    return np.asarray(k // each * 32 + k % each * num_bits + j)


def _low(case: Case, axes: Axes) -> int:
    """Return what is subtracted from codes before they are bits."""
    signed = case.scheme[0] == "i" and axes["sign"] == "offset_binary"
    return -(1 << (width(case.scheme) - 1)) if signed else 0


def _pack(case: Case, axes: Axes) -> Outputs | None:
    x, bits = case.inputs["x"], width(case.scheme)
    count, order = x.shape[-1], axes["order"]
    fields = (x.astype(np.int64) - _low(case, axes)) & ((1 << bits) - 1)
    stream = np.zeros((*x.shape[:-1], 8 * row_bytes(order, num_bits=bits, count=count)), np.uint8)
    at = places(order, num_bits=bits, count=count)
    stream[..., at] = fields[..., None] >> np.arange(bits) & 1
    y = np.packbits(stream, axis=-1, bitorder="little")
    return {"y": y}


def _count(case: Case) -> int:
    return int(case.params["count"] or 0)  # type: ignore[arg-type]  # a number, the catalogue says


def _unpack(case: Case, axes: Axes) -> Outputs | None:
    x, bits, count = case.inputs["x"], width(case.scheme), _count(case)
    if x.shape[-1] != row_bytes(axes["order"], num_bits=bits, count=count):
        return None
    stream = np.unpackbits(x, axis=-1, bitorder="little")
    at = places(axes["order"], num_bits=bits, count=count)
    if axes["padding"] == "refused":
        free = np.ones(stream.shape[-1], bool)
        free[at] = False
        if stream[..., free].any():
            return None
    fields = (stream[..., at].astype(np.int64) << np.arange(bits)).sum(axis=-1)
    codes = fields + _low(case, axes)
    if case.scheme[0] == "i":
        if axes["sign"] == "twos_complement":
            codes = np.where(fields >> (bits - 1) > 0, fields - (1 << bits), fields)
        return {"y": codes.astype(np.int8)}
    return {"y": codes.astype(np.uint8)}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    bits, x = width(case.scheme), case.inputs["x"]
    order, low = str(axes["order"]), _low(case, axes)
    rows = x.reshape(-1, x.shape[-1])
    if case.op == "pack":
        size = row_bytes(order, num_bits=bits, count=x.shape[-1])
        fields = [(int(code) - low) % (1 << bits) for code in rows[index // size]]
        return pack_exact(fields, num_bits=bits, order=order)[index % size]
    count = _count(case)
    data = rows[index // count].tobytes()
    if len(data) != row_bytes(order, num_bits=bits, count=count):
        return None
    found = unpack_exact(data, num_bits=bits, count=count, order=order)
    if axes["padding"] == "refused":
        each = [row.tobytes() for row in rows]
        for row in each:
            fields = unpack_exact(row, num_bits=bits, count=count, order=order)
            if pack_exact(fields, num_bits=bits, order=order) != row:
                return None
    code = found[index % count]
    if case.scheme[0] == "i" and axes["sign"] == "twos_complement":
        return code - (1 << bits) * (code >> (bits - 1))
    return code + low


def _probes(op: str, scheme: str) -> Sequence[Case]:
    bits = width(scheme)
    qmin, qmax = _range(scheme)
    counts = (1, 5, 8, 32, 41, 64)
    rng = np.random.default_rng(bits)
    if op == "pack":
        ramps = [qmin + np.arange(count) % (qmax - qmin + 1) for count in counts]
        drawn = [rng.integers(qmin, qmax + 1, (2, count)) for count in counts]
        return [pack_case(scheme, codes) for codes in (*ramps, *drawn)]
    found = []
    for count in counts:
        for order in _ORDERS.get(bits, _ORDERS[0]):
            size = row_bytes(order, num_bits=bits, count=count)
            found.append(unpack_case(scheme, rng.integers(0, 256, (2, size)), count))
    return found


def _range(scheme: str) -> tuple[int, int]:
    bits = width(scheme)
    return code_range(f"int{bits}") if scheme[0] == "i" else (0, (1 << bits) - 1)


def _element(case: Case, index: int) -> Case:
    """Return the case of the row that holds a code; of bytes, whose rows vary, the whole."""
    x = case.inputs["x"]
    if case.op == "pack" or x.ndim < 2:
        return case
    row = index // max(1, _count(case))
    return replace(case, inputs={"x": x.reshape(-1, x.shape[-1])[row]})


def _family(op: str, key: int, schemes: tuple[str, ...]) -> Arithmetic:
    padding = {"padding": ("ignored", "refused")} if op == "unpack" else {}
    axes: dict[str, tuple[AxisValue, ...]] = {"order": _ORDERS[key], "sign": _SIGNS, **padding}
    plain = tuple(scheme for scheme in schemes if scheme[0] == "u")
    return Arithmetic(
        op=op,
        schemes=schemes,
        axes=MappingProxyType(axes),
        spec=MappingProxyType(
            {"order": "low_first", "sign": "twos_complement", **dict.fromkeys(padding, None)}
        ),
        clause="ONNX TensorProto: two 4-bit elements a byte, the first in the low bits",
        compute=_pack if op == "pack" else _unpack,
        exact=_exact,
        probes=lambda scheme: _probes(op, scheme),
        element=_element,
        equal=(Equal("sign", _SIGNS, "no code is negative", plain),) if plain else (),
    )


PACKING = tuple(
    _family(op, key, schemes)
    for op in ("pack", "unpack")
    for key, schemes in ((4, ("u4", "i4")), (2, ("u2", "i2")), (0, ("u1", "u3", "u5", "u6", "u7")))
)
"""Packers and unpackers, by the orders that are known of their widths."""
