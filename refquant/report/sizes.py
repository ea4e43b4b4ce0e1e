"""Where a model's bytes go: by what the constants are for, and the largest of them.

::

    weights, int8               read by a node as an operand of two or more axes
    parameters, float32         scales, zero points, tables and g_idx, which a weight's codes need
    other, int32                biases, tables of activations, shapes
    graph and header            the rest of a .rq file

Sub-byte codes count as the file packs them. A file of another kind (GGUF, ONNX, ...) holds other
types than the graph it is read as, so of it there is no rest, and the bytes are those in memory.
"""

from collections.abc import Mapping, Sequence

from refquant.model.graph import Graph
from refquant.model.metrics import tensor_bytes

__all__ = ["breakdown", "kinds", "largest", "parameters_of"]


def parameters_of(graph: Graph) -> frozenset[str]:
    """Return the constants that codes are read by.

    >>> from refquant.model.graph import Quant, Value
    >>> w = Value("int8", (2,), Quant("w/scale", 0, (1,)))
    >>> sorted(parameters_of(Graph("g", (), (), {"w": w}, (), {}, {}, {})))
    ['w/scale']
    """
    quants = (value.quant for value in graph.values.values())
    return frozenset(name for quant in quants if quant is not None for name in quant.names)


def kinds(graph: Graph) -> dict[str, str]:
    """Return what each constant is for, with its dtype.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> w = b.constant("w", np.ones((2, 2), np.float32))
    >>> kinds(b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")]))
    {'w': 'weights, float32'}
    """
    parameters = parameters_of(graph)
    found = {}
    for name, array in graph.constants.items():
        role = "weights" if array.ndim >= 2 else "other"
        role = "parameters" if name in parameters else role
        found[name] = f"{role}, {graph.values[name].dtype}"
    return found


def breakdown(graph: Graph, file_bytes: int | None) -> dict[str, int]:
    """Return the bytes of each kind; ``file_bytes`` of a `.rq` file gives the rest a line, too.

    >>> breakdown(Graph("g", (), (), {}, (), {}, {}, {}), 100)
    {'graph and header': 100}
    """
    total: dict[str, int] = {}
    stored, kind = tensor_bytes(graph), kinds(graph)
    for name, size in stored.items():
        total[kind[name]] = total.get(kind[name], 0) + size
    order = ("weights", "parameters", "other")
    rows = dict(sorted(total.items(), key=lambda row: (order.index(row[0].split(",")[0]), row[0])))
    if file_bytes is not None:
        rows["graph and header"] = file_bytes - sum(stored.values())
    return rows


def largest(a: Graph, b: Graph, count: int) -> Sequence[tuple[str, Mapping[str, tuple[str, int]]]]:
    """Return at most ``count`` constants, largest first: name, and of "a", "b" its kind and bytes.

    >>> largest(Graph("g", (), (), {}, (), {}, {}, {}), Graph("g", (), (), {}, (), {}, {}, {}), 5)
    []
    """
    both = {which: (kinds(graph), tensor_bytes(graph)) for which, graph in (("a", a), ("b", b))}
    found: dict[str, dict[str, tuple[str, int]]] = {}
    for which, (kind, stored) in both.items():
        for name, size in stored.items():
            found.setdefault(name, {})[which] = (kind[name], size)
    rows = sorted(found.items(), key=lambda row: (-max(s for _, s in row[1].values()), row[0]))
    return rows[:count]
