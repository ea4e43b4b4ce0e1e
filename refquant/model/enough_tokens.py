r"""Are there tokens enough? A question to shapes, asked before the walk and not deep inside it.

GPTQ learns from tokens which inputs of a layer move together. Fewer tokens than inputs cannot tell,
and the walk over a model's layers would find that out at the first layer that is too wide, after
minutes or hours of work. But how many tokens a layer gets follows from shapes alone: ::

    node                output                     k inputs       tokens of a batch
    Gemm, MatMul        (N, T, n)                  k              N T = elements / n
    Conv                (N, n, H', W')             C KH KW        N H' W' = elements / n

with N samples of length T in the batch; over all batches the tokens add up. An output whose shape
does not say (GRU, LSTM, which have no rows of their own) is left to the walk, which checks again.

References
----------
`refquant.model.quantize_layer`, which refuses the same, layer by layer.
"""

import math
from collections.abc import Collection, Mapping

from refquant.model.frontier import Held
from refquant.model.graph import Graph, Node
from refquant.model.quantize_weights import WEIGHTED, row_axes
from refquant.model.recipe_rules import Weights

__all__ = ["check_enough_tokens", "tokens_seen"]


def tokens_seen(graph: Graph, node: Node, held: Held) -> int | None:
    """Return how many tokens ``held`` brings to ``node``; None where no shape says it.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> from refquant.model.frontier import hold
    >>> b = Builder("g")
    >>> w = b.constant("w", np.ones((2, 3), np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", "T", 2)), w], name="y")])
    >>> tokens_seen(g, g.nodes[0], hold(g, {"x": np.ones((4, 5, 2), np.float32)}))
    20
    """
    if node.op not in WEIGHTED:
        return None
    w = graph.values[node.inputs[1]].shape
    shape, outputs = graph.values[node.outputs[0]].shape, w[row_axes(node, len(w))[0]]
    total = 0
    for batch in held.batches:
        sizes: dict[int | str, int] = {}
        for name in graph.inputs:
            sizes |= dict(zip(graph.values[name].shape, batch[name].shape, strict=True))
        elements = math.prod(sizes[d] if isinstance(d, str) else d for d in shape)
        total += elements // int(outputs)
    return total


def check_enough_tokens(
    graph: Graph, rules: Mapping[str, Weights], held: Held, names: Collection[str]
) -> None:
    """Refuse ``held`` where GPTQ would get fewer tokens than a layer of ``names`` has inputs.

    The `ValueError` names the layer that lacks most, and how many others do.

    >>> from refquant.model.graph import Graph
    >>> check_enough_tokens(Graph("g", (), (), {}, (), {}, {}, {}), {}, Held((), 0, {}), ())
    """
    short: list[tuple[int, int, str]] = []
    for node in graph.nodes:
        own = rules.get(node.name)
        if node.name not in names or own is None or own.gptq is None or own.gptq.few_tokens:
            continue
        tokens = tokens_seen(graph, node, held)
        if tokens is None:
            continue
        w = graph.values[node.inputs[1]].shape
        k = math.prod(int(d) for i, d in enumerate(w) if i not in row_axes(node, len(w)))
        if tokens < k:
            short.append((k - tokens, k, f"node {node.name!r}, weight {node.inputs[1]!r}"))
    if not short:
        return
    lacking, k, where = max(short, key=lambda one: one[0])
    others = f" (and too few for {len(short) - 1} more layers)" if len(short) > 1 else ""
    raise ValueError(
        f"{where}: calibration has {k - lacking} tokens for {k} inputs{others}: fewer cannot "
        "tell GPTQ which of them move together; pass more samples, or say few_tokens = true in "
        "[weights.gptq] (--few-tokens)"
    )
