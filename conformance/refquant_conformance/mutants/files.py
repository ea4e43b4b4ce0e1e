"""Planted bugs of loaders that believe what a file says, and of models that are saved."""

import importlib
import pickle
from collections.abc import Callable

import numpy as np

from refquant_conformance.mutants.loaders import taken
from refquant_conformance.mutants.mutant import Host, Mutant, Run
from refquant_conformance.properties.files_contents import bad_graphs, bad_parameters
from refquant_conformance.properties.files_readers import variants
from refquant_conformance.properties.rq_files import long_row
from refquant_conformance.protocol import Case, Rejected, Result

__all__ = ["MUTANTS"]

Change = Callable[[Case, Run], Result]


def _one_of(files: Callable[[str], dict[str, bytes]], scheme: str, words: str) -> Change:
    """Return the reference that takes those of ``files`` whose name holds ``words``."""
    wanted = frozenset(data for what, data in files(scheme).items() if words in what)
    return taken(lambda data: data in wanted)


def _too_long(data: bytes) -> bool:
    return data == long_row((2**31 - 1) // (255 * 127) + 1)


def _follows(data: bytes) -> bool:
    """Read external weights from wherever the file says that they are."""
    try:
        model = importlib.import_module("onnx").ModelProto.FromString(data)
    except Exception:  # not a model at all
        return False
    places = [entry.value for t in model.graph.initializer for entry in t.external_data]
    return any(place.startswith("/") and "secret" in place for place in places[:1])


def _unpickles(case: Case, honest: Run) -> Result:
    """Try an old format first, which is a pickle."""
    try:
        pickle.loads(case.inputs["x"].tobytes())
    except Exception:  # no pickle
        return honest(case)
    return honest(case)


def _order(case: Case, honest: Run) -> Result:
    """Want tensors in the order of their data."""
    if case.inputs["x"].tobytes() == variants("safetensors")["the other order"]:
        raise Rejected("tensors are not in order")
    return honest(case)


def _appends(case: Case, honest: Run) -> Result:
    """Add eight bytes with every time that a file is written."""
    y = honest(case).outputs["y"]
    return Result({"y": np.concatenate([y, np.zeros(8, np.uint8)])})


def _forgotten(case: Case, honest: Run, host: Host) -> Result:
    """Write the model without the zero point of the output."""
    y = honest(case).outputs["y"]
    if not host.reloaded:
        return Result({"y": y})
    shifted = y.astype(np.int64) - int(case.inputs["y_zero_point"])
    return Result({"y": np.clip(shifted, 0, 255).astype(np.uint8)})


def _loader(name: str, sentence: str, killer: str, run: Change, scheme: str) -> Mutant:
    return Mutant(name, sentence, "3.4", killer, "load", (scheme,), run)


MUTANTS = (
    _loader("scale_of_zero", "a scale of zero is taken", "F-09",
            _one_of(bad_parameters, "rq", "scale 0"), "rq"),
    _loader("zero_point_beyond", "a zero point may be any number", "F-09",
            _one_of(bad_parameters, "tflite", "zero point"), "tflite"),
    _loader("sum_not_proved", "nobody counts how large a sum may be", "F-10", taken(_too_long),
            "rq"),
    _loader("cycle", "a cycle is not looked for", "F-11",
            _one_of(bad_graphs, "onnx", "a cycle"), "onnx"),
    _loader("divides_by_zero", "a stride of zero is taken", "F-11",
            _one_of(bad_graphs, "rq", "strides"), "rq"),
    _loader("follows_paths", "external data is read from any place", "F-12", taken(_follows),
            "onnx"),
    _loader("unpickles", "a pickle is tried first", "F-13", _unpickles, "gguf"),
    _loader("wants_order", "tensors must come in the order of their data", "F-16", _order,
            "safetensors"),
    Mutant("grows", "a file is longer each time that it is written", "3.3", "F-08", "save",
           ("rq",), _appends),
    Mutant("zero_point_lost", "a saved model has lost its zero point", "2.8", "X-17",
           "qlinear_matmul", ("u8_i8",), hosted=_forgotten),
)  # fmt: skip
