r"""Rotations of a whole graph: the same function, inputs of layers without outlier channels.

A few large channels set the scale of all of a layer's input, and with 4 bits everything else rounds
to zero. Turned by a random orthogonal R every channel is a bit of all, and W R^T makes up for it
(`refquant.algorithms.rotation`, docs/concepts/rotations.md). Three steps, each its own module: ::

    fused     R1  the residual stream        rotate_stream     nothing while running, or nearly so
              R2  values of attention heads  rotate_heads      nothing while running
    both      R4  any input not turned yet   rotate_online     one Hadamard in front

R3, of queries and keys, is left out: it pays where keys are quantized, which no scheme here does.

``how`` is ``fused``, all of it, or ``online``, the last row alone. What is not recognised is left
alone. The **records** say what was done and what was not, and why: ::

    {kind: R1 | R2 | online, name, size, block_size, while_running, nodes}
    {kind: skipped, nodes, reason}

``nodes`` are the layers whose inputs are turned, ``while_running`` counts the Hadamards that stay,
``name`` and the recipe's seed say the signs (`refquant.algorithms.rotate_axis`). Constants are
turned in float64 and rounded to float32 once; so the graph computes the same function of the reals
up to half an ulp of each weight, and the rounding of its own sums.

References
----------
Ashkboos et al., "QuaRot", arXiv:2404.00456, sections 3 and 4; Liu et al., "SpinQuant",
arXiv:2405.16406 (the names).
"""

from collections.abc import Collection

from refquant.model.graph import Graph
from refquant.model.quantize_rules import rules_of
from refquant.model.recipe import Recipe
from refquant.model.recipe_checks import check_value
from refquant.model.recipe_transforms import ROTATIONS
from refquant.model.rotate_draft import Draft, Record
from refquant.model.rotate_heads import rotate_heads
from refquant.model.rotate_norm import with_biases
from refquant.model.rotate_online import rotate_online
from refquant.model.rotate_stream import passing_norms, rotate_streams
from refquant.model.states import need_pure
from refquant.model.validate import validate

__all__ = ["rotate", "rotated"]


def rotate(
    graph: Graph, *, how: str, seed: int, leave: Collection[str] = ()
) -> tuple[Graph, list[Record]]:
    """Return the float32 ``graph`` rotated, and the records of what was done.

    Nodes in ``leave`` get no rotation of their own in front. `ValueError` if nothing of the graph
    can be rotated, for then the recipe says something else than it does, and for a weight that
    leaves float32.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> from refquant.model.execute import run
    >>> b = Builder("g")
    >>> w = b.constant("w", np.array([[1], [2], [3], [4]], np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 4)), w], name="y")])
    >>> turned, records = rotate(g, how="online", seed=0)
    >>> [node.op for node in turned.nodes], records[0]["size"]
    (['Hadamard', 'MatMul'], 4)
    >>> x = np.array([[0, 0, 100, 0]], np.float32)
    >>> run(turned, {"x": x}, keep=["x/rotated"])["x/rotated"].tolist()
    [[50.0, 50.0, -50.0, -50.0]]
    >>> run(turned, {"x": x})["y"].tolist()
    [[300.0]]
    """
    check_value("rotate", how, ROTATIONS)
    need_pure(graph)
    if how == "fused":
        graph = with_biases(graph, passing_norms(graph))
    draft = Draft(graph)
    if how == "fused":
        rotate_streams(draft, seed=seed)
        rotate_heads(draft, seed=seed)
    rotate_online(draft, seed=seed, leave=frozenset(leave))
    if not draft.turned:
        raise ValueError(
            "transforms.rotate: no layer of this model has inputs that can be rotated; remove it"
        )
    done = draft.done()
    validate(done)
    return done, draft.records


def rotated(graph: Graph, recipe: Recipe) -> tuple[Graph, list[Record]]:
    """Return the folded ``graph`` rotated as the ``recipe`` says, and the records; none by default.

    >>> from refquant.model.build import Builder
    >>> from refquant.model.recipe import recipe
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 4))])])
    >>> rotated(g, recipe("int4_rtn"))[1]
    []
    """
    rules = recipe.transforms
    if rules is None or rules.rotate is None:
        return graph, []
    assert rules.seed is not None, "Transforms sets it"
    leave = rules_of(graph, recipe)[0] if recipe.weights is not None else ()
    return rotate(graph, how=rules.rotate, seed=rules.seed, leave=leave)
