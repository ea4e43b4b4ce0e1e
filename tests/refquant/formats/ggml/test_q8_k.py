"""Q8_K: against a scalar program, in three flavours. No package on PyPI writes or reads it."""

import struct

import numpy as np
import pytest

from refquant.formats.ggml.q8_k import CARD, FLAVOURS, decode, encode
from tests.refquant.formats.ggml.k_quants import corpus
from tests.refquant.formats.ggml.simple import f32

GOLDEN = {  # float32 inputs, then zeros; d and first codes of ggml's C function, gcc 12, x86-64
    (2.0, -2.0, 1.0): (b"\x04\x02\x81\xbc", [-127, 127, -64]),
    (-2.0, 2.0, 1.0): (b"\x04\x02\x81\x3c", [-127, 127, 64]),
    (0.5, 1.5, 2.5, 127.0): (b"\x00\x00\x80\xbf", [0, -2, -2, -127]),
    (1e-38, -1e-38): (b"\x00\x00\x00\x80", [0, 0]),
}


def scalar(x: list[float], flavour: str) -> bytes:
    """One block by the text of the module, in Python floats rounded to float32."""
    top = max(abs(v) for v in x)
    if top == 0:
        return bytes(292)
    first = next(v for v in x if abs(v) == top)
    both = {top, -top} <= set(x)
    largest = first if not both else {"reference": first, "riscv": -top, "wasm": top}[flavour]
    kappa = f32(-127 / largest)
    d = f32(1 / kappa)
    codes = []
    for v in x:
        product = f32(kappa * v) if v or abs(kappa) < 1e39 else 0.0
        if abs(kappa) > 1e39:  # infinite
            limits = {"riscv": (-128, 127, 127), "wasm": (-128, 127, 0)}.get(flavour, (0, 0, 0))
            codes.append(limits[2] if v == 0 else limits[int(product > 0)])
        else:
            codes.append(min(round(product), 127))
    sums = [sum(codes[i : i + 16]) for i in range(0, 256, 16)]
    return struct.pack("<f256b16h", d, *codes, *sums)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_bytes_are_those_of_a_scalar_program(flavour: str) -> None:
    for name, x in corpus(3).items():
        got = encode(x, flavour=flavour)
        for i, row in enumerate(x):
            expected = np.frombuffer(scalar(row.tolist(), flavour), np.uint8)
            differ = np.flatnonzero(got[i] != expected)
            assert not len(differ), f"{name}, block {i}: bytes {differ[:5]}"


def test_reference_has_the_bytes_of_ggml() -> None:
    for values, (d, codes) in GOLDEN.items():
        x = np.zeros(256, np.float32)
        x[: len(values)] = values
        data = encode(x)
        assert data[:4].tobytes() == d, f"{values}: d is {data[:4].tobytes()!r}"
        assert data[4:][: len(codes)].view(np.int8).tolist() == codes, f"{values}: codes"


def test_flavours_differ_only_in_the_sign_where_m_and_minus_m_meet() -> None:
    x = np.zeros((2, 256), np.float32)
    x[0, :2], x[1, :2] = (3, -3), (-3, 3)
    signs = {f: np.sign(decode_scale(encode(x, flavour=f))).tolist() for f in FLAVOURS}
    assert signs == {"reference": [-1, 1], "riscv": [1, 1], "wasm": [-1, -1]}, "sign of d"
    for flavour in FLAVOURS:
        back = decode(encode(x, flavour=flavour))
        assert np.array_equal(back, decode(encode(x))), f"{flavour}: the values are the same"


def decode_scale(data: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[float]:
    scales: list[float] = np.ascontiguousarray(data[:, :4]).view("<f4")[:, 0].tolist()
    return scales


def test_every_code_decodes_exactly() -> None:
    data = np.zeros((1, 292), np.uint8)
    data[0, :4] = np.frombuffer(struct.pack("<f", 0.1), np.uint8)
    data[0, 4:260] = np.arange(256)
    codes = np.arange(256, dtype=np.uint8).view(np.int8)
    expected = [f32(f32(0.1) * int(code)) for code in codes]
    assert decode(data)[0].tolist() == expected, "d times code, rounded once"


def test_wrong_input_is_refused() -> None:
    x = np.zeros((2, 256), np.float32)
    with pytest.raises(ValueError, match="multiple of 256"):
        encode(x[:, :255])
    with pytest.raises(ValueError, match="flavour must be one of reference, riscv, wasm"):
        encode(x, flavour="neon")
    with pytest.raises(ValueError, match=r"importance must be float32 of shape \(256,\)"):
        encode(x, importance=np.ones(4, np.float32))
    x[1, 7] = np.inf
    with pytest.raises(ValueError, match=r"finite for Q8_K, got inf at index \(1, 7\)"):
        encode(x)
    with pytest.raises(ValueError, match="multiple of 292 bytes"):
        decode(np.zeros(291, np.uint8))


def test_the_card_shows_the_same_numbers_as_the_codec() -> None:
    x = np.array([0.3, -1.2, 2.5], np.float32)
    results = {step.what: step.result for step in CARD.explain(x)}
    assert results["M"] == "2.5", "the largest magnitude"
    assert results["x[2]"].startswith("2.5 "), "which is exact"
    assert results["bsums"].split()[:2] == ["-81", "0"], "-15 + 61 - 127"
    assert CARD.bits_per_value == 292 * 8 / 256, "bits a value"
