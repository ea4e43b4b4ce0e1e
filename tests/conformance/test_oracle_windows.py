"""Windows by hand: how many, and what each sees."""

import pytest

from refquant_conformance.oracle_windows import output_size, places

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


@pytest.mark.parametrize(
    ("size", "kernel", "strides", "pads", "dilations", "wanted"),
    [
        ((5, 5), (3, 3), (1, 1), (0, 0, 0, 0), (1, 1), (3, 3)),
        ((5, 5), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), (3, 3)),
        ((7, 6), (3, 2), (1, 1), (1, 0, 0, 1), (2, 1), (4, 6)),
        ((2, 2), (3, 3), (1, 1), (0, 0, 0, 0), (1, 1), (0, 0)),
    ],
)
def test_the_size_of_the_output(
    size: Pair, kernel: Pair, strides: Pair, pads: Pads, dilations: Pair, wanted: Pair
) -> None:
    assert output_size(size, kernel, strides, pads, dilations) == wanted, "counted by hand"


def test_a_dilated_window_skips_a_row() -> None:
    seen = places((1, 0), (4, 2), (2, 1), (1, 1), (0, 0, 0, 0), (2, 1))
    assert seen == [(1, 0), (3, 0)], f"{seen}"
