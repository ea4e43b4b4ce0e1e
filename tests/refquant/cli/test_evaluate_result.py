"""How results are shown: a sentence, a table, JSON."""

import math

import pytest

from refquant.cli.evaluate_result import Measured, json_row, print_measured, real, shown


def measured(value: float, **given: object) -> Measured:
    return Measured(value, "percent", 2000, "samples", **given)  # type: ignore[arg-type]  # keywords of a test


def test_one_model_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    print_measured("top1", [("a\x1b.rq", 10, measured(93.6, said=("first", "second")))], "ordered")
    wanted = "a\\x1b.rq: top-1 93.60 % of 2,000 samples\n  first\n  second\n  sums ordered\n"
    assert capsys.readouterr().out == wanted


def test_units_stand_behind_the_number(capsys: pytest.CaptureFixture[str]) -> None:
    for metric, said in (
        ("sqnr", "m: SQNR 6.02 dB of"), ("wer", "m: WER 6.02 % of"),
        ("cosine", "m: cosine 6.020000 of"),
        ("phonemes", "m: phoneme errors 6.02 % of"), ("nll", "m: nats a token 6.0200 of"),
        ("perplexity", "m: perplexity 6.020 of"),
    ):  # fmt: skip
        print_measured(metric, [("m", 1, measured(6.02))], "ordered")
        assert capsys.readouterr().out.startswith(said), metric


def test_several_models_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        (name, size, measured(value, columns={"more": name}, said=("for all", f"for {name}")))
        for name, size, value in (("a", 1000, 50.0), ("b", 10, 49.5), ("c", 10, math.inf))
    ]
    print_measured("nll", rows, "blas")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["model", "bytes", "nats", "a", "token", "difference", "more"], f"{lines}"
    assert lines[2] == ["a", "1,000", "50.0000", "a"], f"{lines}"
    assert lines[3] == ["b", "10", "49.5000", "-0.5000", "b"], f"{lines}"
    assert lines[4] == ["c", "10", "inf", "-", "c"], f"{lines}"
    assert lines[5:7] == [["of", "2,000", "samples"], ["for", "all"]], f"{lines}"
    assert lines[7:10] == [[f"{name}:", "for", name] for name in "abc"], "what differs, each"
    assert lines[10][:2] == ["sums", "blas:"], f"{lines}"


def test_a_model_may_have_more_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", 1, measured(1.0, said=("one",))), ("b", 1, measured(1.0, said=("one", "two")))]
    print_measured("top1", rows, "ordered")
    assert capsys.readouterr().out.splitlines()[-3:] == ["  one", "  b: two", "  sums ordered"]


def test_fixed_keys_come_first_and_details_after() -> None:
    one = measured(2.0, context=512, details={"bos": None})
    row = json_row("m", 7, one, metric="perplexity", sums="blas", first=measured(1.5))
    assert row == {
        "model": "m", "metric": "perplexity", "value": 2.0, "context": 512, "samples": 2000,
        "unit": "percent", "difference": 0.5, "bytes": 7, "sums": "blas", "bos": None,
    }  # fmt: skip
    for value, first in ((math.inf, 1.0), (1.0, math.nan)):
        row = json_row("m", 7, measured(value), metric="nll", sums="blas", first=measured(first))
        assert row["difference"] is None, f"{value} - {first}"


def test_what_is_no_number() -> None:
    assert [real(v) for v in (1.5, math.inf, math.nan)] == [1.5, None, None]
    assert [shown(v, 1) for v in (1.55, -math.inf, math.nan)] == ["1.6", "-inf", "nan"]
