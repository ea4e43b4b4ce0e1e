"""BitNet's four layouts against their definitions, and what bitnet.cpp's own code wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.bitnet import (
    LAYOUTS,
    TAIL_BYTES,
    pack,
    pack_tensor,
    unpack,
    unpack_tensor,
)
from tests.refquant.formats.containers import big_int

BITNET_CPP = {
    "i2_s_x86": "2542940950254294095025429409502542940950254294095025429409502542",
    "i2_s_arm": "1861841146186184114618618411461846186184114618618411461861841146",
    "i2_s_rows": "1244912449124491244912449124491244912449124491244912449124491244",
}
"""The first 32 of 128 bytes that ``quantize_i2_s`` of microsoft/BitNet (snapshot of 2026-07-21)
wrote for the codes below, compiled by g++ 12: with AVX2 and ACT_PARALLEL; with the branch for NEON
(by its macro, on x86: the branch is plain C++); with AVX2 and without ACT_PARALLEL."""


def ternary(shape: tuple[int, ...], seed: int) -> big_int.Array:
    return np.random.default_rng(seed).integers(-1, 2, shape)


def test_bitnet_cpp_wrote_these_bytes() -> None:
    index = np.arange(512)
    codes = ((index * 7 + index // 5) % 3 - 1).reshape(8, 64)
    for layout, wrote in BITNET_CPP.items():
        ours = pack(codes, layout=layout)
        assert ours.shape == (128,), f"{layout}: {ours.shape}"
        assert ours[:32].tobytes().hex() == wrote, f"{layout}: {ours[:32].tobytes().hex()}"


@pytest.mark.parametrize(("layout", "group"), [("i2_s_x86", 32), ("i2_s_arm", 16)])
@given(seed=st.integers(0, 1000), blocks=st.integers(0, 3))
def test_a_block_is_four_runs(layout: str, group: int, seed: int, blocks: int) -> None:
    codes = ternary((2, 64 * blocks), seed)
    packed = pack(codes, layout=layout)
    flat = codes.reshape(-1).tolist()
    for at, byte in enumerate(packed.tolist()):
        block, j = divmod(at, group)
        fields = big_int.dense([byte], 8, 2, 4)[::-1]  # run 0 is the highest
        wanted = [flat[4 * group * block + group * i + j] + 1 for i in range(4)]
        assert fields == wanted, f"{layout}, byte {at}"
    back = unpack(packed, layout=layout, shape=codes.shape)
    assert back.tolist() == codes.tolist(), f"{layout}: the inverse"


@given(seed=st.integers(0, 1000), rows=st.integers(0, 9), columns=st.integers(0, 3))
def test_a_byte_is_four_rows(seed: int, rows: int, columns: int) -> None:
    codes = ternary((4 * rows, columns), seed)
    packed = pack(codes, layout="i2_s_rows").reshape(rows, columns)
    for r in range(rows):
        for c in range(columns):
            fields = big_int.dense([packed[r, c]], 8, 2, 4)[::-1]
            assert fields == (codes[4 * r : 4 * r + 4, c] + 1).tolist(), f"({r}, {c})"
    back = unpack(packed.reshape(-1), layout="i2_s_rows", shape=codes.shape)
    assert back.tolist() == codes.tolist(), "the inverse"


@given(seed=st.integers(0, 1000), rows=st.integers(0, 9), columns=st.integers(0, 3))
def test_hugging_face_splits_the_rows(seed: int, rows: int, columns: int) -> None:
    codes = ternary((rows, columns), seed)
    packed = pack(codes, layout="hf")
    height = -(-rows // 4)
    assert packed.shape == (height, columns), f"got {packed.shape}"
    for r in range(height):
        for c in range(columns):
            for i, got in enumerate(big_int.dense([packed[r, c]], 8, 2, 4)):
                at = i * height + r
                assert got == (codes[at, c] + 1 if at < rows else 0), f"({r}, {c}), row {at}"
    assert unpack(packed, layout="hf", shape=codes.shape).tolist() == codes.tolist(), "the inverse"


def test_the_layouts_are_four_answers_to_one_file() -> None:
    codes = ternary((8, 64), 4)
    packed = {layout: pack(codes, layout=layout).tobytes() for layout in LAYOUTS}
    assert len(set(packed.values())) == 4, "a reader of the wrong one gets a permutation"


def test_the_tail_holds_the_scale_and_is_otherwise_ignored() -> None:
    codes = ternary((4, 32), 1)
    data = pack_tensor(codes, 0.1, layout="i2_s_x86")
    assert data.size == 32 + TAIL_BYTES, f"got {data.size}"
    data[36:] = 0xAB  # as C++ leaves it
    back, scale = unpack_tensor(data, layout="i2_s_x86", shape=(4, 32))
    assert back.tolist() == codes.tolist(), "the codes"
    assert scale == np.float32(0.1), f"got {scale}"


def test_bad_input_is_refused() -> None:
    codes = np.zeros((4, 32), np.int8)
    with pytest.raises(ValueError, match=r"layout must be one of i2_s_x86, .*; got 'tl1'"):
        pack(codes, layout="tl1")
    with pytest.raises(ValueError, match=r"codes must be -1, 0 or 1, got 2\.\.2"):
        pack(codes + 2, layout="hf")
    with pytest.raises(ValueError, match=r"codes must be integers of 2 axes, got int8 \(32,\)"):
        pack(codes[0], layout="hf")
    with pytest.raises(ValueError, match=r"multiple of 128 for i2_s_x86, got 3 \* 32"):
        pack(codes[:3], layout="i2_s_x86")
    with pytest.raises(ValueError, match=r"multiple of 64 for i2_s_arm, got 3 \* 32"):
        pack(codes[:3], layout="i2_s_arm")
    with pytest.raises(ValueError, match="rows must be a multiple of 4 for i2_s_rows, got 3"):
        pack(codes[:3], layout="i2_s_rows")
    with pytest.raises(ValueError, match="got 3: no ternary code"):
        unpack(np.full(32, 0xFF, np.uint8), layout="i2_s_x86", shape=(4, 32))
    with pytest.raises(ValueError, match="padding bits must be zero"):
        unpack(np.array([[0b01000000]], np.uint8), layout="hf", shape=(3, 1))
    with pytest.raises(ValueError, match=r"packed must be uint8 of shape \(32,\)"):
        unpack(np.zeros(31, np.uint8), layout="i2_s_arm", shape=(4, 32))
    with pytest.raises(ValueError, match="shape must have 2 axes"):
        unpack(np.zeros(32, np.uint8), layout="i2_s_arm", shape=(128,))
    with pytest.raises(ValueError, match=r"data must be uint8 of shape \(64,\)"):
        unpack_tensor(np.zeros(32, np.uint8), layout="i2_s_arm", shape=(4, 32))
    with pytest.raises(ValueError, match=r"layout must be one of .*i2_s_rows; got 'hf'"):
        pack_tensor(codes, 1.0, layout="hf")
