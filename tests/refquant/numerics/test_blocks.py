"""Blocks: each element's parameter, found index by index."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.numerics import (
    expand,
    parameter_shape,
    per_channel,
    per_group,
    per_tensor,
    per_token,
    reduce_blocks,
)
from refquant.numerics.blocks import block_sizes

shapes_and_blocks = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 7)), min_size=0, max_size=3
).map(lambda pairs: (tuple(d for d, _ in pairs), tuple(b for _, b in pairs)))


def test_the_named_granularities() -> None:
    shape = (4, 6, 5)
    assert per_tensor(shape) == (4, 6, 5), "one block"
    assert per_channel(shape, 1) == (4, 1, 5), "one index of the axis"
    assert per_channel(shape, -2) == (4, 1, 5), "axes count from the end too"
    assert per_token(shape) == (1, 1, 5), "rows along the last axis"
    assert per_group(shape, -1, 2) == (1, 1, 2), "neighbours along the axis"
    for block, expected in (
        (per_tensor(shape), (1, 1, 1)),
        (per_channel(shape, 1), (1, 6, 1)),
        (per_token(shape), (4, 6, 1)),
        (per_group(shape, 2, 2), (4, 6, 3)),
        (per_group(shape, 2, 99), (4, 6, 1)),
    ):
        assert parameter_shape(shape, block) == expected, f"block {block}"


def test_an_empty_axis_has_a_block_but_no_parameters() -> None:
    assert per_tensor((0, 3)) == (1, 3), "blocks are at least 1"
    assert parameter_shape((0, 3), per_tensor((0, 3))) == (0, 1), "no element, no parameter"
    assert per_token((2, 0)) == (1, 1), "blocks are at least 1"
    assert per_tensor(()) == () == parameter_shape((), ()), "a scalar has one parameter, shape ()"


@given(pair=shapes_and_blocks)
def test_expand_gives_each_element_the_parameter_of_its_block(
    pair: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    shape, block = pair
    params = np.arange(np.prod(parameter_shape(shape, block), dtype=int)).astype(np.float32)
    params = params.reshape(parameter_shape(shape, block))
    got = expand(params, shape, block)
    assert (got.shape, got.dtype.name) == (shape, "float32"), f"got {got.shape} {got.dtype}"
    for index in itertools.product(*map(range, shape)):
        expected = params[tuple(j // b for j, b in zip(index, block, strict=True))]
        assert got[index] == expected, f"element {index}"


@given(pair=shapes_and_blocks, seed=st.integers(0, 2**32 - 1))
def test_reduce_blocks_is_the_reduction_of_each_block(
    pair: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    shape, block = pair
    x = np.random.default_rng(seed).integers(-99, 99, shape).astype(np.float32)
    for fn, reduction in (
        ("min", np.min),
        ("max", np.max),
        ("absmax", lambda v: np.max(np.abs(v))),
    ):
        got = reduce_blocks(x, block, fn)
        assert (got.shape, got.dtype.name) == (parameter_shape(shape, block), "float32"), fn
        for index in itertools.product(*map(range, got.shape)):
            cut = tuple(slice(k * b, (k + 1) * b) for k, b in zip(index, block, strict=True))
            assert got[index] == reduction(x[cut]), f"{fn} of block {index}"


def test_nan_wins_in_its_block_only() -> None:
    x = np.array([1.0, np.nan, 3.0, 4.0, 5.0], np.float32)
    for fn, expected in (("min", [3.0, 5.0]), ("max", [4.0, 5.0]), ("absmax", [4.0, 5.0])):
        got = reduce_blocks(x, (2,), fn)
        assert np.isnan(got[0]), f"{fn} hides a NaN"
        assert got[1:].tolist() == expected, f"{fn}: {got}"


def test_absmax_is_the_larger_of_both_ends() -> None:
    x = np.array([-7.0, 5.0, -0.0, 0.0], np.float32)
    got = reduce_blocks(x, (2,), "absmax")
    assert got.tolist() == [7.0, 0.0], f"got {got}"
    assert not np.signbit(got).any(), "a magnitude has no sign"


def test_the_arguments_are_not_changed() -> None:
    x = np.array([-1.0, 2.0], np.float32)
    reduce_blocks(x, (2,), "absmax")
    assert x.tolist() == [-1.0, 2.0], "reduce_blocks must not write into its argument"


def test_mistakes_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"block_shape must have 2 sizes of at least 1, got \(2,\)"
    ):
        parameter_shape((3, 4), (2,))
    with pytest.raises(ValueError, match=r"block_shape must have .* got \(2, 0\)"):
        parameter_shape((3, 4), (2, 0))
    with pytest.raises(ValueError, match=r"params must have shape \(2, 1\), got \(1, 2\)"):
        expand(np.zeros((1, 2)), (4, 4), (2, 4))
    with pytest.raises(ValueError, match=r"axis must be an integer in \[-2, 2\), got 2"):
        per_channel((3, 4), 2)
    with pytest.raises(ValueError, match="group_size must be an integer of at least 1, got 0"):
        per_group((3, 4), 0, 0)
    with pytest.raises(ValueError, match=r"fn must be one of min, max, absmax; got 'mean'"):
        reduce_blocks(np.zeros((2, 2)), (2, 2), "mean")
    with pytest.raises(ValueError, match=r"axis must be an integer in \[-0, 0\), got -1"):
        per_token(())


@pytest.mark.parametrize("bad", ["a", 1.0, None, True, np.float32(0)])
def test_an_axis_and_a_size_are_integers(bad: Any) -> None:
    with pytest.raises(ValueError, match="axis must be an integer in"):
        per_channel((2, 3), bad)
    with pytest.raises(ValueError, match="group_size must be an integer of at least 1"):
        per_group((2, 3), 0, bad)


@pytest.mark.parametrize("bad", [None, "ab", 4, (1, 2.0), (1, "b"), (True, 1), {1, 2}])
def test_a_block_shape_is_a_tuple_of_integers(bad: Any) -> None:
    with pytest.raises(ValueError, match="block_shape must be a tuple of integers"):
        block_sizes(bad)
    with pytest.raises(ValueError, match="block_shape must be a tuple of integers"):
        parameter_shape((2, 3), bad)
