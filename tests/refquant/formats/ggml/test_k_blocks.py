"""Super-blocks, columns and planes of bits."""

import numpy as np
import pytest

from refquant.formats.ggml import q4_k
from refquant.formats.ggml.k_blocks import (
    columns,
    encode_super_blocks,
    pack_planes,
    rows,
    unpack_planes,
)
from tests.refquant.formats.ggml.k_quants import F32, MODULES, U8


@pytest.mark.parametrize(("num_bits", "stride"), [(1, 32), (2, 32), (4, 32), (4, 64)])
def test_each_code_has_its_bits(num_bits: int, stride: int) -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 1 << num_bits, (5, 256)).astype(np.uint8)
    data = pack_planes(codes, num_bits=num_bits, stride=stride)
    assert data.shape == (5, 32 * num_bits), "no bit is lost"
    span = 8 // num_bits * stride
    for j in range(256):
        byte = data[:, j // span * stride + j % stride]
        place = num_bits * (j % span // stride)
        assert np.array_equal(byte >> place & ((1 << num_bits) - 1), codes[:, j]), f"code {j}"
    assert np.array_equal(unpack_planes(data, num_bits=num_bits, stride=stride), codes), "back"


def test_columns_and_rows_are_inverse() -> None:
    x = np.arange(3 * 256).reshape(3, 256)
    for size in (16, 32, 256):
        turned = columns(x, size)
        assert turned.flags.c_contiguous, "sums over axis 0 are sequential only then"
        assert turned[:, 1].tolist() == list(range(size, 2 * size)), "a run is a column"
        assert np.array_equal(rows(turned, 256), x), "and back"


@pytest.mark.parametrize("name", MODULES)
def test_a_block_depends_on_no_other(name: str) -> None:
    """Also where a chunk ends: 256 super-blocks."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((259, 2, 256)).astype(np.float32)
    importance = rng.random(512).astype(np.float32)
    encode = MODULES[name].encode
    whole, weighted = encode(x), encode(x.reshape(259, 512), importance=importance)
    for i in (0, 127, 128, 129, 258):
        assert np.array_equal(encode(x[i]), whole[i]), f"super-blocks {2 * i}, {2 * i + 1}"
        alone = [encode(x[i, k], importance=importance[256 * k :][:256]) for k in (0, 1)]
        assert np.array_equal(np.concatenate(alone), weighted[i]), f"row {i}, with importance"


def test_overflow_names_the_super_block() -> None:
    x = np.ones((3, 512), np.float32)
    x[1, 256:] = 1e19
    q4_k.encode(x)  # an infinite scale, as in ggml
    with pytest.raises(ValueError, match="the sums of Q4_K in float32 overflow in super-block 3;"):
        q4_k.encode(x, importance=np.ones(512, np.float32))


def test_arguments_are_not_changed() -> None:
    x = np.random.default_rng(1).standard_normal((2, 256)).astype(np.float32)
    importance = np.ones(256, np.float32)
    before = x.copy()
    for module in MODULES.values():
        module.decode(module.encode(x, importance=importance))
    assert np.array_equal(x, before), "x"
    assert (importance == 1).all(), "importance"


def test_the_function_sees_each_block_with_its_own_importance() -> None:
    seen = []

    def function(part: F32, weights: F32 | None) -> U8:
        assert weights is not None, "importance was given"
        seen.extend(weights[:, 0].tolist())
        return np.zeros((len(part), 144), np.uint8)

    importance = np.repeat(np.arange(3, dtype=np.float32), 256)
    x = np.zeros((200, 768), np.float32)
    encode_super_blocks(x, importance, type="Q4_K", halves=(), function=function)
    assert seen == [0.0, 1.0, 2.0] * 200, "the row's importance, over all chunks"
