"""The micro-kernels under every matrix product and convolution, and which one to take.

A tile computes MR rows by NR columns of ``C = A W``, all of K at once, and writes them, as a
rule to a small scratch; what happens to them next (bias, rescaling, storing the valid part) is
the caller's business, so that one tile serves every operator:

=========  ============================================================================
``pa``     uint8* (int8 tiles) or float32*: where offsets count from
``offs``   int32*, ``[taps][MR]``: row r at tap t begins at ``pa + offs[t * MR + r]``
           *elements*.  A plain product has one tap and offsets ``r * lda``; a convolution
           gathers its window here; rows past the end repeat a valid one
``taps``   int64 >= 1
``kc``     int64 >= 1, steps a tap: groups of four int8, or single float32
``pw``     one panel of packed weights: ``[taps * kc][NR][4]`` int8 or ``[taps * kc][NR]``
           float32 (see ``packing``)
``pc``     int32* or float32*, MR rows of NR sums, overwritten
``ldc``    int64, elements from row to row of ``pc``; 0 is NR, rows without gaps.  A tile
           always writes all its rows and columns
``flip``   int8 only, uint32: ``UNSIGNED`` (0) when A holds uint8; ``SIGNED`` (0x80808080)
           when A holds int8, which are then taken as ``a + 128``: the caller subtracts
           ``128 * sum_k w[k, n]``
=========  ============================================================================

An int8 tile reads whole groups of four: up to three bytes past the end of a row, whose weights
are zero.  Sums are exact modulo 2**32: exact whenever the true sum fits int32.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from refquant_runtime.kernels import f32_tiles, int8_tiles
from refquant_runtime.kernels.cache import cached_cfunc
from refquant_runtime.kernels.pointers import F32_TILE, INT8_TILE

__all__ = ["SIGNED", "UNSIGNED", "Tile", "f32_tile", "f32_tiles_of", "int8_tile", "int8_tiles_of"]

UNSIGNED = 0
SIGNED = 0x80808080
"""Values of ``flip``: what is xored with four activations to make them unsigned."""


class Tile(NamedTuple):
    """One micro-kernel.  ``kr``: how many k one step of ``kc`` covers (int8: 4, float32: 1)."""

    name: str
    isa: str
    mr: int
    nr: int
    kr: int

    @property
    def address(self) -> int:
        """Address of the machine code, for ``pointers.call_int8_tile`` or ``call_f32_tile``.

        Compiled at the first request, or read from numba's cache: only for tiles that this CPU
        can run (``isa.available``), because LLVM aborts on the others.
        """
        address: int = _compiled(self).address
        return address

    @property
    def function(self) -> Any:
        """The generated tile as a numba intrinsic, to be inlined into ``@njit`` code.

        Raises ``KeyError`` for portable tiles, which exist as compiled code only.
        """
        generated = int8_tiles.GENERATED if self.kr == 4 else f32_tiles.GENERATED
        return generated[self.isa, self.mr, self.nr]


@cache
def _compiled(tile: Tile) -> Any:
    """Compile a tile.  The cache keeps the object, which owns the code, alive."""
    of_int8 = tile.kr == 4
    entries = int8_tiles.ENTRIES if of_int8 else f32_tiles.ENTRIES
    signature = INT8_TILE if of_int8 else F32_TILE
    return cached_cfunc(signature, entries[tile.isa, tile.mr, tile.nr])


def int8_tiles_of(isa: str) -> tuple[Tile, ...]:
    """Return the int8 tiles of one instruction set.

    >>> [tile.name for tile in int8_tiles_of("portable")]
    ['int8_portable_4x64', 'int8_portable_4x16', 'int8_portable_1x64', 'int8_portable_1x16']
    """
    return tuple(
        Tile(f"int8_{i}_{m}x{n}", i, m, n, 4) for i, m, n in int8_tiles.ENTRIES if i == isa
    )


def f32_tiles_of(isa: str) -> tuple[Tile, ...]:
    """Return the float32 tiles of one instruction set; AVX-VNNI has none but those of AVX2."""
    isa = "avx2" if isa == "avxvnni" else isa
    return tuple(Tile(f"f32_{i}_{m}x{n}", i, m, n, 1) for i, m, n in f32_tiles.ENTRIES if i == isa)


def int8_tile(isa: str, *, n: int, m: int, nr: int | None = None) -> Tile:
    """Return the int8 tile that computes an m x n product fastest; ``nr`` restricts the choice.

    Weights are packed for one ``nr``: ask for it when a second tile must share a packing.

    >>> int8_tile("avx512vnni", n=1024, m=384).name, int8_tile("avx512vnni", n=1024, m=1).name
    ('int8_avx512vnni_6x64', 'int8_avx512vnni_1x64')
    """
    return _best(int8_tiles_of(isa), isa, n, m, nr)


def f32_tile(isa: str, *, n: int, m: int, nr: int | None = None) -> Tile:
    """Return the float32 tile that computes an m x n product fastest: as ``int8_tile``."""
    return _best(f32_tiles_of(isa), isa, n, m, nr)


def _best(tiles: tuple[Tile, ...], isa: str, n: int, m: int, nr: int | None) -> Tile:
    candidates = [tile for tile in tiles if nr in (None, tile.nr)]
    if not candidates:
        raise ValueError(f"no tile of nr {nr} for instruction set {isa!r}")
    return min(candidates, key=lambda tile: _cost(tile, n, m))


# Columns of sums a cycle, and cycles of loop overhead a row: measured on Zen 4, orders of
# magnitude elsewhere.  They choose between shapes of one instruction set, nothing else.
_SPEED = {
    (4, "avx512vnni"): (16.0, 0.1),
    (4, "avxvnni"): (16.0, 0.1),
    (4, "avx2"): (5.0, 0.1),
    (4, "portable"): (1.5, 4.0),
    (1, "avx512vnni"): (12.0, 0.1),
    (1, "avx2"): (12.0, 0.1),
    (1, "portable"): (8.0, 5.0),
}


def _cost(tile: Tile, n: int, m: int) -> float:
    """Cycles a k step, about: multiply-adds, or weights from L2, or the latency of one sum."""
    columns, overhead = _SPEED[tile.kr, tile.isa]
    work = max(tile.mr * tile.nr / columns, tile.nr / 7, 4.0)
    step = work + overhead * (tile.mr + tile.nr / 16)
    return -(-m // tile.mr) * -(-n // tile.nr) * step
