"""onnxruntime, the CPU provider: each operator as a model of one node, or of a float node in pairs.

====================  =========================================================================
``onnxruntime``       QuantizeLinear, MatMulInteger, QLinear* ..., on codes (``direct``)
``onnxruntime:qdq``   the float operator between DequantizeLinear and QuantizeLinear (``pairs``)
====================  =========================================================================

With ``graph_optimization=all`` the session may fuse what stands between pairs into an operator on
codes; with ``none`` it computes floats. What was left after that is in the provenance of an answer.

Scales and zero points are fed in the style ``direct``; there, no kernel looks at whether they are
constants. Sessions are kept by model and shapes. Types without a NumPy dtype go in and out as
bytes.

References
----------
onnxruntime 1.32, ``docs/ContribOperators.md``, ``docs/OperatorKernels.md``.
"""

import ctypes
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from refquant_conformance.adapters import BackendError
from refquant_conformance.adapters.engine import Kept, Prepared, computed, cpu_flags, imported
from refquant_conformance.adapters.onnx_cases import STYLES, fed, model_of, named_by, style_of
from refquant_conformance.adapters.onnx_models import (
    ELEMENT_TYPES,
    Model,
    packed,
    program,
    serialized,
    unpacked,
)
from refquant_conformance.protocol import (
    Array,
    Capability,
    Case,
    Info,
    Rejected,
    Result,
    Unsupported,
)
from refquant_conformance.types import storage

__all__ = ["OnnxRuntime"]

_LEVELS = {"all": "ORT_ENABLE_ALL", "none": "ORT_DISABLE_ALL"}
_NATIVE = frozenset(("float16", "float32", "float64", "uint8", "int8", "uint16", "int16", "int32"))


@dataclass(frozen=True, slots=True)
class _Session:
    """A session, and the operators that are left in it."""

    session: Any
    operators: str


class OnnxRuntime:
    """onnxruntime's CPU provider. ``MissingBackendError`` if it or onnx is not installed."""

    protocol = 1

    def __init__(self, setting: str = "") -> None:
        """Take the style."""
        self._ort = imported("onnxruntime", "onnxruntime")
        self._onnx = imported("onnx", "onnxruntime")
        self._style, self._name = style_of("onnxruntime", setting), named_by("onnxruntime", setting)
        self._level, self._threads = "all", 1
        self._sessions: Kept[_Session] = Kept(512)

    def configure(self, graph_optimization: str = "all", threads: int = 1) -> None:
        """Set how far graphs are rewritten, and how many threads compute one operator."""
        if graph_optimization not in _LEVELS:
            raise BackendError(f"graph_optimization must be all or none, got {graph_optimization}")
        self._level, self._threads = graph_optimization, int(threads)

    def info(self) -> Info:
        """Say which version this is."""
        details = {"provider": "CPUExecutionProvider", "style": self._style, "cpu": cpu_flags()}
        knobs: Mapping[str, tuple[str | int, ...]] = {
            "graph_optimization": ("all", "none"),
            "threads": (1, 2),
        }
        return Info(self._name, version("onnxruntime"), knobs, {**details, "onnx": version("onnx")})

    def capabilities(self) -> Iterable[Capability]:
        """List every cell whose sample a session computes."""
        return computed(self.run, STYLES[self._style])

    def run(self, case: Case) -> Result:
        """Compute in a session for the case's model and shapes."""
        model = model_of(case, style=self._style)
        feeds = fed(model, case)
        shapes = {name: array.shape for name, array in feeds.items()}
        key = (model.key, tuple(shapes.items()))
        return self._ask(self._sessions.get(key, lambda: self._made(model, shapes)), model, case)

    def prepare(self, case: Case) -> Prepared:
        """Return a session with the case's weights, for activations of any length."""
        model = model_of(case, style=self._style)
        ranks = {name: (None,) * case.inputs[name].ndim for name in model.feeds}
        made = self._made(model, ranks)

        def run(other: Case) -> Result:
            again = model_of(other, style=self._style)
            if again.key != model.key:
                raise Unsupported("what was prepared has other weights or parameters")
            return self._ask(made, model, other)

        return Prepared(run)

    def load_bytes(self, file_format: str, data: bytes) -> None:
        """Make a session of a file, and forget it."""
        if file_format != "onnx":
            raise Unsupported(f"onnxruntime loads onnx, not {file_format}")
        try:
            self._ort.InferenceSession(data, self._options(), providers=["CPUExecutionProvider"])
        except Exception as error:  # a pybind11 class a kind of error, all say the file is bad
            raise Rejected(_first(error)) from None

    def repro(self, case: Case) -> str:
        """Return a program that asks the same of onnxruntime alone."""
        model = model_of(case, style=self._style)
        title = f"{case.op} {case.scheme}, onnxruntime {version('onnxruntime')}"
        engine = _ENGINE.format(
            threads=self._threads, level=_LEVELS[self._level], outputs=list(model.outputs)
        )
        return program(model, fed(model, case), title=title, engine=engine)

    def _options(self) -> Any:
        options = self._ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        level = getattr(self._ort.GraphOptimizationLevel, _LEVELS[self._level])
        options.graph_optimization_level = level
        return options

    def _made(self, model: Model, shapes: Mapping[str, Any]) -> _Session:
        options = self._options()
        data = serialized(self._onnx, model, shapes)
        with tempfile.TemporaryDirectory() as folder:
            left = Path(folder, "left.onnx")
            if self._style == "pairs":
                options.optimized_model_filepath = str(left)
            try:
                session = self._ort.InferenceSession(
                    data, options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # a pybind11 class a kind of error
                raise Unsupported(_first(error)) from None
            if not left.exists():
                return _Session(session, " ".join(node.op for node in model.nodes))
            graph = self._onnx.load(str(left)).graph
        return _Session(session, " ".join(node.op_type for node in graph.node))

    def _ask(self, made: _Session, model: Model, case: Case) -> Result:
        feeds = fed(model, case)
        try:
            if {*model.feeds.values(), *model.outputs.values()} <= _NATIVE:
                arrays = made.session.run(list(model.outputs), feeds)
                outputs = dict(zip(model.outputs, arrays, strict=True))
            else:
                outputs = self._ask_in_bytes(made.session, model, feeds)
        except Exception as error:  # a pybind11 class a kind of error
            raise Rejected(_first(error)) from None
        return Result(outputs, {"operators": made.operators, "threads": str(self._threads)})

    def _ask_in_bytes(
        self, session: Any, model: Model, feeds: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Feed and read what has no NumPy dtype, element for element in memory."""
        kind = self._ort.OrtValue
        values = {}
        for name, logical in model.feeds.items():
            data = packed(feeds[name], logical)
            value = kind.ortvalue_from_shape_and_type(feeds[name].shape, ELEMENT_TYPES[logical])
            ctypes.memmove(value.data_ptr(), data, len(data))
            values[name] = value
        outputs = {}
        answers = session.run_with_ort_values(list(model.outputs), values)
        for (name, logical), value in zip(model.outputs.items(), answers, strict=True):
            shape = tuple(value.shape())
            size = len(packed(_empty(logical, shape), logical))
            outputs[name] = unpacked(ctypes.string_at(value.data_ptr(), size), logical, shape)
        return outputs


def _empty(logical: str, shape: tuple[int, ...]) -> Array:
    import numpy as np

    return np.zeros(shape, storage(logical))


def _first(error: Exception) -> str:
    """Return the first line of an error, without the engine's number of its kind."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].rpartition("ErrorCode")[2].strip(" :") if lines else type(error).__name__


_ENGINE = """
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = {threads}
options.graph_optimization_level = ort.GraphOptimizationLevel.{level}
session = ort.InferenceSession(
    model.SerializeToString(), options, providers=["CPUExecutionProvider"]
)
values = {{}}
for name, (kind, shape, data) in feeds.items():
    values[name] = ort.OrtValue.ortvalue_from_shape_and_type(shape, kind)
    ctypes.memmove(values[name].data_ptr(), data, len(data))
for name, value in zip({outputs}, session.run_with_ort_values({outputs}, values)):
    try:
        print(name, value.numpy().dtype, value.numpy().tolist())
    except RuntimeError:  # no NumPy dtype: the bytes, packed
        size = int(np.prod(value.shape()))
        print(name, value.data_type(), ctypes.string_at(value.data_ptr(), size).hex())
"""
