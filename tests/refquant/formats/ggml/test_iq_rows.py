"""What the IQ types share: sums in order, weights, scale codes; against scalar Python."""

import math

import numpy as np
import pytest

from refquant.formats.ggml.iq_rows import (
    encode_weighted,
    grid_values,
    search_weights,
    sequential_sum,
    sub_scale_codes,
    variance,
)
from tests.refquant.formats.ggml.iq import bell
from tests.refquant.formats.ggml.simple import f32


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_sums_are_sequential_for_any_number_of_rows(rows: int) -> None:
    # np.add.reduce over axis 0 of (256, 1) adds in pairs: one row is the trap
    x = (bell(1, rows * 256) * 1e4).astype(np.float32).reshape(rows, 256) ** 3
    for row, ours in zip(x, sequential_sum(x), strict=True):
        total = 0.0
        for v in row.tolist():
            total = f32(total + v)
        assert float(ours) == total, "one element after the other"


def test_weights_are_those_of_scalar_float32() -> None:
    x = bell(2, 256).astype(np.float32)[None]
    importance = abs(bell(3, 256)).astype(np.float32)[None]
    for factor in (1, 2):
        total = 0.0
        for v in x[0].tolist():
            total = f32(total + f32(v * v))
        sigma = f32(f32(factor * total) / 256)
        assert variance(x, factor=factor).item() == sigma, "mean of squares"
        ours = search_weights(x, importance, factor=factor)[0].tolist()
        for v, a, w in zip(x[0].tolist(), importance[0].tolist(), ours, strict=True):
            assert w == f32(a * f32(math.sqrt(f32(sigma + f32(v * v))))), "eq. (2)"
    assert np.array_equal(search_weights(x, None, factor=2), x * x), "without importance"


def test_scale_codes_are_clamped_and_zero_where_all_are() -> None:
    scales = np.array([[31, 1, 0, 2, 4], [0, 0, 0, 0, 0]], np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):  # as in encode
        d, codes = sub_scale_codes(np.pad(scales, ((0, 0), (0, 3))), top=31)
    assert d.tolist() == [1.0, 0.0], "31 is the largest multiple"
    # (s - 1) / 2 = 15, 0, -0.5, 0.5, 1.5: ties to even, then at least 0
    assert codes[:, :5].tolist() == [[15, 0, 0, 0, 2], [0, 0, 0, 0, 0]], "half to even"
    with pytest.raises(ValueError, match="must stay in float32; got a NaN scale"):
        sub_scale_codes(np.array([[1, np.nan]], np.float32), top=15)


def test_tiny_scales_have_codes_zero_without_a_warning() -> None:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        d, codes = sub_scale_codes(np.full((1, 2), 2.0**-149, np.float32), top=31)
    assert d.tolist() == [0.0], "2^-149 / 31 is 0"
    assert codes.tolist() == [[0, 0]], "and 1 / 0 is no code"


def test_grid_values_multiply_scale_point_and_sign() -> None:
    table = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
    index = np.tile(np.array([0, 1]), 32)[None]
    signs = np.full((1, 32), 0b10000001, np.uint8)
    scale = np.arange(1, 9, dtype=np.float32)[None]
    values = grid_values(scale, table, index, signs)[0]
    for i in range(256):
        sign = -1 if i % 8 in (0, 7) else 1
        assert values[i] == (i // 32 + 1) * (i % 8 + 1) * sign, f"value {i}"


def test_the_function_sees_its_own_importance_chunk_by_chunk() -> None:
    importance = np.arange(512, dtype=np.float32)
    x = np.zeros((200, 512), np.float32)  # 400 blocks, more than a chunk
    seen = []

    def function(blocks: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        assert weights is not None, "given"
        seen.append(weights[:, 0].copy())
        return np.zeros((len(blocks), 82), np.uint8)

    data = encode_weighted(x, importance, type="IQ2_S", function=function)
    assert data.shape == (200, 164), "two blocks a row"
    assert len(seen) == 2, "two chunks"
    assert np.concatenate(seen).tolist() == 200 * [0, 256], "columns of the row, every row"
