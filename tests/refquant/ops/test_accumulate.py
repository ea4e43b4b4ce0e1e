"""Accumulators against Python integers, and the proof that int32 holds them."""

import itertools
from typing import Any

import numpy as np
import pytest

from refquant.ops.accumulate import (
    AccumulatorOverflowError,
    accumulator_bound,
    conv_accumulate,
    int32_accumulator,
    matmul_accumulate,
    prove_accumulator,
)

RNG = np.random.default_rng(7)


def codes(dtype: Any, *shape: Any) -> Any:
    info = np.iinfo(dtype)
    q = RNG.integers(info.min, info.max, shape, endpoint=True).astype(dtype)
    if q.size:
        q.flat[0], q.flat[-1] = info.min, info.max
    return q


def exact_conv(
    x: Any, w: Any, zx: Any, zw: Any, strides: Any, pads: Any, dilations: Any, group: Any
) -> Any:
    """Eq. (1) for 2-D, with Python integers; padding holds the code ``zx``."""
    images, _, height, width = x.shape
    outs, per_group, kh, kw = w.shape
    top, left, bottom, right = pads
    oh = (top + height + bottom - dilations[0] * (kh - 1) - 1) // strides[0] + 1
    ow = (left + width + right - dilations[1] * (kw - 1) - 1) // strides[1] + 1
    y = np.zeros((images, outs, oh, ow), object)
    for n, m, oy, ox in itertools.product(*map(range, y.shape)):
        first = m // (outs // group) * per_group
        total = 0
        for c, ky, kx in itertools.product(range(per_group), range(kh), range(kw)):
            iy = oy * strides[0] + ky * dilations[0] - top
            ix = ox * strides[1] + kx * dilations[1] - left
            inside = 0 <= iy < height and 0 <= ix < width
            code = int(x[n, first + c, iy, ix]) if inside else zx
            total += (code - zx) * (int(w[m, c, ky, kx]) - int(zw[m]))
        y[n, m, oy, ox] = total
    return y


CASES = {
    # name: x shape, w shape, strides, pads, dilations, group
    "plain": ((2, 3, 5, 4), (4, 3, 3, 2), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    "stride": ((1, 2, 7, 6), (3, 2, 2, 3), (3, 2), (0, 0, 0, 0), (1, 1), 1),
    "asymmetric pads": ((1, 2, 4, 4), (2, 2, 3, 3), (1, 2), (2, 0, 1, 3), (1, 1), 1),
    "dilation": ((1, 1, 7, 6), (2, 1, 3, 2), (1, 1), (1, 1, 0, 0), (2, 3), 1),
    "groups": ((2, 4, 4, 3), (6, 2, 2, 2), (1, 1), (1, 1, 1, 1), (1, 1), 2),
    "depthwise": ((2, 5, 5, 5), (5, 1, 3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 5),
    "depthwise, multiplier 2": ((1, 3, 4, 4), (6, 1, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 3),
    "kernel larger than the input": ((1, 2, 2, 1), (2, 2, 4, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    "1x1": ((2, 6, 3, 3), (4, 6, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("x_dtype", "w_dtype"), [("uint8", "int8"), ("int8", "uint8")])
def test_convolution_is_the_exact_sum(name: Any, x_dtype: Any, w_dtype: Any) -> None:
    x_shape, w_shape, strides, pads, dilations, group = CASES[name]
    x, w = codes(x_dtype, *x_shape), codes(w_dtype, *w_shape)
    zx = 131 if x_dtype == "uint8" else -7
    zw = codes(w_dtype, w_shape[0])
    got = conv_accumulate(
        x,
        w,
        x_zero_point=zx,
        w_zero_point=zw,
        strides=strides,
        pads=pads,
        dilations=dilations,
        group=group,
    )
    expected = exact_conv(x, w, zx, zw, strides, pads, dilations, group)
    assert got.dtype == np.int64, "accumulators are int64 here"
    assert got.tolist() == expected.tolist(), f"{name}: acc differs from the exact sum"


def test_convolution_in_one_dimension_is_two_with_a_row_of_height_one() -> None:
    x, w = codes("uint8", 2, 4, 9), codes("int8", 6, 2, 3)
    got = conv_accumulate(x, w, x_zero_point=3, strides=[2], pads=[2, 1], dilations=[2], group=2)
    expected = exact_conv(x[:, :, None], w[:, :, None], 3, [0] * 6, (1, 2), (0, 2, 0, 1), (1, 2), 2)
    assert got.tolist() == expected[:, :, 0].tolist(), "1-D convolution differs"


def test_a_batch_of_nothing_is_nothing() -> None:
    y = conv_accumulate(codes("int8", 0, 2, 3, 3), codes("int8", 4, 2, 2, 2))
    assert y.shape == (0, 4, 2, 2), "an empty batch keeps its other axes"


def test_sixteen_bit_codes_stay_exact() -> None:
    x = np.full((1, 40, 1, 1), 65535, np.uint16)
    w = np.full((1, 40, 1, 1), -32768, np.int16)
    expected = -32768 * 65535 * 40  # far outside int32
    assert int(conv_accumulate(x, w)[0, 0, 0, 0]) == expected, "int16 products must not wrap"


def test_matmul_is_the_exact_sum_with_zero_points_per_row_and_column() -> None:
    x, w = codes("uint8", 3, 4), codes("int8", 4, 5)
    rows, cols = codes("uint8", 3), codes("int8", 5)
    expected = [
        [
            sum((int(x[m, k]) - int(rows[m])) * (int(w[k, n]) - int(cols[n])) for k in range(4))
            for n in range(5)
        ]
        for m in range(3)
    ]
    for zx, zw in [(rows, cols), (rows[:, None], cols[None])]:
        got = matmul_accumulate(x, w, x_zero_point=zx, w_zero_point=zw)
        assert got.tolist() == expected, "zero points go one a row of x, one a column of w"


def test_a_square_matrix_takes_a_vector_of_zero_points_by_row() -> None:
    x = np.array([[10, 20], [30, 40]], np.uint8)
    one = np.array([[1, 0], [0, 1]], np.int8)
    got = matmul_accumulate(x, one, x_zero_point=[10, 30])
    assert got.tolist() == [[0, 10], [0, 10]], "[M] must not broadcast along K"


def test_matmul_broadcasts_leading_axes() -> None:
    x, w = codes("int8", 2, 1, 3, 4), codes("int8", 5, 4, 2)
    got = matmul_accumulate(x, w, x_zero_point=2, w_zero_point=-1)
    assert got.shape == (2, 5, 3, 2), "leading axes broadcast as in numpy"
    for i, j in itertools.product(range(2), range(5)):
        one = matmul_accumulate(x[i, 0], w[j], x_zero_point=2, w_zero_point=-1)
        assert np.array_equal(got[i, j], one), f"matrix ({i}, {j}) differs from its own product"


# --- the proof -----------------------------------------------------------------------------


def test_the_proof_is_exact_at_the_bound_and_one_above() -> None:
    # uint8, zx = 0: reach 255; 2**31 - 1 = 255 * 8421504 + 127.
    w = np.full((1, 66311), 127, np.int8)  # 66311 * 127 = 8421497
    w[0, 0], w[0, 1] = 127, 127
    w = np.concatenate([w, np.array([[7]], np.int8)], axis=1)  # sum |w| = 8421504
    at = np.array([127], np.int32)
    prove_accumulator(w, 0, "uint8", 0, at, channel_axis=0, name="conv1")
    bound = accumulator_bound(w, 0, "uint8", 0, at, channel_axis=0)
    assert bound.tolist() == [2**31 - 1], "the case must sit exactly at the bound"
    for bias in (128, -128):
        above = np.array([bias], np.int32)
        with pytest.raises(
            AccumulatorOverflowError, match=r"conv1: .*channel 0 can reach 21474836"
        ):
            prove_accumulator(w, 0, "uint8", 0, above, channel_axis=0, name="conv1")


@pytest.mark.parametrize(
    ("dtype", "zero_point", "reach"),
    [
        ("uint8", 0, 255),
        ("uint8", 255, 255),
        ("uint8", 128, 128),
        ("uint8", 127, 128),
        ("int8", 0, 128),
        ("int8", -128, 255),
        ("int8", 10, 138),
        ("uint8", None, 255),
        ("int8", None, 255),
    ],
)
def test_the_reach_is_over_the_whole_range_of_the_dtype(
    dtype: Any, zero_point: Any, reach: Any
) -> None:
    w = np.array([[3], [-4]], np.int8)
    bound = accumulator_bound(w, 0, dtype, zero_point, channel_axis=0)
    assert bound.tolist() == [3 * reach, 4 * reach], f"max|x - zx| must be {reach}"


def test_the_proof_subtracts_the_zero_points_of_the_weights_and_names_the_channel() -> None:
    w = np.full((20000, 3), 127, np.int8)  # (K, N), like MatMul
    zw = np.array([127, 127, -128])
    assert accumulator_bound(w, zw, "uint8", 0, channel_axis=-1).tolist() == [
        0,
        0,
        255 * 255 * 20000,
    ], "the bound uses w - zw, channel by channel"
    prove_accumulator(w, zw, "uint8", 0, channel_axis=-1, name="fc")
    with pytest.raises(AccumulatorOverflowError, match=r"fc: .*channel 2 "):
        prove_accumulator(np.repeat(w, 2, axis=0), zw, "uint8", 0, channel_axis=-1, name="fc")


def test_the_bound_is_reached_by_the_worst_input() -> None:
    w = codes("int8", 4, 9)
    zw = codes("int8", 4)
    worst = np.where(w.astype(int) - zw[:, None] > 0, 255, 0)
    for channel in range(4):
        high = matmul_accumulate(
            worst[channel][None].astype(np.uint8),
            w.T,
            x_zero_point=0,
            w_zero_point=zw,
        )[0, channel]
        low = matmul_accumulate(
            (255 - worst[channel])[None].astype(np.uint8), w.T, w_zero_point=zw
        )[0, channel]
        bound = int(accumulator_bound(w, zw, "uint8", 0, channel_axis=0)[channel])
        assert int(high) - int(low) == bound, "the two extremes together use up the whole bound"


def test_the_error_is_a_value_error() -> None:
    assert issubclass(AccumulatorOverflowError, ValueError), "callers catch ValueError"


def test_int32_holds_its_ends_and_nothing_more() -> None:
    ends = np.array([-(2**31), 2**31 - 1])
    assert int32_accumulator(ends, op="MatMulInteger").tolist() == ends.tolist(), "ends fit"
    for value in (-(2**31) - 1, 2**31):
        with pytest.raises(AccumulatorOverflowError, match=r"MatMulInteger: .*outside int32"):
            int32_accumulator(np.array([value]), op="MatMulInteger")


# --- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options", "message"),
    [
        ((1, 2), (1, 2), {}, "x must be \\(N, C, L\\)"),
        ((1, 2, 3), (1, 2, 3, 3), {}, "w have as many axes"),
        ((1, 0, 3), (1, 0, 3), {}, "at least one channel"),
        ((1, 2, 3), (0, 2, 3), {}, "at least one channel"),
        ((1, 4, 3), (4, 2, 3), {}, "C/group = 4"),
        ((1, 4, 3), (3, 2, 3), {"group": 2}, "group must be .* divide .* got 2"),
        ((1, 4, 3), (4, 4, 3), {"group": 0}, "group"),
        ((1, 1, 3), (1, 1, 4), {}, "window covers 4"),
        ((1, 1, 3), (1, 1, 1), {"x_zero_point": [1, 2]}, "x_zero_point must be one number"),
        ((1, 1, 3), (3, 1, 1), {"w_zero_point": [1, 2]}, "w_zero_point .* got 2"),
    ],
)
def test_a_wrong_convolution_is_refused_by_name(
    x_shape: Any, w_shape: Any, options: Any, message: Any
) -> None:
    with pytest.raises(ValueError, match=f"Conv: .*{message}"):
        conv_accumulate(np.zeros(x_shape, np.uint8), np.zeros(w_shape, np.int8), **options)


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options", "message"),
    [
        ((3,), (3, 2), {}, "operands must be"),
        ((2, 3), (2, 3), {}, "operands must be"),
        ((2, 0), (0, 3), {}, "K and N must be at least 1"),
        ((2, 3, 4), (3, 4, 5), {}, "leading axes must broadcast"),
        ((2, 3), (3, 4), {"x_zero_point": [1, 2, 3]}, "x_zero_point must be"),
        ((2, 3), (3, 4), {"w_zero_point": [1, 2, 3]}, "w_zero_point must be"),
        ((2, 3), (3, 4), {"x_zero_point": [[1, 2, 3]]}, "x_zero_point must be"),
        ((2, 3), (3, 4), {"w_zero_point": [[1], [2], [3]]}, "w_zero_point must be"),
    ],
)
def test_a_wrong_product_is_refused_by_name(
    x_shape: Any, w_shape: Any, options: Any, message: Any
) -> None:
    with pytest.raises(ValueError, match=f"MatMul: .*{message}"):
        matmul_accumulate(np.zeros(x_shape, np.uint8), np.zeros(w_shape, np.int8), **options)


def test_reals_are_not_codes() -> None:
    with pytest.raises(ValueError, match="Conv: x must hold integer codes, got dtype float32"):
        conv_accumulate(np.zeros((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.int8))
    with pytest.raises(ValueError, match="MatMul: w must hold integer codes"):
        matmul_accumulate(np.zeros((1, 1), np.int8), np.zeros((1, 1), np.float32))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("piece", [1, 7, 40])
def test_channels_in_pieces_are_all_of_them(
    piece: int, axis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = np.random.default_rng(piece).integers(-128, 128, (5, 6, 3)).astype(np.int8)
    zero = np.arange(w.shape[axis])
    whole = accumulator_bound(w, zero, "int8", 3, channel_axis=axis)
    monkeypatch.setattr("refquant.ops.accumulate._PIECE", piece)
    parts = accumulator_bound(w, zero, "int8", 3, channel_axis=axis)
    assert parts.tolist() == whole.tolist(), "whatever the size of a piece"
    by_hand = [
        131 * sum(abs(int(v) - c) for v in np.take(w, c, axis=axis).reshape(-1))
        for c in range(w.shape[axis])
    ]
    assert whole.tolist() == by_hand, "and the definition"
