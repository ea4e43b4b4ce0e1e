"""The page shows what was found, escapes what a backend says, and needs no script."""

import re
from typing import Any

from refquant_conformance.adapters import load_backend
from refquant_conformance.judge import judge
from refquant_conformance.report.document import document
from refquant_conformance.report.page import page
from refquant_conformance.subject import Local


def reported(backend: str) -> dict[str, Any]:
    found = judge(
        Local(load_backend(backend)),
        ops=("quantize_linear",),
        schemes=("f32_i8",),
        properties=("QDQ-02",),
    )
    return document(found)


def test_every_link_has_a_place_and_every_counterexample_its_bytes() -> None:
    mutant = reported("mutant:half_away")
    text = page([reported("reference:onnx"), mutant]).decode()
    links = set(re.findall(r'href="#([^"]+)"', text))
    places = set(re.findall(r'id="([^"]+)"', text))
    assert links, "no links"
    assert links <= places, f"links to nowhere: {links - places}"
    found = mutant["results"][0]["counterexample"]
    assert found["case"]["inputs"]["x"]["hex"] in text, "the counterexample's bytes are not there"
    assert "FAILS" in text, "a failure is not shown"
    assert "<script" not in text, "a script"


def test_the_element_that_differs_is_named() -> None:
    report = reported("mutant:half_away")
    outputs = report["results"][0]["counterexample"]
    (wanted,), (got,) = (outputs[key]["y"]["numbers"] for key in ("expected", "observed"))
    told = f"expected <code>{wanted}</code>, observed <code>{got}</code>"
    assert told in page([report]).decode(), f"not there: {told}"


def test_what_a_backend_says_is_no_markup() -> None:
    report = reported("mutant:half_away")
    report["backend"]["name"] = "<img src=x>"
    report["results"][0]["detail"] = "</td><script>alert(1)</script>"
    report["results"][0]["repro"] = "<b>bold</b>"
    text = page([report]).decode()
    for markup in ("<img", "<script", "<b>"):
        assert markup not in text, f"{markup} got through"


def test_the_same_reports_give_the_same_bytes() -> None:
    report = reported("mutant:half_away")
    assert page([report]) == page([report]), "two pages of one report differ"


def cells_of(text: str) -> list[str]:
    """The cells of the matrix, without markup."""
    body = text[text.index("<tbody>") : text.index("</tbody>")]
    return [" ".join(re.sub("<[^>]+>", " ", c).split()) for c in re.findall("<td>(.*?)</td>", body)]


def test_the_matrix_says_contract_and_verdict_first_and_silence_as_a_note() -> None:
    report, mutant = (reported(b) for b in ("reference:onnx", "mutant:half_away"))
    silent = {**report["results"][0], "property": "QDQ-08", "verdict": "SPEC_AMBIGUOUS"}
    absent = {**silent, "property": "QDQ-11", "verdict": "UNSUPPORTED"}
    report["results"] += [silent, silent, absent]
    text = page([report, mutant]).decode()
    _scheme, honest, wrong = cells_of(text)
    assert honest.startswith("onnx (also ort) BIT_EXACT 1 not computed 2 where the"), honest
    assert wrong.endswith("FAILS"), wrong
    assert "1 are identified as a contract" in text, "how many cells have a name"
    report["results"] = [silent]
    assert "SPEC_AMBIGUOUS" in cells_of(page([report]).decode())[1], "nothing else was seen"


def test_a_cell_that_no_contract_explains_shows_an_input() -> None:
    report = reported("reference:onnx")
    (found,) = report["identified"]
    example = {"axis": "", "value": "", "inputs": {"x": ["0.5"]}, "would_be": "1", "observed": "7"}
    found |= {"nearest": found["axes"], "axes": None, "mismatches": 3, "counterexample": example}
    text = page([report]).decode()
    assert "not identified BIT_EXACT" in cells_of(text)[1], cells_of(text)
    assert "would give 1, and gives 7" in text, "the counterexample of the nearest"


def test_a_backend_that_computes_nothing_has_a_page() -> None:
    report = reported("reference:onnx")
    report |= {"results": [], "identified": [], "summary": {}}
    assert b"Nothing was asked" in page([report]), "an empty report has no word for it"
