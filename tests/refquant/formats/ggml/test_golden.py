"""Bytes that ggml's own C code wrote, where no Python package writes them.

Made from ggml of 2026-08-21 (commit d99724f2b141), gcc on x86-64 with ``-mavx2 -mf16c -mfma``: the
functions ``quantize_row_q8_0`` and ``quantize_row_q8_1`` for ``avx2``, ``quantize_row_*_ref`` for
the others, with ``-ffp-contract=fast`` for ``fma`` and ``off`` for the rest. Each digest is the
SHA-256 of the bytes of the blocks below.
"""

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import codec
from refquant.formats.ggml.types import ggml_type

DIGESTS = {
    ("Q8_0", "avx2"): "cc654857381924305cfa77d726ff793bcd591359a7abf9f0d4c4232cfe22d966",
    ("Q8_1", "avx2"): "86d56fe0bf4914daa8de73f1dff0008dfcfeb3abdcaca902211627691adceb8c",
    ("Q8_1", "reference"): "6462715facb6f0ec863b89285789cce9167b97115a56d8e92894b7a89e833d15",
    ("Q2_0", "reference"): "6afe0b0846c74abc2208ddaed03222ecf6bfa269098bab913117901f0174532e",
    ("Q4_0", "fma"): "e6b200ca5f404407e4b2c0a30040f8da208ee81e6ceda7b2fd33ef0d9d3e61bf",
    ("Q4_1", "fma"): "118aceab4d30f7694c0b5d21c4198d81c3c8176426052f0db5621c4c25d5c3d3",
    ("Q5_0", "fma"): "e80cce376d2426a739bab14dab4bde561c669fb343dbe0a297a6e8b15138b4e2",
    ("Q5_1", "fma"): "6b8d161280b8da9d42e5eaa8c868b4815bc5bbe8674c4dabf156e8295b4484dd",
}


def blocks(size: int) -> NDArray[np.float32]:
    """4,096 blocks of halves of whole numbers, times any scale, moved by up to three floats.

    Integer arithmetic and one float32 product: the same on every machine and in every NumPy.
    """
    k = np.arange(4096 * size, dtype=np.uint64)
    noise = (k * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)) >> np.uint64(33)
    halves = (noise % np.uint64(63)).astype(np.float32) / np.float32(2) - np.float32(15.5)
    halves = halves.reshape(-1, size)
    halves[::3, 0] = 16  # the largest: about a scale is the step of Q4_0 and Q5_0
    halves[1::3, :2] = 15.5, -15.5  # 31 steps, for Q5_1
    halves[2::3] = np.minimum(np.abs(halves[2::3]), 15)
    halves[2::3, :2] = 15, 0  # 15 steps, for Q4_1
    wide = (noise[::size] % np.uint64(100003)).astype(np.float32) + np.float32(1)
    scale = wide / np.float32(3e4)
    x = halves * scale[:, None]
    moved = (noise >> np.uint64(12)) % np.uint64(7)
    bits = x.view(np.int32) + (moved.astype(np.int32).reshape(x.shape) - 3) * (x != 0)
    return np.ascontiguousarray(bits.astype(np.int32)).view(np.float32)


@pytest.mark.parametrize(("name", "flavour"), DIGESTS)
def test_bytes_are_those_of_the_c_code(name: str, flavour: str) -> None:
    x = blocks(ggml_type(name).block_size)
    data = codec.encode(x, type=name, flavour=flavour)
    assert hashlib.sha256(data.tobytes()).hexdigest() == DIGESTS[name, flavour], "all 4,096 blocks"


@pytest.mark.parametrize(("name", "flavour"), [key for key in DIGESTS if key[1] != "reference"])
def test_the_blocks_tell_the_flavour_from_the_reference(name: str, flavour: str) -> None:
    x = blocks(ggml_type(name).block_size)
    plain, other = codec.encode(x, type=name), codec.encode(x, type=name, flavour=flavour)
    assert (plain != other).any(axis=1).sum() >= 2, "otherwise the digest would prove nothing"
