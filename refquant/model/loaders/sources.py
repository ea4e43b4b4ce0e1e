"""Whatever a path leads to, as a graph: the file's own bytes say which loader it is for.

::

    {"__metadata__": {"format": "refquant/...      rq               the graph itself
    u64 length | {                                 bert             BERT, MiniLM: safetensors
    GGUF                                           llama            Llama, SmolLM2: GGUF
    u32 version | u16 | ...Spec                    whisper          Whisper: CTranslate2; 2 parts
    PK, an entry enc_emb.npy                       g2p              letters to phonemes; 2 parts
    u32 offset | TFL3                              tflite           TFLite: keeps its int8 codes
    a protobuf, which has no mark: its name        onnx             ONNX: keeps its codes, too

A folder stands for the one such file in it. The name is asked only where the bytes are of nobody
(a file cut short, no file at all), so that the error comes from the loader that the name promises.

A graph that was imported says so in its ``meta["imported"]``: file, SHA-256, loader, part. So a
model quantized from its source and one quantized from the imported `.rq` file are the same bytes.

Left out: pickles, which are programs.
"""

import hashlib
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from refquant.model.graph import Graph
from refquant.model.loaders.tensors import ModelFileError
from refquant.model.rq import read_rq

__all__ = ["PARTS", "Source", "find_source", "open_model", "open_source"]

PARTS: Mapping[str, tuple[str, ...]] = {
    "rq": (),
    "bert": (),
    "llama": (),
    "whisper": ("encoder", "decoder"),
    "g2p": ("encoder", "decoder"),
    "tflite": (),
    "onnx": (),
}
"""Loader to the parts of what it reads; none where the file is one graph."""

_SUFFIXES = {
    ".rq": "rq",
    ".safetensors": "bert",
    ".gguf": "llama",
    ".npz": "g2p",
    ".tflite": "tflite",
    ".onnx": "onnx",
}
_IN_FOLDERS = ("model.safetensors", "model.bin", "*.gguf", "checkpoint*.npz")
_KNOWN = (
    "it reads .rq, .tflite, .onnx, model.safetensors of a BERT, .gguf of a Llama, model.bin of a "
    "CTranslate2 Whisper, .npz of g2p-en, and a folder with one of these"
)
_HEADER = 100_000_000  # bytes of a safetensors header that are looked at


@dataclass(frozen=True, slots=True)
class Source:
    """A model on the disk: the ``path`` that was given, its ``file`` of weights, and the loader."""

    path: str
    file: Path
    loader: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, one of which has to be chosen; none where there is nothing to choose."""
        return PARTS[self.loader]


def open_model(
    path: str | os.PathLike[str], *, part: str | None = None, contract: str | None = None
) -> Graph:
    """Return the graph that ``path``, a file or a folder, holds; ``part`` where it holds several.

    ``contract``: of TFLite, whose arithmetic it is, xnnpack unless another is named.

    `ValueError` (`RqFormatError` of a `.rq` file, `ModelFileError` else) says what is wrong.

    >>> open_model("model.onnx")
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: model.onnx: cannot be read: No such file or \
directory; give another path
    """
    return open_source(find_source(path), part=part, contract=contract)


def open_source(
    source: Source,
    *,
    part: str | None = None,
    contract: str | None = None,
    onnx: Mapping[str, Any] | None = None,
) -> Graph:
    """Return the graph ``part`` of a source, or its only one, as `open_model`.

    ``onnx``: of ONNX, what else `import_onnx` is told: shapes, fixed inputs, states.

    >>> open_source(Source("whisper", Path("model.bin"), "whisper"))
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: whisper: holds the parts 'encoder', 'decoder'; \
choose one (--part)
    """
    if part is None and source.parts:
        raise ModelFileError(f"{source.path}: holds the parts {_list(source)}; choose one (--part)")
    if part is not None and part not in source.parts:
        has = f"has no part {part!r}, but {_list(source)}; choose one of these"
        one = f"is one graph without a part {part!r}; leave --part away"
        raise ModelFileError(f"{source.path}: {has if source.parts else one}")
    if contract is not None and source.loader != "tflite":
        raise ModelFileError(f"{source.path}: only TFLite models take a contract; leave it away")
    if any((onnx or {}).values()) and source.loader != "onnx":
        raise ModelFileError(f"{source.path}: only ONNX models take sizes, numbers and states of "
                             "inputs; leave these options away")  # fmt: skip
    if source.loader == "rq":
        return read_rq(source.file)
    graphs = _load(source, contract, onnx or {})
    graph = graphs[source.parts.index(part) if part else 0]
    with source.file.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    told = {"file": source.file.name, "sha256": digest, "loader": source.loader, "part": part}
    return replace(graph, meta={**graph.meta, "imported": told})


def find_source(path: str | os.PathLike[str]) -> Source:
    """Return which file holds the model, and which loader it is for; nothing is loaded yet.

    >>> find_source("some.gguf").loader  # by its name: there is no such file
    'llama'
    """
    given, file = os.fspath(path), Path(path)
    try:
        if file.is_dir():
            file = _within(file)
        loader = _by_content(given, file) if file.is_file() else None
    except (OSError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"{given}: cannot be read: {reason}; give another path") from error
    suffix = file.suffix.lower()
    loader = loader or _SUFFIXES.get(suffix)
    if loader is None and not os.path.lexists(file):
        raise ModelFileError(f"{given}: no such file or folder; give the path of a model")
    if loader is None:
        raise ModelFileError(f"{given}: is no model that this version reads; {_KNOWN}")
    return Source(given, file, loader)


def _within(folder: Path) -> Path:
    """Return the one file of ``folder`` that holds a model."""
    found = sorted({file for name in _IN_FOLDERS for file in folder.glob(name) if file.is_file()})
    if len(found) == 1:
        return found[0]
    has = ", ".join(file.name for file in found[:4]) or "no model.safetensors, model.bin or .gguf"
    raise ModelFileError(f"{folder}: the folder has {has}; give the path of the model's file")


def _by_content(path: str, file: Path) -> str | None:
    """Return the loader of what the bytes say; None where they say nothing."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(64)
        length = int.from_bytes(head[:8], "little")
        if head[8:9] == b"{" and length <= min(size - 8, _HEADER):
            stream.seek(8)
            ours = re.search(rb'"format"\s*:\s*"refquant/', stream.read(length))
            return "rq" if ours else "bert"
    if head[:4] == b"GGUF":
        return "llama"
    spec = head[6 : 6 + int.from_bytes(head[4:6], "little")]
    if re.fullmatch(rb"\w+Spec\0", spec):
        if spec != b"WhisperSpec\0":
            told = spec[:-1].decode("ascii", "replace")
            raise ModelFileError(
                f"{path}: must be a CTranslate2 WhisperSpec, got {told!r}; give another model"
            )
        return "whisper"
    if head[4:8] == b"TFL3":
        return "tflite"
    if head[:2] == b"PK":
        return _of_zip(path, file)
    return None


def _of_zip(path: str, file: Path) -> str | None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return None
    if any(name.endswith(".pkl") for name in names):
        raise ModelFileError(
            f"{path}: is a pickle of PyTorch, which is a program; save the weights as safetensors"
        )
    if names and all(name.endswith(".npy") for name in names) and "enc_emb.npy" not in names:
        raise ModelFileError(f"{path}: is an .npz of other arrays than g2p-en's; give a model")
    return "g2p" if "enc_emb.npy" in names else None


def _load(source: Source, contract: str | None, onnx: Mapping[str, Any]) -> tuple[Graph, ...]:
    """Return the graphs of a file; its loader is imported here, for most models are `.rq` files."""
    file = source.file
    if source.loader == "onnx":
        return (_onnx(file, onnx),)
    if source.loader == "tflite":
        from refquant.model.importers.tflite import import_tflite

        return (import_tflite(file, contract=contract or "xnnpack"),)
    if source.loader == "bert":
        from refquant.model.loaders.minilm import load_minilm

        return (load_minilm(file),)
    if source.loader == "llama":
        from refquant.model.loaders.smollm2_gguf import load_llama_gguf

        return (load_llama_gguf(file),)
    if source.loader == "whisper":
        from refquant.model.loaders.whisper_ct2 import load_whisper

        return load_whisper(file)
    from refquant.model.loaders.g2p_gru import load_g2p

    return load_g2p(file)


def _onnx(file: Path, told: Mapping[str, Any]) -> Graph:
    from refquant.model.importers.onnx_import import import_onnx  # here, as in `_load`

    try:
        return import_onnx(file, **told)
    except OSError as error:
        reason = error.strerror or error
        raise ModelFileError(f"{file}: cannot be read: {reason}; give another path") from error
    except (ValueError, ModuleNotFoundError) as error:
        raise ModelFileError(f"{file}: {error}") from error


def _list(source: Source) -> str:
    return ", ".join(map(repr, source.parts))
