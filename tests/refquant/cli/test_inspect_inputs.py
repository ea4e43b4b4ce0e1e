"""``inspect`` says which values are rounded how, and that the reference executes them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refquant.cli.inspect_inputs import describe_inputs, print_inputs
from refquant.model.rq import read_rq

Refquant = Callable[..., Any]


def test_inspect_shows_what_is_rounded(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "q.rq"
    done = refquant("quantize", model, "--scheme", "fp8_static", "--calibration", data, "-o", out)
    assert done.code == 0, done.err
    text = refquant("inspect", out).out
    for said in ("FakeQuantize", "fp8_e4m3", "tensor", "static, scale", "first",
                 "executed in: reference", "inputs.observer", "reference_only",
                 "2 round float32 to float32"):  # fmt: skip
        assert said in text, f"{said!r} is not in\n{text}"
    found = json.loads(refquant("inspect", out, "--json").out)
    assert [r["executed_in"] for r in found["rounded"]] == ["reference"] * 2, found["rounded"]
    assert found["rounded"] == describe_inputs(read_rq(out)), "the same"
    assert found["meta"]["numerics"]["rounded"][0]["readers"] == ["first"], "in the card, too"


def test_a_file_without_says_nothing(refquant: Refquant, model: Path) -> None:
    assert json.loads(refquant("inspect", model, "--json").out)["rounded"] == [], "nothing rounded"
    assert "executed in" not in refquant("inspect", model).out, "nothing to say"


def test_what_departs_from_the_plain_maximum_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"value": "h", "format": "int8", "granularity": "token", "range": "dynamic", "axis": 1,
           "clip_ratio": 0.9, "threshold": 6.0, "readers": []}  # fmt: skip
    print_inputs([row])
    text = capsys.readouterr().out
    assert "dynamic, axis 1, clip_ratio 0.9, threshold 6" in text, text
    assert "none" in text, "no reader"
