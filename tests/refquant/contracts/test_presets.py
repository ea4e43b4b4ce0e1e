"""The presets: what they are called, and what the documentation says of them."""

from pathlib import Path

import pytest

from refquant.contracts import AXES, PRESETS, preset

PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "contracts.md"


def test_a_preset_is_called_by_its_name() -> None:
    for name, contract in PRESETS.items():
        assert contract.name == name, "the key is the name"
        assert preset(name) is contract, "preset() looks it up"


def test_presets_are_different_arithmetics() -> None:
    seen: dict[str, str] = {}
    for name, contract in PRESETS.items():
        axes = repr(contract.to_json())
        assert axes not in seen, f"{name} is {seen.get(axes)} under another name"
        seen[axes] = name


def test_an_unknown_preset_is_refused_with_the_names() -> None:
    with pytest.raises(ValueError, match=r"unknown contract 'tflite'; .* onnx, ort, xnnpack, tfl"):
        preset("tflite")


def test_the_page_says_what_there_is() -> None:
    """The table of docs/concepts/contracts.md: every axis and value, and which preset has which."""
    told: dict[tuple[str, str], str] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            axis, value, meaning, presets = cells
            assert meaning.endswith("."), f"{axis} {value} needs a sentence, got {meaning!r}"
            told[axis.strip("`"), value.strip("`")] = presets
    there: dict[tuple[str, str], list[str]] = {
        (axis, str(value)): [] for axis, values in AXES.items() for value in values
    }
    for name, contract in PRESETS.items():
        for axis, held in contract.to_json().items():
            there.setdefault((axis, str(held)), []).append(name)
    expected = {
        key: "all" if len(names) == len(PRESETS) else ", ".join(names) or "none"
        for key, names in there.items()
    }
    assert told == expected, "the page must say exactly this"
