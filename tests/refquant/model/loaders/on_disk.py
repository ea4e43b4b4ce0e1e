"""The models of `tiny` as files, each as its own world writes it."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from refquant.formats.gguf import gguf_bytes
from tests.refquant.model.loaders import tiny

CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "num_attention_heads": 2,
    "layer_norm_eps": 1e-12,
}
_KINDS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def ctranslate2(arrays: dict[str, NDArray[Any]], *, spec: str = "WhisperSpec") -> bytes:
    parts = [struct.pack("<I", 6), _text(spec), struct.pack("<II", 3, len(arrays))]
    for name, array in arrays.items():
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        kind = struct.pack("<BI", _KINDS[array.dtype.name], array.nbytes)
        parts += [_text(name), shape, kind, array.tobytes()]
    return b"".join(parts) + struct.pack("<I", 0)


def _text(name: str) -> bytes:
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def minilm(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "model.safetensors").write_bytes(save(tiny.minilm_arrays(), {"format": "pt"}))
    return folder


def whisper(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(ctranslate2(tiny.whisper_arrays()))
    return folder


def llama(path: Path) -> Path:
    file = tiny.llama_file()
    path.write_bytes(gguf_bytes(file.metadata, file.tensors.values()))
    return path


def g2p(path: Path) -> Path:
    with path.open("wb") as file:
        np.savez(file, **tiny.g2p_arrays())  # type: ignore[arg-type]  # no array is allow_pickle
    return path
