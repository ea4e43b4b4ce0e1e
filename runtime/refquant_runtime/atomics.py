"""What threads say to each other without a lock: counters, and two ways of waiting."""

import platform
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["atomic_add", "atomic_load", "claim", "give_way", "relax"]

_X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
_HAS_YIELD = binding.address_of_symbol("sched_yield") is not None


@intrinsic
def atomic_add(context: Any, place: Any, value: Any) -> Any:
    """Add to ``*place`` and publish everything written before; return the old value."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", args[0], args[1], "acq_rel")

    return types.int64(types.CPointer(types.int64), types.int64), codegen


@intrinsic
def atomic_load(context: Any, place: Any) -> Any:
    """Read ``*place`` and see everything published before it was written."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load_atomic(args[0], "acquire", 8)

    return types.int64(types.CPointer(types.int64)), codegen


@intrinsic
def claim(context: Any, place: Any, expected: Any) -> Any:
    """Raise ``*place`` from ``expected`` by one; say whether it was this thread that did."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        raised = builder.add(args[1], ir.Constant(ir.IntType(64), 1))
        pair = builder.cmpxchg(args[0], args[1], raised, "acq_rel", "acquire")
        return builder.extract_value(pair, 1)

    return types.boolean(types.CPointer(types.int64), types.int64), codegen


@intrinsic
def relax(context: Any) -> Any:
    """Tell the core that this is a waiting loop."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        void = ir.VoidType()
        if _X86:
            pause = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(void, []), "llvm.x86.sse2.pause"
            )
            builder.call(pause, [])
        return ctx.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(context: Any) -> Any:
    """Let another thread have the core."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        if _HAS_YIELD:
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"
            )
            builder.call(function, [])
        return ctx.get_dummy_value()

    return types.void(), codegen
