"""A ``.onnx`` model as a `Graph`: one walk over its nodes.

Each node, in order, is

1. computed, if all it reads is known (`refquant.model.importers.onnx_fold`);
2. replaced by its branch or its trips, if it is an ``If`` or ``Loop`` on what is known
   (`refquant.model.importers.onnx_control`);
3. lowered to operators of docs/spec/operators.md (``onnx_lower_*``).

What cannot be imported is collected, and comes as one error that lists every such node.

Sizes of the inputs: a number stays a number. If every input begins with a size that has no number,
that is the batch ``"N"``; another such size is a sequence's length ``"T"`` where all inputs have
at most three axes and one name for it. Everything else needs ``shapes``.

References: ONNX IR specification; docs/how-to/import-an-onnx-model.md.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.importers.onnx_control import CONTROL, placed
from refquant.model.importers.onnx_ends import OnnxUnsupportedError
from refquant.model.importers.onnx_fold import fold
from refquant.model.importers.onnx_functions import MOST_NODES
from refquant.model.importers.onnx_inputs import fixed_inputs, input_meaning, input_shapes
from refquant.model.importers.onnx_items import OURS
from refquant.model.importers.onnx_known import as_known, has_letters
from refquant.model.importers.onnx_layout import settled
from refquant.model.importers.onnx_lower import LOWER
from refquant.model.importers.onnx_model import OnnxModel, OnnxNode, Opaque, Tensor, used_by
from refquant.model.importers.onnx_qdq import fuse, widened
from refquant.model.importers.onnx_read import read_onnx
from refquant.model.importers.onnx_rules import check_rules, reason_of
from refquant.model.importers.onnx_scope import Filled, Item, Known, Scope, Seen, Unsupported
from refquant.model.importers.onnx_states import check_bound, finished, shown
from refquant.model.importers.onnx_wire import OnnxFormatError

__all__ = ["OnnxUnsupportedError", "import_onnx"]

Shapes = Mapping[str, Sequence[int | str]]

# What a node can do wrong that its operator's rules forbid: attributes of another kind, and so on.
_FAULTS = (ValueError, ArithmeticError, AttributeError, LookupError, TypeError, AssertionError)
_SPARE = 64 << 20


def import_onnx(
    source: str | Path | bytes,
    *,
    shapes: Shapes | None = None,
    fixed: Mapping[str, NDArray[Any]] | None = None,
    states: Mapping[str, str] | None = None,
    streaming: bool = False,
    layout: bool = True,
) -> Graph:
    """Return the model in the file ``source``, or in its bytes, as a valid graph.

    ``shapes`` gives inputs their sizes, letters ``"N"`` and ``"T"`` included; ``fixed`` makes
    inputs constants (the rate of a recording, the k of a TopK). ``states`` binds inputs to outputs,
    ``streaming`` the beginnings of recurrent layers to their ends (``onnx_states``). Without
    ``layout`` transpositions stay where they are (``onnx_layout``). Raises `OnnxFormatError` for
    what is no model, `OnnxUnsupportedError` for what we cannot say.

    >>> import_onnx(b"")
    Traceback (most recent call last):
    ...
    refquant.model.importers.onnx_wire.OnnxFormatError: the model has no graph; export it again
    """
    model = read_onnx(source)
    walk = _Walk(model, shapes or {}, fixed or {})
    walk.scope.streaming = streaming
    check_bound(model.graph, states or {}, fixed or {})
    walk.run()
    graph = walk.finish(states or {})
    return settled(graph) if layout else graph


class _Walk:
    """The state of one import."""

    def __init__(self, model: OnnxModel, shapes: Shapes, fixed: Mapping[str, NDArray[Any]]) -> None:
        graph = model.graph
        self.model, self.failures = model, list[tuple[str, str, str]]()
        self.lost: set[str] = set()
        self.inlined = self.placed = self.spent = 0
        outputs = frozenset(graph.outputs)
        self.scope = Scope(Builder(graph.name or "onnx"), model.opset, outputs)
        self.scope.contract = preset("ort")
        self.pending = deque(graph.nodes)
        self._read(graph.nodes)
        self._add_constants(graph.constants)
        strange = sorted((shapes.keys() | fixed.keys()) - {i.name for i in graph.inputs})
        if strange:
            raise ValueError(
                f"shapes and fixed name inputs {[i.name for i in graph.inputs]}, got {strange}"
            )
        self.scope.items.update(fixed_inputs(graph.inputs, fixed))
        free = [i for i in graph.inputs if i.name not in fixed]
        for name, (shape, dtype) in input_shapes(free, shapes).items():
            ours = OURS.get(dtype, dtype)
            if ours not in ("float32", "int32", "uint8", "int8", "uint16", "int16"):
                raise OnnxFormatError(f"input {name!r} is {dtype}; cast it to float32 before")
            codes = ours if ours == dtype and ours[-1] in "86" else ""
            quant = input_meaning(self.scope, name) if codes else None
            value = self.scope.b.input(name, shape, dtype=ours, quant=quant)
            self.scope.items[name] = Seen(value, dtype)

    def _read(self, nodes: Sequence[OnnxNode]) -> None:
        for node in nodes:
            self.scope.makers.update(dict.fromkeys(node.outputs, node))
            for name in used_by(node):
                self.scope.readers.setdefault(name, []).append(node)

    def _add_constants(self, constants: Mapping[str, Tensor | Opaque]) -> None:
        for name, tensor in constants.items():
            if isinstance(tensor, Tensor):
                self.scope.items[name] = tensor
            else:
                self.lost.add(name)
                self.failures.append((name, "constant", tensor.what))

    def run(self) -> None:
        """Walk over all nodes, branches that are taken included."""
        while self.pending:
            node = self.pending.popleft()
            if all(name in self.scope.items for name in node.outputs if name):
                continue  # taken by a fusion
            missing = [name for name in used_by(node) if name not in self.scope.items]
            unknown = [name for name in missing if name not in self.lost]
            if unknown:
                raise OnnxFormatError(
                    f"node {node.label!r} reads {unknown[0]!r}, which nothing makes; export again"
                )
            try:
                if missing:
                    self._lose(node)
                else:
                    self._step(node)
            except OnnxFormatError:
                raise
            except _FAULTS as error:
                self.failures.append((node.label, node.op, reason_of(error)))
                self.lost.update(node.outputs)

    def _lose(self, node: OnnxNode) -> None:
        """What reads a lost value is lost, and an error of its own only if nobody knows it."""
        self.lost.update(node.outputs)
        if node.op not in LOWER and node.op not in (*CONTROL, "Constant"):
            raise Unsupported("this operator is not known")

    def _step(self, node: OnnxNode) -> None:
        self.scope.current = node
        for value in node.attributes.values():
            if isinstance(value, Opaque):
                raise Unsupported(value.what)
        check_rules(node, self.model.opset)
        if node.op in CONTROL and not node.domain:
            self._control(node)
        elif widened(self.scope, node) or self._fold(node) or fuse(self.scope, node):
            return
        else:
            if node.op not in LOWER:
                raise Unsupported("this operator is not known")
            LOWER[node.op](self.scope, node)

    def _fold(self, node: OnnxNode) -> bool:
        """Compute a node of known inputs; say whether it was."""
        items: list[Item | None] = [self.scope.items[n] if n else None for n in node.inputs]
        if node.domain or not all(item is None or isinstance(item, Known) for item in items):
            return False
        arrays = [item.array if isinstance(item, Known) else None for item in items]
        if node.op == "ConstantOfShape" and arrays[0] is not None and has_letters(arrays[0]):
            value = node.attributes.get("value")
            number = float(value.array.ravel()[0]) if isinstance(value, Tensor) else 0.0
            dtype = value.dtype if isinstance(value, Tensor) else "float32"
            shape = tuple(arrays[0].ravel())
            self.scope.items[node.outputs[0]] = Filled(number, dtype, shape)
            return True
        made = fold(
            node.op, arrays, node.attributes, opset=self.scope.opset, outputs=len(node.outputs)
        )
        if made is None:
            return False
        for name, array in zip(node.outputs, made, strict=False):
            if name:
                known = as_known(array) if array.dtype == object else array
                self.spent += known.nbytes
                if self.spent > 2 * self.model.size + _SPARE:
                    raise OnnxFormatError("constants grow beyond the file; export the model again")
                self.scope.items[name] = Known(known, _dtype_name(known))
        return True

    def _control(self, node: OnnxNode) -> None:
        """Put a branch, or one trip of a loop, in the place of the node."""
        self.inlined += 1
        constants, nodes = placed(self.scope, node, self.inlined)
        self.placed += len(nodes)
        if self.placed > MOST_NODES:
            raise OnnxFormatError(
                f"branches and loops become more than {MOST_NODES} nodes; export it unrolled"
            )
        for name in used_by(node):  # what was put in place reads, not the node
            readers = self.scope.readers[name]
            # From the end, where it stands, and itself: comparing nodes compares all they hold.
            del readers[next(i for i in reversed(range(len(readers))) if readers[i] is node)]
        self._add_constants(constants)
        self._read(nodes)
        self.pending.extendleft(reversed(nodes))

    def finish(self, states: Mapping[str, str]) -> Graph:
        """Return the graph with these ``states``, or raise what was collected."""
        if self.failures:
            raise OnnxUnsupportedError(self.failures)
        s, outputs = self.scope, shown(self.model.graph.outputs, states)
        s.current = None
        ends = dict.fromkeys((*outputs, *states.values()))
        for name in ends:
            if name not in s.items:
                raise OnnxFormatError(f"output {name!r} is made by nothing; export the model again")
        for name in ends:
            try:
                value = s.value_of(name)
                if value != name:
                    s.b.node("Identity", [value], name=name)
            except ValueError as error:
                raise OnnxUnsupportedError([(name, "output", str(error))]) from error
        told: dict[str, Any] = {
            "format": "onnx", "opset": self.model.opset, "producer": self.model.producer,
            "sha256": self.model.digest, **self.model.notes,
        }  # fmt: skip
        if s.unfused:
            told["unfused"] = list(s.unfused)
        return finished(s, outputs, states, {"import": told})


def _dtype_name(array: NDArray[Any]) -> str:
    return "int64" if array.dtype == object else array.dtype.name
