"""What `refquant evaluate` is tried on: models whose every answer is known, and their data."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.rq import write_rq
from tests.refquant.evaluation.next_token import next_token

WORDS = ("<s>", "</s>", "he", "was", "not", "?")
"""The whole vocabulary: token i is word i."""

NEXT = np.zeros((6, 6), np.float32)
"""<s> he was not </s>: 10 for what follows, 5 for an end after "was"."""
for _token, _follows in enumerate((2, 1, 3, 4, 1, 1)):
    NEXT[_token, _follows] = 10
NEXT[3, 1] = 5


def tokenizer(path: Path, *, framed: bool) -> Path:
    """Write a tokenizer of `WORDS`; ``framed`` puts <s> before and </s> after every text."""
    library: Any = pytest.importorskip("tokenizers", reason="the extra refquant[text]")
    words = {word: i for i, word in enumerate(WORDS)}
    made = library.Tokenizer(library.models.WordLevel(words, unk_token="?"))
    made.pre_tokenizer = library.pre_tokenizers.Whitespace()
    made.add_special_tokens(["<s>", "</s>"])
    if framed:
        made.post_processor = library.processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    made.save(str(path))
    return path


def language_model(path: Path, table: Any = NEXT) -> Path:
    """A model of the next word, and the tokenizer beside it."""
    write_rq(path, next_token(table))
    tokenizer(path.with_name("tokenizer.json"), framed=False)
    return path


def speech(folder: Path, table: Any = NEXT) -> tuple[Path, Path]:
    """An encoder that hears, a decoder that says "he was not" whatever it heard."""
    folder.mkdir(exist_ok=True)
    b = Builder("ear")
    w = b.constant("w", np.full((3000, 2), 1e-3, np.float32))
    audio = b.node("MatMul", [b.input("mel", ("N", 80, 3000)), w], name="audio")
    write_rq(folder / "encoder.rq", b.graph([audio]))
    b = Builder("mouth")
    audio = b.input("audio", ("N", 80, 2))
    ids, places = (b.input(n, ("N", "T"), dtype="int32") for n in ("tokens", "position_ids"))
    scores = b.node("Gather", [b.constant("table", np.array(table, np.float32)), ids], name="rows")
    nothing = b.constant("nothing", np.zeros(1, np.float32))
    when = b.node("Cast", [places], attributes={"to": 1}, name="when")
    when = b.node("Unsqueeze", [when], attributes={"axes": [2]}, name="when/wide")
    loud = b.node("ReduceSum", [audio], attributes={"axes": [1, 2]}, name="loud")
    both = b.node("Mul", [b.node("Add", [when, loud], name="both"), nothing], name="unheard")
    write_rq(folder / "decoder.rq", b.graph([b.node("Add", [scores, both], name="logits")]))
    tokenizer(folder / "tokenizer.json", framed=True)
    return folder / "encoder.rq", folder / "decoder.rq"


def recordings(folder: Path, *said: str) -> Path:
    """A second of noise a text: 0.wav and 0.txt, 1.wav ..."""
    folder.mkdir()
    for i, text in enumerate(said):
        with wave.open(str(folder / f"{i}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(np.random.default_rng(i).integers(-999, 999, 1600, np.int16).tobytes())
        (folder / f"{i}.txt").write_text(text)
    return folder


def result(done: Any) -> Any:
    """What a command that succeeded printed, as JSON."""
    assert done.code == 0, done.err
    return json.loads(done.out)
