"""Rules of imported operators that drawn shapes rarely meet; the rest is `test_shapes`."""

import pytest

from refquant.ops.conv_transpose import transposed_pads as theirs
from refquant_runtime.shapes_imported import IMPORTED, transposed_pads


def test_the_padding_of_a_transposed_convolution_is_the_references() -> None:
    given = {"pads": [1, 0, 0, 2], "dilations": [1, 2], "output_padding": [0, 1]}
    strides, dilations, pads = transposed_pads((4, 2, 3, 2), given)
    assert (strides, dilations) == ([1, 1], [1, 2]), "as given, or 1"
    assert tuple(pads) == theirs((3, 2), given["pads"], [1, 2], [0, 1]), "of the convolution"


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "rule"),
    [
        ("ConvTranspose", [(1, 1, 3), (1, 1, 2)], {"pads": [2, 0]}, "pads are at most"),
        ("ConvTranspose", [(1, 2, 3), (2, 1, 2)], {"group": 0}, "do not fit"),
        ("ConvTranspose", [(1, 1, 3), (1, 2, 1), (1,)], {}, "bias"),
        ("TopK", [(2, 3)], {"k": 4}, r"k is in \[1, 3\]"),
        ("ArgMax", [(2, 0)], {"axis": 1}, "is empty"),
        ("Where", [(2,), (3,), (1,)], {}, "do not broadcast"),
    ],
)
def test_what_has_no_shape(
    op: str, shapes: list[tuple[int, ...] | None], attributes: dict[str, object], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        IMPORTED[op].shapes(shapes, attributes)
