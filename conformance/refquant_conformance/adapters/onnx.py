"""onnx's own ReferenceEvaluator: the specification's authors, in NumPy.

====================  =========================================================================
``onnx``              QuantizeLinear, MatMulInteger, QLinearMatMul, QLinearConv (``direct``)
``onnx:qdq``          the float operator between DequantizeLinear and QuantizeLinear (``pairs``)
====================  =========================================================================

It keeps no state and packs nothing. Codes below a byte and small floats are arrays of ml_dtypes.

References
----------
onnx 1.23, ``onnx/reference/ops``.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from refquant_conformance.adapters.engine import Kept, computed, imported, openblas_kernels
from refquant_conformance.adapters.onnx_cases import STYLES, fed, model_of, named_by, style_of
from refquant_conformance.adapters.onnx_models import Model, program, serialized
from refquant_conformance.protocol import (
    Array,
    Capability,
    Case,
    Info,
    Rejected,
    Result,
    Unsupported,
)
from refquant_conformance.types import FLOATS, INTEGERS, storage

__all__ = ["OnnxReference"]


class OnnxReference:
    """The reference evaluator. ``MissingBackendError`` if onnx is not installed."""

    protocol = 1

    def __init__(self, setting: str = "") -> None:
        """Take the style."""
        self._onnx = imported("onnx", "onnx")
        self._reference = imported("onnx.reference", "onnx")
        self._kinds = imported("ml_dtypes", "onnx")
        self._style, self._name = style_of("onnx", setting), named_by("onnx", setting)
        self._evaluators: Kept[Any] = Kept(512)

    def info(self) -> Info:
        """Say which version this is."""
        details = {"style": self._style, "ml_dtypes": version("ml_dtypes")}
        numpy = {"numpy": np.__version__, "openblas_kernels": openblas_kernels()}
        return Info(self._name, version("onnx"), {}, {**details, **numpy})

    def capabilities(self) -> Iterable[Capability]:
        """List every cell whose sample the evaluator computes."""
        return computed(self.run, STYLES[self._style])

    def run(self, case: Case) -> Result:
        """Evaluate the case's model."""
        model = model_of(case, style=self._style)
        if foreign := sorted({node.op for node in model.nodes if node.domain}):
            raise Unsupported(f"{', '.join(foreign)} is onnxruntime's, not ONNX's")
        shapes = {name: case.inputs[name].shape for name in model.feeds}
        key = (model.key, tuple(shapes.items()))
        evaluator = self._evaluators.get(key, lambda: self._made(model, shapes))
        feeds = {
            name: self._typed(array, model.feeds[name]) for name, array in fed(model, case).items()
        }
        with np.errstate(all="ignore"):  # its warnings are not its answer
            try:
                arrays = evaluator.run(list(model.outputs), feeds)
            except (NotImplementedError, self._reference.op_run.RuntimeTypeError) as refusal:
                raise Unsupported(f"{type(refusal).__name__}: {refusal}") from None
            except (ValueError, RuntimeError) as refusal:  # "output shape cannot be negative"
                raise Rejected(str(refusal)) from None
        named = zip(model.outputs.items(), arrays, strict=True)
        outputs = {name: self._codes(array, logical) for (name, logical), array in named}
        return Result(outputs)

    def load_bytes(self, file_format: str, data: bytes) -> None:
        """Read and check a file, and make an evaluator of it."""
        if file_format != "onnx":
            raise Unsupported(f"onnx loads onnx, not {file_format}")
        try:
            model = self._onnx.load_model_from_string(data)
            self._onnx.checker.check_model(model)
            self._reference.ReferenceEvaluator(model)
        except Exception as error:  # protobuf's, the checker's and the evaluator's own
            raise Rejected(f"{type(error).__name__}: {error}") from None

    def repro(self, case: Case) -> str:
        """Return a program that asks the same of onnx alone."""
        model = model_of(case, style=self._style)
        title = f"{case.op} {case.scheme}, onnx {version('onnx')}, ReferenceEvaluator"
        engine = _ENGINE.format(outputs=list(model.outputs))
        return program(model, fed(model, case), title=title, engine=engine)

    def _made(self, model: Model, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        return self._reference.ReferenceEvaluator(
            self._onnx.load_model_from_string(serialized(self._onnx, model, shapes))
        )

    def _typed(self, array: Array, logical: str) -> Array:
        """Return codes as the evaluator has them: small types as ml_dtypes."""
        if logical in FLOATS or (logical in INTEGERS and hasattr(np, logical)):
            return array
        kind = np.dtype(getattr(self._kinds, logical))
        typed: Array = array.astype(kind) if logical in INTEGERS else array.view(kind)
        return typed

    def _codes(self, array: Any, logical: str) -> Any:
        """Return what came back as codes; what is of another type stays, and is told."""
        if not isinstance(array, np.ndarray):
            array = np.asarray(array)
        if logical in FLOATS or hasattr(np, logical):
            return array
        if array.dtype != np.dtype(getattr(self._kinds, logical)):
            return array
        return array.astype(storage(logical)) if logical in INTEGERS else array.view(np.uint8)


_ENGINE = """
from onnx.reference import ReferenceEvaluator

values = {{}}
for name, (kind, shape, data) in feeds.items():
    values[name] = onnx.numpy_helper.to_array(helper.make_tensor(name, kind, shape, data, raw=True))
for name, value in zip({outputs}, ReferenceEvaluator(model).run({outputs}, values)):
    print(name, value.dtype, value.tolist())
"""
