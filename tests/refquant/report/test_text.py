"""Names that files may hold, and what a page shows of them."""

import math

import pytest

from refquant.report.text import LONGEST, flat, number, shown


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plain", "plain"),
        ("a b/c.d", "a b/c.d"),
        ("Größe 層", "Größe 層"),
        ("\u202eevil", "\\u202eevil"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\x00b", "a\\x00b"),
        ("\x1b[31m", "\\x1b[31m"),
        ("line\nline", "line\\nline"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("<b>&\"'", "<b>&\"'"),
        ("", ""),
    ],
)
def test_what_does_not_print_is_written_out(name: str, said: str) -> None:
    assert shown(name) == said, f"{shown(name)!r}"
    shown(name).encode("utf-8")  # no error: a page can hold it


def test_what_is_long_is_cut_in_the_middle_and_still_told_apart() -> None:
    assert shown("x" * LONGEST) == "x" * LONGEST, "just short enough"
    names = [f"{'x' * 5000}{i}{'y' * 5000}{i}" for i in range(3)]
    cut = [shown(name) for name in names]
    assert len(set(cut)) == 3, f"{cut}"
    for text in cut:
        assert len(text) < LONGEST, f"{len(text)}"
        assert text.endswith("(10,002 characters)"), text
    assert len(shown("\u202e" * 10_000)) < 10 * LONGEST, "escapes are longer, but bounded"
    assert shown("…" * 500).count("…") > 1, "a name may have the mark of the cut"


def test_numbers_that_are_none() -> None:
    assert number(None, ".2f") == "-", "no value"
    assert number(math.nan, ".2f") == "NaN", "not a number"
    assert number(math.inf, ".2f") == "inf", "infinite"
    assert number(-math.inf, ",.1f") == "-inf", "infinite"


def test_json_becomes_rows() -> None:
    tree = {"a": {"b": [1, 2.5, None], "c": {}}, "d": False, "e": [], "f": [{"g": 1}]}
    assert list(flat(tree)) == [
        ("a.b", "1 2.5 none"), ("a.c", "none"), ("d", "false"), ("e", "none"), ("f", "{'g': 1}"),
    ]  # fmt: skip
    deep: object = "end"
    for _ in range(500):
        deep = {"x": deep}
    assert len(list(flat(deep))) == 1, "depth is data: it stops"
