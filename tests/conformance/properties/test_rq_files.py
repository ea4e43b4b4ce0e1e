"""Files that are edited: what is not changed stays, and what is made is valid but for that."""

import pytest

from refquant.model.rq import parse_rq
from refquant_conformance.properties.rq_files import edited, long_row, seed_of


@pytest.mark.parametrize("op", ["qlinear_matmul", "qlinear_conv"])
def test_a_file_with_nothing_changed_is_the_same(op: str) -> None:
    assert edited(seed_of(op), lambda graph: None) == seed_of(op), "written otherwise"


def test_a_name_is_changed_and_nothing_else() -> None:
    made = edited(seed_of("qlinear_matmul"), lambda graph: graph.update(name="other"))
    assert parse_rq(made, name="f").name == "other", "the change"


def test_the_longest_row_is_valid_and_one_more_is_not() -> None:
    count = (2**31 - 1) // (255 * 127)
    assert parse_rq(long_row(count), name="f").nodes, "fits"
    with pytest.raises(ValueError, match="can reach"):
        parse_rq(long_row(count + 1), name="f")
