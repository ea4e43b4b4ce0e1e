"""The FP4 of bitsandbytes beside fractions, ONNX Runtime, E2M1 and recorded bytes."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.formats import bnb_fp4
from refquant.formats.absmax_blocks import Blockwise
from refquant.formats.bnb_fp4 import BNB_FP4, CARD, THRESHOLDS, dequantize, pack, quantize, unpack
from refquant.formats.codebook import midpoints
from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import FLOAT_FORMATS
from refquant_conformance.oracle import float32
from tests.refquant.formats.codebook_inputs import (
    blocks_around,
    digest_of_torch,
    special_blocks,
    unusual_blocks,
)
from tests.refquant.formats.codebook_oracle import encode
from tests.refquant.formats.ort_bnb4 import expect_bytes, expect_values

LITERALS = [  # bitsandbytes csrc/kernels.cu, dQuantizeFP4, and onnxruntime: decimals, as text
    "0.00260417", "0.0859375", "0.20833333", "0.29166667", "0.4166667", "0.583333", "0.8333333",
]  # fmt: skip
BITSANDBYTES = "882555943f078553"
"""SHA-256 (16 digits) of packed codes and absmax of bitsandbytes 0.50.2 with torch 2.13.0, CPU,
``quantize_4bit(blocksize=32, quant_type="fp4")`` on the input of the test that uses it."""
NOT_THE_MIDPOINT = {0: 0.0026041667, 2: 0.20833334, 3: 0.2916667, 5: 0.5833334, 6: 0.8333334}
"""The literals that are not the float32 midpoints of two entries, with that midpoint: decimals of
six to eight digits. A value from the one to the other has another code on a GPU (and in ONNX
Runtime) than on a CPU. By the entries, the midpoint is right: no other bound is nearer to both.
Minimal input: a block [1, 0.0026041669], code 0 and 1."""

MAGNITUDES = [Fraction(text) for text in ["0", "1/192", "2/3", "1", "1/3", "1/2", "1/6", "1/4"]]


def test_the_table_is_the_definition() -> None:
    assert BNB_FP4[:8].tolist() == [float32(m) for m in MAGNITUDES], "twelfths"
    assert (BNB_FP4[8:] == -BNB_FP4[:8]).all(), "the sign is the high bit"


def test_it_is_not_e2m1() -> None:
    """By its own maximum, E2M1 is (0, 1, 2, 3, 4, 6, 8, 12) / 12: other marks, other order."""
    e2m1 = decode(np.arange(8), FLOAT_FORMATS["e2m1"]) / np.float32(6)
    shared = sorted(set(e2m1.tolist()) & set(BNB_FP4[:8].tolist()))
    assert len(shared) == 7, f"all but 1/12 and 1/192: {shared}"
    assert e2m1.tolist() != BNB_FP4[:8].tolist(), "the order"


def test_thresholds_are_the_literals() -> None:
    assert THRESHOLDS.tolist() == [float32(Fraction(text)) for text in LITERALS], "bit for bit"


def test_thresholds_that_are_not_midpoints_are_named() -> None:
    ascending = np.sort(BNB_FP4[:8])
    bounds = midpoints(ascending)
    differ = np.flatnonzero(bounds != THRESHOLDS).tolist()
    assert differ == list(NOT_THE_MIDPOINT), f"{differ}, {bounds[differ]}"
    for k, middle in NOT_THE_MIDPOINT.items():
        assert np.float32(middle) == bounds[k], f"{k}: {bounds[k]!r}"
    x = np.array([1, 0.0026041669], np.float32)
    codes = [int(quantize(x, block_size=64, flavour=f).codes[1]) for f in ("bnb_torch", "ort")]
    assert codes == [1, 0], f"{codes}: did they agree at last?"


@pytest.mark.parametrize("tail", [0, 1, 5])
def test_codes_of_torch_are_those_of_the_exact_oracle(tail: int) -> None:
    book = np.sort(BNB_FP4)
    x = blocks_around(midpoints(book), block_size=32)
    x = np.concatenate([x, *special_blocks(block_size=32).values(), x[:tail]])
    bounds = midpoints(book).tolist()
    places, absmax = encode(x.tolist(), bounds, block_size=32, ties="low", tail="divide")
    by_value = sorted(range(16), key=lambda code: (BNB_FP4[code], code))
    q = quantize(x, block_size=32, flavour="bnb_torch")
    assert q.codes.tolist() == [by_value[place] for place in places], "codes"
    assert q.absmax.tolist() == absmax, "absmax"


@pytest.mark.parametrize("flavour", ["ort", "bnb_cuda"])
def test_codes_of_the_comparisons_are_those_of_the_exact_oracle(flavour: str) -> None:
    """Magnitudes by the literals, ties toward zero; the sign is that of x / absmax."""
    special = [x for x in special_blocks(block_size=32).values() if np.abs(x).max() > 1e-38]
    x = np.concatenate([blocks_around(THRESHOLDS, block_size=32), *special])
    bounds = THRESHOLDS.tolist()
    places, absmax = encode(np.abs(x).tolist(), bounds, block_size=32, ties="low", tail="multiply")
    by_magnitude = sorted(range(8), key=MAGNITUDES.__getitem__)
    tiny = (
        np.repeat(1 / np.array(absmax, np.float64), 32) * np.abs(x.astype(np.float64)) < 2.0**-150
    )
    signs = 8 * ((x < 0) & ~tiny)  # what underflows to -0 is not less than 0
    expected = [by_magnitude[place] + int(sign) for place, sign in zip(places, signs, strict=True)]
    assert quantize(x, block_size=32, flavour=flavour).codes.tolist() == expected, flavour


def test_bytes_are_those_of_bitsandbytes() -> None:
    digest = digest_of_torch(bnb_fp4, midpoints(np.sort(BNB_FP4)))
    assert digest == BITSANDBYTES, "measured once; tests/outsiders asks the package"


@pytest.mark.parametrize("block_size", [16, 32, 64])
def test_bytes_are_those_of_onnxruntime(block_size: int) -> None:
    bounds = np.concatenate([midpoints(np.sort(BNB_FP4)), THRESHOLDS])
    expect_bytes(bnb_fp4, bounds=bounds, block_size=block_size, kind="fp4")


def test_values_are_those_of_onnxruntime() -> None:
    expect_values(bnb_fp4, kind="fp4")


def test_flavours_differ_at_negative_ties_and_around_zero() -> None:
    """Ties go toward zero on a GPU, down on a CPU; -0.001 is code 8 there and 0 here."""
    tie = float(midpoints(np.sort(BNB_FP4[:8]))[1])
    assert tie == float(THRESHOLDS[1]), "a literal that is the midpoint: 0.0859375"
    x = np.array([1, tie, -tie, 0.001, -0.001, 0.0, -0.0], np.float32)
    expected = {"bnb_torch": [3, 1, 14, 8, 0, 0, 0], "bnb_cuda": [3, 1, 9, 0, 8, 0, 0]}
    for flavour, codes in expected.items():
        assert quantize(x, block_size=64, flavour=flavour).codes.tolist() == codes, flavour


def test_special_blocks_by_flavour() -> None:
    zeros = np.zeros(8, np.float32)
    for flavour in ("bnb_torch", "bnb_cuda", "ort"):
        assert not quantize(zeros, block_size=8, flavour=flavour).codes.any(), f"zeros: {flavour}"
    x = unusual_blocks(block_size=32)["nan"]
    assert (quantize(x, block_size=32, flavour="bnb_torch").codes == 3).all(), "NaN wins"
    assert quantize(x, block_size=32, flavour="bnb_cuda").codes[1] == 0, "all comparisons are false"


def test_round_trip_bad_input_and_card() -> None:
    codes = np.arange(15, dtype=np.uint8).reshape(3, 5)
    assert unpack(pack(codes), shape=(3, 5)).tolist() == codes.tolist(), "round trip"
    again = quantize(
        dequantize(Blockwise(codes, np.ones(1, np.float32), 64)), block_size=64, flavour="ort"
    )
    assert again.codes.reshape(-1).tolist() == [*range(8), 0, *range(9, 15)], "-0 is not kept"
    with pytest.raises(ValueError, match="flavour must be one of bnb_torch, bnb_cuda, ort"):
        quantize(np.zeros(1, np.float32), block_size=64, flavour="e2m1")
    assert "0b0101" in CARD.explain(np.array([1, 0.5], np.float32))[2].how, "0.5 is code 5"
