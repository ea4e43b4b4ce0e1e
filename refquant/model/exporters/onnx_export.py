"""A `Graph` as an ONNX model: one walk over its nodes.

::

    form        nodes on codes                                   of graphs
    float       there are none                                   float32
    qdq         float operators between pairs                    contracts `ort`, `onnx`
    qoperator   operators on codes, of one arithmetic            the same

Nodes that ONNX or the form cannot say are collected, and come as one error that lists them all.

Left out: TFLite; contracts that onnxruntime does not compute by; ``FakeQuantize`` and ``Hadamard``,
which are no operators of ONNX; tables other than those of FP8 and FP4.

References: ONNX IR specification; docs/how-to/export-to-onnx.md.
"""

import json
import os
from collections.abc import Sequence
from typing import Any

from refquant.model.exporters.onnx_draft import Draft, NoForm
from refquant.model.exporters.onnx_dynamic import add_dynamic, add_n_bits, is_n_bits
from refquant.model.exporters.onnx_float import add_float
from refquant.model.exporters.onnx_qdq import add_ends, add_qdq, is_tabled
from refquant.model.exporters.onnx_qoperator import add_qoperator
from refquant.model.exporters.onnx_spelled import add_table, is_function
from refquant.model.exporters.onnx_write import LARGEST, onnx_model, save
from refquant.model.graph import DTYPES, Graph, Node, State
from refquant.model.operators import DYNAMIC
from refquant.model.states import opened
from refquant.model.validate import validate

__all__ = ["FORMS", "OnnxExportError", "default_form", "draft_onnx", "onnx_bytes", "write_onnx"]

FORMS = ("float", "qdq", "qoperator")


class OnnxExportError(ValueError):
    """The graph has no ONNX form; ``failures`` has (node, operator, reason) of each such node."""

    def __init__(self, failures: Sequence[tuple[str, str, str]]) -> None:
        count = f"{len(failures)} node{'s' if len(failures) != 1 else ''} cannot be exported:"
        super().__init__("\n  ".join([count, *(f"{n} ({op}): {why}" for n, op, why in failures)]))
        self.failures = tuple(failures)


def default_form(graph: Graph) -> str:
    """Return ``float`` where there are no codes, else ``qdq``.

    >>> default_form(Graph("g", (), (), {}, (), {}, {}, {}))
    'float'
    """
    coded = any(value.quant is not None for value in graph.values.values())
    return "qdq" if coded or any(node.op in DYNAMIC for node in graph.nodes) else "float"


def draft_onnx(graph: Graph, *, form: str) -> Draft:
    """Return the ONNX nodes and constants of the valid ``graph``, in one of ``FORMS``.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Clip", [b.input("x", ("N", 2))], name="y", attributes={"min": 0})])
    >>> [(n.op, n.inputs) for n in draft_onnx(g, form="float").nodes]
    [('Clip', ('x', 'y/min'))]
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {list(FORMS)}, got {form!r}")
    if form == "float" and default_form(graph) != "float":
        raise ValueError("form must be qdq or qoperator for a graph with codes, got 'float'")
    validate(graph)
    graph = opened(graph)  # ONNX has no states: they are inputs and outputs
    draft, failures = Draft(graph, form), list[tuple[str, str, str]]()
    for node in graph.nodes:
        try:
            _add(draft, node)
        except NoForm as reason:
            failures.append((node.name, node.op, str(reason)))
    if failures:
        raise OnnxExportError(failures)
    for name in graph.outputs:
        if name in graph.constants or name in graph.inputs:
            raise ValueError(f"output {name!r} is computed by no node; give it an Identity")
    read = {name for made in draft.nodes for name in made.inputs}
    for name in draft.constants.keys() - read:  # a zero point that was moved to another type
        del draft.constants[name]
    return draft


def onnx_bytes(graph: Graph, *, form: str | None = None) -> bytes:
    """Return the model as bytes, checked; they depend on nothing but the graph and the form.

    `OnnxExportError` lists what cannot be said; `ModuleNotFoundError` names the extra.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> onnx_bytes(g) == onnx_bytes(g, form="float")
    True
    """
    draft = draft_onnx(graph, form=form or default_form(graph))
    told = _told(draft, graph.states)
    data: bytes = onnx_model(draft, ends(draft.graph), told).SerializeToString(deterministic=True)
    return data


def write_onnx(
    path: str | os.PathLike[str],
    graph: Graph,
    *,
    form: str | None = None,
    largest: int = LARGEST,
) -> tuple[str, ...]:
    """Write the model to ``path``, whole or not at all; return the names of the files.

    More than ``largest`` bytes of constants, which one protobuf does not hold, go to a file
    ``path.data`` beside it, named by its digest so that no older model ever reads it.

    >>> import tempfile
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_onnx(f"{folder}/y.onnx", g)
    ('y.onnx',)
    """
    draft = draft_onnx(graph, form=form or default_form(graph))
    told = _told(draft, graph.states)
    return save(path, draft, ends(draft.graph), told, largest=largest)


def ends(graph: Graph) -> dict[str, list[tuple[str, str, list[int | str]]]]:
    """Return (name, dtype, shape) of inputs and outputs; a batch of dynamic codes is 1.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> ends(b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")]))["outputs"]
    [('y', 'float32', ['N', 2])]
    """
    single = any(node.op.startswith("DynamicQuantize") for node in graph.nodes)

    def described(name: str) -> tuple[str, str, list[int | str]]:
        value = graph.values[name]
        shape = [1 if single and size == "N" else size for size in value.shape]
        return name, DTYPES[value.dtype].container.name, shape

    return {
        "inputs": [described(name) for name in graph.inputs],
        "outputs": [described(name) for name in graph.outputs],
    }


def _add(d: Draft, node: Node) -> None:
    values = {name: d.graph.values[name] for name in (*node.inputs, *node.outputs) if name}
    coded = any(values[name].quant is not None for name in values if name not in d.graph.constants)
    if node.op in DYNAMIC:
        add_dynamic(d, node)
    elif node.op in ("QuantizeLinear", "DequantizeLinear"):
        add_ends(d, node)
    elif coded and node.op in ("GRU", "LSTM"):
        raise NoForm(
            "nothing in ONNX quantizes its state at each step, and pairs around a float layer are "
            "other numbers; exclude it, or give its weights alone codes (int8_weight_only)"
        )
    elif coded and any(values[name].quant is None for name in node.outputs):
        raise NoForm("codes go in and reals come out")
    elif coded and d.form == "qdq" and is_tabled(d, node) and not is_function(d, node):
        add_table(d, node)
    elif coded and d.form == "qdq":
        add_qdq(d, node)
    elif coded:
        add_qoperator(d, node)
    elif d.form == "qoperator" and is_n_bits(d, node):
        add_n_bits(d, node)
    else:
        add_float(d, node)


def _told(d: Draft, states: Sequence[State]) -> dict[str, str]:
    """Return the metadata: the numerics card, contracts, states, as canonical JSON."""
    graph = d.graph

    def told(value: Any) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)

    contracts = {name: contract.to_json() for name, contract in graph.contracts.items()}
    ends = {state.input: state.output for state in states}
    return {
        **({"refquant.states": told(ends)} if ends else {}),
        "refquant.contracts": told(contracts),
        "refquant.form": d.form,
        "refquant.meta": told(dict(graph.meta)),
    }
