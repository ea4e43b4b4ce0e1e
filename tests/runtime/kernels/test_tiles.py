"""Which tile is taken, and that its machine code is found again by the next process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refquant_runtime.kernels import tiles
from refquant_runtime.kernels.arithmetic import ARITHMETIC
from refquant_runtime.kernels.tiles import f32_tile, f32_tiles_of, int8_tile, int8_tiles_of

SETS = ("portable", "avx2", "avxvnni", "avx512vnni")
KERNELS = Path(tiles.__file__).parent


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("m", [1, 2, 7, 384])
@pytest.mark.parametrize("n", [1, 10, 16, 80, 1000])
def test_every_size_has_a_tile_of_its_instruction_set(name: str, m: int, n: int) -> None:
    assert int8_tile(name, n=n, m=m).isa == name, "int8"
    shared = "avx2" if name == "avxvnni" else name
    assert f32_tile(name, n=n, m=m).isa == shared, "float32: AVX-VNNI adds nothing to AVX2"


@pytest.mark.parametrize("name", SETS)
def test_the_tile_is_the_cheapest_of_its_set(name: str) -> None:
    for m, n in [(1, 1000), (3, 24), (384, 1024), (49, 80)]:
        best = int8_tile(name, n=n, m=m)
        costs = {tile: tiles._cost(tile, n, m) for tile in int8_tiles_of(name)}
        assert costs[best] == min(costs.values()), f"{best.name} for {m} x {n}"


def test_one_row_gets_a_tile_of_one_row_and_many_rows_one_of_many() -> None:
    for name in SETS:
        assert int8_tile(name, n=4096, m=1).mr == 1, f"{name}: a vector"
        assert int8_tile(name, n=1024, m=384).mr > 1, f"{name}: a matrix"


def test_a_packing_can_be_shared() -> None:
    wide = int8_tile("avx512vnni", n=1024, m=384)
    assert int8_tile("avx512vnni", n=1024, m=1, nr=wide.nr).nr == wide.nr, "the same panels"
    with pytest.raises(ValueError, match="no tile of nr 7 for instruction set 'avx2'"):
        int8_tile("avx2", n=8, m=8, nr=7)
    with pytest.raises(ValueError, match="instruction set 'neon'"):
        f32_tile("neon", n=8, m=8)


def test_tiles_are_whole_vectors_and_have_unique_names() -> None:
    all_tiles = [t for name in SETS for t in int8_tiles_of(name)]
    all_tiles += [t for name in SETS if name != "avxvnni" for t in f32_tiles_of(name)]
    assert len({t.name for t in all_tiles}) == len(all_tiles), "names are keys"
    for tile in all_tiles:
        assert tile.kr == (4 if tile.name.startswith("int8") else 1), f"{tile.name}: kr"
        if tile.isa != "portable":
            arithmetic = ARITHMETIC["int8" if tile.kr == 4 else "f32", tile.isa]
            assert tile.nr % arithmetic.columns == 0, f"{tile.name}: a part of a vector"
            assert tile.function is not None, f"{tile.name} can be inlined"


SCRIPT = """
from refquant_runtime.kernels import tiles
for tile in (tiles.int8_tile("portable", n=64, m=4), tiles.f32_tile("portable", n=64, m=4)):
    assert tile.address
    print(tiles._compiled(tile).cache_hits)
"""


def test_the_next_process_compiles_nothing() -> None:
    for tile in (int8_tile("portable", n=64, m=4), f32_tile("portable", n=64, m=4)):
        assert tile.address, "compiled here, or found"
    environment = {**os.environ, "PYTHONPATH": str(KERNELS.parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["1", "1"], "one hit a tile"
