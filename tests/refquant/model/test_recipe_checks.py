"""Keys and values that are known, in value and in type."""

from typing import Any

import pytest

from refquant.model.graph import Node
from refquant.model.recipe_checks import check_value, field_names, known_keys, listed


@pytest.mark.parametrize(("value", "allowed"), [(True, (1, 0)), (1, (True, False)), (1.0, (1, 2))])
def test_equal_is_not_enough(value: Any, allowed: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"a\.b: unknown value .*; allowed: "):
        check_value("a.b", value, allowed)


def test_what_is_allowed_passes() -> None:
    check_value("a.b", "x", ("x", "y"))
    known_keys("a", {"b": 1}, ("b", "c"))
    known_keys("a", {}, ())


@pytest.mark.parametrize("table", [None, 3, "b", ["b"]])
def test_a_table_is_one(table: object) -> None:
    with pytest.raises(ValueError, match="a: a table, got"):
        known_keys("a", table, ("b",))


def test_lists_are_python_s() -> None:
    assert listed(("x", 8, True)) == "'x', 8, True", "as written in Python"
    assert field_names(Node)[:2] == ("name", "op"), "in their order"
