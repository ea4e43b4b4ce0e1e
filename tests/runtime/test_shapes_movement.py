"""Shapes of what only moves: by hand here, against the reference in test_shapes.py."""

from typing import Any

import pytest

from refquant_runtime.shapes_movement import (
    axis_of,
    concat,
    flatten,
    integers,
    pad,
    reshape,
    shape_of,
    transpose,
)


@pytest.mark.parametrize(
    ("x", "target", "y"),
    [
        ((2, 3, 4), [6, 4], (6, 4)),
        ((2, 3, 4), [0, -1], (2, 12)),
        ((2, 3, 4), [-1], (24,)),
        ((2, 0, 4), [0, 0, -1], None),  # any size would do
        ((2, 0), [0, 5], None),
        ((2, 3), [5], None),
        ((2, 3), [-1, -1], None),
        ((2, 3), [-2, 3], None),
        ((2, 3), [2, 3, 0], None),  # copies no axis
        ((2, 3), [2, 3, 1, 1, 1, 1, 1], None),  # rank 7
        ((), [], ()),
        ((2, 3), [4, -1], None),
    ],
)
def test_reshape(x: tuple[int, ...], target: list[int], y: tuple[int, ...] | None) -> None:
    if y is not None:
        assert reshape([x], {"shape": target}) == [y], f"{x} to {target}"
        return
    with pytest.raises(ValueError, match=r"shape|fit|copies"):
        reshape([x], {"shape": target})


def test_transpose_flatten_pad_and_concat() -> None:
    assert transpose([(2, 3, 4)], {}) == [(4, 3, 2)], "reversed by default"
    assert transpose([(2, 3, 4)], {"perm": [1, 2, 0]}) == [(3, 4, 2)], "by perm"
    assert flatten([(2, 3, 4)], {}) == [(2, 12)], "all but the first"
    assert flatten([(2,)], {}) == [(2, 1)], "nothing left is one"
    assert pad([(2, 3)], {"pads": [0, 1, 2, 3]}) == [(4, 7)], "begins, then ends"
    assert concat([(2, 3), (2, 5)], {"axis": -1}) == [(2, 8)], "along the axis"


@pytest.mark.parametrize(
    ("rule", "shapes", "attributes"),
    [
        (transpose, [(2, 3)], {"perm": [0, 0]}),
        (transpose, [(2, 3)], {"perm": [0, 1, 2]}),
        (flatten, [()], {}),
        (pad, [(2, 3)], {"pads": [1, 1]}),
        (pad, [(2, 3)], {"pads": [0, 0, -1, 0]}),
        (pad, [(2, 3)], {}),
        (concat, [(2, 3), (3, 3)], {"axis": 1}),
        (concat, [(2, 3), (2, 3, 1)], {"axis": 1}),
        (concat, [(2, 3)], {"axis": 2}),
        (concat, [(2, 3)], {}),
        (reshape, [(2, 3)], {}),
    ],
)
def test_what_has_no_shape_is_refused(rule: Any, shapes: Any, attributes: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        rule(shapes, attributes)


def test_operands_and_attributes() -> None:
    assert shape_of([(1,), (2,)], 1) == (2,), "there"
    for inputs in ([(1,)], [(1,), None]):
        with pytest.raises(ValueError, match="input 1 is required"):
            shape_of(inputs, 1)
    assert axis_of({"axis": -1}, 3) == 2, "from the back"
    assert axis_of({}, 3, 1) == 1, "the default"
    assert integers({}, "pads", [0, 0], 0) == [0, 0], "the default"
    with pytest.raises(ValueError, match="pads must be 2 integers >= 0, got \\[0\\]"):
        integers({"pads": [0]}, "pads", [0, 0], 0)
