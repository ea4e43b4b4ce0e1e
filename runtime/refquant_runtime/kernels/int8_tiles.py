"""The int8 tiles: one compiled function a shape and instruction set.

``void tile(pa, offs, taps, kc, pw, pc, ldc, flip)``, arguments in ``tiles``.  ``GENERATED`` are
numba intrinsics (call them inside ``@njit`` code, they inline); ``ENTRIES`` are the functions
that ``Tile.address`` compiles to machine code, each written out, since numba's cache knows a
function by its file, name and line, and never finds a closure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from refquant_runtime.kernels.arithmetic import ARITHMETIC
from refquant_runtime.kernels.emit import emit_tile
from refquant_runtime.kernels.pointers import INT8_TILE
from refquant_runtime.kernels.portable import int8_loops

__all__ = ["ENTRIES", "GENERATED"]


def _generate(isa: str, mr: int, nr: int) -> Any:
    """Make the intrinsic that computes an mr x nr tile with the instructions of ``isa``."""
    arithmetic = ARITHMETIC["int8", isa]

    @intrinsic
    def tile(
        typing_context: Any, pa: Any, offs: Any, taps: Any, kc: Any, pw: Any, pc: Any, ldc: Any,
        flip: Any,
    ) -> Any:  # fmt: skip
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, offsets, taps, steps, w, c, ldc, flip = args
            byte = ir.IntType(8).as_pointer()
            emit_tile(
                builder, arithmetic, mr=mr, nr=nr, a=builder.bitcast(a, byte), offsets=offsets,
                scale=1, taps=taps, steps=steps, w=builder.bitcast(w, byte),
                c=builder.bitcast(c, byte), ldc=ldc, flip=flip,
            )  # fmt: skip
            return context.get_dummy_value()

        return INT8_TILE, codegen

    return tile


_avx512vnni_6x64 = _generate("avx512vnni", 6, 64)
_avx512vnni_8x32 = _generate("avx512vnni", 8, 32)
_avx512vnni_8x16 = _generate("avx512vnni", 8, 16)
_avx512vnni_1x64 = _generate("avx512vnni", 1, 64)
_avx512vnni_1x32 = _generate("avx512vnni", 1, 32)
_avx512vnni_1x16 = _generate("avx512vnni", 1, 16)
_avxvnni_6x16 = _generate("avxvnni", 6, 16)
_avxvnni_8x8 = _generate("avxvnni", 8, 8)
_avxvnni_1x64 = _generate("avxvnni", 1, 64)
_avxvnni_1x16 = _generate("avxvnni", 1, 16)
_avx2_2x16 = _generate("avx2", 2, 16)
_avx2_4x8 = _generate("avx2", 4, 8)
_avx2_1x16 = _generate("avx2", 1, 16)

GENERATED = {
    ("avx512vnni", 6, 64): _avx512vnni_6x64,
    ("avx512vnni", 8, 32): _avx512vnni_8x32,
    ("avx512vnni", 8, 16): _avx512vnni_8x16,
    ("avx512vnni", 1, 64): _avx512vnni_1x64,
    ("avx512vnni", 1, 32): _avx512vnni_1x32,
    ("avx512vnni", 1, 16): _avx512vnni_1x16,
    ("avxvnni", 6, 16): _avxvnni_6x16,
    ("avxvnni", 8, 8): _avxvnni_8x8,
    ("avxvnni", 1, 64): _avxvnni_1x64,
    ("avxvnni", 1, 16): _avxvnni_1x16,
    ("avx2", 2, 16): _avx2_2x16,
    ("avx2", 4, 8): _avx2_4x8,
    ("avx2", 1, 16): _avx2_1x16,
}

ENTRIES: dict[tuple[str, int, int], Callable[..., None]] = {
    ("portable", 4, 64): lambda a, o, t, k, w, c, s, f: int8_loops(a, o, t, k, w, c, s, f, 4, 64),
    ("portable", 4, 16): lambda a, o, t, k, w, c, s, f: int8_loops(a, o, t, k, w, c, s, f, 4, 16),
    ("portable", 1, 64): lambda a, o, t, k, w, c, s, f: int8_loops(a, o, t, k, w, c, s, f, 1, 64),
    ("portable", 1, 16): lambda a, o, t, k, w, c, s, f: int8_loops(a, o, t, k, w, c, s, f, 1, 16),
    ("avx512vnni", 6, 64): lambda a, o, t, k, w, c, s, f: _avx512vnni_6x64(a, o, t, k, w, c, s, f),
    ("avx512vnni", 8, 32): lambda a, o, t, k, w, c, s, f: _avx512vnni_8x32(a, o, t, k, w, c, s, f),
    ("avx512vnni", 8, 16): lambda a, o, t, k, w, c, s, f: _avx512vnni_8x16(a, o, t, k, w, c, s, f),
    ("avx512vnni", 1, 64): lambda a, o, t, k, w, c, s, f: _avx512vnni_1x64(a, o, t, k, w, c, s, f),
    ("avx512vnni", 1, 32): lambda a, o, t, k, w, c, s, f: _avx512vnni_1x32(a, o, t, k, w, c, s, f),
    ("avx512vnni", 1, 16): lambda a, o, t, k, w, c, s, f: _avx512vnni_1x16(a, o, t, k, w, c, s, f),
    ("avxvnni", 6, 16): lambda a, o, t, k, w, c, s, f: _avxvnni_6x16(a, o, t, k, w, c, s, f),
    ("avxvnni", 8, 8): lambda a, o, t, k, w, c, s, f: _avxvnni_8x8(a, o, t, k, w, c, s, f),
    ("avxvnni", 1, 64): lambda a, o, t, k, w, c, s, f: _avxvnni_1x64(a, o, t, k, w, c, s, f),
    ("avxvnni", 1, 16): lambda a, o, t, k, w, c, s, f: _avxvnni_1x16(a, o, t, k, w, c, s, f),
    ("avx2", 2, 16): lambda a, o, t, k, w, c, s, f: _avx2_2x16(a, o, t, k, w, c, s, f),
    ("avx2", 4, 8): lambda a, o, t, k, w, c, s, f: _avx2_4x8(a, o, t, k, w, c, s, f),
    ("avx2", 1, 16): lambda a, o, t, k, w, c, s, f: _avx2_1x16(a, o, t, k, w, c, s, f),
}
