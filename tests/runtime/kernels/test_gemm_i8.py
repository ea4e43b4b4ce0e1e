"""The integer product outside a plan: tails of rows and columns, signs, groups of columns."""

from typing import Any

import numpy as np
import pytest

from refquant_runtime.kernels.gemm_i8 import FIELDS, gemm_i8
from refquant_runtime.kernels.packing import pack_int8_weights
from refquant_runtime.kernels.requantize import MODES
from refquant_runtime.kernels.tiles import SIGNED, UNSIGNED, int8_tiles_of
from tests.runtime.kernels.kernel_calls import Memory, call
from tests.runtime.kernels.tile_calls import runnable

TILES = [tile for name in runnable() for tile in int8_tiles_of(name)]


def product(tile: Any, x: Any, w: Any, *, threads: int, gap: int = 0) -> Any:
    """Raw accumulators of ``x @ w``, written ``gap`` columns apart from each other's rows."""
    rows, k = x.shape
    n, signed = w.shape[1], x.dtype == np.int8
    memory, consts = Memory(1 << 20), Memory(1 << 20)
    seed = (-128 * signed * w.astype(np.int64).sum(axis=0)).astype(np.int32)
    kc = -(-k // 4)
    row = {
        "x": memory.put(x), "y": memory.put(np.full(rows * (n + gap), 77, np.int32)),
        "rows": rows, "mr": tile.mr, "nr": tile.nr, "taps": 1, "copies": 1, "row_size": k,
        "kc": kc, "n": n, "tile": tile.address, "flip": SIGNED if signed else UNSIGNED,
        "weights": consts.put(pack_int8_weights(w, taps=1, nr=tile.nr)),
        "seed": consts.put(seed), "weight_sum": consts.put(np.zeros(n, np.int32)),
        "mode": MODES["int32"], "x_zero": -1, "y_stride": n + gap, "pad_size": 4 * kc,
        "scratch": memory.reserve(threads * 8192), "scratch_size": 8192,
    }  # fmt: skip
    call(gemm_i8, FIELDS, row, memory, consts, threads=threads)
    return memory.get(row["y"], np.int32, (rows, n + gap))


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.name)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_tails_are_exact_for_every_tile(tile: Any, dtype: Any) -> None:
    rng = np.random.default_rng(7)
    for rows, k, n in (
        (1, 1, 1),
        (tile.mr + 1, 7, tile.nr + 1),
        (2 * tile.mr - 1, 33, tile.nr - 1),
    ):
        x = rng.choice([0, 1, 127, 128, 255], (rows, k)).astype(np.uint8).view(dtype)
        w = rng.choice([-128, -127, 0, 127], (k, n)).astype(np.int8)
        expected = x.astype(np.int64) @ w.astype(np.int64)
        for threads in (1, 3):
            actual = product(tile, x, w, threads=threads)
            assert np.array_equal(actual, expected), f"{tile.name} {(rows, k, n)} {threads}"


def test_columns_beyond_the_product_are_left_alone() -> None:
    x, w = np.full((5, 8), 3, np.uint8), np.full((8, 10), -2, np.int8)
    actual = product(TILES[-1], x, w, threads=2, gap=6)
    assert (actual[:, :10] == -48).all(), f"8 * 3 * -2: {actual[:, :10]}"
    assert (actual[:, 10:] == 77).all(), "what lies between the rows is somebody else's"
