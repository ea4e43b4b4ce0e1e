"""Raw memory for kernels: pointer arithmetic, loads, stores and aligned buffers.

A kernel sees the arena and the weights as bare ``uint8`` pointers.  The plan has proved every
offset before the first call, so nothing is checked here.

The helpers below are numba intrinsics: they exist inside ``@njit`` and ``@cfunc`` code only.
A pointer is moved by a GEP and reinterpreted by a bitcast, never through an integer: LLVM may
assume that a pointer made from an integer aliases nothing it knows, and miscompiles otherwise
(llvmlite documentation, "pointer provenance", LLVM 22).

====================  =======================================================
``offset(p, n)``      pointer of the same type, ``n`` *elements* further
``as_u8(p)`` ...      the same address read as uint8, int8 to int64, float32 or float64
``load(p, i)``        element ``i``; the same as ``p[i]``
``store(p, i, v)``    writes element ``i``; the same as ``p[i] = v``
``pointer(array)``    pointer to the first element of a contiguous array
``call_int8_tile``    calls a tile by its address (see ``tiles.Tile.address``); so do
``call_f32_tile``     ``call_int8_tile_into`` and ``call_f32_tile_into``
``opaque(n)``         ``n``, but the optimizer cannot know its value
====================  =======================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = [
    "ALIGNMENT",
    "F32_TILE",
    "INT8_TILE",
    "aligned_empty",
    "aligned_zeros",
    "as_f32",
    "as_f64",
    "as_i8",
    "as_i16",
    "as_i32",
    "as_i64",
    "as_u8",
    "call_f32_tile",
    "call_f32_tile_into",
    "call_int8_tile",
    "call_int8_tile_into",
    "load",
    "offset",
    "opaque",
    "pointer",
    "store",
]

ALIGNMENT = 64
"""Bytes: one cache line, and the widest vector of any CPU we generate code for."""


def aligned_empty(nbytes: int) -> NDArray[np.uint8]:
    """Return ``nbytes`` uninitialised bytes that start on a 64-byte boundary.

    >>> buffer = aligned_empty(100)
    >>> buffer.size, buffer.ctypes.data % ALIGNMENT
    (100, 0)
    """
    if nbytes < 0:
        raise ValueError(f"nbytes must be at least 0, got {nbytes}")
    return _aligned(np.empty(nbytes + ALIGNMENT, np.uint8), nbytes)


def aligned_zeros(nbytes: int) -> NDArray[np.uint8]:
    """Return ``nbytes`` zeros that start on a 64-byte boundary; untouched pages cost nothing."""
    return _aligned(np.zeros(nbytes + ALIGNMENT, np.uint8), nbytes)


def _aligned(raw: NDArray[np.uint8], nbytes: int) -> NDArray[np.uint8]:
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


@intrinsic
def offset(typing_context: Any, p: Any, n: Any) -> Any:
    """``p + n`` elements, of the type of ``p``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return p(p, types.intp), codegen


def _cast_to(element: Any) -> Any:
    """Make the intrinsic that reads an address as a pointer to ``element``."""

    @intrinsic
    def cast(typing_context: Any, p: Any) -> Any:
        target = types.CPointer(element)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(target))

        return target(p), codegen

    return cast


as_u8 = _cast_to(types.uint8)
as_i8 = _cast_to(types.int8)
as_i16 = _cast_to(types.int16)
as_i32 = _cast_to(types.int32)
as_i64 = _cast_to(types.int64)
as_f32 = _cast_to(types.float32)
as_f64 = _cast_to(types.float64)


@intrinsic
def load(typing_context: Any, p: Any, i: Any) -> Any:
    """Element ``i`` of ``p``; the address needs the alignment of the element only."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.gep(args[0], [args[1]]))

    return p.dtype(p, types.intp), codegen


@intrinsic
def store(typing_context: Any, p: Any, i: Any, value: Any) -> Any:
    """Write ``value``, cast to the element type, to element ``i`` of ``p``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(p, types.intp, p.dtype), codegen


@intrinsic
def pointer(typing_context: Any, array: Any) -> Any:
    """Pointer to the first element of a contiguous array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_array(array)(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def opaque(typing_context: Any, n: Any) -> Any:
    """Integer ``n`` behind an empty assembly statement: a constant the optimizer cannot see."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        same = ir.FunctionType(args[0].type, [args[0].type])
        return builder.asm(same, "", "=r,0", [args[0]], False)

    return types.intp(types.intp), codegen


_U8, _I32, _F32 = (types.CPointer(kind) for kind in (types.uint8, types.int32, types.float32))
INT8_TILE = types.void(_U8, _I32, types.int64, types.int64, _U8, _I32, types.int64, types.uint32)
F32_TILE = types.void(_F32, _I32, types.int64, types.int64, _F32, _F32, types.int64)
"""What a tile is for C: arguments in ``tiles``."""


def _call(tile: Any, *, contiguous: bool) -> Any:
    """Make the intrinsic that calls ``tile``, a C function, by its address.

    ``contiguous``: the caller does not say how far apart the result's rows lie; it passes 0.
    """
    parameters = list(tile.args)
    if contiguous:
        del parameters[6]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        passed = list(args[1:])
        if contiguous:
            passed.insert(6, ir.Constant(ir.IntType(64), 0))
        # An integer becomes a *function* pointer here: no data is reached through it.
        function = ir.FunctionType(ir.VoidType(), [a.type for a in passed])
        builder.call(builder.inttoptr(args[0], function.as_pointer()), passed)
        return context.get_dummy_value()

    return types.void(types.intp, *parameters), codegen


@intrinsic
def call_int8_tile(
    typing_context: Any, address: Any, pa: Any, offs: Any, taps: Any, kc: Any, pw: Any, pc: Any,
    flip: Any,
) -> Any:  # fmt: skip
    """Call the int8 tile at ``address``, which writes [MR][NR] without gaps."""
    return _call(INT8_TILE, contiguous=True)


@intrinsic
def call_int8_tile_into(
    typing_context: Any, address: Any, pa: Any, offs: Any, taps: Any, kc: Any, pw: Any, pc: Any,
    ldc: Any, flip: Any,
) -> Any:  # fmt: skip
    """Call the int8 tile at ``address``, which writes rows ``ldc`` elements apart."""
    return _call(INT8_TILE, contiguous=False)


@intrinsic
def call_f32_tile(
    typing_context: Any, address: Any, pa: Any, offs: Any, taps: Any, kc: Any, pw: Any, pc: Any
) -> Any:
    """Call the float32 tile at ``address``, which writes [MR][NR] without gaps."""
    return _call(F32_TILE, contiguous=True)


@intrinsic
def call_f32_tile_into(
    typing_context: Any, address: Any, pa: Any, offs: Any, taps: Any, kc: Any, pw: Any, pc: Any,
    ldc: Any,
) -> Any:  # fmt: skip
    """Call the float32 tile at ``address``, which writes rows ``ldc`` elements apart."""
    return _call(F32_TILE, contiguous=False)
