"""The oracle of blocks: by hand, and against gguf, a third opinion."""

import gguf
import numpy as np
import pytest

from refquant_conformance.arithmetic.blocks import sane_blocks
from refquant_conformance.oracle_blocks import SIZES, byte_exact, element_exact


@pytest.mark.parametrize("name", SIZES)
def test_elements_are_those_of_gguf(name: str) -> None:
    data = sane_blocks(name, 2, 4)
    theirs = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[name.upper()])
    for index in range(0, theirs.size, 1 + theirs.size // 160):
        ours = element_exact(name, data.tobytes(), index)
        assert ours == theirs[index], f"{name} [{index}]: {ours}, gguf {theirs[index]}"


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"])
def test_bytes_are_those_of_gguf(name: str) -> None:
    x = np.random.default_rng(2).standard_normal(64).astype(np.float32)
    theirs = gguf.quants.quantize(x, gguf.GGMLQuantizationType[name.upper()]).tobytes()
    way = "reference" if name == "q8_0" else "separate"
    ours = bytes(byte_exact(name, x.tolist(), i, way=way) for i in range(len(theirs)))
    assert ours == theirs, f"{name}: {ours.hex()}, gguf {theirs.hex()}"


def test_a_block_by_hand() -> None:
    """d = 1 and nibbles 0xF (low), 0x9 (high): 15 - 8 = 7, and 9 - 8 = 1 sixteen places on."""
    block = bytes([0, 60]) + bytes([0x9F] * 16)
    assert element_exact("q4_0", block, 0) == 7.0, "the low nibble"
    assert element_exact("q4_0", block, 16) == 1.0, "the high nibble"
    assert element_exact("q4_0", block, 1, pairs=True) == 1.0, "the high nibble, of neighbours"
