"""MiniLM, the file: sentences, an outsider's opinion, time. `make models` fetches it."""

import time
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.loaders.minilm import features, load_minilm
from refquant.model.loaders.text import read_tokenizer
from tests.refquant.model.loaders.near import agree

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"
SECONDS = 10.0
"""What 32 tokens may take, on one core."""


@cache
def model() -> Graph:
    path = ASSETS / "minilm/model.safetensors"
    assert path.exists(), "the model is not there; run `make models`, or `make assets WANT=minilm`"
    return load_minilm(path)


def sentences(*texts: str) -> dict[str, np.ndarray]:
    tokenizer = read_tokenizer(ASSETS / "minilm/tokenizer.json")
    return features([tokenizer.encode(text).ids for text in texts])


def test_all_weights_are_there_but_those_of_the_pooler() -> None:
    weights = sum(
        a.size for name, a in model().constants.items() if name.endswith(("weight", "bias"))
    )
    assert weights == 22_565_376, f"{weights:,}: 22,713,216 without the pooler's 384 x 385"


def test_meanings_that_are_near_have_vectors_that_are_near() -> None:
    """0.8292, of the mean with length 1; the first token's vectors alone have 0.9097."""
    got = run(model(), sentences("eat food", "eat meal", "a quantized tensor"))
    meal, tensor = (float(got["sentence_embedding"][0] @ v) for v in got["sentence_embedding"][1:])
    assert round(meal, 4) == 0.8292, f"eat food, eat meal: {meal}"
    assert tensor < 0.2, f"eat food, a quantized tensor: {tensor}"
    first = got["last_hidden_state"][:2, 0].astype(np.float64)
    cosine = first[0] @ first[1] / np.linalg.norm(first, axis=1).prod()
    assert round(float(cosine), 4) == 0.9097, f"of the first tokens: {cosine}"


def test_onnxruntime_agrees_on_the_same_graph() -> None:
    agree(model(), sentences("Where is the nearest station?", "It rains.", "eat food"), terms=1536)


def test_somebodys_int8_model_is_of_the_same_weights() -> None:
    """Its mean cosine to the float model was measured as 0.99949, the least as 0.99921."""
    path = ASSETS / "minilm_int8/model.onnx"
    assert path.exists(), "the twin is not there; run `make assets WANT=minilm_int8`"
    given = sentences("eat food", "eat meal")
    ours = run(model(), given)["last_hidden_state"].astype(np.float64)
    session = onnxruntime.InferenceSession(path)
    names = [one.name for one in session.get_inputs()]
    theirs = session.run(None, {name: given[name].astype(np.int64) for name in names})[0]
    cosine = float((ours * theirs).sum() / np.sqrt((ours**2).sum() * (theirs**2).sum()))
    assert 0.999 < cosine < 1, f"{cosine}: quantized, but the same model"


def test_32_tokens_run_in_time() -> None:
    inputs = features([list(range(1000, 1032))])
    begin = time.process_time()
    run(model(), inputs)
    spent = time.process_time() - begin
    assert spent <= SECONDS, f"{spent:.1f} s"
