"""bitsandbytes' bytes against one big integer, read from the top; and what it wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
