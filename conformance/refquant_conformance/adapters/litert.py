"""LiteRT, once TensorFlow Lite: three arithmetics in one package, each a setting.

====================  =========================================================================
``litert:xnnpack``    as it comes: XNNPACK computes what it takes, builtin kernels the rest
``litert:builtin``    the optimized builtin kernels (ruy), no delegate
``litert:reference``  the reference kernels
====================  =========================================================================

``litert`` alone is ``litert:xnnpack``. An answer's provenance says which of XNNPACK and the builtin
kernels computed it. Interpreters are kept by model and shapes.

References
----------
LiteRT 2.3.0, ``tflite/python/interpreter.py``, ``tflite/delegates/xnnpack``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from refquant_conformance.adapters import BackendError
from refquant_conformance.adapters.engine import Kept, Prepared, computed, cpu_flags, imported
from refquant_conformance.adapters.litert_models import Model, program, serialized
from refquant_conformance.adapters.litert_nodes import OPERATORS, model_of
from refquant_conformance.protocol import Capability, Case, Info, Rejected, Result, Unsupported

__all__ = ["LiteRt"]

_RESOLVERS = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """An interpreter with its tensors allocated, and who computes."""

    it: Any
    kernel: str


class LiteRt:
    """LiteRT's interpreter. ``MissingBackendError`` if ai-edge-litert is not installed."""

    protocol = 1

    def __init__(self, setting: str = "xnnpack") -> None:
        """Take the resolver: which kernels."""
        if setting not in _RESOLVERS:
            raise BackendError(f"litert has no setting {setting!r}; it has {', '.join(_RESOLVERS)}")
        self._litert = imported("ai_edge_litert.interpreter", "litert")
        self._schema = imported("ai_edge_litert.schema_py_generated", "litert")
        self._flatbuffers = imported("flatbuffers", "litert")
        self._setting, self._threads = setting, 1
        self._kept: Kept[_Interpreter] = Kept(256)

    def configure(self, threads: int = 1) -> None:
        """Set how many threads compute one operator."""
        self._threads = int(threads)

    def info(self) -> Info:
        """Say which version and which kernels."""
        details = {"resolver": _RESOLVERS[self._setting], "cpu": cpu_flags()}
        name = f"litert:{self._setting}"
        return Info(name, version("ai-edge-litert"), {"threads": (1, 2)}, details)

    def capabilities(self) -> Iterable[Capability]:
        """List every cell whose sample an interpreter computes."""
        return computed(self.run, OPERATORS)

    def run(self, case: Case) -> Result:
        """Compute by an interpreter for the case's model and shapes."""
        model = model_of(case)
        made = self._kept.get((model.key, model.shapes), lambda: self._made(model))
        return self._ask(made, model, case)

    def prepare(self, case: Case) -> Prepared:
        """Return an interpreter with the case's weights packed; it takes other batches."""
        first = model_of(case)
        made = self._made(first)
        shapes = [first.shapes]

        def run(other: Case) -> Result:
            model = model_of(other)
            if model.key != first.key:
                raise Unsupported("what was prepared has other weights or parameters")
            if model.shapes != shapes[0]:
                for index, shape in zip(model.inputs, model.shapes, strict=True):
                    made.it.resize_tensor_input(index, shape)
                made.it.allocate_tensors()
                shapes[0] = model.shapes
            return self._ask(made, model, other)

        return Prepared(run)

    def load_bytes(self, file_format: str, data: bytes) -> None:
        """Make an interpreter of a file, and forget it."""
        if file_format != "tflite":
            raise Unsupported(f"LiteRT loads tflite, not {file_format}")
        try:
            self._interpreter(data).allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise Rejected(_first(error)) from None

    def repro(self, case: Case) -> str:
        """Return a program that asks the same of LiteRT alone."""
        model = model_of(case)
        resolver = f"OpResolverType.{_RESOLVERS[self._setting]}"
        engine = (
            f"it = Interpreter(model_content=model, num_threads={self._threads}, "
            f"experimental_op_resolver_type={resolver})"
        )
        title = f"{case.op} {case.scheme}, LiteRT {version('ai-edge-litert')}, {self._setting}"
        data = serialized(self._schema, self._flatbuffers, model)
        return program(model, data, model.fed(case.inputs), title=title, engine=engine)

    def _interpreter(self, data: bytes) -> Any:
        kind = getattr(self._litert.OpResolverType, _RESOLVERS[self._setting])
        return self._litert.Interpreter(
            model_content=data, num_threads=self._threads, experimental_op_resolver_type=kind
        )

    def _made(self, model: Model) -> _Interpreter:
        data = serialized(self._schema, self._flatbuffers, model)
        try:
            it = self._interpreter(data)
            it.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise Unsupported(_first(error)) from None
        delegated = any(
            node["op_name"] == "DELEGATE" and model.output in node["outputs"]
            for node in it._get_ops_details()
        )
        return _Interpreter(it, "xnnpack" if delegated else self._setting_of_rest())

    def _setting_of_rest(self) -> str:
        return "builtin" if self._setting == "xnnpack" else self._setting

    def _ask(self, made: _Interpreter, model: Model, case: Case) -> Result:
        for index, array in model.fed(case.inputs).items():
            made.it.set_tensor(index, array)
        try:
            made.it.invoke()
        except RuntimeError as error:
            raise Rejected(_first(error)) from None
        y = model.turned_back(made.it.get_tensor(model.output).copy())
        return Result({"y": y}, {"kernel": made.kernel, "threads": str(self._threads)})


def _first(error: Exception) -> str:
    """Return what was not met, without which node of the one that there is."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].partition("Node number")[0] if lines else type(error).__name__
