"""OpenVINO, the CPU plug-in: reads ONNX, and lowers what stands between Q and DQ to codes itself.

Quantizers and MatMulInteger are models of one node with constant scales and zero points; all else
is the float operator between DequantizeLinear and QuantizeLinear, as its own converter makes it::

    a --> DQ --> MatMul --> Q --> y        becomes        FullyConnected, u8 x i8 -> u8

The knob ``isa`` is oneDNN's limit of instruction sets. It is read once, where the library is
loaded: so nothing is imported before ``configure``. A compiled model is kept by model and shapes;
compiling takes tens of milliseconds. So cases that are announced together are compiled together:
see ``openvino_together``. ``parameters=fed`` makes inputs of the scales and zero points of
quantizers: other kernels, and nothing to compile again.

Left out: types without a NumPy dtype.

References
----------
OpenVINO 2026.4.1, ``src/plugins/intel_cpu``; oneDNN, "CPU dispatcher control".
"""

import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from refquant_conformance.adapters import BackendError, MissingBackendError
from refquant_conformance.adapters.engine import Kept, Prepared, computed, cpu_flags, imported
from refquant_conformance.adapters.onnx_cases import STYLES, fed, model_of
from refquant_conformance.adapters.onnx_models import Model, program, serialized
from refquant_conformance.adapters.openvino_models import Compiled, kernels_of, key_of, last_line
from refquant_conformance.adapters.openvino_together import Asked, Together
from refquant_conformance.protocol import (
    Array,
    Capability,
    Case,
    Info,
    Rejected,
    Result,
    Unsupported,
)

__all__ = ["OpenVino"]

_ISA = {"default": "", "avx2": "AVX2", "avx512_core": "AVX512_CORE"}
_VARIABLE = "ONEDNN_MAX_CPU_ISA"
_ON_CODES = ("quantize_linear", "dequantize_linear", "dynamic_quantize_linear", "matmul_integer")
_NATIVE = frozenset(("float16", "float32", "uint8", "int8", "uint16", "int16", "int32"))


class OpenVino:
    """OpenVINO's CPU plug-in. ``MissingBackendError`` if it or onnx is not installed."""

    protocol = 1

    def __init__(self) -> None:
        """Look whether OpenVINO is there, without importing it."""
        if importlib.util.find_spec("openvino") is None:
            remedy = "pip install 'refquant-conformance[openvino]'"
            raise MissingBackendError(f"openvino is not installed; {remedy}")
        self._onnx = imported("onnx", "openvino")
        self._core: Any = None
        self._isa, self._threads, self._hold = "default", 1, True
        self._kept: Kept[Compiled] = Kept(256)
        self._together = Together(self._made, self._ask)

    def configure(
        self, isa: str = "default", threads: int = 1, parameters: str = "constant"
    ) -> None:
        """Set the instruction sets, the threads, and whether quantizers hold their parameters."""
        if isa not in _ISA:
            raise BackendError(f"isa must be one of {', '.join(_ISA)}; got {isa}")
        if parameters not in ("constant", "fed"):
            raise BackendError(f"parameters must be constant or fed; got {parameters}")
        self._isa, self._threads, self._hold = isa, int(threads), parameters == "constant"
        if _ISA[isa]:
            os.environ[_VARIABLE] = _ISA[isa]

    def info(self) -> Info:
        """Say which version this is."""
        knobs: Mapping[str, tuple[str | int, ...]] = {
            "isa": tuple(_ISA),
            "threads": (1, 2),
            "parameters": ("constant", "fed"),
        }
        details = {"device": "CPU", "cpu": cpu_flags(), "onnx": version("onnx")}
        return Info("openvino", version("openvino"), knobs, details)

    def capabilities(self) -> Iterable[Capability]:
        """List every cell whose sample is compiled and computed."""
        return computed(self.run, (*_ON_CODES, *STYLES["pairs"]))

    def announce(self, cases: Sequence[Case]) -> None:
        """Compute cases that come next, many in one model; what fails so is asked alone later."""
        plain = [case for case in cases if case.layout == "contiguous"]
        self._together.announce([asked for asked in map(self._asked, plain) if asked is not None])

    def run(self, case: Case) -> Result:
        """Compute by a compiled model for the case's model and shapes."""
        model = self._model(case)
        feeds = fed(model, case)
        key = key_of(model, feeds)
        if key not in self._kept.things:
            found = self._together.run(Asked(case.environment, model, feeds))
            if found is not None:
                return found
        shapes = {name: array.shape for name, array in feeds.items()}
        made = self._kept.get(key, lambda: self._made(model, shapes))
        return self._ask(made, model.outputs, feeds)

    def prepare(self, case: Case) -> Prepared:
        """Return a compiled model with the case's weights, for activations of any length."""
        model = self._model(case)
        ranks = {name: (None,) * case.inputs[name].ndim for name in model.feeds}
        made = self._kept.get((model.key, *ranks.items()), lambda: self._made(model, ranks))

        def run(other: Case) -> Result:
            if self._model(other).key != model.key:
                raise Unsupported("what was prepared has other weights or parameters")
            return self._ask(made, model.outputs, fed(model, other))

        return Prepared(run)

    def load_bytes(self, file_format: str, data: bytes) -> None:
        """Read and compile a file, and forget it."""
        if file_format != "onnx":
            raise Unsupported(f"this adapter gives OpenVINO onnx, not {file_format}")
        try:
            core = self._loaded()
            core.compile_model(core.read_model(model=data), "CPU", self._options())
        except (RuntimeError, UnicodeDecodeError) as error:  # its message may be the file
            raise Rejected(last_line(error)) from None

    def repro(self, case: Case) -> str:
        """Return a program that asks the same of OpenVINO alone."""
        model = self._model(case)
        title = f"{case.op} {case.scheme}, OpenVINO {version('openvino')}, isa {self._isa}"
        limit = f'os.environ["{_VARIABLE}"] = "{_ISA[self._isa]}"\n' if _ISA[self._isa] else ""
        engine = _ENGINE.format(limit=limit, options=self._options(), names=list(model.outputs))
        return program(model, fed(model, case), title=title, engine=engine)

    def _model(self, case: Case) -> Model:
        for name in (*case.inputs, "y"):
            if case.types[name] not in _NATIVE:
                raise Unsupported(f"this adapter asks OpenVINO for no {case.types[name]}")
        style = "direct" if case.op in _ON_CODES else "pairs"
        return model_of(case, style=style, hold_parameters=self._hold)

    def _options(self) -> dict[str, Any]:
        """float32 where it computes in floats: the default may be bfloat16."""
        return {"INFERENCE_NUM_THREADS": self._threads, "INFERENCE_PRECISION_HINT": "f32"}

    def _loaded(self) -> Any:
        if self._core is None:
            self._core = imported("openvino", "openvino").Core()
        return self._core

    def _made(self, model: Model, shapes: Mapping[str, Any]) -> Compiled:
        data = serialized(self._onnx, model, shapes)
        core = self._loaded()
        try:
            compiled = core.compile_model(core.read_model(model=data), "CPU", self._options())
        except RuntimeError as error:
            raise Unsupported(last_line(error)) from None
        return Compiled(compiled.create_infer_request(), kernels_of(compiled))

    def _asked(self, case: Case) -> Asked | None:
        """Return the model of a case and what it is fed; None if it is none, or made already."""
        try:
            model = self._model(case)
        except Unsupported:
            return None
        feeds = fed(model, case)
        known = key_of(model, feeds) in self._kept.things
        return None if known else Asked(case.environment, model, feeds)

    def _ask(self, made: Compiled, outputs: Iterable[str], given: Mapping[str, Array]) -> Result:
        feeds = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in given.items()}
        try:
            found = made.request.infer(feeds)
        except RuntimeError as error:
            raise Rejected(last_line(error)) from None
        arrays = {name: np.array(found[name]) for name in outputs}
        return Result(arrays, {"kernels": made.kernels, "isa": self._isa})


_ENGINE = """
import os

{limit}import openvino

core = openvino.Core()
compiled = core.compile_model(core.read_model(model=model.SerializeToString()), "CPU", {options})
arrays = {{
    name: onnx.numpy_helper.to_array(helper.make_tensor(name, kind, shape, data, raw=True))
    for name, (kind, shape, data) in feeds.items()
}}
found = compiled.create_infer_request().infer(arrays)
for name in {names}:
    print(name, found[name].dtype, found[name].tolist())
"""
