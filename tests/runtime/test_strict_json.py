"""JSON with one meaning: what is accepted, what is refused, and that any bytes are one of both."""

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant_runtime.strict_json import MAX_DEPTH, parse_json

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8)
TREES = st.recursive(
    LEAVES | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=5), TREES, max_size=3), st.booleans())
def test_what_is_written_is_read(tree: dict[str, object], ascii_only: bool) -> None:
    assert parse_json(json.dumps(tree, ensure_ascii=ascii_only).encode()) == tree, "round trip"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"[]", "not an object"),
        (b'"{}"', "not an object"),
        (b"", "Expecting value"),
        (b'{"a":1,"b":2,"a":3}', "duplicate key 'a'"),
        (b'{"a":{"b":1,"b":1}}', "duplicate key 'b'"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":-Infinity}', "-Infinity is not JSON"),
        (b'{"a":1e999}', "beyond float64"),
        (b'{"a":9223372036854775808}', "more than 64 bits"),
        (b'{"a":-9223372036854775809}', "more than 64 bits"),
        (b'{"a":"\\udc00"}', "surrogates not allowed"),
        (b'{"\\ud800":1}', "surrogates not allowed"),
        (b'{"a":"\xff"}', "codec can't decode"),
        (b'\xef\xbb\xbf{"a":1}', "BOM"),
    ],
)
def test_what_is_loose_is_refused(text: bytes, rule: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the rule is compared below
        parse_json(text)
    assert rule in str(caught.value), f"{text!r}: {caught.value}"


def test_the_edges_of_what_is_allowed() -> None:
    deep = b'{"a":' * (MAX_DEPTH - 1) + b"{}" + b"}" * (MAX_DEPTH - 1)
    assert parse_json(deep), "32 objects inside each other"
    with pytest.raises(ValueError, match="nested deeper than 32"):
        parse_json(b'{"a":' + deep + b"}")
    brackets = b'{"' + b"[" * 99 + b'":"\\"' + b"{" * 99 + b'"}'
    assert len(parse_json(brackets)) == 1, "brackets inside of strings are text"
    edges = {"low": -(2**63), "high": 2**63 - 1, "smile": "\U0001f600"}
    assert parse_json(json.dumps(edges).encode()) == edges, "64 bits, and a whole surrogate pair"


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\u01e.-x', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_a_value_error(text: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse_json(text), dict), "an object"


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 10**6,
        b'"' + b'\\"' * 10**6 + b"\\",
        b'{"a":' + b"9" * 10**6 + b"}",
        b"{" + b",".join(b'"%d":0' % i for i in range(10**5)) + b',"0":0}',
    ],
    ids=["brackets", "quotes", "digits", "keys"],
)
def test_a_bomb_costs_what_it_weighs(bomb: bytes) -> None:
    begin = time.process_time()
    with pytest.raises(ValueError, match=r"deeper|string|64 bits|duplicate"):
        parse_json(bomb)
    spent = time.process_time() - begin
    assert spent < 5, (
        f"linear takes well below a second, quadratic minutes; this took {spent:.1f} s"
    )
