"""int8 tiles: each one equals NumPy's int64 arithmetic, whatever the codes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant_runtime.kernels.packing import pack_int8_weights
from refquant_runtime.kernels.tiles import SIGNED, UNSIGNED, Tile
from tests.runtime.kernels.tile_calls import INT8, run_int8

Codes = NDArray[np.uint8]
every_tile = pytest.mark.parametrize("tile", INT8, ids=lambda tile: tile.name)
both_signs = pytest.mark.parametrize("flip", [UNSIGNED, SIGNED], ids=["uint8", "int8"])


def expected(
    a: Codes, offs: NDArray[np.int32], w: NDArray[np.int8], flip: int
) -> NDArray[np.int64]:
    """The sums in int64, straight from the definition; int8 activations count as a + 128."""
    per_tap = len(w) // len(offs)
    values = a.astype(np.int64) if flip == UNSIGNED else a.view(np.int8).astype(np.int64) + 128
    rows = values[offs[:, :, None].astype(np.int64) + np.arange(per_tap)]  # taps, MR, K
    parts = w.astype(np.int64).reshape(len(offs), per_tap, -1)
    return np.asarray(sum(rows[t] @ parts[t] for t in range(len(offs))))


def check(tile: Tile, a: Codes, offs: NDArray[np.int32], w: NDArray[np.int8], flip: int) -> None:
    packed = pack_int8_weights(w, taps=len(offs), nr=tile.nr)
    kc = -(-(len(w) // len(offs)) // 4)
    got = run_int8(tile, a, offs, kc, packed, flip)[:, : w.shape[1]]
    want = expected(a, offs, w, flip)
    wrong = np.argwhere(got != want)
    where = tuple(wrong[0]) if len(wrong) else None
    assert where is None, f"{tile.name} at {where}: got {got[where]}, expected {want[where]}"


@every_tile
@both_signs
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 7, 8, 63, 64, 129])
def test_plain_products_with_every_tail_of_k(tile: Tile, flip: int, k: int) -> None:
    rng = np.random.default_rng(k)
    lda = k + 3
    a = rng.integers(0, 256, tile.mr * lda + 4, np.uint8)
    offs = np.arange(tile.mr, dtype=np.int32)[None] * lda
    check(tile, a, offs, rng.integers(-128, 128, (k, tile.nr), np.int8), flip)


@every_tile
@both_signs
@pytest.mark.parametrize(("taps", "k"), [(2, 4), (3, 5), (9, 16), (25, 3)])
def test_gathered_rows_of_a_window(tile: Tile, flip: int, taps: int, k: int) -> None:
    """Offsets in any order, overlapping and repeated, as convolutions and tails have them."""
    rng = np.random.default_rng(taps)
    a = rng.integers(0, 256, 1000, np.uint8)
    offs = rng.integers(0, 1000 - k - 4, (taps, tile.mr)).astype(np.int32)
    offs[:, -1] = offs[:, 0]
    check(tile, a, offs, rng.integers(-128, 128, (taps * k, tile.nr), np.int8), flip)


@every_tile
def test_fewer_columns_than_the_tile_has(tile: Tile) -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 256, tile.mr * 20 + 4, np.uint8)
    offs = np.arange(tile.mr, dtype=np.int32)[None] * 20
    for n in {1, tile.nr // 2 + 1, tile.nr - 1}:
        check(tile, a, offs, rng.integers(-128, 128, (20, n), np.int8), UNSIGNED)


CORNERS = {
    "all largest": ([255], [-128]),
    "all largest, positive": ([255], [127]),
    "pairs that saturate int16": ([255, 255, 0, 0], [127, 127, -128, -128]),
    "pairs that cancel": ([255, 255], [127, -128]),
    "one of four": ([0, 0, 0, 255], [-128, 127, -128, -128]),
    "the sign bit alone": ([128, 127], [-128, 127]),
}


@every_tile
@both_signs
@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize("k", [4, 4096])
def test_corners_where_narrow_sums_would_saturate(tile: Tile, flip: int, name: str, k: int) -> None:
    activations, weights = (np.array(codes) for codes in CORNERS[name])
    row = np.resize(activations, k).astype(np.uint8) ^ np.uint8(flip & 255)
    w = np.repeat(np.resize(weights, k).astype(np.int8)[:, None], tile.nr, axis=1)
    w[:, 1::2] = w[:, 1::2][::-1]  # every second column the other way round
    check(tile, row, np.zeros((1, tile.mr), np.int32), w, flip)


@every_tile
def test_sums_wrap_like_int32(tile: Tile) -> None:
    """More terms than int32 holds: exact modulo 2**32, so partial sums may leave the range."""
    k = 70_000
    a = np.full(k, 255, np.uint8)
    w = np.full((k, tile.nr), -128, np.int8)
    offs = np.zeros((1, tile.mr), np.int32)
    got = run_int8(tile, a, offs, k // 4, pack_int8_weights(w, taps=1, nr=tile.nr), UNSIGNED)
    want = (255 * -128 * k + 2**31) % 2**32 - 2**31
    assert (got == want).all(), f"{tile.name}: got {got[0, 0]}, expected {want}"


@every_tile
def test_padding_columns_and_the_bytes_past_a_row_do_not_count(tile: Tile) -> None:
    """K 5: the tile reads three foreign bytes a row; their weights are zero."""
    a = np.full(64, 255, np.uint8)
    offs = np.zeros((1, tile.mr), np.int32)
    packed = pack_int8_weights(np.ones((5, 1), np.int8), taps=1, nr=tile.nr)
    got = run_int8(tile, a, offs, 2, packed, UNSIGNED)
    assert (got[:, 0] == 5 * 255).all(), "five products"
    assert (got[:, 1:] == 0).all(), "columns of padding are zero"


@every_tile
def test_rows_of_the_result_may_lie_apart(tile: Tile) -> None:
    rng = np.random.default_rng(2)
    a = rng.integers(0, 256, tile.mr * 8, np.uint8)
    offs = np.arange(tile.mr, dtype=np.int32)[None] * 8
    packed = pack_int8_weights(rng.integers(-128, 128, (8, tile.nr), np.int8), taps=1, nr=tile.nr)
    close = run_int8(tile, a, offs, 2, packed, UNSIGNED)
    for gap in (1, 5, 64):
        apart = run_int8(tile, a, offs, 2, packed, UNSIGNED, gap=gap)
        assert (apart == close).all(), f"{tile.name}: gap {gap}"
