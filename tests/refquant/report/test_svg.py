"""Figures that stand in a page."""

import re
import subprocess
import sys
from typing import Any

import pytest

from refquant.report.svg import A, draw, need_matplotlib
from tests.refquant.report.html_page import Page


def lines(figure: Any) -> None:
    axes = figure.add_subplot()
    axes.plot([1, 2, 3], [3, 1, 2], color=A, label="A")
    axes.fill_between([1, 2], [1, 1], color=A, alpha=0.5)
    axes.set_xlabel("$x^2$")
    axes.legend()


def parsed(svg: str) -> Page:
    page = Page()
    page.feed(svg)
    page.close()
    return page


def test_it_is_one_element_that_asks_for_nothing() -> None:
    svg = draw(lines, size=(4, 2), title='<t> & "t"', prefix="f1")
    page = parsed(svg)
    assert page.faults == [], f"{page.faults}"
    assert page.stack == [], "everything is closed"
    first = page.elements[0]
    assert first.tag == "svg", first.tag
    assert first.attributes["viewbox"] == "0 0 288 144", f"{first.attributes}"
    (title,) = page.all("title")
    assert title.text == '<t> & "t"', title.text
    assert first.attributes["aria-labelledby"] == title.attributes["id"], "it is the figure's name"
    for word in ("http", "<?xml", "<!DOCTYPE", "<metadata", "<style", "<!--", "DejaVu", "xlink"):
        assert word not in svg, word


def test_every_id_is_its_own_and_every_link_leads_to_one() -> None:
    svgs = [draw(lines, size=(4, 2), title="t", prefix=prefix) for prefix in ("f1", "f2")]
    found = [re.findall(r'\bid="([^"]*)"', svg) for svg in svgs]
    for ids, svg, prefix in zip(found, svgs, ("f1-", "f2-"), strict=True):
        assert len(set(ids)) == len(ids) > 1, f"{ids}"
        assert all(name.startswith(prefix) for name in ids), f"{ids}"
        links = re.findall(r'(?:href="|url\()#([^")]*)', svg)
        assert links, "clip paths and marks"
        assert set(links) <= set(ids), f"{set(links) - set(ids)}"


def test_colours_are_the_pages_and_text_stays_text() -> None:
    svg = draw(lines, size=(4, 2), title="t", prefix="f1")
    assert "var(--a)" in svg, "the line"
    assert "var(--ink)" in svg, "the text"
    colours = {c for c in re.findall(r"#[0-9a-f]{6}\b", svg)}
    assert colours <= {"#ffffff", "#000000"}, f"{colours}"
    assert ">$x^2$</text>" in svg, "no mathematics: a dollar is a dollar"


def test_the_same_data_are_the_same_bytes_whatever_the_user_has_set() -> None:
    import matplotlib as mpl

    first = draw(lines, size=(4, 2), title="t", prefix="f1")
    before = dict(mpl.rcParams)
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.hashsalt": None}):
        assert draw(lines, size=(4, 2), title="t", prefix="f1") == first, "settings of the user"
    assert dict(mpl.rcParams) == before, "nor are these changed"
    code = (
        "from tests.refquant.report.test_svg import lines\n"
        "from refquant.report.svg import draw\n"
        "print(draw(lines, size=(4, 2), title='t', prefix='f1'), end='')"
    )
    path = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": "5"}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True)
    assert done.stdout == first, done.stderr


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'refquant\[report\]'"):
        need_matplotlib()
    with pytest.raises(ModuleNotFoundError, match=r"refquant\[report\]"):
        draw(lines, size=(1, 1), title="t", prefix="f")
