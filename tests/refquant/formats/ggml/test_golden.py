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
    ("Q8_0", "avx2"): "44d1291aa3fec2bd26570a51df94747b0d9c917ea69e8f5a94bb04d2a7dc25d3",
    ("Q8_1", "avx2"): "15a5467f98475a4f7ce41663359ff092a95dfca5da5f94641165e094420ed5cd",
    ("Q8_1", "reference"): "ee3877a675fe0fa3729ab700328b598ba3389b6161ce88fdeefc2ab69431a378",
    ("Q2_0", "reference"): "0eb865fc94e2f25e3eb21d8b1d6c92521f36920d6295238e59b01124e514d53b",
    ("Q4_0", "fma"): "7dfa98cea52af39f7c6319fee9a656fc6574bae3732ef77e2fcffe0cee5ad03a",
    ("Q4_1", "fma"): "a8511d3ffd4cc33b0f1fa4e19eb6954b70105719c168a1125fcc3ecea25329e6",
    ("Q5_0", "fma"): "e97c1c2784df74e83edd2a3e0bb6bda5143a94f9215a083816801e6a52399c0b",
    ("Q5_1", "fma"): "80af3c63126166506bacfc0f59b26f8f18feaa6a868784583e54a7bcc42f1b2b",
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
    halves[2::3] = np.clip(halves[2::3], -7.5, 7.5)
    halves[2::3, :2] = 7.5, -7.5  # 15 steps, for Q4_1
    scale = ((noise[::size] % np.uint64(100003)).astype(np.float32) + np.float32(1)) / np.float32(
        3e4
    )
    x = halves * scale[:, None]
    moved = (noise >> np.uint64(12)) % np.uint64(7)
    bits = x.view(np.int32) + (moved.astype(np.int32).reshape(x.shape) - 3) * (x != 0)
    return np.ascontiguousarray(bits.astype(np.int32)).view(np.float32)


@pytest.mark.parametrize(("name", "flavour"), DIGESTS)
def test_bytes_are_those_of_the_c_code(name: str, flavour: str) -> None:
    x = blocks(ggml_type(name).block_size)
    data = codec.encode(x, type=name, flavour=flavour)
    assert hashlib.sha256(data.tobytes()).hexdigest() == DIGESTS[name, flavour], "all 4,096 blocks"


def test_the_blocks_tell_the_flavours_apart() -> None:
    for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_1"):
        x = blocks(32)
        each = {
            how: codec.encode(x, type=name, flavour=how).tobytes() for how in codec.flavours(name)
        }
        assert len(set(each.values())) == len(each), f"{name}: every flavour has its own bytes"
