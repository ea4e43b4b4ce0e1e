"""Which metric the data are for; one model or several; what is wrong usage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.rq import write_rq
from tests.refquant.cli.evaluated import language_model, recordings, result, speech
from tests.refquant.model.loaders import on_disk

Refquant = Callable[..., Any]
KEYS = ("model", "metric", "value", "context", "samples", "unit", "difference", "bytes", "sums")


@pytest.fixture
def small(refquant: Refquant, model: Path, tmp_path: Path) -> Path:
    done = refquant("quantize", model, "--scheme", "int4_rtn", "-o", tmp_path / "small.rq")
    assert done.code == 0, done.err
    return tmp_path / "small.rq"


@pytest.fixture
def unlabelled(data: Path, tmp_path: Path) -> Path:
    np.savez(tmp_path / "x.npz", x=np.load(data)["x"])
    return tmp_path / "x.npz"


def test_several_models_are_a_table_and_a_list(
    refquant: Refquant, model: Path, small: Path, data: Path
) -> None:
    rows = result(refquant("evaluate", model, small, "--data", data, "--json"))
    assert [row["model"] for row in rows] == [str(model), str(small)], f"{rows}"
    assert [row["bytes"] for row in rows] == [p.stat().st_size for p in (model, small)], f"{rows}"
    assert [tuple(row)[: len(KEYS)] for row in rows] == [KEYS] * 2, f"{rows}"
    assert rows[0]["difference"] == 0, "the first's to itself"
    assert rows[1]["difference"] == rows[1]["value"] - rows[0]["value"], f"{rows}"
    done = refquant("evaluate", model, small, "--data", data)
    assert done.code == 0, done.err
    heading, _, first, second, *rest = done.out.splitlines()
    assert heading.split() == ["model", "bytes", "top-1", "%", "difference"], heading
    assert f"{small.stat().st_size:,}" in second, second
    assert f"{rows[1]['value']:.2f}" in second, second
    assert first.split()[0] == str(model), first
    assert rest == ["of 30 samples", "  sums ordered"], f"{rest}"
    alone = result(refquant("evaluate", small, "--data", data, "--json"))
    assert alone == rows[1] | {"difference": 0.0}, "alone it is an object, not a list"


def test_the_data_say_which_metric(
    refquant: Refquant, data: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("he was not he was not")
    (tmp_path / "words").write_text("READ  R EH1 D\nA  AH0\n")
    sound = recordings(tmp_path / "sound", "he was not")
    encoder, decoder = speech(tmp_path / "speech")
    language = language_model(tmp_path / "l.rq")
    for metric, options in (
        ("top1", (model, "--data", data)),
        ("perplexity", (language, "--text", tmp_path / "text.txt", "--context", 3)),
        ("wer", (decoder, "--audio", sound, "--encoder", encoder)),
        ("wer", (encoder, "--audio", sound, "--decoder", decoder)),
        ("phonemes", (on_disk.g2p(tmp_path / "g.npz"), "--words", tmp_path / "words")),
    ):
        found = result(refquant("evaluate", *options, "--json"))
        assert found["metric"] == metric, f"{options}: {found}"


def test_a_text_encoder_is_compared(refquant: Refquant, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra refquant[text]")
    folder = on_disk.minilm(tmp_path / "bert")
    language_model(folder / "unused.rq")  # leaves a tokenizer beside the model
    (tmp_path / "t.txt").write_text("he was not " * 9)
    options = ("--text", tmp_path / "t.txt", "--context", 5)
    rows = result(refquant("evaluate", folder, folder, *options, "--json"))
    assert [row["metric"] for row in rows] == ["cosine"] * 2, f"{rows}"
    assert [row["output"] for row in rows] == ["sentence_embedding"] * 2, "what it is for"
    assert [(row["context"], row["samples"]) for row in rows] == [(5, 5)] * 2, f"{rows}"
    done = refquant("evaluate", folder, *options)
    assert done.code == 2, f"exit code {done.code}"
    assert "--metric cosine compares with another model; give it by --reference" in done.err


def test_without_labels_the_metric_is_chosen(
    refquant: Refquant, model: Path, small: Path, unlabelled: Path
) -> None:
    done = refquant("evaluate", model, small, "--data", unlabelled)
    assert done.code == 2, f"exit code {done.code}"
    assert "--metric cosine or for --metric sqnr; choose one" in done.err, done.err
    done = refquant("evaluate", model, "--data", unlabelled)
    assert done.code == 1, f"exit code {done.code}"
    assert "has no array 'labels', which top1 needs" in done.err, done.err
    for metric in ("cosine", "sqnr"):
        rows = result(
            refquant("evaluate", model, small, "--data", unlabelled, "--metric", metric, "--json")
        )
        assert [row["metric"] for row in rows] == [metric] * 2, f"{rows}"


def test_sums_follow_the_size(
    refquant: Refquant, model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sums(*options: str) -> str:
        return str(result(refquant("evaluate", model, "--data", data, "--json", *options))["sums"])

    assert (sums(), sums("--sums", "blas")) == ("ordered", "blas"), "small, and as asked"
    assert "  sums ordered\n" in refquant("evaluate", model, "--data", data).out, "said"
    monkeypatch.setattr("refquant.cli.evaluate_models.BIG", 56)
    assert sums() == "blas", "56 weights"
    assert "sums blas: fast" in refquant("evaluate", model, "--data", data).out, "said"
    monkeypatch.setattr("refquant.cli.evaluate_models.BIG", 57)
    assert sums() == "ordered", "one less"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--data", "d", "--text", "t"), "not allowed with argument"),
        (("--data", "d", "--metric", "wer"), "--metric wer needs --audio, not --data"),
        (("--text", "t", "--metric", "top1"), "--metric top1 needs --data, not --text"),
        (("--data", "d", "--context", "5"), "--context is for --text, not for --data"),
        (("--words", "w", "--bos"), "--bos is for --text, not for --words"),
        (("--audio", "a", "--bos-token", "x"), "--bos-token is for --text, not for --audio"),
        (("--data", "d", "--tokenizer", "x"), "--tokenizer is for --text and --audio, not"),
        (("--data", "d", "--samples", "0"), "--samples must be at least 1, got 0"),
        (("--text", "t", "--context", "-1"), "--context must be at least 1, got -1"),
        (("--data", "d", "--metric", "blue"), "invalid choice"),
        ((), "one of the arguments --data --text --audio --words is required"),
    ],
)
def test_wrong_usage(options: tuple[str, ...], said: str, refquant: Refquant, model: Path) -> None:
    done = refquant("evaluate", model, *options)
    assert done.code == 2, f"exit code {done.code}: {done.err}"
    assert said in done.err, done.err


def test_what_needs_another_model_says_so(refquant: Refquant, model: Path, data: Path) -> None:
    for options, what in ((("--layers",), "--layers"), (("--metric", "sqnr"), "--metric sqnr")):
        done = refquant("evaluate", model, "--data", data, *options)
        assert done.code == 2, f"exit code {done.code}"
        assert f"{what} compares with another model; give it by --reference" in done.err, done.err


def test_layers_stand_beside_any_metric(
    refquant: Refquant, model: Path, small: Path, data: Path
) -> None:
    rows = result(refquant("evaluate", model, small, "--data", data, "--layers", "--json"))
    assert "layers" not in rows[0], "the reference has no errors"
    assert rows[1]["metric"] == "top1", f"{rows[1]}"
    assert rows[1]["layers"][0]["value"] == "first", f"{rows[1]}"
    alone = ("evaluate", small, "--reference", model, "--data", data, "--layers", "--json")
    assert result(refquant(*alone))["layers"] == rows[1]["layers"], "the same reference"
    done = refquant(*alone[:-1])
    assert "the worst step: " in done.out, done.out
    itself = result(refquant("evaluate", model, "--reference", model, *alone[4:]))
    assert itself["worst_step"] is None, "nothing is lost on the way to oneself"


def test_a_model_that_is_missing(refquant: Refquant, data: Path, tmp_path: Path) -> None:
    done = refquant("evaluate", tmp_path / "none.rq", "--data", data)
    assert done.code == 1, f"exit code {done.code}"
    assert "none.rq" in done.err, done.err


def test_json_has_no_infinity(refquant: Refquant, tmp_path: Path) -> None:
    b = Builder("g")
    write_rq(tmp_path / "m.rq", b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")]))
    np.savez(tmp_path / "d.npz", x=np.ones((2, 2), np.float32))
    options = (
        tmp_path / "m.rq",
        tmp_path / "m.rq",
        "--data",
        tmp_path / "d.npz",
        "--metric",
        "sqnr",
    )
    for row in result(refquant("evaluate", *options, "--json")):
        assert (row["value"], row["difference"]) == (None, None), f"{row}"
        json.dumps(row, allow_nan=False)
    assert " inf " in refquant("evaluate", *options).out, "a person reads inf"
