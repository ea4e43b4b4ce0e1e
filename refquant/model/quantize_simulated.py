"""The simulated scheme: weights of codes, and what they are multiplied with rounded, in float32.

Weights become codes as in ``weight_only``, by any format and algorithm. Then, in front of every
`Conv`, `Gemm` and `MatMul` whose weight is of codes, a `FakeQuantize` (docs/spec/operators.md,
section 8) rounds what it reads: one for each value, shared by its readers. ::

    x ---> FakeQuantize ---> x/rounded ---> MatMul q (codes)
      |                               '---> MatMul k (codes)
      '--> Add, or a MatMul that is excluded: they read x

Tokens are read along the last axis; of a `Conv` they are the positions of its image, read along the
channels (axis 1), not the windows: what overlapping windows share is rounded once. A value that
both kinds read has two nodes. Tables of `Gather` and recurrent layers have no such inputs.

Scales of a static range come from calibration on the **float** model, as those of the static
schemes do. Algorithms that look at data (GPTQ, AWQ) see inputs that are not rounded, made by the
weights before that are: this is what QuaRot does, too, and keeps the choice of the weights apart
from that of the inputs' format. The tables that NVFP4 and FP8 need are the operator's own.

Source: docs/decisions/012-simulated-activations.md.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from refquant.contracts import Contract
from refquant.model.calibrate import Batch, Calibrated, calibrate
from refquant.model.graph import Attribute, Graph, Node, Value, names_of
from refquant.model.names import free_name
from refquant.model.quantize_weights import WEIGHTED
from refquant.model.recipe_inputs import Inputs
from refquant.model.recipe_rules import Activations
from refquant.model.validate import validate
from refquant.ops.fake_quantize import static_scale
from refquant.ops.fake_quantize_rules import INTEGERS

__all__ = ["calibrate_inputs", "round_inputs", "rounded_values", "static_scales"]


def calibrate_inputs(
    graph: Graph,
    data: Batch | Iterable[Batch] | None,
    *,
    nodes: Collection[str],
    rules: Inputs,
    sums: str,
) -> Calibrated:
    """Return what the observer of ``rules`` saw of the inputs of ``nodes`` of the float ``graph``.

    `ValueError` as `refquant.model.calibrate.calibrate`.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> seen = calibrate_inputs(g, {"x": np.float32([[1, -3]])}, nodes=["y"], sums="ordered",
    ...                         rules=Inputs("fp8_e4m3", range="static"))
    >>> sorted(seen.observers)
    ['x']
    """
    names = {n.inputs[0] for n in graph.nodes if n.op in WEIGHTED and n.name in nodes}
    watched = Activations(observer=rules.observer, options=rules.options)
    return calibrate(graph, data, names=names, rules=watched, sums=sums)


def static_scales(seen: Calibrated, *, rules: Inputs, contract: Contract) -> dict[str, np.float32]:
    """Return the scale of each value that was ``seen``; for NVFP4 its tensor scale.

    >>> from refquant.calibration import observer
    >>> from refquant.contracts import preset
    >>> state = observer("minmax", {}).update(np.float32([1, -896]))
    >>> scales = static_scales(Calibrated({"x": state}, 1, {}), contract=preset("ort"),
    ...                        rules=Inputs("fp8_e4m3", range="static"))
    >>> float(scales["x"])
    2.0
    """
    found: dict[str, np.float32] = {}
    for name, state in seen.observers.items():
        if rules.format in INTEGERS:
            given = state.qparams(dtype=rules.format, symmetric=True, contract=contract)
            found[name] = np.float32(given.scale)
        else:
            lo, hi = state.range()
            found[name] = static_scale(np.maximum(abs(lo), abs(hi)), format=rules.format)
    return found


def round_inputs(
    graph: Graph, rules: Inputs, *, contract: Contract, scales: Mapping[str, np.float32]
) -> Graph:
    """Return ``graph``, whose weights are codes, with the inputs of these weights rounded.

    ``scales`` has one for each such input where the range is static. The result is validated.

    >>> from refquant.contracts import preset
    >>> from refquant.model.build import Builder
    >>> from refquant.model.quantize_weight_only import quantize_weight_only
    >>> from refquant.model.recipe import Weights
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> ort = preset("ort")
    >>> coded = quantize_weight_only(g, {"y": Weights()}, contract=ort).graph(g.outputs)
    >>> done = round_inputs(coded, Inputs("int8"), contract=ort, scales={})
    >>> [(n.op, n.inputs[0]) for n in done.nodes]
    [('FakeQuantize', 'x'), ('MatMul', 'x/rounded')]
    """
    taken = set(names_of(graph))
    places: dict[tuple[str, int | None], str] = {}
    nodes: list[Node] = []
    values, constants = dict(graph.values), dict(graph.constants)
    label = contract.name if rules.format in INTEGERS else None
    for node in graph.nodes:
        if not _reads(graph, node):
            nodes.append(node)
            continue
        x = node.inputs[0]
        axis = None if rules.granularity == "tensor" else 1 if "Conv" in node.op else -1
        if (x, axis) not in places:
            y, operands = _free(f"{x}/rounded", taken), [x]
            if rules.static:
                name = _free(f"{y}/scale", taken)
                values[name], constants[name] = Value("float32", ()), np.asarray(scales[x])
                operands.append(name)
            own = (_free(f"{x}/fake_quantize", taken), "FakeQuantize", tuple(operands), (y,))
            nodes.append(Node(*own, _attributes(rules, axis), label))
            values[y] = values[x]
            places[x, axis] = y
        nodes.append(replace(node, inputs=(places[x, axis], *node.inputs[1:])))
    contracts = {**graph.contracts, **({} if label is None else {label: contract})}
    made = replace(graph, values=values, nodes=tuple(nodes), constants=constants,
                   contracts=contracts)  # fmt: skip
    validate(made)
    return made


def rounded_values(graph: Graph) -> list[dict[str, Any]]:
    """Return one object for each `FakeQuantize` of ``graph``, in order: what is rounded, and how.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> how = {"format": "mxfp4", "granularity": "block"}
    >>> y = b.node("FakeQuantize", [b.input("x", ("N", 2))], name="y", attributes=how)
    >>> rounded_values(b.graph([y]))
    [{'value': 'x', 'format': 'mxfp4', 'granularity': 'block', 'range': 'dynamic', 'readers': []}]
    """
    found = []
    for node in graph.nodes:
        if node.op != "FakeQuantize":
            continue
        scale = (*node.inputs, "")[1]
        ranged: dict[str, Any] = {"range": "dynamic"}
        if scale:
            ranged = {"range": "static", "scale": float(graph.constants[scale])}
        settings = {k: v for k, v in node.attributes.items() if k not in ("format", "granularity")}
        found.append(
            {
                "value": node.inputs[0],
                "format": node.attributes["format"],
                "granularity": node.attributes["granularity"],
                **ranged,
                **settings,
                "readers": [n.name for n in graph.nodes if node.outputs[0] in n.inputs],
            }
        )
    return found


def _reads(graph: Graph, node: Node) -> bool:
    """Say whether ``node`` multiplies its first input with a weight of codes."""
    return node.op in WEIGHTED and graph.values[node.inputs[1]].quant is not None


def _attributes(rules: Inputs, axis: int | None) -> dict[str, Attribute]:
    """Return the attributes of the node; what is the default is left out."""
    own: dict[str, Attribute] = {"format": rules.format, "granularity": rules.granularity}
    if axis is not None and axis != -1:
        own["axis"] = axis
    if rules.clip_ratio != 1:
        own["clip_ratio"] = float(rules.clip_ratio)
    if rules.threshold is not None:
        own["threshold"] = float(rules.threshold)
    return own


def _free(name: str, taken: set[str]) -> str:
    """Return ``name``, or ``name_`` and so on if it is taken; now it is."""
    free = free_name(name, taken)
    taken.add(free)
    return free
