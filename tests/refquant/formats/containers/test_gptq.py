"""GPTQ's words against one big integer and against what AutoGPTQ's own packer wrote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers.gptq import (
    LAYOUTS,
    group_index,
    pack,
    pack_zeros,
    unpack,
    unpack_zeros,
)
from tests.refquant.formats.containers import big_int

KINDS = [(name, bits) for name, known in LAYOUTS.items() for bits in known]
continuous = pytest.mark.parametrize("num_bits", LAYOUTS["continuous"])


@given(
    num_bits=st.sampled_from(LAYOUTS["continuous"]),
    seed=st.integers(0, 1000),
    words=st.integers(1, 3),
)
def test_a_column_of_qweight_is_one_number(num_bits: int, seed: int, words: int) -> None:
    codes = big_int.codes_of((3, 32 * words), num_bits, seed=seed)
    qweight = pack(codes, num_bits=num_bits)
    assert qweight.dtype == np.int32, f"got {qweight.dtype}"
    assert qweight.shape == (words * num_bits, 3), f"got {qweight.shape}"
    for n in range(3):
        fields = big_int.dense(qweight[:, n].tolist(), 32, num_bits, 32 * words)
        assert fields == codes[n].tolist(), f"{num_bits} bits, column {n}"


@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 1000))
def test_unpack_is_the_inverse(kind: tuple[str, int], seed: int) -> None:
    layout, num_bits = kind
    codes = big_int.codes_of((3, 64), num_bits, seed=seed)
    back = unpack(pack(codes, num_bits=num_bits, layout=layout), num_bits=num_bits, layout=layout)
    assert back.tolist() == codes.tolist(), f"{layout}, {num_bits} bits"
    for rule, low in (("v1", 1), ("v1_wrap", 0), ("v2", 0)):
        zeros = big_int.codes_of((64, 3), num_bits, seed=seed, low=low)
        qzeros = pack_zeros(zeros, num_bits=num_bits, rule=rule, layout=layout)
        assert qzeros.shape == (3, 2 * num_bits), f"{layout}, {num_bits} bits: {qzeros.shape}"
        again = unpack_zeros(qzeros, num_bits=num_bits, rule=rule, layout=layout)
        assert again.tolist() == zeros.tolist(), f"{layout}, {num_bits} bits, {rule}"


@continuous
def test_every_zero_point_by_every_rule(num_bits: int) -> None:
    top = 1 << num_bits
    for rule, zero_points, stored in (
        ("v1", range(1, top + 1), range(top)),
        ("v1_wrap", range(top), [top - 1, *range(top - 1)]),
        ("v2", range(top), range(top)),
    ):
        for z, field in zip(zero_points, stored, strict=True):
            qzeros = pack_zeros(np.full((32, 1), z), num_bits=num_bits, rule=rule)
            fields = big_int.dense(qzeros[0].tolist(), 32, num_bits, 32)
            assert fields == [field] * 32, f"{rule}: {z} is stored as {fields[0]}"


AUTOGPTQ = {  # bits: words 0..2 of column 1 of qweight; words of row 1 of qzeros, v1
    2: ([0x16C6F1B1, 0xB16C6F1B, 0x1B16C6F1], [0x55555555, 0x55555555]),
    3: ([0x0E7E1CC5, 0xB15786AF, 0xCC5398AB], [0xC4356621, 0xD59886AC, 0x621AB310]),
    4: ([0xB741EB85, 0x41DA741E, 0xDA730DA7], [0x741DA741, 0x1DA741DA, 0xA741DA74]),
    8: ([0x0E0B0805, 0x1B171411, 0x2724211E], [0x0A070401, 0x1613100D, 0x221F1C19]),
}
"""What ``pack`` of AutoGPTQ's ``qlinear_cuda.py`` (snapshot of 2025-04-11), run on the CPU with
PyTorch 2.13.0 and NumPy 2.4, wrote for the codes and zeros below, with all scales 1."""


@continuous
def test_autogptq_wrote_these_words(num_bits: int) -> None:
    n, k = np.arange(32)[:, None], np.arange(64)[None]
    codes = (n * 5 + k * 3 + k // 7) % (1 << num_bits)
    zeros = (n * 3 + np.arange(2)[None]) % ((1 << num_bits) - 1) + 1
    weight, stored = AUTOGPTQ[num_bits]
    ours = pack(codes, num_bits=num_bits).view(np.uint32)[:3, 1].tolist()
    assert ours == weight, f"{num_bits} bits: {[hex(w) for w in ours]}"
    qzeros = pack_zeros(zeros, num_bits=num_bits, rule="v1").view(np.uint32)
    assert qzeros[1, :3].tolist() == stored, f"{num_bits} bits: {qzeros[1]}"


def test_a_zero_point_of_0_has_no_field_in_v1() -> None:
    """AutoGPTQ writes 0xFFFFFF77 for the zeros 8 8 0 8 8 8 8 8: -1 fills what is above it."""
    zeros = np.full((32, 1), 8)
    zeros[2] = 0
    with pytest.raises(ValueError, match=r"zeros must be in \[1, 16\] for 4 bits, got 0\.\.8"):
        pack_zeros(zeros, num_bits=4, rule="v1")
    wrapped = pack_zeros(zeros, num_bits=4, rule="v1_wrap").view(np.uint32)
    assert wrapped[0, 0] == 0x77777F77, f"only its own field is all ones: {hex(wrapped[0, 0])}"
    read = unpack_zeros(np.array([[-137, 0, 0, 0]], np.int32), num_bits=4, rule="v1_wrap")  # ..F77
    assert read[:8, 0].tolist() == [8, 8, 0, 0, 0, 0, 0, 0], "what a reader makes of AutoGPTQ's"


def test_the_field_of_ones_is_read_in_two_ways() -> None:
    qzeros = np.full((1, 4), -1, np.int32)
    assert (unpack_zeros(qzeros, num_bits=4, rule="v1") == 16).all(), "triton, torch"
    assert (unpack_zeros(qzeros, num_bits=4, rule="v1_wrap") == 0).all(), "exllama"


def test_groups_follow_the_order_of_quantization() -> None:
    assert group_index(5, group_size=2).tolist() == [0, 0, 1, 1, 2], "a ragged last group"
    order = np.array([4, 2, 0, 1, 3])
    index = group_index(5, group_size=2, order=order)
    assert index[order].tolist() == [0, 0, 1, 1, 2], f"sorted, they are in order: {index}"
    assert index.dtype == np.int32, f"got {index.dtype}"
    assert group_index(0, group_size=2).shape == (0,), "no columns"
    for bad in (np.array([0, 0, 1, 2, 3]), np.arange(4)):
        with pytest.raises(ValueError, match="order must be a permutation of 5 columns"):
            group_index(5, group_size=2, order=bad)
    with pytest.raises(ValueError, match="group_size must be at least 1, got 0"):
        group_index(5, group_size=0)


def test_bad_input_is_refused() -> None:
    codes = np.zeros((32, 32), int)
    with pytest.raises(ValueError, match=r"one of 2, 3, 4, 8 for layout 'continuous', got 5"):
        pack(codes, num_bits=5)
    with pytest.raises(ValueError, match="layout must be one of continuous, planar; got 'x'"):
        pack(codes, num_bits=4, layout="x")
    with pytest.raises(ValueError, match="in_features must be a multiple of 32, got 8"):
        pack(codes[:, :8], num_bits=4)
    with pytest.raises(ValueError, match="out_features must be a multiple of 32, got 8"):
        pack_zeros(codes[:8, :2], num_bits=4, rule="v2")
    with pytest.raises(ValueError, match=r"codes must be in \[0, 7\] for 3 bits, got 8\.\.8"):
        pack(codes + 8, num_bits=3)
    with pytest.raises(ValueError, match="rule must be one of v1, v1_wrap, v2; got 'v3'"):
        pack_zeros(codes, num_bits=4, rule="v3")
    with pytest.raises(ValueError, match="rows of qweight must be a multiple of 3, got 4"):
        unpack(np.zeros((4, 2), np.int32), num_bits=3)
    with pytest.raises(ValueError, match="columns of qzeros must be a multiple of 4, got 3"):
        unpack_zeros(np.zeros((1, 3), np.int32), num_bits=4, rule="v2")
    with pytest.raises(ValueError, match=r"qweight must be int32 of shape \(4, 2\), got uint32"):
        unpack(np.zeros((4, 2), np.uint32), num_bits=4)
    with pytest.raises(ValueError, match="qweight must have 2 axes"):
        unpack(np.zeros(4, np.int32), num_bits=4)
