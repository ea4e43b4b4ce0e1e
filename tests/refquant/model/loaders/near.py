"""How near another engine must come to a whole model.

A model is a path of ``operators``, each a sum of at most ``terms`` products. To first order each
adds an error of sqrt(2 terms) 2^-24 of what it computes, for roundings that are not correlated
(Higham and Mary, "A new approach to probabilistic rounding error analysis", 2019, with lambda = 1
for each engine), and normalization keeps what it computes of the size of the result. Errors of the
operators add up at most. Gelu adds the error of Erf, 6.7e-7 of its input, where there is one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.graph import Graph
from tests.refquant.model.onnx_twin import run_twin


def agree(
    graph: Graph, inputs: dict[str, NDArray[Any]], *, terms: int, sums: str = "ordered"
) -> dict[str, NDArray[Any]]:
    """Check that onnxruntime agrees; return our results."""
    ours, theirs = run(graph, inputs, sums=sums), run_twin(graph, inputs)
    operators = len(graph.nodes)
    gelus = sum(node.op == "Gelu" for node in graph.nodes)
    relative = operators * (2 * terms) ** 0.5 * 2.0**-24 + gelus * 6.7e-7
    for name in graph.outputs:
        size = float(np.abs(theirs[name]).max())
        apart = float(np.abs(ours[name].astype(np.float64) - theirs[name]).max())
        assert apart <= relative * size, f"{name}: {apart} apart, {relative * size} is the bound"
    return ours
