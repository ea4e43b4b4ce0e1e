"""F-12 and F-13: a file is data; it names no other files that are read, and runs nothing.

Left out of F-12: links and files that are replaced between a check and a read, which need a folder
of the loader's own (``properties/elsewhere.py`` names the tests).

References
----------
ONNX, "External data"; Python documentation, ``pickle`` (warning on top).
"""

import json
import os
import secrets
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from refquant.formats.gguf import gguf_bytes, plain_tensor
from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.answers import Answer
from refquant_conformance.properties.files import file_case
from refquant_conformance.properties.registry import prop
from refquant_conformance.properties.rq_files import edited, seed_of
from refquant_conformance.trial import Trial

__all__ = ["external", "hostile", "pickled"]

_LOAD = ("load",)
_CLAUSE = "protocol of this suite: a file is read, and nothing in it is executed or followed"


def external(location: str) -> bytes:
    """Return a model whose four weights lie in another file; no bytes without ``onnx``."""
    try:
        from onnx import ModelProto, TensorProto
    except ModuleNotFoundError:
        return b""
    model = ModelProto.FromString(seed_file("onnx"))
    weights = model.graph.initializer[0]
    weights.ClearField("float_data")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    return bytes(model.SerializeToString())


@prop("F-12", "no_path_escape", ops=_LOAD, clause=_CLAUSE, catches="3.2")
def paths(trial: Trial) -> None:
    """Weights that are said to lie in a file anywhere on the machine are refused."""
    if trial.scheme != "onnx" or not seed_file("onnx"):
        trial.skip("the format names no other files, or its package is not here to write one")
    with tempfile.TemporaryDirectory(prefix="refquant-secret-") as folder:
        secret = Path(folder) / "secret"
        secret.write_bytes(struct.pack("<4f", 1, 2, 3, 4))
        up = "../" * 24 + str(secret).lstrip("/")
        places = (str(secret), up, f"./{up}", f"file://{secret}", "/dev/zero", "")
        cases = [file_case("onnx", external(place)) for place in places]
        for place, case, answer in zip(places, cases, trial.ask_all(cases), strict=True):
            if answer.result is not None:
                trial.fail(case, f"weights in {place or 'no file'}: taken")


def pickled(folder: str) -> bytes:
    """Return a pickle that makes a folder when it is read."""
    return f"cos\nmkdir\n(V{folder}\ntR.".encode()


def hostile(scheme: str) -> list[bytes]:
    """Return valid files whose names and texts look like paths, code and templates."""
    code, path = "__import__('os').system('true')", "../../../etc/passwd"
    template = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    if scheme == "gguf":
        texts = {"tokenizer.chat_template": template, "general.url": f"file:///{path}", code: code}
        tensor = plain_tensor(path, np.zeros((1, 32), np.float32))
        return [gguf_bytes(texts, [tensor])]
    if scheme == "safetensors":
        data = struct.pack("<2f", 1, 2)
        tensor_of = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
        text = json.dumps({"__metadata__": {"format": code, code: template}, path: tensor_of})
        return [struct.pack("<Q", len(text)) + text.encode() + data]
    if scheme == "rq":
        return [edited(seed_of("qlinear_matmul"), _named(name)) for name in (code, path, template)]
    return []


def _named(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda graph: graph.update(name=name)


def _events(answers: list[Answer]) -> set[str]:
    return {event for answer in answers for event in answer.mutated}


@prop("F-13", "no_exec", ops=_LOAD, clause=_CLAUSE, catches="3.1")
def executes_nothing(trial: Trial) -> None:
    """No file makes the loader run code, start a process, or open what it was not given."""
    seed = seed_file(trial.scheme)
    folder = f"{tempfile.gettempdir()}/refquant-{secrets.token_hex(8)}"
    broken = [seed[: len(seed) // 2], b"no file at all"]
    quiet = [file_case(trial.scheme, data) for data in (seed, *broken) for _ in range(2)]
    trial.ask_all(quiet)  # what is imported once, is imported now
    usual = _events(trial.ask_all(quiet))
    payload = pickled(folder)
    files = [*hostile(trial.scheme), payload, seed + payload, payload + seed]
    for data in files:
        case = file_case(trial.scheme, data)
        unusual = sorted(_events(trial.ask_all([case])) - usual)
        if os.path.isdir(folder):
            os.rmdir(folder)
            trial.fail(case, "a pickle in the file was executed")
        if unusual:
            trial.fail(case, f"while loading, unlike with other files: {', '.join(unusual[:4])}")
