"""Quantization: a float graph and a recipe make another graph.

Steps, each its own module: **fold** batch normalization into weights (`fold`), **equalize** their
channels if the recipe says so (`equalize`), **plan** which nodes compute on codes (`quantize_plan`),
**calibrate** (`calibrate`), **rewrite** (`quantize_static`, `quantize_dynamic`,
`quantize_weights`). The result is validated: what this
function returns can be executed, written and proved not to overflow. Its bytes depend on graph,
recipe and calibration data, and on nothing else.

Nodes keep their names, and so do the values that keep their meaning. Beside a value ``v`` may
stand ``v/codes`` or ``v/float``, beside a constant ``v/scale`` and ``v/zero_point``; where the
model has such a name already, ``_`` is appended to ours.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib import metadata
from typing import Any

from refquant.contracts import Contract, preset
from refquant.model.calibrate import Batch, calibrate
from refquant.model.equalize import equalize
from refquant.model.fold import fold
from refquant.model.graph import Graph, Node
from refquant.model.quantize_dynamic import quantize_dynamic
from refquant.model.quantize_plan import Plan, plan
from refquant.model.quantize_static import observed, quantize_static
from refquant.model.quantize_weight_only import quantize_weight_only
from refquant.model.quantize_weights import has_constant_weight, is_depthwise
from refquant.model.recipe import Override, Recipe, Weights
from refquant.model.validate import validate

__all__ = ["quantize"]


def quantize(
    graph: Graph, recipe: Recipe, calibration: Batch | Iterable[Batch] | None = None
) -> Graph:
    """Return ``graph``, a float32 one, quantized by ``recipe``.

    ``calibration`` (schemes ``static`` and ``full_integer``): a dict ``input name -> float32
    array``, first axis samples, or an iterable of such dicts. `ValueError` for a graph that has
    codes already, calibration data that are missing or unfit, an override whose pattern fits no
    node, a node without integer form in ``full_integer``, and an accumulator that could overflow.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> from refquant.model.recipe import recipe
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Tanh", [b.input("x", ("N", 2))], name="y")])
    >>> x = np.array([[-1.0, 3.0]], np.float32)
    >>> [n.op for n in quantize(g, recipe("w8a8_tflite"), {"x": x}).nodes]
    ['QuantizeLinear', 'Tanh', 'DequantizeLinear']
    """
    validate(graph)
    _need_float(graph)
    folded = _transformed(graph, recipe)
    meta = {**graph.meta, "scheme": recipe.scheme, "recipe": recipe.to_json(), "tools": _tools()}
    if recipe.scheme == "float32":
        result = replace(folded, meta=meta)
        validate(result)
        return result
    contract = preset(recipe.contract or "")
    excluded, weights = _rules(folded, recipe)
    if recipe.activations is not None:
        layers = plan(folded, contract=contract, excluded=excluded)
        if recipe.scheme == "full_integer":
            _need_integer(layers, excluded, contract)
        full = recipe.scheme == "full_integer"
        names = observed(folded, layers, full_integer=full)
        seen = calibrate(folded, calibration, names=names, rules=recipe.activations)
        meta["calibration"] = {"samples": seen.samples, "sha256": dict(seen.sha256)}
        b = quantize_static(
            folded,
            layers,
            seen,
            activations=recipe.activations,
            weights=weights,
            contract=contract,
            full_integer=full,
        )
    else:
        rewrite = quantize_dynamic if recipe.scheme == "dynamic" else quantize_weight_only
        b = rewrite(folded, weights, contract=contract)
    return b.graph(graph.outputs, meta=meta)


def _transformed(graph: Graph, recipe: Recipe) -> Graph:
    """Return the folded graph, with its weights transformed as the recipe says."""
    rules = recipe.transforms
    if rules is None or not rules.equalize:
        return fold(graph)
    assert rules.sweeps is not None, "Transforms sets it"
    return equalize(graph, sweeps=rules.sweeps, absorb_bias=rules.absorb_bias)


def _need_float(graph: Graph) -> None:
    for name, value in graph.values.items():
        if value.dtype != "float32":
            raise ValueError(
                f"quantize takes a float32 graph, but value {name!r} is {value.dtype}; "
                "quantize the model it came from"
            )


def _need_integer(plan: Plan, excluded: set[str], contract: Contract) -> None:
    """Refuse nodes that would stay float32 though nobody asked for it."""
    follows = {name for layer in plan.layers if not layer.codes for name in (layer.output,)}
    for layer in plan.layers:
        node = layer.node
        after = any(name in follows for name in node.inputs)  # movement behind an excluded node
        if not layer.codes and node.name not in excluded and not after:
            raise ValueError(
                f"scheme 'full_integer': node {node.name!r} ({node.op}) has no integer form in "
                f"contract {contract.name!r}; exclude it by an override, or use scheme 'static'"
            )


def _rules(graph: Graph, recipe: Recipe) -> tuple[set[str], dict[str, Weights]]:
    """Return the names of excluded nodes, and the rules of each other node with a weight."""
    excluded: set[str] = set()
    weights: dict[str, Weights] = {}
    assert recipe.weights is not None, "every scheme but float32 has weights"
    for override in recipe.overrides:
        _matches(graph, override)
    for node in graph.nodes:
        matching = [o for o in recipe.overrides if _fits(node, o)]
        if matching and matching[-1].exclude:
            excluded.add(node.name)
        elif has_constant_weight(graph, node):
            shape = graph.constants[node.inputs[1]].shape
            rules = recipe.weights
            if is_depthwise(node, shape) and rules.bits < 8:
                # A group's size may be all that an override says: then there are groups.
                sized = any("group_size" in override.weights for override in matching)
                kept = (rules.granularity, rules.group_size) if sized else ("per_channel", None)
                rules = Weights(8, True, *kept, rules.observer)
            for override in matching:
                rules = override.applied_to(rules)
            weights[node.name] = rules
    return excluded, weights


def _fits(node: Node, override: Override) -> bool:
    return fnmatchcase(node.name, override.nodes) and override.op in (None, node.op)


def _matches(graph: Graph, override: Override) -> None:
    """Refuse an override that changes nothing."""
    matching = [node for node in graph.nodes if _fits(node, override)]
    of = "" if override.op is None else f" and op {override.op!r}"
    if not matching:
        names = ", ".join(repr(node.name) for node in graph.nodes[:8])
        raise ValueError(
            f"override: no node fits the pattern {override.nodes!r}{of}; after folding the nodes "
            f"are {names}{', ...' if len(graph.nodes) > 8 else ''}"
        )
    if override.weights and not any(has_constant_weight(graph, node) for node in matching):
        raise ValueError(
            f"override: no node that fits the pattern {override.nodes!r}{of} has a weight; "
            "name a Conv, Gemm or MatMul"
        )


def _tools() -> Mapping[str, Any]:
    try:
        return {"refquant": metadata.version("refquant")}
    except metadata.PackageNotFoundError:  # a clone that is not installed
        return {"refquant": "unknown"}
