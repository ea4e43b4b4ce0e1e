r"""Where a function has stopped to change: codes for what lies beyond are codes for nothing.

HardSwish is 0 below -3, HardSigmoid 0 and 1 outside [-3, 3]; a value of [-150, 265] that only a
HardSwish reads needs codes from -3 on, and one of [-50, 50] before a HardSigmoid needs 6 of 100. A
range that is cut there gives the rest finer steps, and what lies beyond saturates to the end, whose
function value is the same, or nearly, for functions that come near their limit f:

.. math:: |f(x) - f| < 2^{-11}                                                             \tag{1}

beyond the end, an eighth of a step of 8 bits over a range of 1. ::

    HardSwish     [-3, ...)                     Swish, Softplus    [-10, ...), [-8, ...)
    HardSigmoid   [-beta, 1 - beta] / alpha     Gelu, Elu          [-4, ...), [-8 - ln, ...)
    Sigmoid       [-8, 8]                       Tanh, Erf          [-4.5, 4.5], [-3, 3]

Only of values whose every reader is such a function, read from a table of codes: then the range is
cut as if it were data (`refquant.model.calibrate`), so that every observer sees what remains.

Left out: several functions of one value with different ends in between (the widest is taken);
`Relu` and `Clip`, which the layer before them absorbs or which copy codes.

References
----------
The idea is that of absorbing a `Relu` into the range of what it reads: Jacob et al., CVPR 2018,
section 2.4.
"""

import math
from collections.abc import Collection, Mapping

from refquant.model.graph import Graph, Node

__all__ = ["Ends", "ends_of", "flat_ends"]

Ends = tuple[float, float]

_ENDS: Mapping[str, Ends] = {
    "HardSwish": (-3.0, math.inf),
    "Sigmoid": (-8.0, 8.0),
    "Tanh": (-4.5, 4.5),
    "Erf": (-3.0, 3.0),
    "Swish": (-10.0, math.inf),
    "Gelu": (-4.0, math.inf),
    "Softplus": (-8.0, math.inf),
}


def flat_ends(
    graph: Graph, *, tables: Collection[str], source: Mapping[str, str]
) -> dict[str, Ends]:
    """Return where the range of each value may end that only functions with flat ends read.

    ``tables``: the names of nodes that become tables of codes; ``source`` as in
    `refquant.model.quantize_plan.Plan`: a value that shares its parameters is left alone.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> x = b.input("x", ("N", 4))
    >>> h = b.node("Add", [x, x], name="h")
    >>> g = b.graph([b.node("HardSwish", [h], name="y")])
    >>> flat_ends(g, tables={"y"}, source={"h": "h"})
    {'h': (-3.0, inf)}
    """
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    shared = [whose for name, whose in source.items() if name != whose]
    found: dict[str, Ends] = {}
    for name, nodes in readers.items():
        own = source.get(name) == name and name not in shared and name not in graph.outputs
        if not own or name in graph.inputs or name in graph.constants:
            continue
        ends = [ends_of(node) if node.name in tables else None for node in nodes]
        known = [end for end in ends if end is not None]
        if len(known) == len(nodes):
            found[name] = min(low for low, _ in known), max(high for _, high in known)
    return found


def ends_of(node: Node) -> Ends | None:
    """Return the ends of a function: eq. (1); None for one that never stops to change.

    >>> ends_of(Node("y", "HardSigmoid", ("x",), ("y",), {"alpha": 0.25}))
    (-2.0, 2.0)
    """
    if node.op == "HardSigmoid":
        alpha, beta = (float(node.attributes.get(k, v)) for k, v in (("alpha", 0.2), ("beta", 0.5)))  # type: ignore[arg-type]  # validated: numbers
        return (-beta / alpha, (1 - beta) / alpha) if alpha > 0 else None
    if node.op == "Elu":
        alpha = float(node.attributes.get("alpha", 1.0))  # type: ignore[arg-type]  # validated
        return (-8.0 - max(math.log(alpha), 0.0), math.inf) if alpha > 0 else None
    return _ENDS.get(node.op)
