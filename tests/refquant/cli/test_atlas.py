"""`refquant atlas`: a pair, all pairs, and what scripts read."""

import json
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from refquant.contracts import PRESET_SOURCES, PRESETS

Refquant = Callable[..., Any]
KEYS = {"a", "b", "differ", "example", "rate_ties", "rate_gaussian"}


def test_json_has_every_ordered_pair_and_the_promised_keys(refquant: Refquant) -> None:
    done = refquant("atlas", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    pairs = [(each["a"], each["b"]) for each in found]
    assert sorted(pairs) == sorted(permutations(PRESETS, 2)), "not every ordered pair, once"
    for each in found:
        assert set(each) >= KEYS, f"{each['a']}, {each['b']}: no {KEYS - set(each)}"
        assert each["differ"] == (each["example"] is not None), f"{each['a']}, {each['b']}"


def test_a_pair_is_told_with_its_smallest_inputs(refquant: Refquant) -> None:
    done = refquant("atlas", "ort", "torch")
    assert done.code == 0, done.err
    assert done.out.startswith("ort and torch differ\n"), done.out
    assert "x 1.54999995, scale 0.100000001, zero_point 0" in done.out, done.out
    assert "int8 codes that differ on ties" in done.out, done.out
    for name in ("ort", "torch"):
        assert f"\n{name}: {PRESET_SOURCES[name].about}\n" in done.out, f"who {name} is: {done.out}"
    (one,) = json.loads(refquant("atlas", "ort", "torch", "--json").out)
    assert one["example"]["given"]["x"] == pytest.approx(1.55, rel=2**-23), f"{one['example']}"


def test_without_names_it_prints_the_matrix(refquant: Refquant) -> None:
    done = refquant("atlas")
    assert done.code == 0, done.err
    missing = [name for name in PRESETS if f" {name} " not in done.out]
    assert not missing, f"no row for {missing}"


def test_markdown_is_the_generated_part_of_the_page(refquant: Refquant) -> None:
    done = refquant("atlas", "onnx", "ort", "--markdown")
    assert done.code == 0, done.err
    assert done.out.startswith("### The matrix\n"), done.out


@pytest.mark.parametrize("arguments", [("ort",), ("ort", "nobody"), ("ort", "torch", "--jsn")])
def test_wrong_names_are_wrong_usage(arguments: tuple[str, ...], refquant: Refquant) -> None:
    done = refquant("atlas", *arguments)
    assert done.code == 2, f"exit code {done.code}: {done.out}"
    assert done.err.count("\n") == 1, f"not one sentence: {done.err}"
