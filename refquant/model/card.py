"""The numerics card: everything that the numbers of a file depend on, in one place of its meta.

A file of int4 weights may have been made in a hundred ways that no reader can tell apart, and two
of them differ by more than two formats do. The card, ``meta.numerics``, is JSON: ::

    scheme, recipe           the recipe's name; its content stands in meta.recipe
    contracts                name -> every axis of the arithmetic
    weights, activations,    the rules, with every default and the settings of the algorithm
    inputs, transforms,
    overrides
    calibration              samples, and the SHA-256 of each input's bytes; null without data
    sums                     in which order the layer-wise walk has added; null without one
    scales                   which channels were scaled before (AWQ, SmoothQuant)
    rotations                what was rotated, what was not and why (`refquant.model.rotate`)
    layers                   per layer: node, algorithm, dtype, block_shape, loss, ...
    recurrent_float32        which GRU and LSTM a scheme of codes has left in float32, and why
    rounded                  which values are rounded how (`FakeQuantize`), who reads them
    execution                how many nodes compute on codes, on decoded weights, in float32, and
                             round reals to reals
    reference_only           operators because of which no runtime executes the file
    versions                 of refquant; of NumPy too, where its powers and sums have a say

No time and no name of a machine: the same job makes the same card.
"""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from refquant.model.frontier import Held
from refquant.model.graph import Graph, Node
from refquant.model.operators import DYNAMIC, REFERENCE_ONLY
from refquant.model.quantize_simulated import rounded_values
from refquant.model.recipe import Recipe

__all__ = ["card", "executed", "execution", "job", "versions"]


def card(
    graph: Graph,
    recipe: Recipe,
    *,
    calibration: Mapping[str, Any] | None,
    layers: Sequence[Mapping[str, Any]] = (),
    scales: Sequence[Mapping[str, Any]] = (),
    rotations: Sequence[Mapping[str, Any]] = (),
    sums: str | None = None,
) -> dict[str, Any]:
    """Return the numerics card of the quantized ``graph``.

    ``calibration`` has ``samples`` and ``sha256``; ``layers`` and ``scales`` are the records of
    the layer-wise walk, made with ``sums``, ``rotations`` those of `refquant.model.rotate`.

    >>> from refquant.model.recipe import recipe
    >>> graph = Graph("g", (), (), {}, (), {}, {}, {})
    >>> made = card(graph, recipe("w8_weight_only"), calibration=None)
    >>> made["scheme"], made["weights"]["algorithm"], made["execution"]["float32"]
    ('weight_only', 'rtn', 0)
    """
    rules = recipe.to_json()
    return {
        "scheme": recipe.scheme,
        "recipe": recipe.name,
        "contracts": {name: dict(c.to_json()) for name, c in sorted(graph.contracts.items())},
        "weights": rules.get("weights"),
        "activations": rules.get("activations"),
        "inputs": rules.get("inputs"),
        "transforms": rules.get("transforms"),
        "overrides": rules.get("override", []),
        "calibration": None if calibration is None else dict(calibration),
        "sums": sums,
        "scales": [dict(record) for record in scales],
        "rotations": [dict(record) for record in rotations],
        "layers": [dict(record) for record in layers],
        "rounded": rounded_values(graph),
        "execution": execution(graph),
        "reference_only": sorted({node.op for node in graph.nodes} & REFERENCE_ONLY),
        "versions": versions(numpy=not _fixed(recipe)),
    }


def execution(graph: Graph) -> dict[str, int]:
    """Count the nodes that compute on codes, on weights decoded to float32, and on float32.

    Movement of codes counts as ``codes``; so do the nodes between reals and codes. `FakeQuantize`,
    reals to reals that codes could be, is ``simulated``.

    >>> execution(Graph("g", (), (), {}, (), {}, {}, {}))
    {'codes': 0, 'decoded': 0, 'float32': 0, 'simulated': 0}
    """
    counts = dict.fromkeys(("codes", "decoded", "float32", "simulated"), 0)
    for node in graph.nodes:
        counts[executed(graph, node)] += 1
    return counts


def executed(graph: Graph, node: Node) -> str:
    """Return which of the four kinds of `execution` a node is.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> graph = b.graph([b.node("Relu", [b.input("x", ("N", 2))])])
    >>> executed(graph, graph.nodes[0])
    'float32'
    """
    names = filter(None, (*node.inputs, *node.outputs))
    coded = [name for name in names if graph.values[name].quant is not None]
    if node.op == "FakeQuantize":
        return "simulated"
    if not coded and node.op != "DynamicQuantizeLinear":
        return "float32"
    if coded and all(name in graph.constants for name in coded) and _float_arithmetic(node.op):
        return "decoded"
    return "codes"


def versions(*, numpy: bool) -> dict[str, str]:
    """Return refquant's version, and NumPy's if it is asked for.

    >>> sorted(versions(numpy=True))
    ['numpy', 'refquant']
    """
    try:
        found = {"refquant": metadata.version("refquant")}
    except metadata.PackageNotFoundError:  # a clone that is not installed
        found = {"refquant": "unknown"}
    return {**found, "numpy": np.__version__} if numpy else found


def job(digest: str, recipe: Recipe, held: Held | None) -> dict[str, Any]:
    """Return what a checkpoint must have been made of: JSON for `open_checkpoint`.

    ``digest`` is of the graph.

    >>> from refquant.model.recipe import recipe
    >>> job("ab", recipe("float32"), None)["graph"]
    'ab'
    """
    return {
        "graph": digest,
        "recipe": recipe.to_json(),
        "calibration": None if held is None else dict(held.sha256),
        "versions": versions(numpy=True),
    }


def _fixed(recipe: Recipe) -> bool:
    """Say whether every operation has one result: no powers, no BLAS, in contrast to AWQ's."""
    if recipe.sums != "ordered" or (recipe.transforms and recipe.transforms.smooth is not None):
        return False
    base = [] if recipe.weights is None else [recipe.weights]
    rules = base + [o.applied_to(own) for own in base for o in recipe.overrides]
    return {own.algorithm for own in rules} <= {"rtn", "gptq", "kquant", "adaround"}


def _float_arithmetic(op: str) -> bool:
    return op not in DYNAMIC
