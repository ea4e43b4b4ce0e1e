"""Deviations are strict: what they excuse is verified, what they no longer excuse is red."""

from datetime import date
from pathlib import Path

import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.deviations import read_deviations
from refquant_conformance.judge import Judgement, judge
from refquant_conformance.subject import Local

ENTRY = '[[deviation]]\nproperty = "QDQ-02"\nbackend = "mutant:half_away"\nreason = "ties"\n'


def judged(tmp_path: Path, text: str, *, backend: str = "mutant:half_away") -> Judgement:
    file = tmp_path / "deviations.toml"
    file.write_text(text, "utf-8")
    return judge(
        Local(load_backend(backend)),
        schemes=("f32_i8",),
        properties=("QDQ-02",),
        deviations=read_deviations(file),
        today=date(2026, 11, 23),
    )


def verdicts(found: Judgement) -> list[str]:
    return [cell.verdict for cell in found.cells]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", ["DEVIATES_DOCUMENTED"]),
        ('contract = {rounding = "half_away"}', ["DEVIATES_DOCUMENTED"]),
        # The right contract, and nothing else: another wrong rounding is not what was excused.
        ('contract = {rounding = "half_up"}', ["FAILS", "STALE"]),
        ('when = "scale == 1"', ["FAILS", "STALE"]),  # other scales fail too
        ('when = "scale > 0"', ["DEVIATES_DOCUMENTED"]),
        ('when = "scale > 0"\ncontract = {rounding = "half_away"}', ["DEVIATES_DOCUMENTED"]),
        ('when = "scale == 1"\ncontract = {rounding = "half_away"}', ["FAILS", "STALE"]),
        ('when = "scale < 0"', ["FAILS", "STALE"]),
        ('scheme = "f32_u8"', ["FAILS"]),  # was not asked here, so nothing is known of it
        ("expires = 2026-11-22", ["DEVIATES_DOCUMENTED", "STALE"]),
        ("expires = 2026-11-23", ["DEVIATES_DOCUMENTED"]),
    ],
)
def test_an_entry_excuses_what_it_says_and_no_more(
    tmp_path: Path, more: str, expected: list[str]
) -> None:
    found = judged(tmp_path, f"{ENTRY}{more}\n")
    assert verdicts(found) == expected, f"{[(c.verdict, c.detail) for c in found.cells]}"


def test_an_entry_that_is_not_needed_is_stale(tmp_path: Path) -> None:
    text = ENTRY.replace("mutant:half_away", "reference:onnx")
    found = judged(tmp_path, text, backend="reference:onnx")
    assert verdicts(found) == ["BIT_EXACT", "STALE"], f"{found.cells}"
    assert "no longer occurs" in found.cells[-1].detail, f"{found.cells[-1].detail}"


def test_an_entry_that_matches_nothing_is_stale_and_one_of_others_is_ignored(
    tmp_path: Path,
) -> None:
    nothing = ENTRY.replace("QDQ-02", "QDQ-99")
    found = judged(tmp_path, nothing, backend="mutant:half_away")
    assert verdicts(found) == ["FAILS", "STALE"], f"{found.cells}"
    assert "no such property" in found.cells[-1].detail, f"{found.cells[-1].detail}"
    assert verdicts(judged(tmp_path, nothing, backend="reference:onnx")) == ["BIT_EXACT"], "other"
    version = ENTRY.replace("half_away", "half_away>=2")  # this one has version 1
    assert verdicts(judged(tmp_path, version)) == ["FAILS"], "an entry for another version"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("deviation = 3", "entries only"),
        ("x = 1", "entries only"),
        ("[[deviation]]", "entry 1: property must be a string"),
        (f"{ENTRY}{ENTRY}colour = 1", "entry 2: unknown key 'colour'"),
        (f"{ENTRY}expires = 'soon'", "expires must be a date"),
        (f"{ENTRY}when = 'import os'", "no condition"),
        (f"{ENTRY}when = '().__class__'", "cannot hold Attribute"),
        (f"{ENTRY}when = '9 ** 9'", "cannot hold Pow"),
        (f"{ENTRY}contract = 'half_up'", "table of axes"),
        (ENTRY.replace("half_away", "half_away>>2"), "name and versions"),
        ("[[deviation", "is no TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_entry_and_key(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ValueError, match=r"deviations\.toml") as caught:
        judged(tmp_path, text)
    assert word in str(caught.value), f"{caught.value}"
