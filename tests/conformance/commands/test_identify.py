"""``identify`` names contracts, or the nearest and an input that refutes it."""

import json

import pytest

from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.cli import main
from refquant_conformance.commands.identify import identification_json
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Case, Result
from refquant_conformance.subject import Local
from tests.conformance.bad_backends import Honest, quantized

ASKED = ["--backend", "reference:torch", "--op", "quantize_linear", "--scheme", "f32_i8"]


class OneOff(Honest):
    """One code too many where the code is 7: an arithmetic that nobody has."""

    def run(self, case: Case) -> Result:
        y = quantized(case)
        return Result({"y": y + (y == 7)})


def test_the_text_has_a_row_for_each_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", *ASKED]) == 0, "identify failed"
    name, row = capsys.readouterr().out.splitlines()
    assert name.startswith("reference:torch "), name
    assert row.split()[:3] == ["quantize_linear", "f32_i8", "torch"], row
    assert "elements" in row, row


def test_json_has_the_axes_and_the_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", *ASKED, "--json"]) == 0, "identify failed"
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert cell["axes"]["scale_op"] == "reciprocal_f32", f"{cell['axes']}"
    assert cell["counterexample"] is None, "it was identified"
    values = {item["value"] for item in cell["evidence"] if item["axis"] == "rounding"}
    assert "half_away" in values, f"{values}"


def test_what_is_no_contract_has_its_nearest_and_a_counterexample() -> None:
    found = identify(Local(OneOff()), "quantize_linear", "f32_u8")
    made = identification_json(found)
    arithmetic = arithmetic_of("quantize_linear", "f32_u8")
    assert arithmetic is not None, "quantizers have one"
    assert made["axes"] is None, f"{made['axes']}"
    assert made["nearest"].keys() == arithmetic.axes.keys(), f"{made['nearest']}"
    assert made["mismatches"] > 0, "the nearest is wrong nowhere"
    wrong = made["counterexample"]
    assert (wrong["would_be"], wrong["observed"]) == ("7", "8"), f"{wrong}"
    assert len(wrong["inputs"]["x"]) == 1, f"not the element alone: {wrong}"
