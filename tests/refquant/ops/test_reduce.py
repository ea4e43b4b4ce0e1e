"""Sums in row-major order of the axes, ascending; means; axes that are none."""

import itertools

import numpy as np
import pytest

from refquant.ops.reduce import reduce_mean, reduce_sum
from tests.refquant.ops.single import f, rough, total

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("axes", [[0], [1], [-1], [0, 2], [2, 0], [0, 1, 2]])
def test_the_bits_are_those_of_the_text(axes: list[int]) -> None:
    x = rough(RNG, 3, 4, 5)
    places = sorted(axis % 3 for axis in axes)
    for keep in (0, 1):
        y, mean = (fn(x, axes=axes, keepdims=keep) for fn in (reduce_sum, reduce_mean))
        shape = [1 if i in places else n for i, n in enumerate(x.shape)]
        assert y.shape == (tuple(shape) if keep else np.squeeze(y).shape), (
            f"{axes}, keepdims {keep}"
        )
        kept = [range(n) if i not in places else [0] for i, n in enumerate(x.shape)]
        for index in itertools.product(*kept):
            part = x[tuple(slice(None) if i in places else j for i, j in enumerate(index))]
            expected = total(part.reshape(-1).tolist())
            assert y.reshape(shape)[index] == expected, f"sum over {axes} at {index}"
            assert mean.reshape(shape)[index] == f(expected / part.size), f"mean at {index}"


def test_nothing_and_minus_zero() -> None:
    none = np.zeros((2, 0), np.float32)
    assert reduce_sum(none, axes=[1]).tolist() == [[0.0], [0.0]], "the sum of nothing"
    assert np.isnan(reduce_mean(none, axes=[1])).all(), "the mean of nothing"
    zero = reduce_sum(np.full((1, 3), -0.0, np.float32), axes=[1])
    assert not np.signbit(zero).any(), "the sum starts at +0.0"


@pytest.mark.parametrize("axes", [[2], [-3], [0, 0], [0, -2]])
def test_axes_that_are_none_are_refused(axes: list[int]) -> None:
    with pytest.raises(ValueError, match="axes must be different axes of x"):
        reduce_sum(np.zeros((2, 2), np.float32), axes=axes)
    with pytest.raises(ValueError, match="keepdims must be 0 or 1"):
        reduce_mean(np.zeros((2, 2), np.float32), axes=[0], keepdims=2)
