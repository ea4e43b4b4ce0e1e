"""Whisper, speech to text: CTranslate2 to two `Graph` s.

::

    encoder   log-mel (N, 80, 3000) --> conv 3, Gelu --> conv 3 stride 2, Gelu --> + positions
              --> L x [LayerNorm, attention, +, LayerNorm, linear, Gelu, linear, +] --> LayerNorm
              --> audio (N, 1500, C)
    decoder   tokens (N, T) --> embeddings + positions
              --> L x [LayerNorm, causal attention, +, LayerNorm, attention to audio, +,
                       LayerNorm, linear, Gelu, linear, +] --> LayerNorm --> logits (N, T, V)

CTranslate2 keeps query, key and value as one linear layer, and key and value of the attention to
the audio as one; they stay one constant under their name, and ``Slice`` takes the product apart.
The head is the table of embeddings (the file says so by an alias). float16 weights widen exactly.

Inputs: encoder ``mel`` float32 (`refquant.model.loaders.log_mel`); decoder ``audio`` float32,
``tokens`` and ``position_ids`` int32 (N, T).

Source: CTranslate2's WhisperSpec for names; Radford et al., "Robust Speech Recognition via
Large-Scale Weak Supervision", 2022, section 2.2; github.com/openai/whisper for sizes.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.loaders.ctranslate2 import read_ctranslate2
from refquant.model.loaders.layers import layer_norm, linear
from refquant.model.loaders.tensors import ModelFileError, Tensors

__all__ = ["load_whisper", "transcribe", "whisper_graphs"]

_EPSILON = 1e-5


def load_whisper(path: str | os.PathLike[str]) -> tuple[Graph, Graph]:
    """Return the graphs (encoder, decoder) of ``model.bin``; any fault is a `ModelFileError`.

    >>> load_whisper("no such file")
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: no such file: cannot be read: No such file or \
directory; give the path of a CTranslate2 model.bin
    """
    return whisper_graphs(read_ctranslate2(path, name="WhisperSpec"))


def whisper_graphs(file: Tensors) -> tuple[Graph, Graph]:
    """Return the graphs (encoder, decoder) of these tensors.

    >>> whisper_graphs(Tensors("empty", {}))
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: empty: needs a tensor 'encoder/conv1/weight' of \
3 axes, got none; it is another architecture, or not whole
    """
    return _encoder(file), _decoder(file)


def _heads(file: Tensors, part: str, c: int) -> int:
    array = file.arrays.get(f"{part}/num_heads")
    heads = 0 if array is None or array.size != 1 else int(array.reshape(-1)[0])
    if heads < 1 or c % heads:
        raise ModelFileError(f"{file.path}: {part}/num_heads must divide {c}, got {heads}")
    return heads


def _encoder(file: Tensors) -> Graph:
    c, mels, _ = file.shape("encoder/conv1/weight", 3)
    steps = file.shape("encoder/position_encodings/encodings", 2)[0]
    heads, b = _heads(file, "encoder", c), Builder("whisper_encoder")
    x = b.input("mel", ("N", mels, 2 * steps))
    for name, channels, stride in (("conv1", mels, 1), ("conv2", c, 2)):
        weight, bias = f"encoder/{name}/weight", f"encoder/{name}/bias"
        w = b.constant(weight, file.take(weight, (c, channels, 3)))
        operands = [x, w, b.constant(bias, file.take(bias, (c,)))]
        window: dict[str, Any] = {"strides": [stride], "pads": [1, 1]}
        x = b.node("Conv", operands, attributes=window, name=f"encoder/{name}")
        x = b.node("Gelu", [x], name=f"encoder/{name}/gelu")
    x = b.node("Transpose", [x], attributes={"perm": [0, 2, 1]}, name="encoder/transposed")
    places = "encoder/position_encodings/encodings"
    x = b.node("Add", [x, b.constant(places, file.take(places, (steps, c)))], name="encoder/input")
    for i in range(file.count("encoder/layer_{}/ffn/linear_0/weight")):
        block = f"encoder/layer_{i}"
        x = _self_attention(b, file, x, c, heads, f"{block}/self_attention", causal=0)
        x = _feed_forward(b, file, x, c, f"{block}/ffn")
    return b.graph([_norm(b, file, x, c, "encoder/layer_norm", "audio")], meta={"heads": heads})


def _decoder(file: Tensors) -> Graph:
    tokens, c = file.shape("decoder/embeddings/weight", 2)
    steps = file.shape("encoder/position_encodings/encodings", 2)[0]
    heads, b = _heads(file, "decoder", c), Builder("whisper_decoder")
    audio = b.input("audio", ("N", steps, c))
    ids = b.input("tokens", ("N", "T"), dtype="int32")
    places = b.input("position_ids", ("N", "T"), dtype="int32")
    table = "decoder/embeddings/weight"
    embedding = file.take(table, (tokens, c))
    x = b.node("Gather", [b.constant(table, embedding), ids], name="decoder/embeddings")
    name = "decoder/position_encodings/encodings"
    positions = b.constant(name, file.take(name, (file.shape(name, 2)[0], c)))
    y = b.node("Gather", [positions, places], name="decoder/positions")
    x = b.node("Add", [x, y], name="decoder/input")
    for i in range(file.count("decoder/layer_{}/ffn/linear_0/weight")):
        block = f"decoder/layer_{i}"
        x = _self_attention(b, file, x, c, heads, f"{block}/self_attention", causal=1)
        x = _cross_attention(b, file, x, audio, c, heads, f"{block}/attention")
        x = _feed_forward(b, file, x, c, f"{block}/ffn")
    x = _norm(b, file, x, c, "decoder/layer_norm")
    head = "decoder/projection/weight"
    w = b.constant(head, file.take(head, (tokens, c)).T.copy())
    return b.graph([b.node("MatMul", [x, w], name="logits")], meta={"heads": heads})


def _norm(b: Builder, file: Tensors, x: str, c: int, name: str, output: str | None = None) -> str:
    scale, bias = f"{name}/gamma", f"{name}/beta"
    return layer_norm(b, file, x, c, scale=scale, bias=bias, epsilon=_EPSILON, name=output or name)


def _linear(b: Builder, file: Tensors, x: str, size: tuple[int, int], name: str) -> str:
    return linear(b, file, x, size, weight=f"{name}/weight", bias=f"{name}/bias", name=name)


def _parts(b: Builder, x: str, c: int, names: Sequence[str]) -> list[str]:
    """Return the parts of the last axis, ``c`` elements each."""
    return [
        b.node(
            "Slice",
            [x],
            attributes={"starts": [i * c], "ends": [(i + 1) * c], "axes": [2]},
            name=f"{x}/{name}",
        )
        for i, name in enumerate(names)
    ]


def _attend(
    b: Builder, file: Tensors, x: str, qkv: list[str], c: int, heads: int, name: str, output: str
) -> str:
    """Add attention over ``qkv``, its output layer and the residual ``x``."""
    counts = {"q_num_heads": heads, "kv_num_heads": heads}
    causal = {"is_causal": 1} if name.endswith("/causal") else {}
    y = b.node("Attention", qkv, attributes={**counts, **causal}, name=name)
    return b.node("Add", [x, _linear(b, file, y, (c, c), output)], name=f"{name}/residual")


def _self_attention(
    b: Builder, file: Tensors, x: str, c: int, heads: int, name: str, *, causal: int
) -> str:
    y = _norm(b, file, x, c, f"{name}/layer_norm")
    y = _linear(b, file, y, (3 * c, c), f"{name}/linear_0")
    qkv = _parts(b, y, c, ("query", "key", "value"))
    kind = f"{name}/causal" if causal else f"{name}/full"
    return _attend(b, file, x, qkv, c, heads, kind, f"{name}/linear_1")


def _cross_attention(
    b: Builder, file: Tensors, x: str, audio: str, c: int, heads: int, name: str
) -> str:
    y = _norm(b, file, x, c, f"{name}/layer_norm")
    query = _linear(b, file, y, (c, c), f"{name}/linear_0")
    both = _linear(b, file, audio, (2 * c, c), f"{name}/linear_1")
    qkv = [query, *_parts(b, both, c, ("key", "value"))]
    return _attend(b, file, x, qkv, c, heads, f"{name}/audio", f"{name}/linear_2")


def _feed_forward(b: Builder, file: Tensors, x: str, c: int, name: str) -> str:
    wide = file.shape(f"{name}/linear_0/weight", 2)[0]
    y = _norm(b, file, x, c, f"{name}/layer_norm")
    y = b.node("Gelu", [_linear(b, file, y, (wide, c), f"{name}/linear_0")], name=f"{name}/gelu")
    return b.node("Add", [x, _linear(b, file, y, (c, wide), f"{name}/linear_1")], name=name)


def transcribe(
    graphs: tuple[Graph, Graph],
    mel: NDArray[np.float32],
    *,
    begin: Sequence[int],
    end: int,
    never: Sequence[int] = (),
    not_first: Sequence[int] = (),
    most: int = 100,
    sums: str = "ordered",
) -> list[int]:
    """Return the likeliest token after token, from ``begin`` to ``end``, neither included.

    ``mel`` (1, 80, 3000); ``never`` and ``not_first`` are tokens not to say, at all or at first.
    There is no cache: each step computes the whole text again. `ValueError` where it computes NaN.

    >>> transcribe((), np.zeros((1, 80, 3000), np.float32), begin=[], end=0)
    Traceback (most recent call last):
    ...
    ValueError: begin must have at least one token, got []
    """
    if not begin:
        raise ValueError(f"begin must have at least one token, got {list(begin)}")
    encoder, decoder = graphs
    audio = run(encoder, {"mel": mel}, sums=sums)["audio"]
    tokens = list(begin)
    while len(tokens) < len(begin) + most:
        places = np.arange(len(tokens), dtype=np.int32)[None]
        inputs = {"audio": audio, "tokens": np.array([tokens], np.int32), "position_ids": places}
        logits = run(decoder, inputs, sums=sums)["logits"][0, -1].copy()
        if np.isnan(logits).any():  # else the first NaN would count as the largest
            raise ValueError(f"the model computes NaN after {len(tokens)} tokens; mend it first")
        logits[list(never)] = -np.inf
        if len(tokens) == len(begin):
            logits[list(not_first)] = -np.inf
        token = int(logits.argmax())
        if token == end:
            break
        tokens.append(token)
    return tokens[len(begin) :]
