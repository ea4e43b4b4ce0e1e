"""The judge's page in Chromium: quiet, readable without a script, on a telephone, in the dark."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.judge import judge
from refquant_conformance.report.document import document
from refquant_conformance.report.page import page
from refquant_conformance.subject import Local
from tests.browser.chromium import PATH, Browser, chromium
from tests.browser.test_report_page import contrast

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PATH, reason="needs Chromium (Debian: apt-get install chromium)"),
]
SHOWN = ("QDQ-02", "QDQ-03", "QDQ-08", "QDQ-12")


def reported(backend: str) -> dict[str, Any]:
    schemes = ("f32_i8", "f32_u8", "i8_f32")
    return document(judge(Local(load_backend(backend)), schemes=schemes, properties=SHOWN))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        found.call("Emulation.setScriptExecutionDisabled", value=True)
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two backends: the reference, and one that rounds ties wrongly."""
    wrong = reported("mutant:half_away")
    (first, *_) = [line for line in wrong["results"] if line["counterexample"]]
    first["repro"] = "import numpy as np\n\n" + f"print({'x' * 300!r})\n"  # a long line
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_bytes(page([reported("reference:onnx"), wrong]))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_page_asks_for_nothing_and_fits(
    browser: Browser, made: Path, width: int, scheme: str, tmp_path: Path
) -> None:
    browser.open(made.as_uri(), width=width, scheme=scheme)
    assert browser.requests() == [made.as_uri()], f"{browser.requests()}"
    assert browser.complaints() == [], f"{browser.complaints()}"
    for state in (False, True):  # what is folded must fit, too
        folds = "document.querySelectorAll('details')"
        browser.value(f"{folds}.forEach(d => d.open = {str(state).lower()})")
        wide = browser.value("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} points of {width}: the page itself must not scroll sideways"
        browser.screenshot(tmp_path / f"{width}-{scheme}-{state}.png")
        size = (tmp_path / f"{width}-{scheme}-{state}.png").stat().st_size
        assert size > 30_000, "there is something on it"


def test_the_matrix_is_seen_without_a_script(browser: Browser, made: Path) -> None:
    browser.open(made.as_uri(), width=1280)
    shown = browser.value("document.querySelector('table').innerText")
    for word in ("quantize_linear", "f32_i8", "reference:onnx", "mutant:half_away", "FAILS"):
        assert word in shown, f"{word} is not in the matrix: {shown}"
    assert browser.value("document.scripts.length") == 0, "no script"
    top = browser.value("document.querySelector('table').getBoundingClientRect().top")
    assert top < 900, f"the matrix begins at {top}: it is what the page is for"


def test_a_counterexample_opens_by_a_click(browser: Browser, made: Path) -> None:
    browser.open(made.as_uri(), width=1280)
    place = "[...document.querySelectorAll('details')].find(d => d.querySelector('pre'))"
    assert browser.value(f"{place}.open") is False, "it is folded"
    assert browser.value(f"{place}.querySelector('pre').checkVisibility()") is False, "and unseen"
    browser.value(f"{place}.scrollIntoView()")
    box = browser.value(
        f"(b => [b.x + 30, b.y + b.height / 2])({place}.firstElementChild.getBoundingClientRect())"
    )
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1],
                     button="left", clickCount=1)  # fmt: skip
    assert browser.value(f"{place}.open") is True, "a click opens it"
    text = browser.value(f"{place}.innerText")
    for word in ("expected", "observed", "float32", "import numpy"):
        assert word in text, f"{word} is not in {text}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_on_either_background(
    browser: Browser, made: Path, scheme: str
) -> None:
    browser.open(made.as_uri(), width=1280, scheme=scheme)
    paper = browser.value("getComputedStyle(document.body).backgroundColor")
    dark = contrast(paper, "rgb(0, 0, 0)") < 2
    assert dark is (scheme == "dark"), f"{scheme}: the paper is {paper}"
    for what in ("body", ".ok", ".bad", ".other", "a", "code", "summary"):
        ink = browser.value(f"getComputedStyle(document.querySelector({what!r})).color")
        assert contrast(ink, paper) >= 4.5, f"{what}: {ink} on {paper}"


def test_a_keyboard_reaches_what_scrolls(browser: Browser, made: Path) -> None:
    browser.open(made.as_uri(), width=400)
    lost = browser.value(
        "[...document.querySelectorAll('.wide, pre')].filter(e => e.tabIndex < 0"
        " || !e.getAttribute('aria-label')).length"
    )
    assert lost == 0, f"{lost} regions cannot be reached, or have no name"
