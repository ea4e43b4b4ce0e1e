"""The results page is what its numbers say: nobody edits it, and no claim is written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from examples.results.page import CLAIMS, Claim, paired_error, render
from examples.results.speech import LEAST, MOST, passages
from examples.results.subjects import DATA, OWN, SUBJECTS, Metric
from refquant.model.recipe import parse_recipe, recipe

ROOT = Path(__file__).parents[1]

CELL = {"bytes": 10**6, "bits": 4.0, "seconds": 1.0, "peak_mb": 10, "metrics": {"top-1, %": 90.0}}


def data() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs/concepts/results.json").read_text())
    return found


def test_the_page_is_made_of_the_numbers() -> None:
    page = (ROOT / "docs/concepts/results.md").read_text()
    made = render(data()["cells"], data()["about"])
    assert page == made, "run `python -m examples.results.make --page`"


def test_every_subject_has_cells_and_every_cell_a_recipe() -> None:
    cells = data()["cells"]
    assert sorted(cells) == sorted(s.name for s in SUBJECTS), f"{sorted(cells)}"
    for subject in SUBJECTS:
        missing = set(subject.recipes) - set(cells[subject.name])
        stale = set(cells[subject.name]) - set(subject.recipes)
        assert not missing, f"{subject.name}: run `make models`: {sorted(missing)}"
        assert not stale, f"{subject.name}: no longer asked for: {sorted(stale)}"


def test_a_claim_is_of_cells_that_are_measured() -> None:
    recipes = {s.name: (s.recipes, [m.name for m in s.metrics]) for s in SUBJECTS}
    for claim in CLAIMS:
        known, metrics = recipes[claim.subject]
        assert {claim.better, claim.worse} <= set(known), f"{claim}: no such recipes there"
        assert claim.metric in metrics, f"{claim}: no such metric there"


@pytest.mark.parametrize(("other", "verdict"), [(80.0, "yes"), (90.0, "**no**"), (95.0, "**no**")])
def test_a_claim_that_does_not_hold_is_said_to(
    monkeypatch: pytest.MonkeyPatch, other: float, verdict: str
) -> None:
    claim = Claim("a beats b", "fashion_cnn", "int4_gptq", "int4_rtn", "top-1, %")
    monkeypatch.setattr("examples.results.page.CLAIMS", (claim,))
    worse = {**CELL, "metrics": {"top-1, %": other}}
    page = render({"fashion_cnn": {"int4_gptq": CELL, "int4_rtn": worse}}, {"refquant": "1"})
    assert page.rstrip().endswith(f"| 90.00 | {other:.2f} | {verdict} |"), page[-200:]


def heard(*sums: tuple[int, float]) -> dict[str, Any]:
    total = sum(n for n, _ in sums)
    return {**CELL, "metrics": {"KL": sum(x for _, x in sums) / total}, "each": {"KL": list(sums)}}


def test_the_error_of_a_difference_is_that_of_recordings() -> None:
    one, other = heard((1, 1.0), (3, 3.0)), heard((1, 2.0), (3, 9.0))
    # d = 1 and 6 of 4 tokens, D = 7/4: off by -3/4 and 3/4, twice the sum of squares, over 4
    assert paired_error(one, other, "KL") == (2 * 2 * 0.75**2) ** 0.5 / 4, "by hand"
    assert paired_error(one, one, "KL") == 0, "nothing differs"
    assert paired_error(one, heard((1, 2.0), (3, 6.0)), "KL") == 0, "a token like the other"
    assert paired_error(one, CELL, "KL") is None, "there is nothing to reckon with"


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        (heard((2, 4.0), (2, 4.2)), "yes (± 0.0500)"),
        (heard((2, 2.0), (2, 9.0)), "yes, but within the noise (± 1.7500)"),
        (heard((2, 1.0), (2, 2.9)), "**no**, but within the noise (± 0.4750)"),
        (heard((2, 1.0), (2, 1.0)), "**no** (± 0.0000)"),
    ],
)
def test_noise_is_named_whichever_way_it_goes(
    monkeypatch: pytest.MonkeyPatch, other: dict[str, Any], verdict: str
) -> None:
    claim = Claim("a beats b", "whisper", "int4_gptq", "int4_rtn", "KL", up=False)
    monkeypatch.setattr("examples.results.page.CLAIMS", (claim,))
    found = {"int4_gptq": heard((2, 2.0), (2, 2.0)), "int4_rtn": other}
    page = render({"whisper": found}, {"refquant": "1"})
    assert page.rstrip().endswith(f"| {verdict} |"), page[-200:]


def test_a_refusal_is_on_the_page() -> None:
    page = render({"fashion_cnn": {"nf4": {"refused": "it has no weight"}}}, {"refquant": "1"})
    assert "* `nf4` is refused: it has no weight" in page, page[-300:]


def test_what_is_compared_differs_in_one_thing() -> None:
    ours = parse_recipe(OWN["int4_gptq_in_order"], name="ours").to_json()["weights"]
    shipped = recipe("int4_gptq").to_json()["weights"]
    assert ours.pop("gptq") != shipped.pop("gptq"), "the order of the columns"
    assert ours == shipped, f"{ours}, {shipped}"
    for name in ("int4_rtn", "int4_awq"):
        other = recipe(name).to_json()["weights"]
        keys = ("bits", "symmetric", "granularity", "group_size", "observer", "format")
        assert all(other[key] == shipped[key] for key in keys), f"{name}: {other}"


def test_a_metric_is_found_where_it_stands() -> None:
    answer = {
        "value": 1.0, "nll": 2.0, "output": "b",
        "outputs": [{"output": "a", "cosine": 3.0}, {"output": "b", "cosine": None}],
    }  # fmt: skip
    found = [Metric("m", (), key).value(answer) for key in ("value", "nll", "cosine")]
    assert found == [1.0, 2.0, None], f"{found}"


def test_nothing_is_measured_on_what_it_was_calibrated_with() -> None:
    for subject in SUBJECTS:
        for part in subject.parts:
            seen = {o for o in subject.data(part) if "/" in o}
            asked = {o for m in subject.metrics for o in m.options if "/" in o}
            assert not seen & asked, f"{subject.name}: {seen & asked}"
    whisper = next(s for s in SUBJECTS if s.name == "whisper")
    assert str(DATA / "read_before") in whisper.data("encoder"), "its own"
    assert whisper.data("decoder") != whisper.data("encoder"), "each its own"


def test_what_is_read_aloud_is_whole_sentences_of_plain_prose() -> None:
    sentence = "The whale, he said, was white\u2014and \u201cvery\u201d old. "
    found = passages(sentence * 20)
    assert found, "there is enough"
    for passage in found:
        assert len(passage.split()) >= LEAST, f"{len(passage.split())} words"
        assert len(passage) <= MOST, f"{len(passage)} letters"
        assert passage.endswith(" old."), passage[-20:]
        assert 'white, and "very" old.' in passage, "as it is said"
    assert passages(sentence * 4) == [], "the rest of a book is left out"
    assert passages("In 1851 [see note] it was. " * 20) == [], "nobody reads brackets aloud"
    assert passages("word " * (LEAST - 1) + "incomprehensibilities " * 20 + ". End.") == [], "long"
