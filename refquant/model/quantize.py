"""Quantization: a float graph and a recipe make another graph.

Steps, each its own module: **fold** batch normalization into weights (`fold`); **transform** their
channels if the recipe says so (`equalize`, `rotate`, `migrate`); **plan** which nodes compute on
codes (`quantize_plan`), **calibrate** (`calibrate`), **rewrite** (`quantize_static`,
`quantize_dynamic`), or, where only weights become codes, **layer by layer** (`layer_by_layer`),
and what these weights are multiplied with is rounded if the recipe says so (`quantize_simulated`).
The result is validated: what this function returns can be executed, written and proved not to
overflow. Its bytes depend on graph, recipe and calibration data and on the versions that its
card records (`card`), and on nothing else.

Nodes keep their names, and so do the values that keep their meaning. Beside a value ``v`` may
stand ``v/codes`` or ``v/float``, beside a constant ``v/scale`` and ``v/zero_point``; where the
model has such a name already, ``_`` is appended to ours.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refquant.contracts import Contract, preset
from refquant.model.build import Builder
from refquant.model.calibrate import Batch, calibrate
from refquant.model.card import card, job, versions
from refquant.model.checkpoint import Checkpoint, open_checkpoint
from refquant.model.coded import coded_reals
from refquant.model.correct_bias import corrected, rounded_weights
from refquant.model.equalize import equalize
from refquant.model.fold import fold
from refquant.model.frontier import Held, hold
from refquant.model.graph import Graph
from refquant.model.layer_by_layer import Report, quantize_layers
from refquant.model.migrate import awq_scales, smooth_scales, wants_scales
from refquant.model.quantize_dynamic import quantize_dynamic
from refquant.model.quantize_plan import Plan, plan
from refquant.model.quantize_rules import rules_of
from refquant.model.quantize_simulated import calibrate_inputs, round_inputs, static_scales
from refquant.model.quantize_static import observed, quantize_static
from refquant.model.quantize_weight_only import assemble
from refquant.model.recipe import Recipe, Weights
from refquant.model.rotate import rotated
from refquant.model.rq import rq_digest
from refquant.model.validate import validate

__all__ = ["quantize"]


def quantize(
    graph: Graph,
    recipe: Recipe,
    calibration: Batch | Iterable[Batch] | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    report: Report = lambda done: None,
) -> Graph:
    """Return ``graph``, a float32 one, quantized by ``recipe``.

    ``calibration`` (where `Recipe.needs_data`): a dict ``input name -> array``, first axis samples,
    or an iterable of such dicts. `ValueError` for a graph that has codes already, calibration data
    that are missing or unfit, an override whose pattern fits no node, a node without integer form
    in ``full_integer``, an accumulator that could overflow, and what an algorithm refuses.

    ``checkpoint``: the folder to keep finished layers in, which ``resume`` goes on with
    (`refquant.model.checkpoint`); it stays until the caller has written the file. ``report`` is
    told of each finished layer of ``weight_only`` and ``simulated``.

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
    held = hold(graph, calibration) if recipe.walks else None
    work = _Work(recipe, held, _opened(graph, recipe, held, checkpoint, resume), report)
    folded, scales, rotations = _transformed(graph, work)
    meta = {
        **graph.meta,
        "scheme": recipe.scheme,
        "recipe": recipe.to_json(),
        "tools": versions(numpy=False),
    }
    if recipe.scheme == "float32":
        result = replace(folded, meta=meta)
        validate(result)
        return result
    contract = preset(recipe.contract or "")
    excluded, weights = rules_of(folded, recipe)
    layers: list[dict[str, Any]] = []
    seen = None if held is None else {"samples": held.samples, "sha256": dict(held.sha256)}
    data = calibration if held is None else held.batches
    ranges: dict[str, np.float32] = {}
    fixed, notes = folded, dict[str, Any]()
    if recipe.corrects and not recipe.decodes:
        reals = rounded_weights(folded, weights, contract=contract)
        fixed, notes = corrected(graph, folded, reals, recipe, held)
    if recipe.activations is not None:
        b, seen = _static(folded, fixed, recipe, data, excluded, weights, contract)
    elif recipe.scheme == "dynamic":
        b = quantize_dynamic(fixed, weights, contract=contract)
    else:
        folded, found = _awq_scaled(folded, work, weights, contract)
        scales += found
        if recipe.inputs is not None and recipe.inputs.static:
            ranges, seen = _input_scales(folded, recipe, data, weights, contract)
        coded, layers = quantize_layers(folded, weights, contract=contract, held=held,
                                        sums=recipe.sums, store=work.store,
                                        report=report)  # fmt: skip
        if recipe.corrects:
            reals = {name: coded_reals(own) for name, own in coded.items()}
            fixed, notes = corrected(graph, folded, reals, recipe, held)
        b = assemble(fixed, coded, contract=contract)
    if seen is not None:
        meta["calibration"] = seen
    made = b.graph(graph.outputs, meta=meta)
    if recipe.inputs is not None:
        made = round_inputs(made, recipe.inputs, contract=contract, scales=ranges)
    sums = recipe.sums if seen is not None else None
    records = {"layers": layers, "scales": scales, "rotations": rotations}
    numerics = card(made, recipe, calibration=seen, sums=sums, **records)
    return replace(made, meta={**meta, "numerics": {**numerics, **notes}})


@dataclass(frozen=True, slots=True)
class _Work:
    """What the steps share."""

    recipe: Recipe
    held: Held | None
    store: Checkpoint | None
    report: Report


def _opened(
    graph: Graph,
    recipe: Recipe,
    held: Held | None,
    checkpoint: str | os.PathLike[str] | None,
    resume: bool,
) -> Checkpoint | None:
    if checkpoint is None:
        return None
    return open_checkpoint(checkpoint, job(rq_digest(graph), recipe, held), resume=resume)


def _static(
    folded: Graph,
    fixed: Graph,
    recipe: Recipe,
    data: Batch | Iterable[Batch] | None,
    excluded: set[str],
    weights: dict[str, Weights],
    contract: Contract,
) -> tuple[Builder, dict[str, Any]]:
    assert recipe.activations is not None, "the caller has looked"
    linear = recipe.activations.nodes == "linear"
    layers = plan(fixed, contract=contract, excluded=excluded, linear=linear)
    full = recipe.scheme == "full_integer"
    if full:
        _need_integer(layers, excluded, contract)
    names = observed(fixed, layers, full_integer=full)
    seen = calibrate(folded, data, names=names, rules=recipe.activations, sums=recipe.sums)
    b = quantize_static(
        fixed,
        layers,
        seen,
        activations=recipe.activations,
        weights=weights,
        contract=contract,
        full_integer=full,
    )
    return b, {"samples": seen.samples, "sha256": dict(seen.sha256)}


def _input_scales(
    folded: Graph,
    recipe: Recipe,
    data: Batch | Iterable[Batch] | None,
    weights: dict[str, Weights],
    contract: Contract,
) -> tuple[dict[str, np.float32], dict[str, Any]]:
    assert recipe.inputs is not None, "the caller has looked"
    seen = calibrate_inputs(folded, data, nodes=weights, rules=recipe.inputs, sums=recipe.sums)
    scales = static_scales(seen, rules=recipe.inputs, contract=contract)
    return scales, {"samples": seen.samples, "sha256": dict(seen.sha256)}


def _awq_scaled(
    folded: Graph, work: _Work, weights: dict[str, Weights], contract: Contract
) -> tuple[Graph, list[dict[str, Any]]]:
    if not wants_scales(weights):
        return folded, []
    assert work.held is not None, "AWQ needs data"
    sums, store = work.recipe.sums, work.store
    return awq_scales(folded, weights, work.held, contract=contract, sums=sums, store=store)


def _transformed(
    graph: Graph, work: _Work
) -> tuple[Graph, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the folded graph, transformed as the recipe says, the scales and the rotations."""
    rules = work.recipe.transforms
    if rules is not None and rules.equalize:
        assert rules.sweeps is not None, "Transforms sets it"
        graph = equalize(graph, sweeps=rules.sweeps, absorb_bias=rules.absorb_bias)
    else:
        graph = fold(graph)
    graph, rotations = rotated(graph, work.recipe)
    if rules is None or rules.smooth is None:
        return graph, [], rotations
    assert work.held is not None, "smoothing needs data"
    alpha, sums = float(rules.smooth), work.recipe.sums
    graph, scales = smooth_scales(graph, work.held, alpha=alpha, sums=sums, store=work.store)
    return graph, scales, rotations


def _need_float(graph: Graph) -> None:
    for name, value in graph.values.items():
        tokens = value.dtype == "int32" and value.quant is None and name in graph.inputs
        if value.dtype != "float32" and not tokens:
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
