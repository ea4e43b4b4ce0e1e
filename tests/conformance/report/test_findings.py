"""Findings: what a report holds, a row for each kind, schemes together, and no markup of others."""

import tomllib
from importlib.resources import files
from typing import Any

from refquant_conformance.adapters import load_backend
from refquant_conformance.judge import judge
from refquant_conformance.report.document import document
from refquant_conformance.report.findings import findings
from refquant_conformance.subject import Local


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
