"""Accuracy and perplexity from the command line."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.formats.gguf import gguf_bytes
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.rq import read_rq, write_rq
from tests.refquant.cli.evaluated import NEXT, language_model, result, tokenizer
from tests.refquant.evaluation.next_token import BOUND, surprise

Refquant = Callable[..., Any]


def test_top1_is_the_percentage_of_labels_that_score_highest(
    refquant: Refquant, model: Path, data: Path
) -> None:
    arrays = np.load(data)
    guesses = run(read_rq(model), {"x": arrays["x"]})["y"].argmax(axis=1)
    for count in (30, 7):
        right = int((guesses == arrays["labels"])[:count].sum())
        options = () if count == 30 else ("--samples", count)
        found = result(refquant("evaluate", model, "--data", data, "--json", *options))
        assert found == {
            "model": str(model),
            "metric": "top1",
            "value": 100 * (right / count),
            "context": None,
            "samples": count,
            "unit": "percent",
            "difference": 0.0,
            "bytes": model.stat().st_size,
            "sums": "ordered",
        }, f"{found}"
        done = refquant("evaluate", model, "--data", data, *options)
        assert f"top-1 {100 * right / count:.2f} % of {count} samples" in done.out, done.out
    done = refquant("evaluate", model, "--data", data, "--samples", 31)
    assert (done.code, "holds 30 samples" in done.err) == (1, True), done.err


def test_a_full_integer_model_takes_the_same_data(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    options = ("--recipe", "w8a8_full_integer", "--calibration", data, "-o", tmp_path / "q.rq")
    assert refquant("quantize", model, *options).code == 0, "no model"
    found = result(refquant("evaluate", tmp_path / "q.rq", "--data", data, "--json"))
    assert 0 <= found["value"] <= 100, f"{found}"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (None, "has no array 'labels'"),
        (np.zeros(29, int), "'labels' must be 30 integers, one a sample"),
        (np.zeros(30), "'labels' must be 30 integers, one a sample"),
        (np.full(30, 3), "'labels' must be from 0 to 2"),
        (np.full(30, -1), "'labels' must be from 0 to 2"),
    ],
)
def test_labels_that_do_not_fit(
    labels: Any, said: str, refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    arrays = {"x": np.zeros((30, 4), np.float32)}
    np.savez(tmp_path / "d.npz", **(arrays if labels is None else arrays | {"labels": labels}))
    done = refquant("evaluate", model, "--data", tmp_path / "d.npz")
    assert done.code == 1, f"exit code {done.code}"
    assert said in done.err, done.err


def test_scores_that_are_nan_are_no_guess(refquant: Refquant, model: Path, tmp_path: Path) -> None:
    x = np.ones((3, 4), np.float32)
    x[1, 0] = np.nan
    np.savez(tmp_path / "d.npz", x=x, labels=np.zeros(3, int))
    done = refquant("evaluate", model, "--data", tmp_path / "d.npz")
    assert done.code == 1, f"exit code {done.code}"
    assert "those of sample 1 hold NaN" in done.err, done.err


def test_of_several_outputs_one_is_chosen(refquant: Refquant, data: Path, tmp_path: Path) -> None:
    b = Builder("two")
    x = b.input("x", ("N", 4))
    a = b.node("Relu", [x], name="a")
    c = b.node("Reshape", [x], name="c", attributes={"shape": (0, 2, 2)})
    write_rq(tmp_path / "two.rq", b.graph([a, c]))
    options = ("evaluate", tmp_path / "two.rq", "--data", data)
    assert "choose one by --scores" in refquant(*options).err, "a guess"
    assert refquant(*options, "--scores", "a").code == 0, "the choice was not taken"
    assert "none of the outputs ['a', 'c']" in refquant(*options, "--scores", "z").err, "z?"
    done = refquant(*options, "--scores", "c")
    assert done.code == 1, f"exit code {done.code}"
    assert "scores are [N, classes]" in done.err, done.err


TEXT = "he was not he was he not not"
IDS = (2, 3, 4, 2, 3, 2, 4, 4)


@pytest.fixture
def language(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT)
    return language_model(tmp_path / "model.rq")


def nats(windows: list[list[int]]) -> Decimal:
    each = [surprise(NEXT[a], b) for w in windows for a, b in zip(w, w[1:], strict=False)]  # noqa: RUF007  # pairwise hides the shift
    return sum(each, Decimal(0)) / len(each)


@pytest.mark.parametrize(
    ("options", "windows", "bos"),
    [
        (("--context", 3), [[2, 3, 4], [2, 3, 2]], None),
        (("--context", 4), [[2, 3, 4, 2], [3, 2, 4, 4]], None),
        (("--context", 3, "--samples", 1), [[2, 3, 4]], None),
        (("--context", 3, "--no-bos"), [[2, 3, 4], [2, 3, 2]], None),
        (("--context", 4, "--bos"), [[0, 2, 3, 4], [0, 2, 3, 2]], 0),
        (("--context", 4, "--bos", "--bos-token", "</s>"), [[1, 2, 3, 4], [1, 2, 3, 2]], 1),
    ],
)
def test_a_perplexity_comes_with_all_it_depends_on(
    options: tuple[Any, ...], windows: list[list[int]], bos: int | None,
    refquant: Refquant, language: Path, tmp_path: Path,
) -> None:  # fmt: skip
    command = ("evaluate", language, "--text", tmp_path / "text.txt", *options)
    found = result(refquant(*command, "--json"))
    exact, context, scored = nats(windows), options[1], sum(len(w) - 1 for w in windows)
    assert abs(Decimal(found["nll"]) - exact) <= 2 * BOUND, f"{found}"
    assert abs(Decimal(found["value"]) / exact.exp() - 1) <= 3 * BOUND, f"{found}"
    known = {name: found[name] for name in ("context", "bos", "stride", "tokens_scored", "samples")}
    stride = context if bos is None else context - 1
    wanted = {"context": context, "bos": bos, "stride": stride, "tokens_scored": scored}
    assert known == wanted | {"samples": len(windows)}, f"{found}"
    assert found["tokenizer"] == str(tmp_path / "tokenizer.json"), f"{found}"
    said = refquant(*command).out
    for part in (
        f"perplexity {found['value']:.3f}", f"context {context}", f"stride {stride}",
        "no BOS" if bos is None else f"BOS {bos}", f"tokenizer {tmp_path}", f"{scored} tokens",
    ):  # fmt: skip
        assert part in said, f"{part!r} is missing: {said}"


def test_the_tokenizer_may_be_named_or_frame_texts(
    refquant: Refquant, language: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    framing = tokenizer(tmp_path / "other/t.json", framed=True)
    options = ("--text", tmp_path / "text.txt", "--context", 4, "--json")
    plain = result(refquant("evaluate", language, *options))
    framed = result(refquant("evaluate", language, *options, "--tokenizer", framing))
    assert framed["tokenizer"] == str(framing), f"{framed}"
    assert framed["value"] == plain["value"], "what it puts around a text is not the text"
    begun = result(refquant("evaluate", language, *options, "--tokenizer", framing, "--bos"))
    assert begun["bos"] == 0, "it says itself what begins a text"


def test_tokens_that_begin_a_text_must_be_known(
    refquant: Refquant, language: Path, tmp_path: Path
) -> None:
    options = ("evaluate", language, "--text", tmp_path / "text.txt", "--context", 3, "--bos")
    done = refquant(*options, "--bos-token", "<none>")
    assert (done.code, "has no '<none>'" in done.err) == (1, True), done.err
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace("<s>", "<x>"))
    done = refquant(*options)
    assert (done.code, "does not say which token begins a text" in done.err) == (1, True), done.err


def test_a_gguf_says_what_begins_a_text(refquant: Refquant, language: Path, tmp_path: Path) -> None:
    metadata: dict[str, Any] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": ("a", "b", "ab", "<|x|>"),
        "tokenizer.ggml.merges": ("a b",),
        "tokenizer.ggml.token_type": np.array([1, 1, 1, 3], np.int32),
        "tokenizer.ggml.bos_token_id": np.uint32(3),
    }
    (tmp_path / "t.gguf").write_bytes(gguf_bytes(metadata, []))
    (tmp_path / "ab.txt").write_text("abaab")
    options = ("--text", tmp_path / "ab.txt", "--tokenizer", tmp_path / "t.gguf", "--context", 3)
    found = result(refquant("evaluate", language, *options, "--bos", "--json"))
    assert (found["bos"], found["stride"], found["samples"]) == (3, 2, 1), f"{found}"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("he was", ("--context", 3), "2 tokens: 0 whole pieces of 3"),
        ("he was", (), "0 whole pieces of 512"),
        ("  ", ("--context", 3), "holds no text"),
        (None, ("--context", 3), "cannot be read: no such file"),
        ("he was", ("--context", 1), "context must be at least 2"),
        ("he was", ("--context", 2, "--tokenizer", "none.json"), "none.json: is no tokenizer"),
    ],
)
def test_texts_that_cannot_be_scored(
    text: str | None, options: tuple[Any, ...], said: str,
    refquant: Refquant, language: Path, tmp_path: Path,
) -> None:  # fmt: skip
    if text is not None:
        (tmp_path / "t.txt").write_text(text)
    done = refquant("evaluate", language, "--text", tmp_path / "t.txt", *options)
    assert done.code == 1, f"exit code {done.code}: {done.err}"
    assert said in done.err, done.err


def test_nan_is_no_perplexity_and_infinity_is_one(
    refquant: Refquant, language: Path, tmp_path: Path
) -> None:
    options = ("--text", tmp_path / "text.txt", "--context", 3)
    table = NEXT.copy()
    table[3, 4] = np.nan
    done = refquant("evaluate", language_model(tmp_path / "nan.rq", table), *options)
    assert done.code == 1, f"exit code {done.code}"
    assert "nan.rq" in done.err, done.err
    assert "it computes NaN or infinity there" in done.err, done.err
    table[3, 4] = -np.inf
    never = language_model(tmp_path / "never.rq", table)
    assert result(refquant("evaluate", never, *options, "--json"))["value"] is None, "JSON has none"
    assert "perplexity inf of 2 windows" in refquant("evaluate", never, *options).out, "but text"


def test_another_models_tokenizer_is_seen(
    refquant: Refquant, language: Path, tmp_path: Path
) -> None:
    small = language_model(tmp_path / "small.rq", np.zeros((3, 3)))
    done = refquant("evaluate", small, "--text", tmp_path / "text.txt", "--context", 3)
    assert done.code == 1, f"exit code {done.code}"
    assert "give the model's own tokenizer" in done.err, done.err


def test_a_model_without_scores_has_no_perplexity(
    refquant: Refquant, model: Path, language: Path, tmp_path: Path
) -> None:
    options = ("--text", tmp_path / "text.txt", "--context", 3, "--metric", "perplexity")
    done = refquant("evaluate", model, *options)
    assert done.code == 1, f"exit code {done.code}"
    assert "must have one output [N, T, tokens] of scores, and it has y ['N', 3]" in done.err
