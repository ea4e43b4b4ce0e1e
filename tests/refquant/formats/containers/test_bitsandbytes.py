"""bitsandbytes' bytes against one big integer, read from the top; and what it wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnxruntime.capi import _pybind_state

from refquant.formats.containers.bitsandbytes import ZERO_CODE, pack, unpack
from tests.refquant.formats.containers import big_int


@given(
    quant_type=st.sampled_from(sorted(ZERO_CODE)),
    count=st.integers(0, 30),
    seed=st.integers(0, 1000),
)
def test_bytes_are_one_number_written_from_the_left(quant_type: str, count: int, seed: int) -> None:
    codes = big_int.codes_of((count,), 4, seed=seed)
    packed = pack(codes, quant_type=quant_type)
    assert packed.shape == (-(-count // 2), 1), f"got {packed.shape}"
    digits = packed.tobytes().hex()  # a hexadecimal digit is a nibble, the high one first
    wanted = "".join(f"{c:x}" for c in codes.tolist()) + f"{ZERO_CODE[quant_type]:x}" * (count % 2)
    assert digits == wanted, f"{codes}"
    back = unpack(packed, shape=codes.shape)
    assert back.tolist() == codes.tolist(), f"{back}"


def test_bitsandbytes_wrote_these_bytes() -> None:
    """``quantize_4bit`` of bitsandbytes 0.50.2 on a CPU, of the NF4 values 15, 1, 2, 3, 4."""
    packed = pack(np.array([15, 1, 2, 3, 4]), quant_type="nf4")
    assert packed.reshape(-1).tolist() == [241, 35, 71], "the last nibble is 7, the code of 0.0"


@pytest.mark.parametrize("quant_type", ["nf4", "fp4"])
def test_onnxruntime_writes_the_same_bytes_for_matmulbnb4(quant_type: str) -> None:
    """The code of each element comes from a block of its own, behind the largest value."""
    quantize = _pybind_state.quantize_matmul_bnb4
    weight = np.random.default_rng(2).normal(0, 1, (3, 32)).astype(np.float32)  # (N, K)
    weight[:, 0] = 4  # the largest of each block of 32: its absmax
    packed, absmax = np.zeros(48, np.uint8), np.zeros(3, np.float32)
    kind = {"fp4": 0, "nf4": 1}[quant_type]
    quantize(packed, weight, absmax, 32, kind, 3, 32)
    assert absmax.tolist() == [4, 4, 4], f"one a row: {absmax}"
    codes: list[int] = []
    for value in weight.reshape(-1):
        pair, one = np.zeros(16, np.uint8), np.zeros(1, np.float32)
        block = np.zeros((1, 32), np.float32)
        block[0, :2] = 4, value
        quantize(pair, block, one, 32, kind, 1, 32)
        codes.append(int(pair[0]) & 15)  # the second element is the low nibble
    ours = pack(np.array(codes), quant_type=quant_type).reshape(-1)
    assert ours.tolist() == packed.tolist(), f"{quant_type}: {ours} and {packed}"


def test_rows_are_not_aligned_and_shapes_come_back() -> None:
    codes = np.arange(6).reshape(2, 3)
    packed = pack(codes, quant_type="fp4")
    assert packed.reshape(-1).tolist() == [0x01, 0x23, 0x45], "row-major"
    assert unpack(packed, shape=(2, 3)).tolist() == codes.tolist(), "of two axes"
    assert int(unpack(np.array([[0x5F]], np.uint8), shape=())) == 5, "of none; the tail is ignored"


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="quant_type must be one of nf4, fp4; got 'int4'"):
        pack(np.zeros(2, int), quant_type="int4")
    with pytest.raises(ValueError, match=r"codes must be in \[0, 15\]"):
        pack(np.array([-1]), quant_type="nf4")
    with pytest.raises(
        ValueError, match=r"packed must be uint8 of shape \(2, 1\), got uint8 \(2,\)"
    ):
        unpack(np.zeros(2, np.uint8), shape=(3,))
