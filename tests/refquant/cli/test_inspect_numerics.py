"""The card in text: every setting, each layer's loss; what is no card is not mistaken for one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refquant.cli.inspect_numerics import is_card, print_card
from refquant.model.rq import read_rq, write_rq

Refquant = Callable[..., Any]


def test_inspect_shows_what_was_done(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "q.rq"
    options = ("--scheme", "int4_gptq", "--calibration", data, "-o", out)
    done = refquant("quantize", model, *options)
    assert done.code == 0, done.err
    text = refquant("inspect", out).out
    for said in ("weights.gptq.act_order", "calibration.sha256.x", "versions.refquant", "first",
                 "2 decode their weights and compute in float32", "outputs", " %"):  # fmt: skip
        assert said in text, f"{said!r} is not in\n{text}"
    assert '"numerics"' not in text, "not once more as JSON"
    card = json.loads(refquant("inspect", out, "--json").out)["meta"]["numerics"]
    assert [layer["node"] for layer in card["layers"]] == ["first", "y"], card["layers"]
    assert card["contracts"]["ort"]["rounding"] == "half_even", "every axis"


def test_scales_have_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    scale = {"value": "h", "maker": "norm", "readers": ["q", "k"], "method": "awq", "ratio": 0.25}
    print_card({"scheme": "weight_only", "layers": [], "scales": [scale], "odd": {}})
    text = capsys.readouterr().out
    for said in ("norm", "q k", "0.25", "awq"):
        assert said in text, f"{said!r} is not in\n{text}"


def test_rotations_have_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    done = {"kind": "R1", "name": "stream n", "size": 24, "block_size": 8, "while_running": 2}
    left = {"kind": "skipped", "nodes": ["conv"], "reason": "a convolution in groups"}
    records = [{**done, "nodes": ["a", "b", "c", "d"]}, left, 3]
    print_card({"scheme": "simulated", "layers": [], "scales": [], "rotations": records})
    text = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "R1 a b and 2 more 24 8 2" in lines, text
    assert "skipped conv a convolution in groups" in lines, text
    assert "rotations" not in text, "not among the settings, too"
    print_card({"scheme": "x", "layers": [], "scales": [], "rotations": 3})
    assert "rotation" not in capsys.readouterr().out, "what is no table is not printed as one"


@pytest.mark.parametrize(
    "other", [None, 3, [], {}, {"layers": [], "scales": 3}, {"layers": [1], "scales": []}]
)
def test_meta_is_free_and_what_is_no_card_is_shown_as_it_is(
    other: object, refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    assert not is_card(other), f"{other!r} is no card"
    path = tmp_path / "m.rq"
    write_rq(path, replace(read_rq(model), meta={"numerics": other}))
    done = refquant("inspect", path)
    assert done.code == 0, done.err
    assert f'meta {{"numerics": {json.dumps(other)}}}' in done.out, done.out
