"""Rules of sequences that drawn shapes rarely meet; the rest is `test_shapes`."""

import pytest

from refquant_runtime.shapes_sequence import SEQUENCE, heads_of


def test_heads_are_an_axis_or_part_of_one() -> None:
    assert heads_of((2, 3, 5, 4), 0) == (3, 5, 4), "four axes say it themselves"
    assert heads_of((2, 5, 12), 3) == (3, 5, 4), "three axes and a number"
    for shape, count in (((2, 3, 5, 4), 2), ((2, 5, 12), 0), ((2, 5, 12), 5), ((2, 5), 1)):
        with pytest.raises(ValueError, match="heads"):
            heads_of(shape, count)


@pytest.mark.parametrize(
    ("op", "shapes", "rule"),
    [
        ("GRU", [(1, 2, 3), (1, 6, 3), (1, 6, 2), None, (1,)], "lengths of sequences, is absent"),
        ("GRU", [(1, 2, 3), (1, 6, 3), (1, 6, 3)], "r has shape"),
        ("LSTM", [(1, 2, 3), (1, 8, 3), (1, 8, 2), None, None, (1, 1, 2), (1, 2, 2)], "a state"),
    ],
)
def test_recurrent_layers_that_do_not_fit(
    op: str, shapes: list[tuple[int, ...] | None], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        SEQUENCE[op].shapes(shapes, {"hidden_size": 2, "layout": 1})


def test_a_long_sum_is_no_number_of_float32() -> None:
    with pytest.raises(ValueError, match="float32 counts to"):
        SEQUENCE["ReduceMean"].shapes([(4096, 4096)], {"axes": [0, 1]})
