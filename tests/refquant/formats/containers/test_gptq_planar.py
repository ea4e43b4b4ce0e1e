"""Planes of bits against the definition, bit by bit, and against what GPTQModel wrote."""

import numpy as np
import pytest

from refquant.formats.containers.gptq_planar import pack_planar, unpack_planar
from tests.refquant.formats.containers import big_int

PLANES = {2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2), 7: (4, 2, 1), 8: (8,)}

GPTQMODEL = {
    3: "39393939 39393939 d2d2d2d2",
    5: "4fa50b61 c72d83e9 4fa50b61 c72d83e9 e3871c78",
    6: "4fa50b61 c72d83e9 4fa50b61 c72d83e9 03fa9540 540fea95",
    7: "4fa50b61 c72d83e9 4fa50b61 c72d83e9 03fa9540 540fea95 03ffe000",
}
"""``planar_pack_rows`` of GPTQModel 7.7.0 with PyTorch 2.13.0, for codes (5 i + 1) mod 2^bits."""


@pytest.mark.parametrize("num_bits", PLANES)
def test_every_bit_is_where_its_plane_says(num_bits: int) -> None:
    codes = big_int.codes_of((2, 64), num_bits, seed=6).astype(np.uint32)
    words = pack_planar(codes, num_bits=num_bits)
    for row, given in zip(words.tolist(), codes.tolist(), strict=True):
        for group in range(2):
            total = big_int.number(row[group * num_bits : (group + 1) * num_bits], 32)
            for i in range(32):
                code, offset = 0, 0
                for width in PLANES[num_bits]:
                    code |= big_int.field(total, 32 * offset + width * i, width) << offset
                    offset += width
                assert code == given[32 * group + i], f"{num_bits} bits, code {i} of {group}"
    assert unpack_planar(words, num_bits=num_bits).tolist() == codes.tolist(), "the inverse"


@pytest.mark.parametrize("num_bits", GPTQMODEL)
def test_gptqmodel_wrote_these_words(num_bits: int) -> None:
    codes = (np.arange(32)[None] * 5 + 1) % (1 << num_bits)
    words = pack_planar(codes.astype(np.uint32), num_bits=num_bits)[0]
    assert " ".join(f"{w:08x}" for w in words.tolist()) == GPTQMODEL[num_bits], f"{words}"


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="codes along a row must be a multiple of 32, got 8"):
        pack_planar(np.zeros((1, 8), np.uint32), num_bits=4)
    with pytest.raises(ValueError, match="words along a row must be a multiple of 3, got 4"):
        unpack_planar(np.zeros((1, 4), np.uint32), num_bits=3)
    with pytest.raises(
        ValueError, match=r"num_bits must be in 2\.\.8 for the planar layout, got 1"
    ):
        pack_planar(np.zeros((1, 32), np.uint32), num_bits=1)
