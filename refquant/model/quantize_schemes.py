"""What each scheme makes of a transformed float graph: one way on codes, one on decoded weights.

::

    static, full_integer   plan -> (correct biases) -> calibrate -> rewrite   codes in, codes out
    dynamic                (correct biases) -> rewrite                        codes of each sample
    weight_only            AWQ's scales -> layer by layer -> (correct biases) -> assemble
    simulated              the same, and the inputs of coded weights rounded

`refquant.model.quantize` calls it between the transforms and the card.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refquant.contracts import Contract
from refquant.model.build import Builder
from refquant.model.calibrate import Batch, Calibrated, calibrate, tied
from refquant.model.checkpoint import Checkpoint
from refquant.model.coded import coded_reals
from refquant.model.correct_bias import corrected, rounded_weights
from refquant.model.flat_ends import flat_ends
from refquant.model.frontier import Held
from refquant.model.graph import Graph
from refquant.model.layer_by_layer import Report, quantize_layers
from refquant.model.migrate import awq_scales, wants_scales
from refquant.model.operators import UNARY
from refquant.model.quantize_dynamic import quantize_dynamic
from refquant.model.quantize_plan import Plan, plan
from refquant.model.quantize_recurrent import kept_float
from refquant.model.quantize_simulated import calibrate_inputs, static_scales
from refquant.model.quantize_static import observed, quantize_static
from refquant.model.quantize_weight_only import assemble
from refquant.model.recipe import Recipe
from refquant.model.recipe_rules import Weights

__all__ = ["Made", "Work", "decoded", "on_codes"]

Records = list[dict[str, Any]]
Data = Batch | Iterable[Batch] | None


@dataclass(frozen=True, slots=True)
class Work:
    """What the steps share: the ``graph``, what transforms made of it (``folded``), the rules.

    ``held`` are the calibration data where the recipe walks over them; ``ties`` pairs of values
    that must mean the same if they are codes: the two ends of a state.
    """

    graph: Graph
    folded: Graph
    recipe: Recipe
    held: Held | None
    store: Checkpoint | None
    report: Report
    contract: Contract
    weights: dict[str, Weights]
    ties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A graph in the making, and what the card says of it; ``ranges``: scales of static inputs."""

    builder: Builder
    seen: Mapping[str, Any] | None
    layers: Records = field(default_factory=list)
    scales: Records = field(default_factory=list)
    notes: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, np.float32] = field(default_factory=dict)


def on_codes(work: Work, data: Data, excluded: set[str]) -> Made:
    """Return what the static and dynamic schemes make; ``excluded`` are names of nodes.

    >>> from refquant.contracts import preset
    >>> from refquant.model.recipe import recipe
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> work = Work(g, g, recipe("w8a8_dynamic"), None, None, lambda done: None, preset("ort"),
    ...             {"y": Weights()})
    >>> [n.op for n in on_codes(work, None, set()).builder.nodes]
    ['DynamicQuantizeLinear', 'MatMulIntegerToFloat']
    """
    recipe, contract, weights = work.recipe, work.contract, work.weights
    fixed, notes = work.folded, dict[str, Any]()
    if recipe.corrects:
        reals = rounded_weights(work.folded, weights, contract=contract)
        fixed, notes = corrected(work.graph, work.folded, reals, recipe, work.held)
    if kept := kept_float(fixed, weights, excluded):
        notes = {**notes, "recurrent_float32": kept}
    if recipe.activations is None:
        b = quantize_dynamic(fixed, weights, contract=contract)
        return Made(b, _held_record(work.held), notes=notes)
    linear, full = recipe.activations.nodes == "linear", recipe.scheme == "full_integer"
    layers = plan(fixed, contract=contract, excluded=excluded, linear=linear, full_integer=full)
    if full:
        _need_integer(layers, excluded, contract)
    names = observed(fixed, layers, full_integer=full)
    tables = {layer.node.name for layer in layers.layers if layer.codes and layer.node.op in UNARY}
    within = flat_ends(fixed, tables=tables, source=layers.source)
    rules = recipe.activations
    seen = calibrate(work.folded, data, names=names, rules=rules, sums=recipe.sums, within=within)
    states = tuple((layers.source.get(a, a), b) for a, b in layers.ties)
    seen = tied(seen, (*work.ties, *states))
    b = quantize_static(
        fixed,
        layers,
        seen,
        activations=recipe.activations,
        weights=weights,
        contract=contract,
        full_integer=full,
    )
    return Made(b, _record(seen), notes=notes)


def decoded(work: Work, data: Data) -> Made:
    """Return what the schemes make whose weights are decoded: ``weight_only``, ``simulated``.

    >>> from refquant.contracts import preset
    >>> from refquant.model.recipe import recipe
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> work = Work(g, g, recipe("int4_rtn"), None, None, lambda done: None, preset("ort"),
    ...             {"y": Weights(bits=4)})
    >>> decoded(work, None).builder.values["w"].dtype
    'int4'
    """
    recipe, held, contract, weights = work.recipe, work.held, work.contract, work.weights
    folded, scales = work.folded, list[dict[str, Any]]()
    if wants_scales(weights):
        assert held is not None, "AWQ needs data"
        folded, scales = awq_scales(
            folded, weights, held, contract=contract, sums=recipe.sums, store=work.store
        )
    ranges: Mapping[str, np.float32] = {}
    record, inputs = _held_record(held), recipe.inputs
    if inputs is not None and inputs.static:
        seen = calibrate_inputs(folded, data, nodes=weights, rules=inputs, sums=recipe.sums)
        ranges, record = static_scales(seen, rules=inputs, contract=contract), _record(seen)
    coded, layers = quantize_layers(
        folded, weights, contract=contract, held=held, sums=recipe.sums, store=work.store,
        report=work.report,
    )  # fmt: skip
    fixed, notes = folded, dict[str, Any]()
    if recipe.corrects:
        reals = {name: coded_reals(own) for name, own in coded.items()}
        fixed, notes = corrected(work.graph, folded, reals, recipe, held)
    b = assemble(fixed, coded, contract=contract)
    return Made(b, record, layers, scales, notes, ranges)


def _record(seen: Calibrated | Held) -> dict[str, Any]:
    return {"samples": seen.samples, "sha256": dict(seen.sha256)}


def _held_record(held: Held | None) -> dict[str, Any] | None:
    return None if held is None else _record(held)


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
