"""SmolLM2 as a float graph: what it says, how surprised it is, time. `make models` fetches it."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.formats.gguf import read_gguf
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.loaders.smollm2_gguf import load_llama_gguf, prompt
from refquant.model.loaders.text import gguf_tokenizer
from tests.refquant.model.loaders.near import agree

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"
PATH = ASSETS / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SPEECH = ASSETS / "text/sotu/data/1981_jimmy_carter_d.txt"
SECONDS = 60.0
"""What 128 tokens may take, on one core."""


@cache
def model() -> Graph:
    assert PATH.exists(), "the model is not there; run `make models`, or `make assets WANT=smollm2`"
    return load_llama_gguf(PATH, positions=512)


@cache
def tokenizer() -> Any:
    return gguf_tokenizer(read_gguf(PATH), path=str(PATH))


def speech() -> list[int]:
    assert SPEECH.exists(), "the text is not there; run `make models`, or `make assets WANT=text`"
    ids: list[int] = tokenizer().encode(SPEECH.read_text()).ids
    return ids


def test_it_knows_the_capital_of_france() -> None:
    ids = tokenizer().encode("The capital of France is").ids
    for _ in range(2):
        ids.append(int(run(model(), prompt(ids))["logits"][0, -1].argmax()))
    assert tokenizer().decode(ids) == "The capital of France is Paris.", tokenizer().decode(ids)


def test_its_perplexity_is_the_known_one() -> None:
    """Contexts of 512 tokens, two of them, no BOS; each token but the first is predicted.

    23.2 was measured with llama.cpp; in fast sums, whose error does not reach the third digit.
    """
    ids, surprise = speech(), 0.0
    assert len(ids) == 40_505, f"{len(ids)} tokens: another tokenizer"
    for start in (0, 512):
        window = ids[start : start + 512]
        logits = run(model(), prompt(window), sums="blas")["logits"][0].astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        surprise -= log_p[np.arange(511), window[1:]].sum()
    perplexity = float(np.exp(surprise / (2 * 511)))
    assert round(perplexity, 1) == 23.2, f"{perplexity}"


def test_onnxruntime_agrees_on_the_same_graph() -> None:
    agree(model(), prompt(speech()[:32]), terms=1536)


def test_128_tokens_run_in_time() -> None:
    inputs = prompt(speech()[:128])
    begin = time.process_time()
    run(model(), inputs)
    spent = time.process_time() - begin
    assert spent <= SECONDS, f"{spent:.1f} s"
