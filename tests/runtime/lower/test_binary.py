"""Broadcasting folds to four dimensions and means what NumPy means."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refquant_runtime.lower.binary import folded

sizes = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@given(out=sizes, data=st.data())
def testfolded_strides_address_what_numpy_broadcasts(out: list[int], data: st.DataObject) -> None:
    shapes = [
        [size if data.draw(st.booleans()) else 1 for size in out],
        [size if data.draw(st.booleans()) else 1 for size in out],
    ]
    dims, steps = folded(out, shapes)
    assert len(dims) >= 4, f"{dims} has fewer than four dimensions"
    assert np.prod(dims) == np.prod(out), f"{dims} are not the elements of {out}"
    for shape, stride in zip(shapes, steps, strict=True):
        array = np.arange(np.prod(shape)).reshape(shape)
        expected = np.broadcast_to(array, out).reshape(-1)
        places = [
            sum(i * s for i, s in zip(index, stride, strict=True))
            for index in itertools.product(*(range(d) for d in dims))
        ]
        assert places == expected.tolist(), f"{shape} in {out}: {dims} {stride}"


def test_equal_shapes_become_one_row() -> None:
    dims, steps = folded([2, 3, 4], [[2, 3, 4], [2, 3, 4]])
    assert dims == [1, 1, 1, 24], f"not merged: {dims}"
    assert [step[-1] for step in steps] == [1, 1], f"not contiguous: {steps}"
