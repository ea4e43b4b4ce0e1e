"""F-08 and F-16: files that are written again, and files beside other readers.

References
----------
``docs/spec/rq-format.md`` (one file a model); safetensors, "Format"; GGUF specification.
"""

import importlib
import io
import json
import struct
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from refquant.formats.gguf import gguf_bytes, plain_tensor
from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.operators import types_of
from refquant_conformance.properties.files import file_case
from refquant_conformance.properties.files_contents import bad_graphs
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial

__all__ = ["READERS", "variants"]

_ONE_FORM = ("rq",)  # formats whose text leaves a writer no choice


def _save_case(scheme: str, data: bytes) -> Case:
    x = np.frombuffer(data, np.uint8)
    return Case("save", scheme, {"x": x}, {}, types=types_of("save", scheme))


@prop("F-08", "roundtrip_canonical", ops=("save",), catches="3.3",
      clause="docs/spec/rq-format.md: a model has one file")  # fmt: skip
def canonical(trial: Trial) -> None:
    """What is read and written again stays as it is, and loses nothing of any tensor."""
    seed = seed_file(trial.scheme)
    files = {"the seed": seed, **variants(trial.scheme)}
    for what, data in files.items():
        case = _save_case(trial.scheme, data)
        once = trial.outputs(case)["y"].tobytes()
        if trial.scheme in _ONE_FORM and once != data:
            trial.fail(case, f"{what} is written as another file")
        again = _save_case(trial.scheme, once)
        if trial.outputs(again)["y"].tobytes() != once:
            trial.fail(again, f"{what} is written a second time as another file than the first")
        for numbers in _numbers(trial.scheme):
            if numbers in data and numbers not in once:
                trial.fail(case, f"{what}: {len(numbers)} bytes of a tensor are lost")


def _numbers(scheme: str) -> list[bytes]:
    """Return the data of tensors of the seeds."""
    if scheme == "gguf":
        return [np.arange(64, dtype=np.float32).tobytes()]
    if scheme == "safetensors":
        return [np.arange(4, dtype=np.float32).tobytes()]
    return [np.arange(1, 5, dtype=np.float32).tobytes()] if scheme == "onnx" else []


def variants(scheme: str) -> dict[str, bytes]:
    """Return files that are valid, and unlike the seed: another order, alignment, nothing at all.

    >>> sorted(variants("safetensors"))
    ['a header of spaces', 'an empty tensor', 'the other order']
    """
    if scheme == "gguf":
        row = plain_tensor("only", np.arange(32, dtype=np.float32).reshape(1, 32))
        return {
            "no tensor": gguf_bytes({"general.architecture": "none"}, []),
            "one tensor": gguf_bytes(
                {"general.architecture": "none", "k": np.full(1, 7, np.int32)}, [row]
            ),
            "alignment 64": gguf_bytes({"general.alignment": np.uint32(64)}, [row]),
        }
    if scheme == "safetensors":
        one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
        two = {"dtype": "U8", "shape": [2, 2], "data_offsets": [4, 8]}
        none = {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]}
        return {
            "the other order": _tensors(json.dumps({"b": two, "a": one}), bytes(8)),
            "an empty tensor": _tensors(json.dumps({"n": none}), b""),
            "a header of spaces": _tensors(json.dumps({"a": one}) + " " * 40, bytes(4)),
        }
    return {}


def _tensors(header: str, data: bytes) -> bytes:
    text = header.encode()
    return struct.pack("<Q", len(text)) + text + data


def _gguf(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="refquant-") as folder:
        path = Path(folder) / "read.gguf"
        path.write_bytes(data)
        for tensor in importlib.import_module("gguf").GGUFReader(path).tensors:
            tensor.data.tobytes()


def _safetensors(data: bytes) -> None:
    importlib.import_module("safetensors.numpy").load(data)


def _onnx(data: bytes) -> None:
    onnx = importlib.import_module("onnx")
    onnx.checker.check_model(onnx.load(io.BytesIO(data)))


READERS: Mapping[str, Callable[[bytes], None]] = MappingProxyType(
    {"gguf": _gguf, "safetensors": _safetensors, "onnx": _onnx}
)
"""What reads a format in the package that defines it; anything raised is a refusal."""


def _by_package(scheme: str, data: bytes) -> bool | None:
    """Return whether the package that defines a format takes a file; None if it is not here."""
    try:
        READERS[scheme](data)
    except ModuleNotFoundError:
        return None
    except Exception:  # parsers raise anything
        return False
    return True


@prop("F-16", "differential_parse", ops=("load",), catches="3.5",
      clause="gguf, safetensors and onnx: the packages that define the formats")  # fmt: skip
def beside_others(trial: Trial) -> None:
    """What the package of a format takes is taken; where else they disagree is told."""
    if trial.scheme not in READERS or _by_package(trial.scheme, seed_file(trial.scheme)) is None:
        trial.skip("no package defines the format, or it is not installed")
    files = {"the seed": seed_file(trial.scheme), **variants(trial.scheme)}
    wrong = {**bad_graphs(trial.scheme), **_damaged(trial)}
    cases = [file_case(trial.scheme, data) for data in (*files.values(), *wrong.values())]
    answers = trial.ask_all(cases)
    differing = []
    for what, case, answer in zip((*files, *wrong), cases, answers, strict=True):
        ours, theirs = (
            answer.result is not None,
            _by_package(trial.scheme, case.inputs["x"].tobytes()),
        )
        if what in files and theirs and not ours:
            trial.fail(case, f"{what} is valid by its package, and is refused: {answer.reason}")
        if ours != theirs:
            differing.append(f"{what} ({'taken' if ours else 'refused'} here)")
    if differing:
        trial.notes["Readers"] = "; ".join(differing[:4])


def _damaged(trial: Trial) -> dict[str, bytes]:
    """Return files with one byte changed, the same for every seed."""
    data, rng = seed_file(trial.scheme), np.random.default_rng(16)
    made = {}
    for at in rng.integers(0, min(len(data), 256), 24).tolist():
        made[f"byte {at} changed"] = data[:at] + bytes([data[at] ^ 0x11]) + data[at + 1 :]
    return made
