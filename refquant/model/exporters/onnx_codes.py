"""What codes mean, as ONNX says it: a scale and a zero point beside each use.

::

    a number                            scale []            per tensor
    blocks [1, I, KH, KW] of a kernel   scale [O], axis 0   per axis
    blocks [32, 1] of a matrix          scale [K/32, N], axis 0, block_size 32

Codes of 3, 5, 6 and 7 bits are written in the next wider type: the same numbers. Tables are FP8 or
FP4 where they are; scales that are codes themselves become the float32 that they mean.

References: ONNX ``DequantizeLinear``, opset 21 (blocks, 4 bits), 23 (FP4), 25 (2 bits).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.exporters.onnx_draft import Draft, NoForm
from refquant.model.graph import DTYPES, Quant, Value
from refquant.numerics import minifloat
from refquant.numerics.minifloat_formats import FLOAT_FORMATS

__all__ = ["clamped", "dequantized", "meaning", "quantized", "real", "stored_dtype"]

Array = NDArray[Any]

_STORED = {3: "4", 4: "4", 2: "2", 5: "8", 6: "8", 7: "8", 8: "8"}
_FLOATS: Mapping[int, Mapping[str, tuple[str, int]]] = {
    8: {"e4m3fn": ("float8e4m3fn", 21), "e5m2": ("float8e5m2", 21)},
    4: {"e2m1": ("float4e2m1", 23)},
}


def stored_dtype(dtype: str) -> str:
    """Return the type of ONNX that holds the codes of ``dtype``.

    >>> [stored_dtype(d) for d in ("int3", "uint4", "int7", "int16")]
    ['int4', 'uint4', 'int8', 'int16']
    """
    bits = DTYPES[dtype].bits
    kind = "uint" if dtype.startswith("u") else "int"
    return f"{kind}{_STORED[bits]}" if bits <= 8 else dtype


def real(d: Draft, name: str) -> str:
    """Return a float32 name for the value ``name``: itself, or its ``DequantizeLinear``."""
    value = d.graph.values[name] if name else None
    if value is None or value.quant is None:
        if name in d.graph.constants:
            d.own(name)
        return name
    if name not in d.real_names:
        d.real_names[name] = dequantized(d, name, value, d.free(f"{name}/real"))
    return d.real_names[name]


def dequantized(d: Draft, name: str, value: Value, output: str) -> str:
    """Add the ``DequantizeLinear`` of a value of codes."""
    assert value.quant is not None, "the caller has codes"
    codes, dtype = name, stored_dtype(value.dtype)
    if value.quant.table is not None:
        dtype = _float_type(d, name, value, value.quant.table)
    if dtype in ("int2", "uint2"):
        d.opset = max(d.opset, 25)
    if name in d.graph.constants:
        d.own(name, dtype)
    scale, zero, attributes = _parameters(d, name, value, dtype)
    return d.add("DequantizeLinear", [codes, scale, *zero], output, attributes)


def meaning(d: Draft, name: str, dtype: str | None = None) -> tuple[str, str]:
    """Return the names of (scale, zero point) of codes: one number each, or one a channel.

    ``dtype``: in what the codes are written, if wider than they need.
    """
    value = d.graph.values[name]
    scale, zero, attributes = _parameters(d, name, value, dtype or stored_dtype(value.dtype))
    if attributes.get("block_size"):
        raise NoForm(f"{name!r} has blocks along an axis; operators on codes have none")
    return scale, zero[0]


def quantized(d: Draft, reals: str, output: str) -> None:
    """Add the ``QuantizeLinear`` that makes the value ``output`` of the float32 ``reals``."""
    scale, zero = meaning(d, output)
    codes = clamped(d, output, {}, None)
    d.add("QuantizeLinear", [reals, scale, zero], codes)


def clamped(d: Draft, output: str, attributes: Mapping[str, Any], made: str | None) -> str:
    """Return where the codes of ``output`` go before the clamp that ``attributes`` ask for.

    With ``made``, those codes, the clamp itself is added: a ``Clip`` of codes.
    """
    bounds = [attributes.get(key) for key in ("clamp_min", "clamp_max")]
    if bounds == [None, None]:
        return output
    if made is None:
        return d.free(f"{output}/unclamped")
    dtype = d.graph.values[output].dtype
    names = [
        "" if bound is None else d.number(f"{output}/{key}", bound, dtype)
        for key, bound in zip(("min", "max"), bounds, strict=True)
    ]
    d.add("Clip", [made, *names] if names[1] else [made, names[0]], output)
    return output


def _parameters(
    d: Draft, name: str, value: Value, dtype: str
) -> tuple[str, list[str], dict[str, Any]]:
    """Return the names of scale and zero point, and the attributes that place them."""
    quant = value.quant
    assert quant is not None, "the caller has codes"
    if quant.g_idx is not None:
        raise NoForm(f"{name!r} has groups in any order (g_idx)")
    scale, zero = _arrays(d, name, quant)
    attributes: dict[str, Any] = {}
    if quant.block_shape is not None:
        shape = tuple(int(n) for n in value.shape)
        axis, block = _place(name, shape, quant.block_shape)
        if axis is not None:
            attributes["axis"] = axis
            if block:
                attributes["block_size"] = block
        target = scale.shape if block else () if axis is None else (shape[axis],)
        scale, zero = scale.reshape(target), np.broadcast_to(zero, scale.shape).reshape(target)
    else:
        zero = np.broadcast_to(zero, scale.shape)
    names = [d.number(f"{name}/scale", scale, "float32")]
    if dtype == "int32":
        return names[0], [], attributes
    if not dtype.startswith("float"):
        return names[0], [d.number(f"{name}/zero_point", zero, dtype)], attributes
    return names[0], [], attributes


def _arrays(d: Draft, name: str, quant: Quant) -> tuple[Array, Array]:
    """Return the float32 scales and integer zero points, of the shape of the blocks or numbers."""
    zero = quant.zero_point
    zeros = d.graph.constants[zero] if isinstance(zero, str) else np.asarray(zero, np.int32)
    if zeros.dtype != np.int32:
        raise NoForm(f"{name!r} has float zero points; ONNX has those of the codes' type")
    if not isinstance(quant.scale, str):
        return np.asarray(quant.scale, np.float32), zeros
    inner = d.graph.values[quant.scale]
    scales = d.graph.constants[quant.scale]
    if inner.quant is None:
        return scales, zeros
    if not isinstance(inner.quant.zero_point, int):
        raise NoForm(f"{name!r} has scales of codes with zero points of their own blocks")
    outer, _ = _arrays(d, quant.scale, inner.quant)
    if outer.ndim:
        raise NoForm(f"{name!r} has scales of codes in blocks of their own")
    table = None if inner.quant.table is None else d.graph.constants[inner.quant.table]
    steps = scales.astype(np.int64) - inner.quant.zero_point
    base = np.asarray(steps, np.float32) if table is None else table[scales]
    return np.asarray(base * np.float32(outer), np.float32), zeros


def _place(name: str, shape: tuple[int, ...], block: tuple[int, ...]) -> tuple[int | None, int]:
    """Return (axis, block_size): None for one parameter, block_size 0 for one an index."""
    cut = [i for i, (n, b) in enumerate(zip(shape, block, strict=True)) if b < n]
    if not cut:
        return None, 0
    if len(cut) == 1 and block[cut[0]] == 1:
        return cut[0], 0
    wide = [i for i, (n, b) in enumerate(zip(shape, block, strict=True)) if min(b, n) > 1]
    if len(wide) > 1:
        raise NoForm(f"{name!r} has blocks {list(block)}; those of ONNX have one axis")
    axis = wide[0] if wide else cut[-1]
    return axis, min(block[axis], shape[axis])


def _float_type(d: Draft, name: str, value: Value, table: str) -> str:
    """Return the float type whose numbers the ``table`` holds; NaN is a code that nothing has."""
    ours = d.graph.constants[table]
    for word, (dtype, since) in _FLOATS.get(DTYPES[value.dtype].bits, {}).items():
        codes = np.arange(ours.size, dtype=np.uint8)
        theirs = np.asarray(minifloat.decode(codes, FLOAT_FORMATS[word]), np.float32)
        if not np.isnan(ours).all() and ((ours == theirs) | np.isnan(ours)).all():
            d.opset = max(d.opset, since)
            return dtype
    raise NoForm(f"{name!r} has a table that is none of the float types of ONNX")
