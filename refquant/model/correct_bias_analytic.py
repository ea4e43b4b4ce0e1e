r"""Bias correction without data: the means that batch normalization knows.

Where a layer reads what a batch normalization gives, perhaps through `Relu` or `Clip`, its input
is taken for a clipped normal number of that mean and deviation
(`refquant.algorithms.bias_correction`, eq. 4), and

.. math::

    b' = b - (\hat W - W)\, E[x]                                                        \tag{1}

::

    BatchNormalization --> Relu --> x --> Conv        corrected
    Add (a residual), a pool, an input --> x --> ...  nothing is known of x: listed as left

The statistics are read from the model as it came: folding removes them.

References
----------
Nagel et al., arXiv:1906.04721, section 4.2 and appendix C.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.bias_correction import clipped_normal_mean, correct_by_inputs
from refquant.model.bias_sites import bias_of, rebuilt, record_of, sites_of
from refquant.model.channels import channel_axis
from refquant.model.graph import Graph, Node

__all__ = ["correct_analytic"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def correct_analytic(
    original: Graph, graph: Graph, weights: Mapping[str, F32]
) -> tuple[Graph, dict[str, Any]]:
    """Return the folded ``graph`` of ``original`` with the biases of eq. (1), and a record.

    ``weights`` as in `refquant.model.correct_bias.correct_empirical`.

    >>> from refquant.model.build import Builder
    >>> from refquant.model.fold import fold
    >>> b = Builder("g")
    >>> norm = [b.constant(k, np.float32([v])) for k, v in zip("gbmv", (1, 2, 0, 1))]
    >>> h = b.node("BatchNormalization", [b.input("x", ("N", 1)), *norm], name="h")
    >>> g = b.graph([b.node("Gemm", [h, b.constant("w", np.float32([[1.25]]))], name="y")])
    >>> done, _ = correct_analytic(g, fold(g), {"y": np.float32([[1]])})
    >>> done.constants["y.bias"].tolist()
    [0.5]
    """
    sites, left = sites_of(graph, weights)
    statistics = {
        node.outputs[0]: tuple(original.constants[name] for name in node.inputs[1:3])
        for node in original.nodes
        if node.op == "BatchNormalization" and set(node.inputs[1:]) <= original.constants.keys()
    }
    biases: dict[str, F32] = {}
    for name, site in list(sites.items()):
        node = site.node
        w = graph.constants[node.inputs[1]]
        mean = _mean_input(graph, node, statistics)
        rows = channel_axis(node, w.ndim) == 0
        groups = int(node.attributes.get("group", 1))  # type: ignore[arg-type]  # validated
        transposed = node.op == "ConvTranspose"
        if transposed or mean is None or mean.shape != (w.shape[1 if rows else 0] * groups,):
            left.append(name)
            del sites[name]
            continue
        matrices = [np.ascontiguousarray(m if rows else m.T) for m in (w, weights[name])]
        bias = bias_of(graph, site, len(matrices[0]))
        biases[name] = correct_by_inputs(bias, *matrices, mean_input=mean, groups=groups)
    return rebuilt(graph, sites, biases), record_of(graph, "analytic", sites, biases, left)


def _mean_input(graph: Graph, node: Node, statistics: Mapping[str, tuple[F32, ...]]) -> F64 | None:
    """Return E[x] of the first input of ``node``, None where nothing is known of it."""
    value, low, high = node.inputs[0], -np.inf, np.inf
    if value not in statistics:
        maker = next((n for n in graph.nodes if value in n.outputs), None)
        if maker is None or maker.op not in ("Relu", "Clip"):
            return None
        value = maker.inputs[0]
        low = 0.0 if maker.op == "Relu" else float(maker.attributes.get("min", -np.inf))  # type: ignore[arg-type]  # validated
        high = float(maker.attributes.get("max", np.inf))  # type: ignore[arg-type]  # validated
    if value not in statistics:
        return None
    scale, bias = (a.astype(np.float64) for a in statistics[value])
    return clipped_normal_mean(bias, scale, low=low, high=high)
