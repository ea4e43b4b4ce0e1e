r"""SmolLM2, a small chat model of Llama's architecture: GGUF, dequantized, to `Graph`.

::

    token_embd --> L x [attn_norm, q k v, rotary, causal attention (grouped), attn_output, +,
                        ffn_norm, ffn_down(Swish(ffn_gate) * ffn_up), +] --> output_norm --> output

All sizes are read from the metadata ``llama.*``. Where the file has no ``output.weight`` it is the
table of embeddings (tied): the graph then has both constants, because one is read by row and the
other multiplied, and may be quantized otherwise. The angle of pair i of d/2 at position p is

.. math::

    p \cdot \theta^{-2i/d}, \qquad \theta = \texttt{rope.freq\_base},                   \tag{1}

in float64; cosine and sine are rounded to float32 and are constants of the graph. The pairs of q
and k are interleaved, as in all GGUF files of this architecture.

As a float model its weights are those the file's blocks decode to: for this file (Q4_1) they lie on
a 4-bit grid in blocks of 32, so it flatters a quantizer with 4 bits and groups of 32.

Inputs, int32 (N, T): ``input_ids``, ``position_ids``; output ``logits`` (N, T, V).

Source: ggml's GGUF text for keys and names; Touvron et al., "LLaMA", 2023, section 2.2; Su et al.,
"RoFormer", 2021, eq. 15.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.gguf import GgufError, GgufFile, read_gguf
from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.loaders.layers import linear, rms_norm
from refquant.model.loaders.tensors import ModelFileError, Tensors

__all__ = ["llama_graph", "load_llama_gguf", "prompt"]


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The numbers of ``llama.*``."""

    blocks: int
    c: int
    wide: int
    heads: int
    kv_heads: int
    positions: int
    base: float
    epsilon: float
    vocabulary: int

    @property
    def head(self) -> int:
        return self.c // self.heads


def load_llama_gguf(path: str | os.PathLike[str], *, positions: int | None = None) -> Graph:
    """Return the graph of a ``.gguf`` file; any fault is a `ModelFileError`.

    ``positions`` limits how long a text may be (and how large the tables of angles are); None takes
    the file's own limit.

    >>> load_llama_gguf("no such file")
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: no such file: cannot read: No such file or \
directory; give the path of a .gguf file that this user may read
    """
    try:
        return llama_graph(read_gguf(path), path=str(path), positions=positions)
    except GgufError as error:
        raise ModelFileError(str(error)) from error


def prompt(ids: ArrayLike) -> dict[str, NDArray[np.int32]]:
    """Return the inputs for one text of token ``ids``, or several of equal length, (N, T).

    >>> prompt([5, 6])["position_ids"].tolist()
    [[0, 1]]
    """
    tokens = np.atleast_2d(np.asarray(ids, np.int32))
    positions = np.arange(tokens.shape[1], dtype=np.int32)
    return {
        "input_ids": tokens,
        "position_ids": np.broadcast_to(positions, tokens.shape).copy(),
    }


def llama_graph(gguf: GgufFile, *, path: str, positions: int | None) -> Graph:
    """Return the graph of what `read_gguf` read; ``path`` is what errors call it.

    >>> llama_graph(GgufFile(3, "little", 32, {}, {}), path="f", positions=None)
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: f: general.architecture must be 'llama', got \
None; this loader reads no other
    """
    s = _sizes(gguf, path, positions)
    file = Tensors(path, {name: tensor.decode() for name, tensor in gguf.tensors.items()})
    b = Builder("llama")
    ids = b.input("input_ids", ("N", "T"), dtype="int32")
    places = b.input("position_ids", ("N", "T"), dtype="int32")
    embedding = file.take("token_embd.weight", (s.vocabulary, s.c))
    x = b.node("Gather", [b.constant("token_embd.weight", embedding), ids], name="token_embd")
    cos, sin = _angles(s)
    angles = (b.constant("rope/cos", cos), b.constant("rope/sin", sin), places)
    for i in range(s.blocks):
        x = _attention(b, file, x, angles, s, f"blk.{i}")
        x = _feed_forward(b, file, x, s, f"blk.{i}")
    x = _norm(b, file, x, s, "output_norm")
    tied = "output.weight" not in file.arrays
    head = embedding if tied else file.take("output.weight", (s.vocabulary, s.c))
    y = b.node("MatMul", [x, b.constant("output.weight", head.T.copy())], name="logits")
    meta = {"source": str(gguf.metadata.get("general.name", "")), "tied_embeddings": tied}
    return b.graph([y], meta=meta)


def _sizes(gguf: GgufFile, path: str, positions: int | None) -> _Sizes:
    architecture = gguf.metadata.get("general.architecture")
    if architecture != "llama":
        raise ModelFileError(
            f"{path}: general.architecture must be 'llama', got {architecture!r}; this loader "
            "reads no other"
        )

    def number(key: str) -> Any:
        value = gguf.metadata.get(f"llama.{key}")
        if not isinstance(value, np.number | int | float) or not 0 < value < 2**31:
            raise ModelFileError(f"{path}: llama.{key} must be a number > 0, got {value!r:.60}")
        return value.item() if isinstance(value, np.number) else value

    limit = int(number("context_length"))
    s = _Sizes(
        blocks=int(number("block_count")),
        c=int(number("embedding_length")),
        wide=int(number("feed_forward_length")),
        heads=int(number("attention.head_count")),
        kv_heads=int(number("attention.head_count_kv")),
        positions=min(limit, positions or limit),
        base=float(number("rope.freq_base")),
        epsilon=float(number("attention.layer_norm_rms_epsilon")),
        vocabulary=int(number("vocab_size")),
    )
    turned = gguf.metadata.get("llama.rope.dimension_count", s.head)
    if s.c % s.heads or s.heads % s.kv_heads or s.head % 2 or turned != s.head:
        raise ModelFileError(
            f"{path}: heads must divide {s.c}, key heads the heads, and all of a head be turned, "
            f"got {s.heads}, {s.kv_heads}, {turned}"
        )
    return s


def _angles(s: _Sizes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Eq. (1)."""
    speed = s.base ** (-np.arange(0, s.head, 2, dtype=np.float64) / s.head)
    angle = np.arange(s.positions, dtype=np.float64)[:, None] * speed
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _linear(b: Builder, file: Tensors, x: str, size: tuple[int, int], name: str) -> str:
    return linear(b, file, x, size, weight=f"{name}.weight", bias=None, name=name)


def _norm(b: Builder, file: Tensors, x: str, s: _Sizes, name: str) -> str:
    scale = f"{name}.weight"
    return rms_norm(b, file, x, s.c, scale=scale, epsilon=float(np.float32(s.epsilon)), name=name)


def _attention(
    b: Builder, file: Tensors, x: str, angles: tuple[str, str, str], s: _Sizes, name: str
) -> str:
    y = _norm(b, file, x, s, f"{name}.attn_norm")
    width = s.kv_heads * s.head
    q = _linear(b, file, y, (s.c, s.c), f"{name}.attn_q")
    k = _linear(b, file, y, (width, s.c), f"{name}.attn_k")
    v = _linear(b, file, y, (width, s.c), f"{name}.attn_v")
    turned = [
        b.node(
            "RotaryEmbedding",
            [part, *angles],
            attributes={"interleaved": 1, "num_heads": heads},
            name=f"{part}/rope",
        )
        for part, heads in ((q, s.heads), (k, s.kv_heads))
    ]
    counts = {"q_num_heads": s.heads, "kv_num_heads": s.kv_heads, "is_causal": 1}
    y = b.node("Attention", [*turned, v], attributes=counts, name=f"{name}.attn")
    y = _linear(b, file, y, (s.c, s.c), f"{name}.attn_output")
    return b.node("Add", [x, y], name=f"{name}.attn_residual")


def _feed_forward(b: Builder, file: Tensors, x: str, s: _Sizes, name: str) -> str:
    y = _norm(b, file, x, s, f"{name}.ffn_norm")
    gate = _linear(b, file, y, (s.wide, s.c), f"{name}.ffn_gate")
    up = _linear(b, file, y, (s.wide, s.c), f"{name}.ffn_up")
    gate = b.node("Swish", [gate], name=f"{name}.ffn_swish")
    y = _linear(
        b,
        file,
        b.node("Mul", [gate, up], name=f"{name}.ffn_mul"),
        (s.c, s.wide),
        f"{name}.ffn_down",
    )
    return b.node("Add", [x, y], name=f"{name}.ffn_residual")
