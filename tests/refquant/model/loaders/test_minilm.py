"""MiniLM's graph: what onnxruntime says, padding, names, damaged files, the file's version."""

from pathlib import Path

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Quant
from refquant.model.loaders.minilm import features, minilm_graph
from refquant.model.loaders.tensors import ModelFileError, Tensors
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import RqFormatError, parse_rq, read_rq, rq_bytes, write_rq
from refquant_runtime.read_graph import read_graph
from tests.refquant.model.loaders.near import agree
from tests.refquant.model.loaders.tiny import minilm_arrays, with_shape, without

ARRAYS = minilm_arrays()
GRAPH = minilm_graph(Tensors("m", ARRAYS), heads=2)
SENTENCES = [[3, 1, 4, 1, 5], [9, 2], [6]]


def test_onnxruntime_agrees_padding_or_not() -> None:
    together = agree(GRAPH, features(SENTENCES), terms=12)["sentence_embedding"]
    for i, sentence in enumerate(SENTENCES):
        alone = run(GRAPH, features([sentence]))["sentence_embedding"][0]
        assert np.array_equal(alone, together[i]), "padding has no say, not in a single bit"


def test_weights_keep_their_names() -> None:
    named = {name for name in ARRAYS if name in GRAPH.constants}
    assert named == set(ARRAYS), f"lost {set(ARRAYS) - named}"
    name = "encoder.layer.1.output.dense.weight"
    assert np.array_equal(GRAPH.constants[name], ARRAYS[name].T), "transposed, nothing else"


def test_a_file_of_it_is_read_again_and_a_runtime_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "m.rq"
    write_rq(path, GRAPH)
    assert read_rq(path) == GRAPH, "the same model"
    assert b'"refquant/2"' in path.read_bytes()[:400], "it says which version it needs"
    read = read_graph(path)
    assert len(read.nodes) == len(GRAPH.nodes), "every operator is one it knows"


def test_a_file_that_says_version_1_is_refused_by_what_it_has() -> None:
    data = rq_bytes(GRAPH).replace(b'"refquant/2"', b'"refquant/1"', 1)
    with pytest.raises(RqFormatError, match=r"needs 'refquant/2': value .* has a length T"):
        parse_rq(data, name="f.rq")


def test_it_is_quantized_eight_bits_are_nearer_than_four_and_files_are_read_again() -> None:
    inputs = features(SENTENCES)
    float_vectors = run(GRAPH, inputs)["sentence_embedding"].astype(np.float64)
    lost = {}
    for name in ("w8_weight_only", "w8a8_dynamic", "w8a8_static_per_channel", "int4_rtn"):
        quantized = quantize(GRAPH, recipe(name), inputs)
        assert parse_rq(rq_bytes(quantized), name="f.rq") == quantized, f"{name}: the same model"
        vectors = run(quantized, inputs)["sentence_embedding"].astype(np.float64)
        cosine = (vectors * float_vectors).sum(axis=1) / np.linalg.norm(vectors, axis=1)
        lost[name] = float(1 - cosine.mean())
    assert all(loss > 0 for loss in lost.values()), f"fewer bits: {lost}"
    assert max(lost, key=lambda name: lost[name]) == "int4_rtn", f"four bits lose most: {lost}"


def test_a_sum_along_a_length_stays_float() -> None:
    """int32 holds the sum of so many products, and `T` is any number."""
    quantized = quantize(GRAPH, recipe("w8a8_static_per_channel"), features(SENTENCES))
    (pool,) = (node for node in quantized.nodes if node.name == "pool/matmul")
    assert pool.contract is None, "the mean over the tokens"
    b = Builder("g")
    x = b.input("x", ("N", 2, "T"), dtype="int8", quant=Quant(0.5, 0))
    y = b.input("y", ("N", "T", 2), dtype="int8", quant=Quant(0.5, 0))
    b.node("MatMul", [x, y], name="z", contract=preset("ort"), dtype="int8", quant=Quant(0.5, 0))
    with pytest.raises(ValueError, match="a sum along T has any length"):
        b.graph(["z"])


@pytest.mark.parametrize("name", ARRAYS)
def test_a_tensor_that_is_missing_or_of_another_shape_is_refused(name: str) -> None:
    if name == "encoder.layer.1.output.dense.weight":  # what counts the layers
        assert len(minilm_graph(without(ARRAYS, name), heads=2).nodes) < len(GRAPH.nodes), (
            "one less"
        )
    else:
        with pytest.raises(ModelFileError, match="m: "):
            minilm_graph(without(ARRAYS, name), heads=2)
    with pytest.raises(ModelFileError, match="m: "):
        minilm_graph(with_shape(ARRAYS, name), heads=2)


def test_heads_divide() -> None:
    with pytest.raises(ModelFileError, match="2 layers of 8 for 3 heads"):
        minilm_graph(Tensors("m", ARRAYS), heads=3)


@pytest.mark.parametrize("sentences", [[], [[1], []]])
def test_sentences_have_tokens(sentences: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="sentences must be at least one, of tokens"):
        features(sentences)
