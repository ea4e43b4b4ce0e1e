"""float32 tiles: the same bits as a plain loop, which multiplies, rounds, adds, rounds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant_runtime.kernels.packing import pack_f32_weights
from refquant_runtime.kernels.tiles import Tile
from tests.runtime.kernels.tile_calls import F32, run_f32

Reals = NDArray[np.float32]
every_tile = pytest.mark.parametrize("tile", F32, ids=lambda tile: tile.name)
TINY, MAX = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, TINY, -TINY, 3 * TINY, 1e-38, -1e-30, 1e20, MAX, -MAX, 1 + 2**-23],
    np.float32,
)
WITH_INFINITIES = np.append(SPECIAL, np.array([np.inf, -np.inf], np.float32))


def expected(a: Reals, offs: NDArray[np.int32], w: Reals) -> Reals:
    """Equation by equation: one product and one sum at a time, k ascending."""
    per_tap = len(w) // len(offs)
    sums = np.zeros((offs.shape[1], w.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for t in range(len(offs)):
            for k in range(per_tap):
                products = np.multiply.outer(a[offs[t] + k], w[t * per_tap + k])
                sums = np.add(sums, products, dtype=np.float32)
    return sums


def check(tile: Tile, a: Reals, offs: NDArray[np.int32], w: Reals) -> None:
    packed = pack_f32_weights(w, nr=tile.nr)
    got = run_f32(tile, a, offs, len(w) // len(offs), packed)[:, : w.shape[1]]
    want = expected(a, offs, w)
    nan = np.isnan(want)
    assert (np.isnan(got) == nan).all(), f"{tile.name}: NaN in other places"
    wrong = np.argwhere((got.view(np.int32) != want.view(np.int32)) & ~nan)
    where = tuple(wrong[0]) if len(wrong) else None
    assert where is None, f"{tile.name} at {where}: got {got[where]!r}, expected {want[where]!r}"


@every_tile
@pytest.mark.parametrize(("taps", "k"), [(1, 1), (1, 2), (1, 333), (9, 7)])
def test_random_sums_round_as_the_loop_does(tile: Tile, taps: int, k: int) -> None:
    rng = np.random.default_rng(k)
    a = rng.standard_normal(2000).astype(np.float32)
    offs = rng.integers(0, 2000 - k, (taps, tile.mr)).astype(np.int32)
    w = rng.standard_normal((taps * k, tile.nr)).astype(np.float32)
    check(tile, a, offs, w)


@every_tile
@pytest.mark.parametrize("values", [SPECIAL, WITH_INFINITIES], ids=["finite", "infinite"])
def test_subnormals_signed_zeros_and_infinities(tile: Tile, values: Reals) -> None:
    rng = np.random.default_rng(3)
    for k in (1, 2, 5, 40):
        a = rng.choice(values, 400).astype(np.float32)
        offs = rng.integers(0, 400 - k, (1, tile.mr)).astype(np.int32)
        check(tile, a, offs, rng.choice(values, (k, tile.nr)).astype(np.float32))


@every_tile
def test_a_fused_multiply_add_would_be_seen(tile: Tile) -> None:
    """x*x - x*x with x = 1 + 2**-12: zero with two roundings, the lost bits when fused."""
    x = np.float32(1 + 2**-12)
    rounded = np.float32(x * x)
    assert float(x) * float(x) != float(rounded), "the product is inexact"
    a = np.array([1.0, x], np.float32)
    w = np.repeat(np.array([[-rounded], [x]], np.float32), tile.nr, axis=1)
    got = run_f32(tile, a, np.zeros((1, tile.mr), np.int32), 2, pack_f32_weights(w, nr=tile.nr))
    assert (got.view(np.int32) == 0).all(), f"{tile.name}: {got[0, 0]!r} is not +0.0"


@every_tile
def test_an_empty_sum_of_negative_zeros_is_positive_zero(tile: Tile) -> None:
    a = np.array([-0.0], np.float32)
    packed = pack_f32_weights(np.ones((1, tile.nr), np.float32), nr=tile.nr)
    got = run_f32(tile, a, np.zeros((1, tile.mr), np.int32), 1, packed)
    assert (got.view(np.int32) == 0).all(), "0.0 + -0.0 is 0.0"


@every_tile
def test_rows_of_the_result_may_lie_apart(tile: Tile) -> None:
    a = np.arange(tile.mr * 3, dtype=np.float32)
    offs = np.arange(tile.mr, dtype=np.int32)[None] * 3
    packed = pack_f32_weights(np.ones((3, tile.nr), np.float32), nr=tile.nr)
    apart = run_f32(tile, a, offs, 3, packed, gap=5)
    assert (apart == run_f32(tile, a, offs, 3, packed)).all(), tile.name
