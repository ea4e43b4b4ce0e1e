"""Whisper's graphs: what onnxruntime says, greedy words, damaged files."""

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.loaders.tensors import ModelFileError, Tensors
from refquant.model.loaders.whisper_ct2 import transcribe, whisper_graphs
from tests.refquant.model.loaders.near import agree
from tests.refquant.model.loaders.tiny import whisper_arrays, with_shape, without

ARRAYS = whisper_arrays()
ENCODER, DECODER = whisper_graphs(Tensors("m", ARRAYS))
MEL = np.random.default_rng(0).standard_normal((1, 3, 10)).astype(np.float32)


def test_onnxruntime_agrees_and_what_comes_later_has_no_say() -> None:
    audio = agree(ENCODER, {"mel": MEL}, terms=24)["audio"]
    places = np.arange(4, dtype=np.int32)[None]
    inputs = {"audio": audio, "tokens": np.array([[3, 1, 4, 1]], np.int32), "position_ids": places}
    whole = agree(DECODER, inputs, terms=12)["logits"]
    inputs = {k: v if k == "audio" else v[:, :2] for k, v in inputs.items()}
    assert np.array_equal(run(DECODER, inputs)["logits"], whole[:, :2]), "causal"


def test_weights_keep_their_names() -> None:
    weights = {n for n in ARRAYS if not n.endswith("num_heads")}
    lost = weights - ENCODER.constants.keys() - DECODER.constants.keys()
    assert not lost, f"lost {lost}"


def test_words_are_greedy_and_rules_are_kept() -> None:
    graphs = (ENCODER, DECODER)
    free = transcribe(graphs, MEL, begin=[3], end=99, most=3)
    assert len(free) == 3, "the end was not said"
    never = transcribe(graphs, MEL, begin=[3], end=99, never=free[:1], most=1)
    first = transcribe(graphs, MEL, begin=[3], end=99, not_first=free[:1], most=1)
    assert never == first != free[:1], "the second likeliest"
    assert transcribe(graphs, MEL, begin=[3], end=free[0]) == [], "the end is not in the text"


@pytest.mark.parametrize("name", [n for n in ARRAYS if ARRAYS[n].ndim])
def test_a_tensor_that_is_missing_or_of_another_shape_is_refused(name: str) -> None:
    counts = ("layer_1/ffn/linear_0/weight", "layer_0/ffn/linear_0/weight")
    if not name.endswith(counts):  # these say how many layers there are
        with pytest.raises(ModelFileError, match="m: "):
            whisper_graphs(without(ARRAYS, name))
    with pytest.raises(ModelFileError, match="m: "):
        whisper_graphs(with_shape(ARRAYS, name))


@pytest.mark.parametrize("heads", [None, np.int16(0), np.int16(3), np.zeros(2, np.int16)])
def test_heads_divide(heads: object) -> None:
    arrays = {**ARRAYS, "decoder/num_heads": np.asarray(heads)}
    if heads is None:
        del arrays["decoder/num_heads"]
    with pytest.raises(ModelFileError, match="decoder/num_heads must divide 8"):
        whisper_graphs(Tensors("m", arrays))
