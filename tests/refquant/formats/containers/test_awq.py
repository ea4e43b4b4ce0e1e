"""AWQ's layouts against their definitions nibble by nibble, and against what AutoAWQ wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.awq import pack, pack_zeros, unpack, unpack_zeros
from tests.refquant.formats.containers import big_int


@given(seed=st.integers(0, 1000), rows=st.integers(1, 2), columns=st.integers(1, 4))
def test_gemm_interleaves_eight_out_features(seed: int, rows: int, columns: int) -> None:
    codes = big_int.codes_of((8 * rows, columns), 4, seed=seed)
    qweight = pack(codes, layout="gemm")
    assert qweight.shape == (columns, rows), f"(K, N / 8), got {qweight.shape}"
    for k in range(columns):
        nibbles = big_int.dense(qweight[k].tolist(), 32, 4, 8 * rows)
        for c in range(rows):
            for i, feature in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
                wanted = codes[8 * c + feature, k]
                assert nibbles[8 * c + i] == wanted, f"word {c}, nibble {i}: {nibbles}"
    assert unpack(qweight, layout="gemm").tolist() == codes.tolist(), "the inverse"


@given(seed=st.integers(0, 1000), words=st.integers(1, 9))
def test_gemv_is_one_number_a_row(seed: int, words: int) -> None:
    codes = big_int.codes_of((3, 8 * words), 4, seed=seed)
    qweight = pack(codes, layout="gemv")
    assert qweight.shape == (3, words), f"(N, K / 8), got {qweight.shape}"
    for row, given_row in zip(qweight.tolist(), codes.tolist(), strict=True):
        assert big_int.dense(row, 32, 4, 8 * words) == given_row, f"{row}"
    assert unpack(qweight, layout="gemv").tolist() == codes.tolist(), "the inverse"


@pytest.mark.parametrize("seed", range(6))
def test_gemv_fast_nibble_by_nibble(seed: int) -> None:
    codes = big_int.codes_of((8, 128), 4, seed=seed)
    qweight = pack(codes, layout="gemv_fast")
    assert qweight.shape == (2, 128), f"got {qweight.shape}"
    assert qweight.dtype == np.int16, f"got {qweight.dtype}"
    for row in range(2):
        nibbles = big_int.dense(qweight[row].tolist(), 16, 4, 512)
        for at, nibble in enumerate(nibbles):
            half, f = divmod(at, 4)
            chunk, rest = divmod(half, 64)
            r, rest = divmod(rest, 16)
            h, j = divmod(rest, 8)
            wanted = codes[4 * row + r, 64 * chunk + 32 * h + j + 8 * f]
            assert nibble == wanted, f"row {row}, int16 {half}, nibble {f}"
    assert unpack(qweight, layout="gemv_fast").tolist() == codes.tolist(), "the inverse"


def test_autoawq_wrote_this_gemv_fast() -> None:
    """``pack_intweight(q, 4, 64)`` of AutoAWQ 0.2.9 with PyTorch 2.13.0."""
    first = (
        "80a107187e80e5075c7ec3e53a5ca1c3c3e53a5ca1c3183a80a107187e80e507"
        "80a107187e80e5075c7ec3e53a5ca1c3c3e53a5ca1c3183a80a107187e80e507"
    )
    codes = (np.arange(256).reshape(4, 64) * 7 + np.arange(64) // 9) % 16
    ours = pack(codes, layout="gemv_fast").astype("<i2").tobytes().hex()
    assert ours == 2 * first, f"got {ours}"  # 64 * 7 is 0 mod 16: all rows are the same


@pytest.mark.parametrize(
    ("group_size", "groups", "width"),
    [(128, 1, 1), (128, 9, 2), (256, 8, 1), (64, 2, 2), (64, 17, 4), (32, 4, 4), (32, 33, 8)],
)
def test_zeros_of_gemv_fill_whole_vectors(group_size: int, groups: int, width: int) -> None:
    zeros = big_int.codes_of((3, groups), 4, seed=9)
    qzeros = pack_zeros(zeros, layout="gemv", group_size=group_size)
    assert qzeros.shape == (3, width), f"got {qzeros.shape}"
    for row, given_row in zip(qzeros.tolist(), zeros.tolist(), strict=True):
        fields = big_int.dense(row, 32, 4, 8 * width)
        assert fields == given_row + [0] * (8 * width - groups), f"{row}"
    back = unpack_zeros(qzeros, layout="gemv", group_size=group_size, groups=groups)
    assert back.tolist() == zeros.tolist(), "the inverse"
    if groups < 8 * width:
        qzeros[0, -1] |= -(1 << 28)
        with pytest.raises(ValueError, match="padding bits must be zero"):
            unpack_zeros(qzeros, layout="gemv", group_size=group_size, groups=groups)


def test_zeros_of_gemm_are_packed_as_its_weights() -> None:
    zeros = big_int.codes_of((16, 5), 4, seed=3)
    qzeros = pack_zeros(zeros, layout="gemm", group_size=128)
    assert qzeros.tolist() == pack(zeros, layout="gemm").tolist(), "groups stand for in_features"
    back = unpack_zeros(qzeros, layout="gemm", group_size=128, groups=5)
    assert back.tolist() == zeros.tolist(), "the inverse"


def test_bad_input_is_refused() -> None:
    codes = np.zeros((8, 64), int)
    with pytest.raises(ValueError, match="layout must be one of gemm, gemv, gemv_fast; got 'x'"):
        pack(codes, layout="x")
    with pytest.raises(ValueError, match="layout must be one of gemm, gemv; got 'gemv_fast'"):
        pack_zeros(codes, layout="gemv_fast", group_size=64)
    with pytest.raises(ValueError, match="out_features must be a multiple of 8, got 7"):
        pack(codes[:7], layout="gemm")
    with pytest.raises(ValueError, match="in_features must be a multiple of 8, got 63"):
        pack(codes[:, :63], layout="gemv")
    with pytest.raises(ValueError, match="in_features must be a multiple of 64, got 32"):
        pack(codes[:, :32], layout="gemv_fast")
    with pytest.raises(ValueError, match="out_features must be a multiple of 4, got 6"):
        pack(codes[:6], layout="gemv_fast")
    with pytest.raises(ValueError, match="out_features must be a multiple of 8, got 7"):
        pack_zeros(codes[:7], layout="gemm", group_size=64)
    with pytest.raises(ValueError, match=r"zeros must be in \[0, 15\]"):
        pack_zeros(codes + 16, layout="gemm", group_size=64)
    with pytest.raises(ValueError, match="group_size must be 32, 64 or at least 128 for gemv"):
        pack_zeros(codes, layout="gemv", group_size=16)
    with pytest.raises(ValueError, match="qweight must be int16"):
        unpack(np.zeros((1, 64), np.int32), layout="gemv_fast")
    with pytest.raises(ValueError, match="columns of qweight must be a multiple of 64, got 63"):
        unpack(np.zeros((1, 63), np.int16), layout="gemv_fast")
    with pytest.raises(ValueError, match="qweight must have 2 axes"):
        unpack(np.zeros(1, np.int32), layout="gemm")
    with pytest.raises(ValueError, match=r"qzeros must be int32 of shape \(3, 2\)"):
        unpack_zeros(np.zeros((3, 1), np.int32), layout="gemv", group_size=64, groups=2)
    with pytest.raises(ValueError, match=r"qzeros must be int32 of shape \(2, 1\)"):
        unpack_zeros(np.zeros((3, 1), np.int32), layout="gemm", group_size=64, groups=2)
