"""Lists of sizes: Python's slices, attributes or inputs, letters that are none."""

import numpy as np
import pytest

from refquant.model.importers.onnx_sizes import (
    axes_of,
    listed,
    range_of,
    reshape_to,
    split_sizes,
)


def test_lists_are_attributes_or_inputs() -> None:
    assert axes_of([None], {"axes": [2]}, 1) == (2,), "older opsets"
    assert axes_of([None, np.array([3])], {}, 1) == (3,), "newer ones"
    assert axes_of([None], {}, 1) is None, "absent"
    with pytest.raises(ValueError, match=r"must be known integers, got .*'N'"):
        listed(np.array(["N", 3], object), "axes")
    with pytest.raises(ValueError, match="got nothing"):
        listed(None, "axes")
    assert split_sizes(10, 4) == (3, 3, 3, 1), "the last is smaller"


def test_places_of_a_slice() -> None:
    for n in (0, 1, 5):
        for start in (-7, -2, 0, 3, 9):
            for end in (-9, -1, 0, 2, 2**62):
                for step in (1, 2, -1, -3):
                    got = [list(range(n))[i] for i in range_of(n, start, end, step)]
                    stop = None if step < 0 and end < -n else end
                    assert got == list(range(n))[start:stop:step], f"{n}[{start}:{end}:{step}]"
    with pytest.raises(ValueError, match="steps are not 0"):
        range_of(3, 0, 1, 0)
    assert reshape_to((2, 0, 3), (0, 0, -1), allowzero=False) == (2, 0, 0), "zeros copy"
