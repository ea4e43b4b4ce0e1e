"""The generated page is what the code says today."""

from pathlib import Path

import pytest

from refquant.atlas.compare import STAGE_ORDER, Example, atlas, diverge
from refquant.atlas.page import (
    BEGIN,
    END,
    LETTERS,
    example_words,
    groups,
    markdown,
    matrix,
    rewrite,
)
from refquant.contracts import PRESETS, preset

PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "atlas.md"


def test_the_page_is_not_stale() -> None:
    text = PAGE.read_text()
    assert rewrite(text, atlas()) == text, "docs/concepts/atlas.md is stale; say `make atlas`"


def test_the_page_has_every_preset_and_every_pair() -> None:
    text = markdown(atlas())
    for a in PRESETS:
        assert f"| **{a}** |" in text, f"the matrix has no row of {a}"
        for b in PRESETS:
            if a < b:
                assert f"\n| {a} | {b} | " in text, f"no line for {a} and {b}"


def test_letters_are_of_the_stages_that_differ() -> None:
    found = diverge(preset("onnx"), preset("tflite_reference"))
    letters = matrix([found])["onnx"]["tflite_reference"]
    expected = "".join(LETTERS[s] for s in STAGE_ORDER if found.stages[s] == "differ")
    assert letters == expected, f"{letters}, expected {expected}"
    assert len(set(LETTERS.values())) == len(STAGE_ORDER), "two stages of one letter"


def test_a_group_holds_presets_that_pairwise_do_not_differ() -> None:
    found = atlas()
    verdict = {(each.a, each.b): each.stages for each in found}
    for stage in STAGE_ORDER:
        classes = groups(found, stage)
        for members in classes:
            for a in members:
                for b in members:
                    same = a == b or verdict[a, b][stage] == "same"
                    assert same, f"{stage}: {a} and {b} stand together and differ"


def test_an_example_in_words_shows_refusals_infinities_and_lists() -> None:
    example = Example("special", {"x": float("inf"), "scales": [1.0, 0.5]}, None, {"scale": 0.1})
    words = example_words(example)
    assert words == "x inf, scales (1, 0.5): refused | scale 0.1", words


def test_a_page_without_its_marks_is_refused() -> None:
    for page in ("", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{END}"):
        with pytest.raises(ValueError, match="must hold the marks"):
            rewrite(page, [])
