"""Movement copies elements and invents only the real 0."""

from typing import Any

import numpy as np
import pytest

from refquant.formats.affine import QParams, dequantize
from refquant.ops.movement import (
    concat,
    flatten,
    pad,
    pad_quantized,
    reshape,
    slice_axes,
    squeeze,
    transpose,
    unsqueeze,
)

X = np.arange(24, dtype=np.int8).reshape(2, 3, 4)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32", "int32"])
def test_elements_and_dtypes_survive(dtype: str) -> None:
    x = X.astype(dtype)
    assert concat([x, x[:, :1]], axis=1).shape == (2, 4, 4), "joined along axis 1"
    for y in (concat([x], axis=0), reshape(x, shape=[0, -1]), flatten(x), transpose(x)):
        assert y.dtype == x.dtype, "a copy has the dtype of its source"
        assert sorted(y.ravel().tolist()) == x.ravel().tolist(), "no element is lost or made"


def test_concat_puts_pieces_in_order_and_takes_negative_axes() -> None:
    a, b = X[:, :, :1], X[:, :, 1:]
    for axis in (2, -1):
        assert np.array_equal(concat([a, b], axis=axis), X), "pieces in order are the whole"


def test_pad_surrounds_and_codes_pad_with_their_zero_point() -> None:
    y = pad(X.astype(np.float32), pads=[0, 1, 0, 0, 0, 2], value=-1.5)
    assert y.shape == (2, 4, 6), "begins, then ends"
    assert (y[:, 0] == -1.5).all(), "one row before"
    assert (y[..., 4:] == -1.5).all(), "two columns after"
    assert np.array_equal(y[:, 1:, :4], X), "the input in the middle"
    q = QParams(np.float32(0.25), np.int32(-9), None, "int8")
    codes = pad_quantized(X, q, pads=[0, 0, 1, 0, 0, 0])
    assert codes.dtype == np.int8, "codes stay codes"
    assert (dequantize(codes, q)[:, :, 0] == 0).all(), "padding is the real 0"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [([0, -1], (2, 12)), ([0, 4, 3], (2, 4, 3)), ([-1], (24,)), ([0, 0, 2, 2], (2, 3, 2, 2))],
)
def test_reshape_copies_and_infers(shape: list[int], expected: tuple[int, ...]) -> None:
    y = reshape(X, shape=shape)
    assert y.shape == expected, "0 copies, -1 is inferred"
    assert y.ravel().tolist() == X.ravel().tolist(), "the order of elements stays"


def test_an_empty_batch_is_reshaped_and_flattened() -> None:
    empty = X[:0]
    assert flatten(empty).shape == (0, 12), "flatten keeps K"
    assert reshape(empty, shape=[0, 12]).shape == (0, 12), "reshape keeps N = 0"


def test_transpose_is_by_perm() -> None:
    y = transpose(X, perm=[0, 2, 1])
    assert [int(y[i, k, j]) for i, j, k in np.ndindex(2, 3, 4)] == X.ravel().tolist(), "y[i, k, j]"
    assert transpose(X).shape == (4, 3, 2), "no perm: reversed"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: concat([], axis=0), "Concat: at least one input"),
        (lambda: concat([X], axis=3), r"Concat: attribute axis must be in \[-3, 2\], got 3"),
        (lambda: concat([X, X.astype(np.uint8)], axis=0), "Concat: inputs must agree in dtype"),
        (lambda: concat([X, X[:, :2]], axis=0), "Concat: inputs must agree outside axis 0"),
        (lambda: pad(X, pads=[1, 1]), "Pad: attribute pads must be 6 integers >= 0"),
        (lambda: pad(X, pads=[0, 0, -1, 0, 0, 0]), "Pad: attribute pads must be 6 integers"),
        (lambda: reshape(X, shape=[5, 5]), "Reshape: attribute shape .* does not hold the 24"),
        (lambda: reshape(X, shape=[-1, -1]), "Reshape: attribute shape may hold one -1"),
        (lambda: reshape(X, shape=[5, -1]), "Reshape: .* does not hold the 24"),
        (lambda: reshape(X, shape=[2, 3, 4, 0]), "Reshape: attribute shape must hold sizes"),
        (lambda: reshape(X, shape=[-2]), "Reshape: attribute shape must hold sizes"),
        (lambda: flatten(X, axis=2), "Flatten: attribute axis must be 1, got 2"),
        (lambda: flatten(np.array(1)), "Flatten: x must have at least one axis"),
        (lambda: transpose(X, perm=[0, 0, 1]), "Transpose: attribute perm must be a permutation"),
    ],
)
def test_wrong_attributes_are_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_codes_pad_with_nothing_else() -> None:
    q = QParams(np.float32(1), np.int32(0), None, "int8")
    with pytest.raises(ValueError, match="Pad: attribute value must be 0 on codes, got 1"):
        pad_quantized(X, q, pads=[0] * 6, value=1)


def test_slices_are_pythons_and_axes_come_and_go() -> None:
    for start, end in ((0, 2), (-3, -1), (1, 99), (3, 1), (-99, 2)):
        got = slice_axes(X, starts=[start], ends=[end], axes=[-1])
        assert np.array_equal(got, X[:, :, start:end]), f"{start} to {end}"
    two = slice_axes(X, starts=[1, 0], ends=[2, 2], axes=[2, 1])
    assert np.array_equal(two, X[:, :2, 1:2]), "axes in any order"
    wide = unsqueeze(X, axes=[0, -1])
    assert wide.shape == (1, 2, 3, 4, 1), "places of the result"
    assert np.array_equal(squeeze(wide, axes=[-1, 0]), X), "and back"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: slice_axes(X, starts=[0], ends=[1, 2], axes=[0]), "starts, ends, axes must be as"),
        (
            lambda: slice_axes(X, starts=[0], ends=[1], axes=[3]),
            r"axis must be in \[-3, 2\], got 3",
        ),
        (lambda: squeeze(X, axes=[0]), "axis 0 of .* must have length 1"),
        (lambda: unsqueeze(X, axes=[0, 0]), "axes must be different axes"),
        (lambda: unsqueeze(X, axes=[5]), r"axis must be in \[-4, 3\], got 5"),
    ],
)
def test_places_that_are_none_are_refused(broken: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        broken()
