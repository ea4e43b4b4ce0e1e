"""The float32 tiles: one compiled function a shape and instruction set.

``void tile(pa, offs, taps, kc, pw, pc, ldc)``, arguments in ``tiles``; built like ``int8_tiles``.
Every tile adds in the same order and rounds twice a step: all give the same bits, NaN payloads
excepted (x86 and ARM choose them differently, and nobody reads them).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from refquant_runtime.kernels.arithmetic import ARITHMETIC
from refquant_runtime.kernels.emit import emit_tile
from refquant_runtime.kernels.pointers import F32_TILE
from refquant_runtime.kernels.portable import f32_loops

__all__ = ["ENTRIES", "GENERATED"]


def _generate(isa: str, mr: int, nr: int) -> Any:
    """Make the intrinsic that computes an mr x nr tile with the instructions of ``isa``."""
    arithmetic = ARITHMETIC["f32", isa]

    @intrinsic
    def tile(
        typing_context: Any, pa: Any, offs: Any, taps: Any, kc: Any, pw: Any, pc: Any, ldc: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, offsets, taps, steps, w, c, ldc = args
            byte = ir.IntType(8).as_pointer()
            emit_tile(
                builder, arithmetic, mr=mr, nr=nr, a=builder.bitcast(a, byte), offsets=offsets,
                scale=4, taps=taps, steps=steps, w=builder.bitcast(w, byte),
                c=builder.bitcast(c, byte), ldc=ldc, flip=None,
            )  # fmt: skip
            return context.get_dummy_value()

        return F32_TILE, codegen

    return tile


_avx512vnni_6x16 = _generate("avx512vnni", 6, 16)
_avx512vnni_1x64 = _generate("avx512vnni", 1, 64)
_avx512vnni_1x16 = _generate("avx512vnni", 1, 16)
_avx2_6x16 = _generate("avx2", 6, 16)
_avx2_6x8 = _generate("avx2", 6, 8)
_avx2_1x32 = _generate("avx2", 1, 32)
_avx2_1x16 = _generate("avx2", 1, 16)

GENERATED = {
    ("avx512vnni", 6, 16): _avx512vnni_6x16,
    ("avx512vnni", 1, 64): _avx512vnni_1x64,
    ("avx512vnni", 1, 16): _avx512vnni_1x16,
    ("avx2", 6, 16): _avx2_6x16,
    ("avx2", 6, 8): _avx2_6x8,
    ("avx2", 1, 32): _avx2_1x32,
    ("avx2", 1, 16): _avx2_1x16,
}

ENTRIES: dict[tuple[str, int, int], Callable[..., None]] = {
    ("portable", 4, 64): lambda a, o, t, k, w, c, s: f32_loops(a, o, t, k, w, c, s, 4, 64),
    ("portable", 4, 16): lambda a, o, t, k, w, c, s: f32_loops(a, o, t, k, w, c, s, 4, 16),
    ("portable", 1, 64): lambda a, o, t, k, w, c, s: f32_loops(a, o, t, k, w, c, s, 1, 64),
    ("portable", 1, 16): lambda a, o, t, k, w, c, s: f32_loops(a, o, t, k, w, c, s, 1, 16),
    ("avx512vnni", 6, 16): lambda a, o, t, k, w, c, s: _avx512vnni_6x16(a, o, t, k, w, c, s),
    ("avx512vnni", 1, 64): lambda a, o, t, k, w, c, s: _avx512vnni_1x64(a, o, t, k, w, c, s),
    ("avx512vnni", 1, 16): lambda a, o, t, k, w, c, s: _avx512vnni_1x16(a, o, t, k, w, c, s),
    ("avx2", 6, 16): lambda a, o, t, k, w, c, s: _avx2_6x16(a, o, t, k, w, c, s),
    ("avx2", 6, 8): lambda a, o, t, k, w, c, s: _avx2_6x8(a, o, t, k, w, c, s),
    ("avx2", 1, 32): lambda a, o, t, k, w, c, s: _avx2_1x32(a, o, t, k, w, c, s),
    ("avx2", 1, 16): lambda a, o, t, k, w, c, s: _avx2_1x16(a, o, t, k, w, c, s),
}
