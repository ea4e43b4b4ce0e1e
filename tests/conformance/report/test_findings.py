"""Findings: what a report holds, a row for each kind, schemes together, and no markup of others."""

import tomllib
from importlib.resources import files
from typing import Any

import numpy as np

from refquant_conformance.adapters import load_backend
from refquant_conformance.judge import judge
from refquant_conformance.report.document import document
from refquant_conformance.report.findings import findings
from refquant_conformance.subject import Local
from refquant_conformance.wire import array_to_json


def reported(backend: str) -> dict[str, Any]:
    made = judge(
        Local(load_backend(backend)),
        ops=("quantize_linear",),
        schemes=("f32_u8", "f32_i8"),
        properties=("QDQ-02",),
    )
    return document(made)


def test_another_contract_is_a_row_with_the_input_that_shows_it() -> None:
    text = findings([reported("reference:torch")])
    (implied,) = [line for line in text.splitlines() if "`scale_op`" in line]
    assert "`reciprocal_f32`" in implied, implied
    (row,) = [line for line in text.splitlines() if "`zero_point_at`" in line]
    assert "`fused`" in row, row
    assert "f32_u8, f32_i8" in row, f"schemes that differ alike are one row: {row}"
    assert "x = " in row, f"no input: {row}"


def test_a_failure_is_a_row_with_its_counterexample() -> None:
    text = findings([reported("mutant:half_away")])
    rows = [line for line in text.splitlines() if "QDQ-02 fails" in line]
    assert len(rows) == 1, f"schemes that fail alike are one row: {rows}"
    assert "zero_point = " in rows[0], rows[0]


def silent(verdict: str) -> dict[str, Any]:
    """The report of a planted bug, as if its first failure had been no answer."""
    report = reported("mutant:half_away")
    found = report["results"][0]
    found |= {"verdict": verdict, "detail": "no answer in 20 s"}
    found["counterexample"] |= {"expected": {}, "observed": {}}
    return report


def test_who_does_not_answer_is_a_row_and_who_dies_is_none() -> None:
    rows = [line for line in findings([silent("HUNG")]).splitlines() if "QDQ-02" in line]
    assert "no answer in 20 s" in rows[0], rows[0]
    assert "zero_point = " in rows[0], f"the case is not there: {rows[0]}"
    text = findings([silent("CRASHED")])
    assert "no answer in 20 s" not in text, "a crash is told to the vendor first"


def test_a_backend_that_keeps_its_specification_has_no_table() -> None:
    text = findings([reported("reference:onnx")])
    assert "Nothing was found" in text, text
    assert "| operator | what |" not in text, text
    assert "| **all** | 2 | 2 (100%) | 0 (0%) | 2 | 0 | 0 |" in text, text


def test_a_link_is_added_for_those_it_is_about_only() -> None:
    assert "pytorch/pull/105037" not in findings([reported("reference:torch")]), "not PyTorch"
    report = reported("reference:torch")
    report["backend"]["name"] = "torch"
    assert "pytorch/pull/105037" in findings([report]), "the thread is not linked"


def counterexample(expected: list[int], observed: list[int]) -> dict[str, Any]:
    """The report of a planted bug, with these outputs in its first counterexample."""
    report = reported("mutant:half_away")
    found = report["results"][0]["counterexample"]
    for key, numbers in (("expected", expected), ("observed", observed)):
        array = np.array(numbers, np.uint8)
        found[key] = {"y": {**array_to_json(array, "uint8"), "numbers": []}}
    return report


def test_the_element_that_differs_is_shown_wherever_it_stands() -> None:
    text = findings([counterexample([0, 0, 0, 0, 0, 7], [0, 0, 0, 0, 0, 8])])
    assert "| y[5] = 7 | y[5] = 8 |" in text, text
    text = findings([counterexample([7], [8])])
    assert "| 7 | 8 |" in text, f"one element needs no index: {text}"
    text = findings([counterexample([7, 7], [7])])
    assert "| y of shape [2] | y of shape [1] |" in text, text


def test_of_a_long_input_it_is_said_how_long() -> None:
    report = reported("mutant:half_away")
    found = report["results"][0]["counterexample"]
    found["case"]["inputs"]["x"]["shape"] = [2000]
    found["numbers"]["x"] = ["0.5"] * 64
    assert "x = 0.5 0.5 0.5 0.5 (of 2,000)," in findings([report]), findings([report])


def test_what_a_backend_says_stays_in_its_cell() -> None:
    report = reported("mutant:half_away")
    report["results"][0]["counterexample"]["expected"] = {}
    report["results"][0]["detail"] = "a|b\nc"
    text = findings([report])
    assert "a\\|b c" in text, text


def test_what_is_for_the_vendor_first_is_not_told() -> None:
    report = reported("mutant:half_away")
    for line in report["results"]:
        line["op"] = "matmul_integer"
    assert "QDQ-02 fails" in findings([report]), "a failure is not told"
    report["backend"]["name"] = "bitsandbytes"
    assert "QDQ-02 fails" not in findings([report]), "a private finding is told"


def test_every_thread_has_all_that_it_needs() -> None:
    source = files("refquant_conformance.report").joinpath("threads.toml").read_text("utf-8")
    for thread in tomllib.loads(source)["thread"]:
        assert set(thread) == {"backend", "what", "op", "url"}, f"{thread}"
        assert thread["url"].startswith("https://github.com/"), f"{thread}"
