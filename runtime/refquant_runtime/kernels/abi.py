"""How the executor and the kernels speak: raw pointers and one table of integers.

Every kernel is ``void kernel(arena, consts, params, tid, nthreads)``:

* ``arena``: activations and scratch, one block of memory, rewritten by every inference;
* ``consts``: packed weights and tables, one block, never written;
* ``params``: this step's row of the plan, int64: sizes, and byte offsets into the two blocks;
* ``tid`` of ``nthreads``: a kernel computes its slice of the output, nothing else.

A kernel is a plain module-level function, compiled by :func:`compiled` when a plan first needs it.
"""

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from refquant_runtime.kernels import pointers
from refquant_runtime.kernels.cache import cached_cfunc

__all__ = [
    "KERNEL",
    "bits_f32",
    "bits_f64",
    "call_kernel",
    "compiled",
    "f32_at",
    "f64_at",
    "i8_at",
    "i16_at",
    "i32_at",
    "share",
    "u8_at",
]

U8P = types.CPointer(types.uint8)
I64P = types.CPointer(types.int64)
KERNEL = types.void(U8P, U8P, I64P, types.int64, types.int64)


@njit(nogil=True, inline="always")
def u8_at(base: Any, at: int) -> Any:
    """Return the block's bytes from offset ``at`` as ``uint8*``."""
    return pointers.offset(base, at)


@njit(nogil=True, inline="always")
def i8_at(base: Any, at: int) -> Any:
    """Return the block's bytes from offset ``at`` as ``int8*``."""
    return pointers.as_i8(pointers.offset(base, at))


@njit(nogil=True, inline="always")
def i16_at(base: Any, at: int) -> Any:
    """Return the block's bytes from offset ``at`` as ``int16*``."""
    return pointers.as_i16(pointers.offset(base, at))


@njit(nogil=True, inline="always")
def i32_at(base: Any, at: int) -> Any:
    """Return the block's bytes from offset ``at`` as ``int32*``."""
    return pointers.as_i32(pointers.offset(base, at))


@njit(nogil=True, inline="always")
def f32_at(base: Any, at: int) -> Any:
    """Return the block's bytes from offset ``at`` as ``float32*``."""
    return pointers.as_f32(pointers.offset(base, at))


@njit(nogil=True, inline="always")
def f64_at(base: Any, at: int) -> Any:
    """Return the block's bytes from offset ``at`` as ``float64*``."""
    return pointers.as_f64(pointers.offset(base, at))


@intrinsic
def bits_f64(context: Any, bits: Any) -> Any:
    """Return the float64 whose bit pattern is an int64."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def bits_f32(context: Any, bits: Any) -> Any:
    """Return the float32 whose bit pattern is the low half of an int64 (how params carry reals)."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(builder.trunc(args[0], ir.IntType(32)), ir.FloatType())

    return types.float32(types.int64), codegen


@intrinsic
def call_kernel(
    context: Any, code: Any, arena: Any, consts: Any, params: Any, tid: Any, nthreads: Any
) -> Any:
    """Call the kernel whose code is at the address ``code``."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        function = ir.FunctionType(ir.VoidType(), [a.type for a in args[1:]])
        builder.call(builder.inttoptr(args[0], function.as_pointer()), args[1:])
        return ctx.get_dummy_value()

    return types.void(types.int64, U8P, U8P, I64P, types.int64, types.int64), codegen


@njit(nogil=True, error_model="numpy")
def share(total: int, tid: int, nthreads: int) -> tuple[int, int]:
    """Return this thread's ``[begin, end)`` of ``total`` items, in contiguous shares."""
    return total * tid // nthreads, total * (tid + 1) // nthreads


# The compiled objects own the machine code that the plans point to: they live as long as we do.
_COMPILED: dict[Any, Any] = {}


def compiled(function: Any) -> int:
    """Compile a kernel, or take it from numba's cache, and return the address of its code.

    Module-level functions only: a closure never hits the cache.
    """
    if function not in _COMPILED:
        _COMPILED[function] = cached_cfunc(KERNEL, function)
    address: int = _COMPILED[function].address
    return address
