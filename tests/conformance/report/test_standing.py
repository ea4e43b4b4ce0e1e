"""What is certain of a cell: named, with enough elements and none that is another."""

from typing import Any

from refquant_conformance.report.standing import (
    ENOUGH,
    Standing,
    cell_standing,
    standing,
    standing_table,
)


def found(compared: int, *, axes: bool = True, nearest: bool = False) -> dict[str, Any]:
    return {
        **{"op": "cast", "scheme": "f32_f16", "compared": compared},
        **{"axes": {} if axes else None, "nearest": {} if nearest else None},
    }


def line(verdict: str, *, law: bool = False, scheme: str = "f32_f16") -> dict[str, Any]:
    example = {"law": law} if verdict == "FAILS" else None
    return {"op": "cast", "scheme": scheme, "verdict": verdict, "counterexample": example}


def test_a_cell_is_exact_few_refuted_or_silent() -> None:
    exact = [line("BIT_EXACT"), line("SPEC_AMBIGUOUS")]
    assert cell_standing(found(ENOUGH), exact) == "exact", "enough elements"
    assert cell_standing(found(ENOUGH - 1), exact) == "few", "one element less"
    assert cell_standing(found(ENOUGH), [line("FAILS")]) == "refuted", "a counterexample"
    assert cell_standing(found(ENOUGH), [line("FAILS", law=True)]) == "exact", "a law only"
    assert cell_standing(found(0, axes=False, nearest=True), []) == "refuted", "unidentified"
    assert cell_standing(found(0, axes=False), []) == "silent", "not computed"


def test_a_report_and_the_table_of_all() -> None:
    report = {
        "backend": {"name": "one", "version": "2"},
        "identified": [found(ENOUGH), {**found(9), "scheme": "f64_f16"}],
        "results": [line("BIT_EXACT"), line("FAILS", scheme="f64_f16")],
    }
    assert standing(report) == Standing(2, 2, exact=1, refuted=1), f"{standing(report)}"
    empty = {**report, "identified": [], "results": []}
    rows = standing_table([report, empty]).splitlines()
    assert rows[2] == "| one 2 | 2 | 2 (100%) | 1 (50%) | 0 | 1 | 0 |", rows[2]
    assert rows[3] == "| one 2 | 0 | 0 | 0 | 0 | 0 | 0 |", rows[3]
    assert rows[-1].startswith("| **all** | 2 |"), rows[-1]
