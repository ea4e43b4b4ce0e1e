"""AF4: the published table upside down, judged by fractions."""

import numpy as np
import pytest

from refquant.formats.absmax_blocks import Blockwise
from refquant.formats.af4 import AF4, BLOCK_SIZE, CARD, dequantize, quantize
from refquant.formats.codebook import midpoints
from tests.refquant.formats.codebook_inputs import blocks_around, special_blocks
from tests.refquant.formats.codebook_oracle import encode

PUBLISHED = [  # arXiv 2306.06965, the table for blocks of 64
    -1.0, -0.69441008, -0.51243739, -0.3736951, -0.25607552, -0.14982478, -0.04934812, 0.0,
    0.04273164, 0.12934483, 0.21961274, 0.31675666, 0.42563882, 0.55496234, 0.72424863, 1.0,
]  # fmt: skip


def test_the_table_is_the_published_one_descending() -> None:
    assert np.array_equal(AF4[::-1], np.array(PUBLISHED, np.float32)), "bit for bit"


@pytest.mark.parametrize("tail", [0, 1, 63])
def test_codes_are_those_of_the_exact_oracle(tail: int) -> None:
    bounds = midpoints(np.array(PUBLISHED, np.float32))
    x = blocks_around(bounds, block_size=BLOCK_SIZE)
    x = np.concatenate([x, *special_blocks(block_size=BLOCK_SIZE).values(), x[:tail]])
    places, absmax = encode(
        x.tolist(), bounds.tolist(), block_size=BLOCK_SIZE, ties="low", tail="divide"
    )
    q = quantize(x)
    assert q.codes.tolist() == [15 - place for place in places], "codes"
    assert q.absmax.tolist() == absmax, "absmax"


def test_every_code_comes_back() -> None:
    codes = np.arange(16, dtype=np.uint8)
    q = Blockwise(codes, np.ones(1, np.float32), BLOCK_SIZE)
    assert quantize(dequantize(q)).codes.tolist() == codes.tolist(), "0 to 15"
    assert np.array_equal(dequantize(q), AF4), "an absmax of 1 changes nothing"


def test_special_values() -> None:
    assert (quantize(np.zeros((2, 3), np.float32)).codes == 8).all(), "zero is code 8"
    assert quantize(np.zeros(0, np.float32)).codes.size == 0, "nothing stays nothing"
    assert (quantize(np.array([np.nan, 1], np.float32)).codes == 0).all(), "NaN: the last place"
    with pytest.raises(ValueError, match="x must be float32"):
        quantize(np.zeros(3))


def test_the_card_explains_a_value() -> None:
    assert "0b1111" in CARD.explain(np.array([-2.0], np.float32))[1].how, "-absmax is code 15"
