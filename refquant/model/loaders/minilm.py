"""MiniLM, a BERT that turns a sentence into a vector: safetensors to `Graph`.

::

    word + position + token type --> LayerNorm --> L x [attention, + , LayerNorm,
                                                        linear, Gelu, linear, +, LayerNorm]
    --> last_hidden_state (N, T, C)
    --> mean over the tokens that the mask counts --> / its length --> sentence_embedding (N, C)

Sizes come from the tensors, the number of heads and epsilon from ``config.json`` beside them; where
there is none, they are this model's, and its width is asked for. Weights keep their names; linear
ones are transposed (`refquant.model.loaders.layers`). The pooler, which sentence embeddings do not
use, is left out.

Inputs, all int32 (N, T): ``input_ids``, ``token_type_ids``, ``attention_mask`` (1 counts, 0 is
padding) and ``position_ids``; `features` makes them.

Source: the tensors of ``sentence-transformers/all-MiniLM-L6-v2``; Devlin et al., "BERT", 2019;
Wang et al., "MiniLM", 2020; Reimers, Gurevych, "Sentence-BERT", 2019 (the mean).
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.loaders.bert_config import BertConfig, read_bert_config
from refquant.model.loaders.layers import layer_norm, linear
from refquant.model.loaders.safetensors import read_safetensors
from refquant.model.loaders.tensors import ModelFileError, Tensors

__all__ = ["EPSILON", "HEADS", "features", "load_minilm", "minilm_graph"]

HEADS = 12
EPSILON = 1e-12
_WIDTH = 384
_LOWEST = np.finfo(np.float32).max  # times -1: what a padding token's score is lowered by


def load_minilm(path: str | os.PathLike[str]) -> Graph:
    """Return the graph of the file ``model.safetensors``; any fault is a `ModelFileError`.

    >>> load_minilm("no such file")
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: no such file: cannot be read: No such file or \
directory; give the path of a .safetensors file
    """
    file, beside = read_safetensors(path), Path(path).with_name("config.json")
    if beside.exists():
        own = read_bert_config(beside)
        return minilm_graph(file, heads=own.heads, epsilon=own.epsilon)
    if file.shape("embeddings.word_embeddings.weight", 2)[1] != _WIDTH:
        raise ModelFileError(
            f"{path}: is not MiniLM ({_WIDTH} wide), and no config.json beside it says how many "
            "heads it has; copy the model's"
        )
    return minilm_graph(file, heads=HEADS)


def features(sentences: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int32]]:
    """Return the inputs for sentences of token ids, padded with 0 to the longest.

    >>> {name: array.tolist() for name, array in features([[7, 8], [9]]).items()}["attention_mask"]
    [[1, 1], [1, 0]]
    """
    if not sentences or not all(len(sentence) for sentence in sentences):
        raise ValueError(f"sentences must be at least one, of tokens, got {list(sentences)!r:.60}")
    length = max(map(len, sentences))
    ids = np.zeros((len(sentences), length), np.int32)
    mask = np.zeros_like(ids)
    for row, sentence in enumerate(sentences):
        ids[row, : len(sentence)] = sentence
        mask[row, : len(sentence)] = 1
    positions = np.broadcast_to(np.arange(length, dtype=np.int32), ids.shape).copy()
    return {
        "input_ids": ids,
        "token_type_ids": np.zeros_like(ids),
        "attention_mask": mask,
        "position_ids": positions,
    }


def minilm_graph(file: Tensors, *, heads: int, epsilon: float = EPSILON) -> Graph:
    """Return the graph of these tensors.

    >>> minilm_graph(Tensors("empty", {}), heads=1)
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: empty: needs a tensor \
'embeddings.word_embeddings.weight' of 2 axes, got none; it is another architecture, or not whole
    """
    _, c = file.shape("embeddings.word_embeddings.weight", 2)
    blocks = file.count("encoder.layer.{}.output.dense.weight")
    if blocks == 0 or heads < 1 or c % heads:
        raise ModelFileError(
            f"{file.path}: has {blocks} layers of {c} for {heads} heads; give a BERT and its own "
            "config.json"
        )
    b = Builder("minilm")
    own = BertConfig(heads, epsilon)
    x, mask = _embedded(b, file, c, own)
    one = b.constant("one", np.ones(1, np.float32))
    lowest = b.constant("lowest", np.full(1, _LOWEST, np.float32))
    lowered = b.node("Mul", [b.node("Sub", [mask, one], name="mask/sub"), lowest], name="mask/mul")
    scores = b.node("Unsqueeze", [lowered], attributes={"axes": [1, 2]}, name="mask/scores")
    for i in range(blocks):
        last = i == blocks - 1
        x = _block(b, file, x, scores, c, own, f"encoder.layer.{i}", last=last)
    return b.graph([x, _pooled(b, x, mask)], meta={"source": "BERT", "heads": heads})


def _embedded(b: Builder, file: Tensors, c: int, own: BertConfig) -> tuple[str, str]:
    """Return the sum of the embeddings, normalized, and the mask in float32."""
    inputs = ("input_ids", "token_type_ids", "position_ids", "attention_mask")
    ids = [b.input(name, ("N", "T"), dtype="int32") for name in inputs]
    rows = []
    for name, index in zip(("word", "token_type", "position"), ids, strict=False):
        weight = f"embeddings.{name}_embeddings.weight"
        table = b.constant(weight, file.take(weight, (file.shape(weight, 2)[0], c)))
        rows.append(b.node("Gather", [table, index], name=f"embeddings.{name}"))
    x = b.node("Add", rows[:2], name="embeddings.word_and_type")
    x = b.node("Add", [x, rows[2]], name="embeddings.sum")
    x = _norm(b, file, x, c, own, "embeddings.LayerNorm")
    return x, b.node("Cast", [ids[3]], attributes={"to": 1}, name="mask")


def _norm(
    b: Builder, file: Tensors, x: str, c: int, own: BertConfig, name: str, output: str | None = None
) -> str:
    scale, bias, epsilon = f"{name}.weight", f"{name}.bias", own.epsilon
    return layer_norm(b, file, x, c, scale=scale, bias=bias, epsilon=epsilon, name=output or name)


def _dense(b: Builder, file: Tensors, x: str, size: tuple[int, int], name: str) -> str:
    return linear(b, file, x, size, weight=f"{name}.weight", bias=f"{name}.bias", name=name)


def _block(
    b: Builder,
    file: Tensors,
    x: str,
    mask: str,
    c: int,
    model: BertConfig,
    name: str,
    *,
    last: bool,
) -> str:
    own = f"{name}.attention.self"
    qkv = [_dense(b, file, x, (c, c), f"{own}.{part}") for part in ("query", "key", "value")]
    counts = {"q_num_heads": model.heads, "kv_num_heads": model.heads}
    y = b.node("Attention", [*qkv, mask], attributes=counts, name=own)
    y = _dense(b, file, y, (c, c), f"{name}.attention.output.dense")
    y = b.node("Add", [y, x], name=f"{name}.attention.output")
    x = _norm(b, file, y, c, model, f"{name}.attention.output.LayerNorm")
    wide = file.shape(f"{name}.intermediate.dense.weight", 2)[0]
    y = _dense(b, file, x, (wide, c), f"{name}.intermediate.dense")
    y = b.node("Gelu", [y], name=f"{name}.intermediate")
    y = _dense(b, file, y, (c, wide), f"{name}.output.dense")
    y = b.node("Add", [y, x], name=f"{name}.output")
    output = "last_hidden_state" if last else None
    return _norm(b, file, y, c, model, f"{name}.output.LayerNorm", output)


def _pooled(b: Builder, x: str, mask: str) -> str:
    """Return the mean of the vectors that count, with length 1."""
    row = b.node("Unsqueeze", [mask], attributes={"axes": [1]}, name="pool/mask")
    total = b.node("MatMul", [row, x], name="pool/matmul")  # (N, 1, T) x (N, T, C)
    total = b.node("Squeeze", [total], attributes={"axes": [1]}, name="pool/sum")
    count = b.node("ReduceSum", [mask], attributes={"axes": [1]}, name="pool/count")
    mean = b.node("Div", [total, count], name="pool/mean")
    square = b.node("Mul", [mean, mean], name="norm/square")
    square = b.node("ReduceSum", [square], attributes={"axes": [1]}, name="norm/sum")
    length = b.node("Sqrt", [square], name="norm/length")
    return b.node("Div", [mean, length], name="sentence_embedding")
