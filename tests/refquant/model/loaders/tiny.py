"""Models of a few hundred weights, of the real architectures: what loaders are tried on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.gguf import GgufFile
from refquant.formats.gguf.tensor import plain_tensor
from refquant.model.loaders.tensors import Tensors

Arrays = dict[str, NDArray[Any]]


def weights(shapes: dict[str, tuple[int, ...]]) -> Arrays:
    rng = np.random.default_rng(0)
    return {n: rng.standard_normal(s).astype(np.float32) / 2 for n, s in shapes.items()}


def minilm_arrays() -> Arrays:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (11, 8),
        "embeddings.token_type_embeddings.weight": (2, 8),
        "embeddings.position_embeddings.weight": (9, 8),
        "embeddings.LayerNorm.weight": (8,),
        "embeddings.LayerNorm.bias": (8,),
    }
    for i in range(2):
        name = f"encoder.layer.{i}"
        linears = {f"attention.self.{part}": (8, 8) for part in ("query", "key", "value")}
        linears |= {"attention.output.dense": (8, 8), "intermediate.dense": (12, 8)}
        linears |= {"output.dense": (8, 12)}
        for part, size in linears.items():
            shapes |= {f"{name}.{part}.weight": size, f"{name}.{part}.bias": size[:1]}
        for part in ("attention.output", "output"):
            shapes |= {f"{name}.{part}.LayerNorm.{p}": (8,) for p in ("weight", "bias")}
    return weights(shapes)


def llama_file(*, tied: bool = True, **changes: Any) -> GgufFile:
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (11, 8), "output_norm.weight": (8,)}
    if not tied:
        shapes["output.weight"] = (11, 8)
    for i in range(2):
        name = f"blk.{i}"
        shapes |= {f"{name}.attn_norm.weight": (8,), f"{name}.ffn_norm.weight": (8,)}
        shapes |= {f"{name}.attn_q.weight": (8, 8), f"{name}.attn_output.weight": (8, 8)}
        shapes |= {f"{name}.attn_k.weight": (4, 8), f"{name}.attn_v.weight": (4, 8)}
        shapes |= {f"{name}.ffn_gate.weight": (12, 8), f"{name}.ffn_up.weight": (12, 8)}
        shapes |= {f"{name}.ffn_down.weight": (8, 12)}
    numbers = {"block_count": 2, "context_length": 10, "embedding_length": 8, "vocab_size": 11}
    numbers |= {"feed_forward_length": 12, "attention.head_count": 2, "attention.head_count_kv": 1}
    metadata: dict[str, Any] = {f"llama.{k}": np.uint32(v) for k, v in numbers.items()}
    metadata |= {
        "general.architecture": "llama",
        "llama.rope.freq_base": np.float32(10000),
        "llama.attention.layer_norm_rms_epsilon": np.float32(1e-5),
    }
    metadata |= changes
    tensors = {name: plain_tensor(name, array) for name, array in weights(shapes).items()}
    kept = {key: value for key, value in metadata.items() if value is not None}
    return GgufFile(3, "little", 32, kept, tensors)


def g2p_arrays() -> Arrays:
    shapes: dict[str, tuple[int, ...]] = {"fc_w": (74, 6), "fc_b": (74,)}
    for part, rows in (("enc", 29), ("dec", 74)):
        shapes |= {f"{part}_emb": (rows, 5), f"{part}_w_ih": (18, 5), f"{part}_w_hh": (18, 6)}
        shapes |= {f"{part}_b_ih": (18,), f"{part}_b_hh": (18,)}
    return weights(shapes)


def whisper_arrays() -> Arrays:
    shapes: dict[str, tuple[int, ...]] = {
        "encoder/conv1/weight": (8, 3, 3),
        "encoder/conv1/bias": (8,),
        "encoder/conv2/weight": (8, 8, 3),
        "encoder/conv2/bias": (8,),
        "encoder/position_encodings/encodings": (5, 8),
        "decoder/embeddings/weight": (11, 8),
        "decoder/position_encodings/encodings": (7, 8),
    }
    for side in ("encoder", "decoder"):
        shapes |= _norm(f"{side}/layer_norm")
        for i in range(2):
            block = f"{side}/layer_{i}"
            parts = {"self_attention": [(24, 8), (8, 8)], "ffn": [(12, 8), (8, 12)]}
            if side == "decoder":
                parts["attention"] = [(8, 8), (16, 8), (8, 8)]
            for part, linears in parts.items():
                shapes |= _norm(f"{block}/{part}/layer_norm")
                for j, size in enumerate(linears):
                    shapes[f"{block}/{part}/linear_{j}/weight"] = size
                    shapes[f"{block}/{part}/linear_{j}/bias"] = size[:1]
    arrays = {name: array.astype(np.float16) for name, array in weights(shapes).items()}
    arrays["decoder/projection/weight"] = arrays["decoder/embeddings/weight"]
    heads = np.array(2, np.int16)
    return {**arrays, "encoder/num_heads": heads, "decoder/num_heads": heads}


def _norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}/gamma": (8,), f"{name}/beta": (8,)}


def without(arrays: Arrays, name: str) -> Tensors:
    return Tensors("m", {k: v for k, v in arrays.items() if k != name})


def with_shape(arrays: Arrays, name: str) -> Tensors:
    """One more element along the last axis of ``name``."""
    wider = np.concatenate([arrays[name], arrays[name][..., :1]], axis=-1)
    return Tensors("m", {**arrays, name: wider})
