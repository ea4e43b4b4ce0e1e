"""The presets: what they are called, and what the documentation says of them."""

import re
from pathlib import Path

import pytest

from refquant.contracts import AXES, PRESET_SOURCES, PRESETS, preset

PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "contracts.md"


def test_a_preset_is_called_by_its_name() -> None:
    for name, contract in PRESETS.items():
        assert contract.name == name, "the key is the name"
        assert preset(name) is contract, "preset() looks it up"


TWINS = {"cmsis_nn": "tflite_reference"}
"""One arithmetic under two names. CMSIS-NN promises TFLite Micro's bits, and keeps them."""


def test_presets_are_different_arithmetics_but_for_declared_twins() -> None:
    seen: dict[str, str] = {}
    twins: dict[str, str] = {}
    for name, contract in PRESETS.items():
        axes = repr(contract.to_json())
        if axes in seen:
            twins[name] = seen[axes]
        seen.setdefault(axes, name)
    assert twins == TWINS, "two names for one arithmetic must be declared, and only those"


def test_there_is_a_preset_for_every_tool_that_was_promised() -> None:
    promised = """
        onnx ort tflite_reference tflite_reference_fc tflite_int16 tflite_mul
        tflite_builtin xnnpack
        gemmlowp_neon tosa cmsis_nn fbgemm torch torchao compressed_tensors gptq awq hqq aimet
        qonnx stablehlo tensorrt modelopt ggml bitsandbytes ncnn mlx quanto qwix
        tflite_hybrid tflite_hybrid_conv tflite_hybrid_depthwise xnnpack_hybrid
    """
    assert sorted(PRESETS) == sorted(promised.split()), "exactly these"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_says_where_it_comes_from(name: str) -> None:
    entry = PRESET_SOURCES[name]
    assert entry.contract is PRESETS[name], "of this contract"
    assert entry.about.endswith("."), "a sentence says which path of the tool it is"
    assert entry.sources, "and a text says so"
    for source in entry.sources:
        assert source.repository, "whose"
        assert source.path, "which"
        assert re.fullmatch(r"20\d\d(-\d\d(-\d\d)?)?|[0-9.]+", source.date), "from which day"
    assert entry.evidence.split(":")[0] in ("measured", "read"), "and how we know"
    assert not entry.differs or entry.differs.endswith("."), "what it cannot say, in sentences"


def test_what_the_page_says_of_each_preset() -> None:
    """The second kind of table of docs/concepts/contracts.md: path, evidence, what is left out."""
    told = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 5:
            told[cells[0].strip("`")] = cells[1:]
    expected = {
        name: [
            entry.about,
            "; ".join(map(str, entry.sources)),
            entry.evidence,
            entry.differs or "nothing that we know",
        ]
        for name, entry in PRESET_SOURCES.items()
    }
    assert told == expected, "the page must say exactly this"


def test_an_unknown_preset_is_refused_with_the_names() -> None:
    with pytest.raises(
        ValueError, match=r"unknown contract 'tflite'; .* onnx, ort, torch, xnnpack, tfl"
    ):
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
