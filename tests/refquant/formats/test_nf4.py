"""NF4: its table, its generator, and bytes beside fractions, ONNX Runtime and bitsandbytes."""

import math
import statistics
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.formats import nf4
from refquant.formats.codebook import midpoints
from refquant.formats.nf4 import (
    CARD,
    FLAVOURS,
    NF4,
    OFFSET,
    THRESHOLDS,
    dequantize,
    normal_map,
    pack,
    quantize,
    unpack,
)
from refquant_conformance.oracle import float32
from tests.refquant.formats.codebook_inputs import (
    blocks_around,
    digest_of_torch,
    many,
    special_blocks,
    unusual_blocks,
)
from tests.refquant.formats.codebook_oracle import encode
from tests.refquant.formats.ort_bnb4 import expect_bytes, expect_values, ort_bytes

PUBLISHED = [  # bitsandbytes functional.py, get_4bit_type("nf4")
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
]  # fmt: skip
LITERALS = [  # bitsandbytes csrc/kernels.cu, dQuantizeNF4, and onnxruntime: decimals, as text
    "-0.8480964004993439", "-0.6106329262256622", "-0.4599952697753906", "-0.33967943489551544",
    "-0.23460740596055984", "-0.13791173323988914", "-0.045525018125772476",
    "0.03979014977812767", "0.1202552504837513", "0.2035212516784668", "0.2920137718319893",
    "0.3893125355243683", "0.5016634166240692", "0.6427869200706482", "0.8614784181118011",
]  # fmt: skip
NOT_THE_MIDPOINT = {
    0: np.float32(-0.84809637),
    8: np.float32(0.120255254),
    12: np.float32(0.50166345),
    14: np.float32(0.86147845),
}
"""bitsandbytes disagrees with itself: on a value of these, GPU and CPU give different codes.
The exact middle of two entries is half way between two float32. The CPU path rounds it to even,
the literal in the kernel (and in ONNX Runtime) falls to the other side. Neither is wrong by a text:
QLoRA says "nearest". Minimal input: a block [1, v] with v from this table."""
BITSANDBYTES = "df6fac42dec2163c"
"""SHA-256 (16 digits) of packed codes and absmax of bitsandbytes 0.50.2 with torch 2.13.0, CPU,
``quantize_4bit(blocksize=32, quant_type="nf4")`` on the input of the test that uses it."""

Array = np.ndarray[Any, Any]


def test_the_table_is_the_published_one() -> None:
    assert np.array_equal(NF4, np.array(PUBLISHED, np.float32)), "bit for bit"


def test_the_generator_gives_the_table() -> None:
    assert np.array_equal(normal_map(OFFSET), NF4), "bit for bit"
    assert abs(OFFSET - (1 - (1 / 32 + 1 / 30) / 2)) < 1e-7, (
        "the offset is that mean, cut to 7 digits"
    )


def test_the_quantiles_are_those_of_the_error_function() -> None:
    """The standard library's quantile, checked by another function: Phi(Phi^-1(p)) = p.

    AS241 promises 16 digits; erfc and its argument have a few ulp, times |z phi(z) / Phi(z)| < 4.
    """
    for p in np.linspace(0.5, 0.9677083, 64):
        z = statistics.NormalDist().inv_cdf(float(p))
        back = math.erfc(-z / math.sqrt(2)) / 2
        assert abs(back - float(p)) <= 16 * math.ulp(1.0), f"{p}: {back}"


def test_thresholds_are_the_literals_rounded_once() -> None:
    assert THRESHOLDS.tolist() == [float32(Fraction(text)) for text in LITERALS], "bit for bit"


def test_thresholds_are_the_midpoints_but_for_four() -> None:
    bounds = midpoints(NF4)
    differ = np.flatnonzero(bounds != THRESHOLDS).tolist()
    assert differ == list(NOT_THE_MIDPOINT), "the named entries, no other"
    for k, v in NOT_THE_MIDPOINT.items():
        ulp = abs(float(bounds[k]) - float(THRESHOLDS[k]))
        assert ulp == float(np.spacing(np.abs(bounds[k]))), f"{k}: neighbours"
        one = np.array([1, v], np.float32)
        cpu, gpu, ort = (int(quantize(one, block_size=32, flavour=f).codes[1]) for f in FLAVOURS)
        packed, _ = ort_bytes(np.append(one, np.zeros(14, np.float32)), block_size=16, kind="nf4")
        assert gpu == ort == int(packed[0]) & 15, f"{k}: the operator has the literal's code"
        assert cpu != gpu, f"{k}: {cpu}; did they agree at last?"


@pytest.mark.parametrize("tail", [0, 1, 5])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_codes_are_those_of_the_exact_oracle(flavour: str, tail: int) -> None:
    special = special_blocks(block_size=32)
    if flavour != "bnb_torch":
        # Without a floor these have no finite reciprocal; ONNX Runtime is asked about them below.
        special = {name: x for name, x in special.items() if np.abs(x).max() > 1e-38}
    bounds = midpoints(NF4) if flavour == "bnb_torch" else THRESHOLDS
    x = blocks_around(bounds, block_size=32)
    x = np.concatenate([x, *special.values(), x[:tail]])
    kind = "divide" if flavour == "bnb_torch" else "multiply"
    codes, absmax = encode(x.tolist(), bounds.tolist(), block_size=32, ties="low", tail=kind)
    q = quantize(x, block_size=32, flavour=flavour)
    assert q.codes.tolist() == codes, "codes"
    assert q.absmax.tolist() == absmax, "absmax"


def test_bytes_are_those_of_bitsandbytes() -> None:
    digest = digest_of_torch(nf4, midpoints(NF4))
    assert digest == BITSANDBYTES, "measured once; tests/outsiders asks the package"


@pytest.mark.parametrize("block_size", [16, 32, 64])
def test_bytes_are_those_of_onnxruntime(block_size: int) -> None:
    bounds = np.concatenate([midpoints(NF4), THRESHOLDS])
    expect_bytes(nf4, bounds=bounds, block_size=block_size, kind="nf4")


def test_values_are_those_of_onnxruntime() -> None:
    expect_values(nf4, kind="nf4")


def test_special_blocks_by_flavour() -> None:
    zeros = np.zeros(32, np.float32)
    expected = {"bnb_torch": 7, "ort": 7, "bnb_cuda": 0}
    for flavour in FLAVOURS:
        codes = quantize(zeros, block_size=32, flavour=flavour).codes
        assert (codes == expected[flavour]).all(), f"zeros, {flavour}"
    x = unusual_blocks(block_size=32)["nan"]
    assert (quantize(x, block_size=32, flavour="bnb_torch").codes == 15).all(), "NaN wins"
    others = quantize(x, block_size=32, flavour="bnb_cuda").codes[:4].tolist()
    assert others == [15, 0, 2, 10], "NaN is code 0, the others are as without it"


def test_shapes_are_kept() -> None:
    x = many(1, count=3 * 5 * 7).reshape(3, 5, 7)
    q = quantize(x, block_size=16, flavour="bnb_torch")
    assert q.codes.shape == dequantize(q).shape == (3, 5, 7), "of the tensor"
    assert unpack(pack(q.codes), shape=(3, 5, 7)).tolist() == q.codes.tolist(), "round trip"
    empty = quantize(x[:0], block_size=16, flavour="ort")
    assert dequantize(empty).shape == (0, 5, 7), "nothing stays nothing"


def test_bad_input_is_refused() -> None:
    x = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="x must be float32"):
        quantize(x.astype(np.float16), block_size=64, flavour="ort")
    with pytest.raises(ValueError, match="flavour must be one of bnb_torch, bnb_cuda, ort"):
        quantize(x, block_size=64, flavour="bnb_cpu")
    for offset in (0.5, 1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="offset must be a probability"):
            normal_map(offset)
    with pytest.raises(ValueError, match="negative and positive"):
        normal_map(OFFSET, negative=0)


def test_the_card_explains_a_value() -> None:
    steps = CARD.explain(np.array([0.5, -2.0], np.float32))
    assert steps[0].result == "2", steps[0]
    assert "0b1010" in steps[1].how, steps[1]
