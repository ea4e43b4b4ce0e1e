"""The page of ``refquant compare --html`` in Chromium: quiet, self-contained, readable anywhere."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.report.page import render
from tests.browser.chromium import PATH, Browser, chromium
from tests.refquant.evaluation.two_models import small_net
from tests.refquant.model.literals import f32
from tests.refquant.report.made import page_data
from tests.refquant.report.test_page import hostile

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PATH, reason="needs Chromium (Debian: apt-get install chromium)"),
]
X = {"x": np.random.default_rng(4).standard_normal((64, 4)).astype(np.float32)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    small = quantize(small_net(), recipe("int8_static"), X)
    two = {"x": f32([[1, 2], [3, 4]])}
    made = {
        "small": page_data(small_net(), small, X, times=True),
        "hostile": page_data(hostile(1), hostile(1.25), two, path="<script>alert(1)</script>"),
    }
    for name, data in made.items():
        (folder / f"{name}.html").write_bytes(render(data))
    return {name: folder / f"{name}.html" for name in made}


def test_a_page_that_asks_and_complains_is_noticed(browser: Browser, tmp_path: Path) -> None:
    """The test of the tests."""
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('no')</script>")
    browser.open(bad.as_uri(), width=400)
    assert "http://127.0.0.1:9/x.png" in browser.requests(), f"{browser.requests()}"
    assert any("'no'" in text for text in browser.complaints()), f"{browser.complaints()}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["small", "hostile"])
def test_a_page_asks_for_nothing_and_fits(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: str, tmp_path: Path
) -> None:
    url = pages[name].as_uri()
    browser.open(url, width=width, scheme=scheme)
    assert browser.requests() == [url], f"{browser.requests()}"
    assert browser.complaints() == [], f"{browser.complaints()}"
    wide = browser.value("document.documentElement.scrollWidth")
    assert wide <= width, f"{wide} points of {width}: the page itself must not scroll sideways"
    flat = browser.value(
        "[...document.querySelectorAll('svg')].filter(s => !(s.getBoundingClientRect().height > 40)"
        " || !s.querySelector('path')).length"
    )
    assert flat == 0, f"{flat} figures cannot be seen"
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 30_000, "there is something on it"


def contrast(one: str, other: str) -> float:
    """The ratio of two CSS colours ``rgb(r, g, b)``, as WCAG 2 defines it."""
    luminances = []
    for text in (one, other):
        parts = [int(p) / 255 for p in text[text.index("(") + 1 : -1].split(",")[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        luminances.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_on_either_background(
    browser: Browser, pages: dict[str, Path], scheme: str
) -> None:
    browser.open(pages["small"].as_uri(), width=1280, scheme=scheme)
    paper = browser.value("getComputedStyle(document.body).backgroundColor")
    said = {
        "text": "getComputedStyle(document.body).color",
        "A": "getComputedStyle(document.querySelector('.a')).color",
        "B": "getComputedStyle(document.querySelector('.b')).color",
        "notes": "getComputedStyle(document.querySelector('.note')).color",
        "warnings": "getComputedStyle(document.querySelector('.bad')).color",
        "figures": "getComputedStyle(document.querySelector('svg text')).fill",
    }
    for what, expression in said.items():
        found = contrast(browser.value(expression), paper)
        assert found >= 4.5, f"{what}: {found:.2f} to 1"
    dark = contrast(paper, "rgb(0, 0, 0)") < 2
    assert dark is (scheme == "dark"), f"{scheme}: the paper is {paper}"


def test_a_hostile_name_is_text(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["hostile"].as_uri(), width=1280)
    assert browser.value("document.scripts.length") == 0, "no script"
    assert browser.value("document.images.length + document.forms.length") == 0, "no images"
    assert browser.value("document.title") == "refquant: <script>alert(1)</script> and b.rq"
    turned = browser.value("document.body.innerText.includes(String.fromCharCode(0x202e))")
    assert turned is False, "nothing turns what is beside it"


def test_a_page_can_be_printed(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["small"].as_uri(), width=1280)
    pdf = base64.b64decode(browser.call("Page.printToPDF", printBackground=False)["data"])
    assert pdf.startswith(b"%PDF"), "a document"
    assert 2 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 12, "a few sheets"


def test_a_keyboard_reaches_what_scrolls(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["small"].as_uri(), width=400)
    lost = browser.value(
        "[...document.querySelectorAll('.scroll')].filter(e => e.tabIndex < 0"
        " || !e.getAttribute('aria-label')).length"
    )
    assert lost == 0, f"{lost} regions cannot be reached, or have no name"
