"""Fields of the JSON: of their type, none missing, none unknown; the error says where."""

from pathlib import Path

import pytest

from refquant_runtime import FormatError
from refquant_runtime.fields import Fields

FIELDS = Fields(Path("m.rq"))


def test_keys_are_all_there_and_no_other() -> None:
    FIELDS.keys("graph", {"a": 1, "b": 2}, {"a"}, {"b", "c"})
    for entry, problem in (
        ({"b": 2}, r"lacks \['a'\]"),
        ({"a": 1, "z": 2}, "unknown key 'z'"),
        ([1], "is not a JSON object"),
        (None, "is not a JSON object"),
    ):
        with pytest.raises(FormatError, match=rf"m\.rq: graph: .*{problem}"):
            FIELDS.keys("graph", entry, {"a"}, {"b", "c"})


def test_kinds_are_exact() -> None:
    assert FIELDS.kind("name", "g", str) == "g", "returned"
    for value, kind in ((1, str), (True, int), ([], dict), (None, list), (1.0, int)):
        with pytest.raises(FormatError, match=rf"m\.rq: x: .* is not of type {kind.__name__}"):
            FIELDS.kind("x", value, kind)


def test_names_are_a_list_of_strings() -> None:
    assert FIELDS.names("inputs", ["a", ""]) == ("a", ""), "the empty name is an absent input"
    for value in ("ab", ["a", 1], {"a": 1}, None):
        with pytest.raises(FormatError, match="is not a list of names"):
            FIELDS.names("inputs", value)
