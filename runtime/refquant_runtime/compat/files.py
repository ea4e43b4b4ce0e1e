"""What a script passes as a model: the path or the bytes of a ``.rq`` file, or what is none."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from refquant_runtime.errors import InputError
from refquant_runtime.session import Session

__all__ = ["open_session"]

_OTHERS = {".onnx": "ONNX", ".ort": "ONNX", ".tflite": "TFLite", ".gguf": "GGUF"}


def open_session(
    path: str | os.PathLike[str] | None, content: bytes | None, threads: int | None
) -> Session:
    """Return a session of the file ``path``, or of the bytes ``content``.

    Models of other formats are refused, with what makes a ``.rq`` file of them.

    >>> open_session("model.onnx", None, 1)
    Traceback (most recent call last):
    ...
    refquant_runtime.errors.InputError: model.onnx: is an ONNX model; make a .rq file of it with \
`refquant import model.onnx -o model.rq`, where refquant is installed
    """
    if content is not None:
        return _of_bytes(content, threads)
    assert path is not None, "the caller has one of both"
    file = Path(path)
    kind = _OTHERS.get(file.suffix.lower()) or _kind(file)
    if kind:
        raise InputError(
            f"{file}: is {'an' if kind[0] == 'O' else 'a'} {kind} model; make a .rq file of it "
            f"with `refquant import {file.name} -o {file.stem}.rq`, where refquant is installed"
        )
    return Session(file, threads=threads)


def _kind(file: Path) -> str:
    """Return what the first bytes say, whatever the name: a ``.tflite`` has a mark."""
    try:
        with file.open("rb") as stream:
            head = stream.read(8)
    except OSError:  # the session has the better words
        return ""
    return "TFLite" if head[4:] == b"TFL3" else "GGUF" if head[:4] == b"GGUF" else ""


def _of_bytes(content: bytes, threads: int | None) -> Session:
    if content[4:8] == b"TFL3" or content[8:9] != b"{":
        raise InputError(
            f"{len(content)} bytes: are no .rq file; make one of the model with `refquant "
            "import MODEL -o model.rq`, where refquant is installed"
        )
    descriptor, name = tempfile.mkstemp(suffix=".rq")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return Session(name, threads=threads)
    finally:
        with suppress(OSError):  # a system that keeps open files: it goes with the others there
            os.unlink(name)
