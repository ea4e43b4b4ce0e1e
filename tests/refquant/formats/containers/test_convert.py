"""Converters: the numbers are the same on both sides, and what has no field is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats.containers import awq, compressed_tensors, convert, gptq, matmul_nbits
from tests.refquant.formats.containers import big_int


@pytest.mark.parametrize("num_bits", [2, 3, 4, 8])
@pytest.mark.parametrize("layout", ["continuous", "planar"])
def test_zeros_by_every_pair_of_rules(num_bits: int, layout: str) -> None:
    zeros = big_int.codes_of((32, 3), num_bits, seed=3)
    zeros[zeros == 0] = 1  # what all three rules have a field for
    packed = {
        rule: gptq.pack_zeros(zeros, num_bits=num_bits, rule=rule, layout=layout)
        for rule in gptq.ZERO_RULES
    }
    for source, before in packed.items():
        for target, after in packed.items():
            got = convert.gptq_zeros(
                before, num_bits=num_bits, source=source, target=target, layout=layout
            )
            assert got.tolist() == after.tolist(), f"{source} to {target}, {num_bits} bits"


@given(num_bits=st.sampled_from([2, 4, 8]), seed=st.integers(0, 1000))
def test_words_are_converted_by_one_sum(num_bits: int, seed: int) -> None:
    zeros = big_int.codes_of((32, 2), num_bits, seed=seed)
    v2 = gptq.pack_zeros(zeros, num_bits=num_bits, rule="v2")
    v1 = convert.gptq_zeros_by_words(v2, num_bits=num_bits, target="v1")
    ones = sum(1 << i for i in range(0, 32, num_bits))
    wanted = [[(int(word) - ones) % 2**32 for word in row] for row in v2]
    assert v1.view(np.uint32).tolist() == wanted, f"{num_bits} bits: {v1}"
    back = convert.gptq_zeros_by_words(v1, num_bits=num_bits, target="v2")
    assert back.tolist() == v2.tolist(), "the sum is undone exactly"
    if (zeros > 0).all():
        exact = convert.gptq_zeros(v2, num_bits=num_bits, source="v2", target="v1")
        assert v1.tolist() == exact.tolist(), "without a 0 there is nothing to borrow"


def test_a_zero_point_of_0_borrows_from_its_neighbour() -> None:
    zeros = np.full((32, 1), 8)
    zeros[0] = 0
    v2 = gptq.pack_zeros(zeros, num_bits=4, rule="v2")
    v1 = convert.gptq_zeros_by_words(v2, num_bits=4, target="v1")
    read = gptq.unpack_zeros(v1, num_bits=4, rule="v1")[:3, 0].tolist()
    assert read == [16, 7, 8], f"0 became 16, and the 8 beside it 7: {read}"
    with pytest.raises(ValueError, match=r"zeros must be in \[1, 16\]"):
        convert.gptq_zeros(v2, num_bits=4, source="v2", target="v1")


@pytest.mark.parametrize("layout", ["gemm", "gemv"])
@pytest.mark.parametrize("rule", gptq.ZERO_RULES)
def test_awq_to_gptq_and_back(layout: str, rule: str) -> None:
    codes = big_int.codes_of((32, 128), 4, seed=3)
    zeros = np.maximum(big_int.codes_of((32, 2), 4, seed=6), 1)
    weight = awq.pack(codes, layout=layout)
    points = awq.pack_zeros(zeros, layout=layout, group_size=64)
    made, stored = convert.awq_to_gptq(weight, points, layout=layout, group_size=64, rule=rule)
    assert gptq.unpack(made, num_bits=4).tolist() == codes.tolist(), "the codes"
    read = gptq.unpack_zeros(stored, num_bits=4, rule=rule)
    assert read.tolist() == zeros.tolist(), "the zero points"
    again = convert.gptq_to_awq(made, stored, layout=layout, group_size=64, rule=rule)
    assert again[0].tolist() == weight.tolist(), "and back: the codes"
    assert again[1].tolist() == points.tolist(), "and back: the zero points"


@given(
    num_bits=st.integers(1, 8), count=st.integers(1, 70), seed=st.integers(0, 1000),
    axis=st.sampled_from([-1, -2]),
)  # fmt: skip
def test_old_and_new_words_of_compressed_tensors(
    num_bits: int, count: int, seed: int, axis: int
) -> None:
    shape = (2, count) if axis == -1 else (count, 2)
    codes = big_int.codes_of(shape, num_bits, seed=seed, low=-(1 << num_bits - 1))
    for source, target in (("padded", "dense"), ("dense", "padded")):
        before = compressed_tensors.pack(codes, num_bits=num_bits, layout=source, axis=axis)
        after = convert.compressed_tensors_layout(
            before, num_bits=num_bits, shape=shape, source=source, target=target, axis=axis
        )
        wanted = compressed_tensors.pack(codes, num_bits=num_bits, layout=target, axis=axis)
        assert after.tolist() == wanted.tolist(), f"{source} to {target}"


@pytest.mark.parametrize("num_bits", [2, 4, 8])
@pytest.mark.parametrize("kind", ["in order", "act-order", "float zero points"])
def test_gptq_to_matmul_nbits_means_the_same_weight(num_bits: int, kind: str) -> None:
    rng = np.random.default_rng(num_bits)
    codes = rng.integers(0, 1 << num_bits, (32, 64))
    zeros = rng.integers(1, (1 << num_bits) + (kind == "float zero points"), (32, 4))
    scales = (rng.integers(1, 64, (4, 32)) / 32).astype(np.float16)
    order = rng.permutation(64) if kind == "act-order" else None
    g_idx = gptq.group_index(64, group_size=16, order=order)
    made = convert.gptq_to_matmul_nbits(
        gptq.pack(codes, num_bits=num_bits),
        gptq.pack_zeros(zeros, num_bits=num_bits, rule="v1"),
        scales, num_bits=num_bits, group_size=16, rule="v1", g_idx=g_idx,
        float_zero_points=kind == "float zero points",
    )  # fmt: skip
    assert (made.order is None) == (kind != "act-order"), f"{made.order}"
    read = matmul_nbits.unpack(made.b, num_bits=num_bits, block_size=16, in_features=64)
    points: big_int.Array = made.zero_points
    if points.dtype == np.uint8:
        points = matmul_nbits.unpack_zero_points(points, num_bits=num_bits, blocks=4)
    weight = matmul_nbits.dequantize(read, made.scales, points, num_bits=num_bits, block_size=16)
    columns = np.arange(64) if made.order is None else made.order
    for n in range(32):
        for at, k in enumerate(columns.tolist()):  # eq. (2) of gptq, number by number
            group = int(g_idx[k])
            wanted = float(scales[group, n]) * (int(codes[n, k]) - int(zeros[n, group]))
            assert weight[n, at] == np.float32(wanted), f"({n}, {k})"


def test_bad_input_is_refused() -> None:
    words = np.zeros((1, 4), np.int32)
    with pytest.raises(ValueError, match="num_bits must be 2, 4 or 8 for conversion by words"):
        convert.gptq_zeros_by_words(words, num_bits=3, target="v1")
    with pytest.raises(ValueError, match="target must be v1 or v2, got 'v1_wrap'"):
        convert.gptq_zeros_by_words(words, num_bits=4, target="v1_wrap")
    with pytest.raises(ValueError, match="qzeros must be int32"):
        convert.gptq_zeros_by_words(words.astype(np.int64), num_bits=4, target="v1")
    weight, scales = np.zeros((4, 32), np.int32), np.ones((2, 32), np.float32)
    sixteen = np.full((2, 4), -1, np.int32)
    with pytest.raises(ValueError, match=r"zero_points must be in \[0, 15\] for 4 bits, got 16"):
        convert.gptq_to_matmul_nbits(weight, sixteen, scales, num_bits=4, group_size=16, rule="v1")
    with pytest.raises(ValueError, match="must have 1 groups of 32 out_features, got"):
        convert.gptq_to_matmul_nbits(weight, sixteen, scales, num_bits=4, group_size=32, rule="v2")
    for g_idx in (np.zeros(32, np.int32), np.zeros(3, np.int32), np.zeros((4, 8), np.int32)):
        with pytest.raises(ValueError, match="g_idx must put 16 of the 32 columns"):
            convert.gptq_to_matmul_nbits(
                weight, sixteen, scales, num_bits=4, group_size=16, rule="v2", g_idx=g_idx
            )
