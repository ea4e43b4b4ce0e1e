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
from dataclasses import replace
from typing import Any

from refquant.contracts import preset
from refquant.model.calibrate import Batch
from refquant.model.card import card, job, versions
from refquant.model.checkpoint import Checkpoint, open_checkpoint
from refquant.model.equalize import equalize
from refquant.model.fold import fold
from refquant.model.frontier import Held, hold
from refquant.model.graph import Graph
from refquant.model.layer_by_layer import Report
from refquant.model.migrate import smooth_scales
from refquant.model.operators import DYNAMIC
from refquant.model.quantize_rules import rules_of
from refquant.model.quantize_schemes import Work, decoded, on_codes
from refquant.model.quantize_simulated import round_inputs
from refquant.model.recipe import Recipe
from refquant.model.rotate import rotated
from refquant.model.rq import rq_digest
from refquant.model.states import closed, opened
from refquant.model.stream import in_order
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

    Where ``graph`` has states, each dict of the ``calibration`` is a recording, its steps in order,
    that begins anew; states are what the float graph makes them (`refquant.model.stream.in_order`).
    The result has the same states; in ``full_integer`` they are codes.

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
    pure, data = opened(graph), calibration
    if graph.states and calibration is not None and recipe.needs_data:
        data = in_order(graph, calibration, sums=recipe.sums)
    ties = tuple((state.input, state.output) for state in graph.states)
    made = _quantized(pure, recipe, data, ties, checkpoint, resume, report)
    contract = None if recipe.contract is None else preset(recipe.contract)
    return closed(made, graph, contract=contract)


def _quantized(
    graph: Graph,
    recipe: Recipe,
    calibration: Batch | Iterable[Batch] | None,
    ties: tuple[tuple[str, str], ...],
    checkpoint: str | os.PathLike[str] | None,
    resume: bool,
    report: Report,
) -> Graph:
    """Return the pure ``graph`` quantized; values in ``ties`` mean the same if they are codes."""
    held = hold(graph, calibration) if recipe.walks else None
    store = _opened(graph, recipe, held, checkpoint, resume)
    data = calibration if held is None else held.batches
    folded, scales, rotations = _transformed(graph, recipe, held, store)
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
    work = Work(graph, folded, recipe, held, store, report, contract, weights, ties)
    made = decoded(work, data) if recipe.decodes else on_codes(work, data, excluded)
    if made.seen is not None:
        meta["calibration"] = made.seen
    result = made.builder.graph(graph.outputs, meta=meta)
    if recipe.inputs is not None:
        result = round_inputs(result, recipe.inputs, contract=contract, scales=made.ranges)
    sums = recipe.sums if made.seen is not None else None
    records = {"layers": made.layers, "scales": [*scales, *made.scales], "rotations": rotations}
    numerics = card(result, recipe, calibration=made.seen, sums=sums, **records)
    return replace(result, meta={**meta, "numerics": {**numerics, **made.notes}})


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


def _transformed(
    graph: Graph, recipe: Recipe, held: Held | None, store: Checkpoint | None
) -> tuple[Graph, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the folded graph, transformed as the recipe says, the scales and the rotations."""
    rules = recipe.transforms
    if rules is not None and rules.equalize:
        assert rules.sweeps is not None, "Transforms sets it"
        graph = equalize(graph, sweeps=rules.sweeps, absorb_bias=rules.absorb_bias)
    else:
        graph = fold(graph)
    graph, rotations = rotated(graph, recipe)
    if rules is None or rules.smooth is None:
        return graph, [], rotations
    assert held is not None, "smoothing needs data"
    alpha = float(rules.smooth)
    graph, scales = smooth_scales(graph, held, alpha=alpha, sums=recipe.sums, store=store)
    return graph, scales, rotations


def _need_float(graph: Graph) -> None:
    codes = {n for node in graph.nodes if node.op in DYNAMIC for n in (*node.inputs, *node.outputs)}
    for name, value in graph.values.items():
        # Tokens, places, truths: integers that no operator multiplies.
        counts = value.dtype in ("int32", "uint8") and value.quant is None and name not in codes
        if value.dtype != "float32" and not counts:
            raise ValueError(
                f"quantize takes a float32 graph, but value {name!r} is {value.dtype}; "
                "quantize the model it came from"
            )
