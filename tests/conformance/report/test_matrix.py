"""The page of the kill matrix: a row a bug, a row a property, and numbers that add up."""

from refquant_conformance.mutants import MUTANTS
from refquant_conformance.mutants.kill import Kill
from refquant_conformance.properties import PROPERTIES
from refquant_conformance.report.matrix import matrix_page

KILLS = [
    Kill(MUTANTS["half_away"], ("QDQ-02", "QDQ-05", "X-18")),
    Kill(MUTANTS["empty_is_one"], ("X-01",)),
    Kill(MUTANTS["scalar_is_zero"], ()),
]


def row(text: str, name: str) -> list[str]:
    (line,) = [x for x in text.splitlines() if x.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_bugs_and_properties_have_their_rows() -> None:
    text = matrix_page(KILLS, seeds=3, profile="ci", minutes=4.4, jobs=2, red=0)
    assert "3 backends that are wrong" in text, text[:300]
    assert "2 are found by the property" in text, text[:300]
    assert "in 4 minutes" in text, text[:600]
    assert row(text, "`half_away`")[-2:] == ["QDQ-02", "QDQ-02, QDQ-05, X-18"], "its killers"
    assert row(text, "`scalar_is_zero`")[-1] == "**nobody**", "a survivor"
    assert row(text, "QDQ-02")[-3:] == ["1", "1", "0"], "first, but not alone"
    assert row(text, "QDQ-05")[-3:] == ["1", "0", "0"], "second of its group"
    assert row(text, "X-18")[-3:] == ["1", "1", "0"], "first of another group"
    assert row(text, "X-01")[-3:] == ["1", "1", "1"], "alone"
    for identifier in PROPERTIES:
        assert row(text, identifier), f"{identifier} has no row"


def test_a_reference_that_is_red_is_told() -> None:
    text = matrix_page(KILLS, seeds=1, profile="ci", minutes=0.2, jobs=1, red=2)
    assert "has 2 red lines" in text, text[:400]
