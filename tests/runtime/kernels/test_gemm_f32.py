"""The float product outside a plan: bits of a sequential loop, and weights decoded on the way."""

from typing import Any

import numpy as np
import pytest

from refquant.numerics.packing import pack
from refquant_runtime.kernels.gemm_f32 import FIELDS, gemm_f32
from refquant_runtime.kernels.packing import pack_f32_weights
from refquant_runtime.kernels.tiles import f32_tiles_of
from tests.runtime.kernels.kernel_calls import Memory, bits, call
from tests.runtime.kernels.tile_calls import runnable

TILES = list(dict.fromkeys(tile for name in runnable() for tile in f32_tiles_of(name)))


def sequential(x: Any, w: Any, bias: Any) -> Any:
    total = np.zeros((x.shape[0], w.shape[1]), np.float32)
    for k in range(x.shape[1]):
        total = total + x[:, k, None] * w[k]
    return total + bias


def product(tile: Any, x: Any, n: int, bias: Any, consts: Memory, **own: int) -> Any:
    rows, k = x.shape
    memory = Memory(1 << 20)
    row = {
        "x": memory.put(x), "y": memory.reserve(4 * rows * n), "rows": rows, "mr": tile.mr,
        "nr": tile.nr, "taps": 1, "copies": 1, "row_size": k, "element": 2, "kc": k, "n": n,
        "tile": tile.address, "bias": consts.put(bias), "y_stride": n, "pad_size": k,
        "low": bits(-np.inf), "high": bits(np.inf), "scratch": memory.reserve(1 << 17),
        "scratch_size": 1 << 16, **own,
    }  # fmt: skip
    call(gemm_f32, FIELDS, row, memory, consts, threads=2)
    return memory.get(row["y"], np.float32, (rows, n))


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.name)
def test_bits_of_a_sequential_loop(tile: Any) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((tile.mr + 2, 19)).astype(np.float32)
    n = tile.nr + 3
    w, bias = rng.standard_normal((19, n)).astype(np.float32), rng.standard_normal(n).astype(np.float32)  # fmt: skip # noqa: E501
    consts = Memory(1 << 20)
    packed = consts.put(pack_f32_weights(w, nr=tile.nr))
    actual = product(tile, x, n, bias, consts, bits=32, weights=packed)
    expected = sequential(x, w, bias)
    assert actual.tobytes() == expected.tobytes(), f"{tile.name}: {actual - expected}"


@pytest.mark.parametrize("tabled", [0, 1])
@pytest.mark.parametrize(("width", "signed"), [(8, 1), (8, 0), (4, 1), (4, 0), (2, 1), (2, 0)])
def test_codes_are_decoded_block_by_block(width: int, signed: int, tabled: int) -> None:
    tile = TILES[-1]
    rng = np.random.default_rng(width)
    k, n = 11, tile.nr
    low = -(1 << (width - 1)) if signed else 0
    codes = rng.integers(low, low + (1 << width), (k, n))
    block_of = (np.arange(k) // 4).astype(np.int32)  # ragged: 4, 4, 3
    scales = rng.uniform(0.01, 1, (3, n)).astype(np.float32)
    zeros = rng.integers(low, low + (1 << width), (3, n)).astype(np.float32)
    zeros += rng.choice([0, 0.375], (3, n)).astype(np.float32)  # a float zero point, now and then
    table = rng.standard_normal(1 << width).astype(np.float32)
    marks = (
        table[codes & ((1 << width) - 1)] if tabled else codes.astype(np.float32) - zeros[block_of]
    )
    w = marks * scales[block_of]
    x, bias = rng.standard_normal((3, k)).astype(np.float32), np.zeros(n, np.float32)
    rows = -(-k // (8 // width))
    # one byte holds consecutive rows of one column: pack each column by itself
    columns = [pack(codes[:, j].astype(np.int8 if signed else np.uint8), num_bits=width) for j in range(n)]  # fmt: skip # noqa: E501
    consts = Memory(1 << 20)
    own = {
        "bits": width, "weights": consts.put(np.stack(columns, axis=1)), "panel_bytes": rows * n,
        "scales": consts.put(scales), "zeros": consts.put(zeros),
        "block_of": consts.put(block_of), "groups": 3, "signed": signed, "tabled": tabled,
        "table": consts.put(table),
    }  # fmt: skip
    actual = product(tile, x, n, bias, consts, **own)
    expected = sequential(x, w, bias)
    assert actual.tobytes() == expected.tobytes(), f"{width} bits, signed {signed}"
