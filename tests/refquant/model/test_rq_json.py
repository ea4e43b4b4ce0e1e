import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.model.rq_json import MAX_DEPTH, JsonError, check_json, dumps, loads

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
trees = st.recursive(
    leaves, lambda t: st.lists(t, max_size=4) | st.dictionaries(st.text("ab", max_size=3), t)
)


@given(trees)
def test_reading_what_was_written_gives_the_same_tree_and_text(tree: object) -> None:
    text = dumps(tree)
    assert loads(text) == tree, "dumps and loads are inverse"
    assert dumps(loads(text)) == text, "there is one text for a tree"


@given(st.text('[]{}",:0123456789.eE+-truefalsnNIy \\u', max_size=40))
def test_any_text_is_json_or_a_json_error(text: str) -> None:
    try:
        loads(text)
    except JsonError:
        return


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":1,"a":1}', "'a' stands twice"),
        ('{"b":{"a":1,"c":2,"a":1}}', "'a' stands twice"),
        ("NaN", "NaN is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ("1e999", "a number is finite"),
        ("9223372036854775808", r"2\^63"),
        ("-9223372036854775809", r"2\^63"),
        ("1" * 5000, "5000 digits"),
        ("[" * 33 + "]" * 33, "deeper than 32"),
        ("[" * 100_000 + "]" * 100_000, "deeper than 32"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "deeper than 32"),
        (r'"\ud800"', "lone surrogate"),
        (r'{"\udfff":1}', "lone surrogate"),
        ("", "not JSON"),
        ("{} {}", "not JSON"),
        ("\ufeff{}", "not JSON"),
    ],
)
def test_a_loose_end_is_refused(text: str, message: str) -> None:
    with pytest.raises(JsonError, match=message):
        loads(text)


def test_the_limits_themselves_are_allowed() -> None:
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert dumps(loads(deep)) == deep, "32 containers may nest"
    for number in (-(2**63), 2**63 - 1):
        assert loads(str(number)) == number, "64 bits, signed"


@pytest.mark.parametrize(
    "tree", [(1, 2), {1: 2}, math.nan, math.inf, 2**63, "\ud800", {"a": {"b": b""}}, {1, 2}]
)
def test_what_has_no_json_is_not_written(tree: object) -> None:
    with pytest.raises(JsonError):
        dumps(tree)
    with pytest.raises(JsonError):
        check_json([tree])
