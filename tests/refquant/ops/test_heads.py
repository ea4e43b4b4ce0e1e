"""A head owns neighbours, and joining undoes splitting."""

import numpy as np
import pytest

from refquant.ops.heads import join_heads, split_heads


def test_a_head_owns_neighbouring_elements() -> None:
    x = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    heads = split_heads("op", "x", x, 2)
    assert heads.shape == (2, 2, 3, 2), "samples, heads, steps, elements"
    assert heads[1, 1, 2].tolist() == x[1, 2, 2:].tolist(), "head 1 owns elements 2 and 3"
    assert np.array_equal(join_heads(heads), x), "and back"


@pytest.mark.parametrize(("shape", "heads"), [((2, 3, 4), 3), ((2, 3, 4), 0), ((3, 4), 1)])
def test_what_does_not_divide_is_refused(shape: tuple[int, ...], heads: int) -> None:
    with pytest.raises(ValueError, match=r"op: x must be \(N, heads, T, d\)"):
        split_heads("op", "x", np.zeros(shape), heads)


def test_four_axes_have_their_heads() -> None:
    x = np.zeros((1, 3, 2, 4))
    assert split_heads("op", "x", x, 0) is x, "nothing to do"
    with pytest.raises(ValueError, match="x has 3 heads, its attribute says 2"):
        split_heads("op", "x", x, 2)
