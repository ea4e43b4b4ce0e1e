"""`refquant explain`: every format is listed, every value finds its way in."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from refquant.formats.catalog import CATALOG

Refquant = Callable[..., Any]


def test_without_a_format_it_lists_all(refquant: Refquant) -> None:
    done = refquant("explain")
    assert done.code == 0, done.err
    missing = [name for name in CATALOG if f"\n{name} " not in done.out]
    assert not missing, f"not listed: {missing}"
    listed = json.loads(refquant("explain", "--json").out)
    assert [each["format"] for each in listed] == list(CATALOG), "--json lists the same"


@pytest.mark.parametrize("name", CATALOG)
def test_a_format_has_layout_equation_and_source(name: str, refquant: Refquant) -> None:
    done = refquant("explain", name)
    assert done.code == 0, done.err
    for heading in ("\nlayout\n", "\nequation\n", "\nsource\n"):
        assert heading in done.out, f"{name}: no {heading.strip()}: {done.out}"


def test_values_of_every_spelling_are_encoded_in_order(refquant: Refquant) -> None:
    done = refquant("explain", "e4m3fn", "3.3", "-0.7", "-1e-3", "0x1.8p1", "-inf", "nan", "--json")
    assert done.code == 0, done.err
    ends = [
        s["how"].split(" ")[0] for s in json.loads(done.out)["steps"] if "(error" in s["result"]
    ]
    assert ends == ["3.29999995", "-0.699999988", "-0.00100000005", "3", "-inf", "nan"], ends


def test_options_may_stand_anywhere(refquant: Refquant) -> None:
    expected = refquant("explain", "e4m3fn", "3.3", "-0.7", "--json").out
    for arguments in (
        ("--json", "e4m3fn", "3.3", "-0.7"),
        ("e4m3fn", "--json", "3.3", "-0.7"),
        ("e4m3fn", "3.3", "--json", "-0.7"),
    ):
        assert refquant("explain", *arguments).out == expected, f"{arguments}"
    for wrong in (("e4m3fn", "--jsno", "3.3"), ("e4m3fn", "3.3", "--json", "-x")):
        done = refquant("explain", *wrong)
        assert done.code == 2, f"{wrong}: {done}"
        assert wrong[-1] in done.err or "--jsno" in done.err, done.err


def test_a_refusal_of_many_values_is_short(refquant: Refquant) -> None:
    for name in ("hqq_4bit_packing", "int8"):
        done = refquant("explain", name, *["0.5"] * 500, "nan")
        assert done.code == 1, done
        assert len(done.err) < 200, f"{name}: {done.err}"


def test_a_contract_changes_an_integer_format(refquant: Refquant) -> None:
    values = ("0.5", "-1", "127")
    shown = {name: refquant("explain", "int8", *values, "--contract", name).out
             for name in ("onnx", "tflite_reference")}  # fmt: skip
    assert "-> 0 = 0b00000000" in shown["onnx"], shown["onnx"]
    assert "-> 1 = 0b00000001" in shown["tflite_reference"], shown["tflite_reference"]


def test_values_that_a_format_refuses_are_a_sentence(refquant: Refquant) -> None:
    done = refquant("explain", "int8", "inf")
    assert done.code == 1, f"exit code {done.code}"
    assert done.err.startswith("refquant explain: x: must be one finite value"), done.err
