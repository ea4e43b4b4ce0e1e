"""Llama's graph: what onnxruntime says, causality, tied heads, damaged files."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.gguf import GgufFile
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.loaders.smollm2_gguf import llama_graph, prompt
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.loaders.near import agree
from tests.refquant.model.loaders.tiny import llama_file


def graph(**changes: Any) -> Graph:
    return llama_graph(llama_file(**changes), path="m", positions=None)


def test_onnxruntime_agrees_and_what_comes_later_has_no_say() -> None:
    g = graph()
    whole = agree(g, prompt([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]), terms=12)["logits"]
    for steps in (1, 3):
        start = run(g, prompt([3, 1, 4, 1, 5][:steps]))["logits"]
        assert np.array_equal(start[0], whole[0, :steps]), "a start of a text is that of the whole"


def as_the_paper_says(file: GgufFile, ids: list[int]) -> NDArray[np.float64]:
    """The forward pass in float64, from the file's tensors; pairs are turned as complex numbers."""
    w = {name: tensor.decode().astype(np.float64) for name, tensor in file.tensors.items()}
    steps = len(ids)
    turn = np.exp(1j * np.arange(steps)[:, None] * 10000.0 ** (-np.array([0, 2]) / 4))

    def norm(x: Any, name: str) -> Any:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + float(np.float32(1e-5))) * w[name]

    def turned(x: Any) -> Any:
        pairs = (x[:, 0::2] + 1j * x[:, 1::2]) * turn
        return np.stack([pairs.real, pairs.imag], axis=-1).reshape(x.shape)

    x = w["token_embd.weight"][ids]
    for i in range(2):
        p = f"blk.{i}."
        y = norm(x, p + "attn_norm.weight")
        q, k, v = (y @ w[f"{p}attn_{part}.weight"].T for part in "qkv")
        heads = []
        for h in range(2):  # two query heads, one key head
            s = turned(q[:, 4 * h : 4 * h + 4]) @ turned(k).T / 2
            s[np.triu_indices(steps, 1)] = -np.inf
            e = np.exp(s - s.max(-1, keepdims=True))
            heads.append(e / e.sum(-1, keepdims=True) @ v)
        x = x + np.concatenate(heads, axis=1) @ w[p + "attn_output.weight"].T
        y = norm(x, p + "ffn_norm.weight")
        gate = y @ w[p + "ffn_gate.weight"].T
        y = gate / (1 + np.exp(-gate)) * (y @ w[p + "ffn_up.weight"].T)
        x = x + y @ w[p + "ffn_down.weight"].T
    logits: NDArray[np.float64] = norm(x, "output_norm.weight") @ w["token_embd.weight"].T
    return logits


def test_the_layers_are_those_of_the_paper() -> None:
    """To first order, as in `near`: each operator of at most 12 terms adds its roundings."""
    ids, g = [3, 1, 4, 1, 5, 9], graph()
    got, expected = run(g, prompt(ids))["logits"][0], as_the_paper_says(llama_file(), ids)
    bound = len(g.nodes) * (2 * 12) ** 0.5 * 2.0**-24 * float(np.abs(expected).max())
    apart = float(np.abs(got - expected).max())
    assert apart <= bound, f"{apart} apart, {bound} is the bound"


def test_a_tied_head_is_the_table_transposed() -> None:
    file = llama_file()
    g = llama_graph(file, path="m", positions=None)
    table = file.tensors["token_embd.weight"].decode()
    assert np.array_equal(g.constants["output.weight"], table.T), "tied"
    assert g.meta["tied_embeddings"] is True, "and said"
    free = llama_file(tied=False)
    g = llama_graph(free, path="m", positions=None)
    head = free.tensors["output.weight"].decode()
    assert np.array_equal(g.constants["output.weight"], head.T), "its own"
    lost = set(free.tensors) - set(g.constants)
    assert not lost, f"weights keep their names, lost {lost}"


def test_angles_are_those_of_the_text() -> None:
    cos = graph().constants["rope/cos"]
    assert cos.shape == (10, 2), "positions, pairs of a head of 4"
    assert cos[:, 0].tolist() == [float(np.float32(np.cos(float(p)))) for p in range(10)], "base^0"
    g = llama_graph(llama_file(), path="m", positions=4)
    assert g.constants["rope/sin"].shape == (4, 2), "a shorter table"
    with pytest.raises(ValueError, match=r"positions must be in \[0, 3\], got 0 to 4"):
        run(g, prompt([1] * 5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"general.architecture": "qwen2"}, "general.architecture must be 'llama', got 'qwen2'"),
        ({"llama.block_count": None}, "llama.block_count must be a number > 0, got None"),
        ({"llama.block_count": np.uint32(3)}, "lacks the tensor 'blk.2.attn_norm.weight'"),
        ({"llama.vocab_size": np.uint32(12)}, "'token_embd.weight' must be"),
        ({"llama.attention.head_count": np.uint32(3)}, "heads must divide 8"),
        ({"llama.attention.head_count_kv": np.uint32(3)}, "key heads the heads"),
        ({"llama.rope.dimension_count": np.uint32(2)}, "all of a head be turned"),
        ({"llama.rope.freq_base": "x"}, "llama.rope.freq_base must be a number > 0"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        llama_graph(llama_file(**changes), path="m", positions=None)


@pytest.mark.parametrize("name", list(llama_file(tied=False).tensors))
def test_a_missing_tensor_is_named(name: str) -> None:
    file = llama_file(tied=False)
    rest = {n: t for n, t in file.tensors.items() if n != name}
    less = GgufFile(3, "little", 32, file.metadata, rest)
    if name == "output.weight":
        assert llama_graph(less, path="m", positions=None).meta["tied_embeddings"], (
            "then it is tied"
        )
    else:
        with pytest.raises(ModelFileError, match=f"m: lacks the tensor '{name}'"):
            llama_graph(less, path="m", positions=None)
