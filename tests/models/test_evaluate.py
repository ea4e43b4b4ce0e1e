"""`refquant evaluate` gives the known numbers of real models. `make models` fetches them."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from refquant.cli.main import main
from refquant.evaluation.wer import normalised_words

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"
TEXT = ASSETS / "text"


def evaluate(capsys: pytest.CaptureFixture[str], *options: object) -> Any:
    for option in options:
        if str(option).startswith(str(ASSETS)):
            assert Path(str(option)).exists(), f"{option} is not there; run `make assets`"
    capsys.readouterr()
    code = main(["evaluate", *map(str, options), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def test_smollm2_has_its_perplexity(capsys: pytest.CaptureFixture[str]) -> None:
    """tests/models/test_smollm2.py computes it another way."""
    model = ASSETS / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    speech = TEXT / "sotu/data/1981_jimmy_carter_d.txt"
    found = evaluate(capsys, model, "--text", speech, "--context", 512, "--samples", 2)
    assert round(found["value"], 2) == 23.20, f"{found}"
    del found["value"], found["nll"]
    assert found == {
        "model": str(model), "metric": "perplexity", "context": 512, "samples": 2, "unit": None,
        "difference": 0.0, "bytes": model.stat().st_size, "sums": "blas", "tokenizer": str(model),
        "bos": None, "stride": 512, "tokens_scored": 1022, "text": str(speech),
    }, f"{found}"  # fmt: skip


def test_the_words_of_g2p_are_as_right_as_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    model, words = ASSETS / "g2p/checkpoint20.npz", TEXT / "cmudict/data/dict.txt"
    found = evaluate(capsys, model, "--words", words, "--sums", "blas")
    assert found["metric"] == "phonemes", f"{found}"
    assert (found["words_right"], found["samples"]) == (69.1, 1000), f"{found}"
    assert round(found["value"], 1) == 9.8, f"{found}"


def test_whisper_hears_four_of_five_recordings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The written text of 0920 has an "a" that nobody says; 0880 is misheard."""
    lines = (ASSETS / "librivox/transcription").read_text().splitlines()
    assert len(lines) == 5, "five recordings"
    for line in lines:
        said, name = re.fullmatch(r"<s> (.*) </s> \((.*)\)", line).groups()  # type: ignore[union-attr]  # they all match
        os.symlink(ASSETS / f"librivox/{name}.wav", tmp_path / f"{name[-4:]}.wav")
        (tmp_path / f"{name[-4:]}.txt").write_text(said.replace(" a amiable ", " amiable "))
    model = ASSETS / "whisper_tiny_en"
    found = evaluate(capsys, model, "--audio", tmp_path)
    assert (found["metric"], found["samples"]) == ("wer", 5), f"{found}"
    assert found["recordings_right"] == 4, f"{found['transcripts']}"
    kinds = [found[k] for k in ("words", "substitutions", "deletions", "insertions")]
    assert kinds == [70, 2, 0, 0], f"{found['transcripts']}"
    heard = {t["recording"]: t["heard"] for t in found["transcripts"]}
    misheard = normalised_words(heard["0880.wav"])
    assert misheard == ["he", "was", "not", "an", "old", "sposed", "young", "man"], f"{heard}"
    surprise = evaluate(capsys, model, "--audio", tmp_path, "--metric", "nll", "--samples", 1)
    assert surprise["tokens_scored"] == 26, f"{surprise}: 22 words of lower case, and the end"
    assert round(surprise["value"], 2) == 0.54, f"{surprise}: log 51,864 = 10.9 is knowing nothing"


def test_eight_bits_are_nearer_to_minilm_than_four(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    float32, text = ASSETS / "minilm", TEXT / "moby-dick/data/data.txt"
    small = []
    for scheme in ("int8_weight_only", "int4_rtn"):
        small.append(tmp_path / f"{scheme}.rq")
        assert main(["quantize", str(float32), "--scheme", scheme, "-o", str(small[-1])]) == 0
    options = ("--text", text, "--context", 64, "--samples", 2, "--layers")
    rows = evaluate(capsys, float32, *small, *options)
    assert [row["output"] for row in rows] == ["sentence_embedding"] * 3, f"{rows[0]}"
    values = [row["value"] for row in rows]
    assert values[0] == 1, f"{values}"
    assert 0.998 < values[1] < 1, f"{values}"
    assert 0.9 < values[2] < 0.99, f"{values}"
    assert rows[1]["first_below"] is None, "no layer of int8 below 20 dB"
    assert rows[2]["first_below"].startswith("encoder.layer.0."), f"{rows[2]['first_below']}"
    assert len(rows[2]["layers"]) > 100, "each node's output"
