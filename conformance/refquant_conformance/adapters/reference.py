"""The reference as a backend: what a preset computes, behind the same wall as everybody else.

``reference:torch`` is the preset of that name; without a setting it is ``onnx``. It computes every
cell that the judge has an arithmetic for, by that arithmetic: so it is clean by construction where
the harness is right, and the oracle, not this, says whether the arithmetic is.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version

from refquant.contracts import PRESETS, Contract, preset
from refquant.contracts.axes import AxisValue
from refquant.formats.gguf import parse_gguf
from refquant.model.execute import run
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.importers.tflite import tflite_graph
from refquant.model.loaders.safetensors import parse_safetensors
from refquant.model.rq import parse_rq, rq_bytes
from refquant_conformance.adapters.engine import Prepared
from refquant_conformance.adapters.reference_methods import METHODS, method_cells
from refquant_conformance.adapters.rq_graphs import feeds_of, graph_of
from refquant_conformance.arithmetic import ARITHMETICS, Arithmetic, Axes, arithmetic_of
from refquant_conformance.arithmetic.base import axes_of, contract_of, says_all
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Capability, Case, Info, Rejected, Result, Unsupported

__all__ = ["Reference"]

_READERS: Mapping[str, Callable[[bytes], object]] = {
    "gguf": lambda data: parse_gguf(data, name="the file"),
    "onnx": import_onnx,
    "rq": lambda data: parse_rq(data, name="the file"),
    "safetensors": lambda data: parse_safetensors(data, name="the file"),
    "tflite": lambda data: tflite_graph(data, path="the file"),
}


class Reference:
    """A preset of the reference.

    >>> Reference("torch").declared("quantize_linear")["scale_op"]
    'reciprocal_f32'
    """

    protocol = 1

    def __init__(self, setting: str = "onnx") -> None:
        """Take the name of a preset."""
        if setting not in PRESETS:
            raise ValueError(f"no preset {setting!r}; there are {', '.join(PRESETS)}")
        self._contract = preset(setting)
        self._setting = setting

    def info(self) -> Info:
        """Say which preset this is."""
        return Info(f"reference:{self._setting}", version("refquant"))

    def capabilities(self) -> Iterable[Capability]:
        """List every cell that has an arithmetic, and those of methods."""
        exact = [Capability(a.op, scheme) for a in ARITHMETICS for scheme in a.schemes]
        return [*exact, *method_cells()]

    def axes(self, arithmetic: Arithmetic) -> Axes:
        """Return the axes of the preset, and the specification's where a preset has none."""
        return axes_of(self._contract, arithmetic)

    def declared(self, op: str) -> Axes | None:
        """Return the axes that this computes the operator by."""
        chosen: dict[str, AxisValue] = {}
        for arithmetic in reversed(ARITHMETICS):  # of one operator, the first family counts most
            if arithmetic.op == op:
                chosen.update(self.axes(arithmetic))
        return chosen or None

    def prepare(self, case: Case) -> "Reference":
        """Return a handle; it keeps nothing."""
        return self

    def reload(self, case: Case) -> Prepared:
        """Return a handle on the case as a ``.rq`` file that was written and read again."""
        try:
            data = rq_bytes(graph_of(case, self._by(case)))
        except ValueError as error:
            raise Unsupported(f"a .rq file does not say this: {error}") from None
        graph = parse_rq(data, name="the case")
        for name in OPERATORS[case.op].outputs:
            if graph.values[name].dtype != case.types[name]:
                raise Unsupported(f"a .rq file has no {case.op} to {case.types[name]}")

        def again(other: Case) -> Result:
            made = run(graph, feeds_of(other))
            return Result({name: made[name] for name in OPERATORS[other.op].outputs})

        return Prepared(again)

    def _by(self, case: Case) -> Contract:
        """Return the preset with those axes that an operator's family has no such value for."""
        arithmetic = arithmetic_of(case.op, case.scheme)
        if arithmetic is None or says_all(self._contract, arithmetic):
            return self._contract
        return contract_of(self.axes(arithmetic), name=self._setting, base=self._setting)

    def load_bytes(self, file_format: str, data: bytes) -> None:
        """Read a file by the reference's own reader."""
        if file_format not in _READERS:
            raise Unsupported(f"the reference reads no {file_format}")
        try:
            _READERS[file_format](data)
        except ValueError as error:
            raise Rejected(str(error)) from None

    def run(self, case: Case) -> Result:
        """Compute by the arithmetic of the cell."""
        if case.op in METHODS:
            return self._by_method(case)
        arithmetic = arithmetic_of(case.op, case.scheme)
        if arithmetic is None:
            raise Unsupported(f"the reference has no arithmetic for {case.op} {case.scheme}")
        outputs = arithmetic.compute(case, self.axes(arithmetic))
        if outputs is None:
            raise Rejected(f"the preset {self._setting} refuses these inputs")
        return Result(outputs)

    def _by_method(self, case: Case) -> Result:
        try:
            return Result(METHODS[case.op](case))
        except NotImplementedError as refusal:
            raise Unsupported(str(refusal)) from None
        except ValueError as refusal:
            raise Rejected(str(refusal)) from None
