"""The dynamic map: its marks from the definition, its three kinds of search, recorded bytes."""

import hashlib
from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.absmax_blocks import Blockwise
from refquant.formats.codebook import midpoints
from refquant.formats.dynamic_map import (
    CARD,
    DYNAMIC_SIGNED,
    DYNAMIC_UNSIGNED,
    dequantize,
    dynamic_map,
    quantize,
)
from refquant_conformance.oracle import float32
from tests.refquant.formats.codebook_inputs import F32, blocks_around, special_blocks
from tests.refquant.formats.codebook_oracle import encode, place

# SHA-256 (16 digits) of what bitsandbytes 0.50.2 with torch 2.13.0 gives on a CPU with FMA:
MAPS = {"signed": "e732639a65f497b4", "unsigned": "305f002cc11278fb"}  # create_dynamic_map(signed)
BNB_CPU = "f99ede7cb9c5373b"  # quantize_blockwise(blocksize=64): codes, absmax
BNB_TORCH = "81a709b02902b0c6"  # the same operator, backend "default"

ZERO_BECOMES_131 = "0.0 is code 127 of the map; bitsandbytes 0.50.2 on a CPU writes 131 (2.1e-5)"
"""By the map (127 is 0.0), by bitsandbytes' CUDA kernel and by its PyTorch path, zero is 127.
Minimal input: [1.0, 0.0]. The flavour ``bnb_cpu`` is what is done; see test_zero_becomes_131."""


def digest(*arrays: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()[:16]


def inputs() -> F32:
    x = blocks_around(midpoints(DYNAMIC_SIGNED), block_size=64)
    return np.concatenate([x, *special_blocks(block_size=64).values(), x[:13]])


def test_maps_are_those_of_bitsandbytes() -> None:
    assert digest(DYNAMIC_SIGNED) == MAPS["signed"], "signed"
    assert digest(DYNAMIC_UNSIGNED) == MAPS["unsigned"], "unsigned"


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("num_bits", range(2, 9))
def test_marks_are_near_the_exact_definition(signed: bool, num_bits: int) -> None:
    """Three roundings of at most half an ulp each, of numbers in [0.1, 1): bound 3 * 2^-25, and
    the power of ten and the product, relative 2^-24 each; the middle is at least 0.1."""
    decades = num_bits - 1
    marks = dynamic_map(signed=signed, max_exponent_bits=decades, num_bits=num_bits)
    exact = [Fraction(0), Fraction(1)]
    for i in range(decades):
        count = 2 ** (i if signed else i + 1)
        for j in range(count):
            middle = Fraction(1, 10) + Fraction(9, 10) * Fraction(2 * j + 1, 2 * count)
            mark = middle * Fraction(10) ** (i - decades + 1)
            exact += [mark, -mark] if signed else [mark]
    exact.sort()
    assert marks.size == len(exact) == 2**num_bits, "codes"
    for mark, truth in zip(marks, exact, strict=True):
        error = abs(Fraction(float(mark)) - truth)
        assert error <= abs(truth) * Fraction(2**-23 + 10 * 3 * 2**-25), f"{mark} {float(truth)}"


def test_every_code_is_told_apart() -> None:
    assert (np.diff(DYNAMIC_SIGNED) > 0).all(), "strictly ascending"
    assert (np.diff(DYNAMIC_UNSIGNED) > 0).all(), "strictly ascending"
    assert DYNAMIC_SIGNED[[127, 255]].tolist() == [0.0, 1.0], "the places of zero and one"


@pytest.mark.parametrize("tail", [0, 1, 63])
def test_codes_of_torch_are_those_of_the_exact_oracle(tail: int) -> None:
    x = inputs()[: 64 * 8]
    x = np.concatenate([x, *special_blocks(block_size=64).values(), x[:tail]])
    bounds = midpoints(DYNAMIC_SIGNED).tolist()
    codes, absmax = encode(x.tolist(), bounds, block_size=64, ties="low", tail="divide")
    q = quantize(x, values=DYNAMIC_SIGNED, block_size=64, flavour="bnb_torch")
    assert q.codes.tolist() == codes, "codes"
    assert q.absmax.tolist() == absmax, "absmax"


def test_ties_are_low_or_even() -> None:
    bounds = midpoints(DYNAMIC_SIGNED)
    x = np.concatenate([np.ones(1, np.float32), bounds])
    for flavour, ties in {"bnb_torch": "low", "bnb_cuda": "even"}.items():
        q = quantize(x, values=DYNAMIC_SIGNED, block_size=4096, flavour=flavour)
        expected = [k if ties == "low" or k % 2 == 0 else k + 1 for k in range(255)]
        assert q.codes.tolist() == [255, *expected], flavour


def tree(x: float, book: list[float]) -> int:
    """The search of the CUDA kernel, step by step (bitsandbytes csrc/kernels.cu, dQuantize)."""
    pivot, low, high, step = 127, 0, 255, 64
    while step:
        if x > book[pivot]:
            low, pivot = pivot, pivot + step
        else:
            high, pivot = pivot, pivot - step
        step //= 2
    if x > book[pivot]:
        middle = float32((Fraction(book[high]) + Fraction(book[pivot])) / 2)
        return high if x > middle else pivot
    middle = float32((Fraction(book[low]) + Fraction(book[pivot])) / 2)
    return low if x < middle else pivot


def test_the_tree_of_the_gpu_ends_on_even_places() -> None:
    book = DYNAMIC_SIGNED.tolist()
    bounds = midpoints(DYNAMIC_SIGNED)
    up, down = np.nextafter(bounds, np.float32(2)), np.nextafter(bounds, np.float32(-2))
    x = np.concatenate([np.ones(1, np.float32), bounds, up, down, DYNAMIC_SIGNED])
    q = quantize(x, values=DYNAMIC_SIGNED, block_size=4096, flavour="bnb_cuda")
    assert q.codes.tolist() == [tree(float(v), book) for v in x], "every tie and neighbour"


def test_codes_of_the_grid_are_those_of_the_exact_oracle() -> None:
    """Eq. (3) with every float32 operation rounded by hand, at and beside the steps of the grid."""
    edges = ((np.arange(0, 65536, 997) - 0.5) / 65535 * 2 - 1).astype(np.float32)
    x = np.concatenate([np.ones(1, np.float32), edges, np.nextafter(edges, np.float32(2))])
    x = np.concatenate([x, np.array([0.0, -0.0, 1e-5, -1.0], np.float32)])
    x = x[np.abs(x) <= 1]
    bounds = midpoints(DYNAMIC_SIGNED).tolist()
    expected = []
    for v in x.tolist():
        shifted = float32(Fraction(v) + 1)
        product = float32(Fraction(shifted) / 2 * 65535)
        index = int(Fraction(float32(Fraction(product) + Fraction(1, 2))))
        point = float32(Fraction(float32(Fraction(2 * index, 65535))) - 1)
        expected.append(place(point, bounds, "low"))
    q = quantize(x, values=DYNAMIC_SIGNED, block_size=4096, flavour="bnb_cpu")
    assert q.codes.tolist() == expected, "every step"


def test_bytes_are_those_of_bitsandbytes() -> None:
    for flavour, expected in {"bnb_cpu": BNB_CPU, "bnb_torch": BNB_TORCH}.items():
        q = quantize(inputs(), values=DYNAMIC_SIGNED, block_size=64, flavour=flavour)
        assert digest(q.codes, q.absmax) == expected, f"{flavour}: measured once"


def test_zero_becomes_131() -> None:
    x = np.array([1.0, 0.0], np.float32)
    for flavour, code in {"bnb_torch": 127, "bnb_cuda": 127, "bnb_cpu": 131}.items():
        q = quantize(x, values=DYNAMIC_SIGNED, block_size=64, flavour=flavour)
        assert q.codes.tolist() == [255, code], f"{flavour}: {ZERO_BECOMES_131}"
    every = np.linspace(-1, 1, 1 << 18, dtype=np.float32)
    q = quantize(every, values=DYNAMIC_SIGNED, block_size=1 << 18, flavour="bnb_cpu")
    missing = sorted(set(range(256)) - set(q.codes.tolist()))
    assert missing == list(range(124, 131)), "seven codes never occur"


def test_special_blocks() -> None:
    for flavour, code in {"bnb_torch": 127, "bnb_cuda": 0, "bnb_cpu": 0}.items():
        zeros = np.zeros(5, np.float32)
        q = quantize(zeros, values=DYNAMIC_SIGNED, block_size=8, flavour=flavour)
        assert (q.codes == code).all(), f"zeros: {flavour}"
        assert not dequantize(q, values=DYNAMIC_SIGNED).any() or flavour == "bnb_torch", flavour
    x = np.array([np.nan, 1.0, -1.0], np.float32)
    q = quantize(x, values=DYNAMIC_SIGNED, block_size=8, flavour="bnb_torch")
    assert (q.codes == 255).all(), "NaN wins"
    q = quantize(x, values=DYNAMIC_SIGNED, block_size=8, flavour="bnb_cpu")
    assert q.codes.tolist() == [0, 255, 0], "NaN is code 0"


def test_every_code_decodes_to_its_mark() -> None:
    codes = np.arange(256, dtype=np.uint8)
    back = dequantize(Blockwise(codes, np.ones(1, np.float32), 256), values=DYNAMIC_UNSIGNED)
    assert np.array_equal(back, DYNAMIC_UNSIGNED), "an absmax of 1 changes nothing"


def test_bad_input_is_refused() -> None:
    x = np.zeros(1, np.float32)
    for exponent_bits, bits in ((0, 8), (8, 8), (7, 9), (1, 1)):
        with pytest.raises(ValueError, match="num_bits must be in"):
            dynamic_map(signed=True, max_exponent_bits=exponent_bits, num_bits=bits)
    with pytest.raises(ValueError, match="max_exponent_bits must be 7 for an unsigned map"):
        dynamic_map(signed=False, max_exponent_bits=5, num_bits=8)
    with pytest.raises(ValueError, match="flavour must be one of"):
        quantize(x, values=DYNAMIC_SIGNED, block_size=8, flavour="ort")
    with pytest.raises(ValueError, match=r"values must be float32 of shape \(256,\)"):
        quantize(x, values=DYNAMIC_SIGNED[:16], block_size=8, flavour="bnb_cpu")


def test_the_card_explains_a_value() -> None:
    assert "0b11111111" in CARD.explain(np.array([3.0, 1.0], np.float32))[1].how, "the absmax"
