"""One operator as a graph: what the tests of operators that are built from others share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from tests.refquant.model.importers.tflite_bytes import Model

__all__ = ["called", "made"]


def called(m: Model, inputs: list[int], outputs: list[int], tool: str) -> Any:
    return tflite_graph(m.data(inputs, outputs), path="m.tflite", contract=tool)


def made(m: Model, inputs: list[int], y: int, tool: str, *arrays: NDArray[Any]) -> NDArray[Any]:
    """Return the one output of one sample, or several."""
    names = [m.tensors[i]["name"] for i in inputs]
    graph = called(m, inputs, [y], tool)
    (result,) = run(graph, dict(zip(names, map(np.asarray, arrays), strict=True))).values()
    return result
