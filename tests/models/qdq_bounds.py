r"""How far apart two engines may be in one float32 operator that sums.

.. math::

    \gamma_n = n u / (1 - n u), \qquad u = 2^{-24}

    |y - y'| \le 2 \gamma_{n+1} \left( \sum |x| |w| + |b| \right)                          \tag{1}

    |y - y'| \le 2 \gamma_{n+8} \left( |g| (\overline{|x|} + |x - \mu|) / \sigma + |y| \right)
                                                                                           \tag{2}

    |y - y'| \le 2 \gamma_6 \left( |g| (|x| + |\mu|) / \sigma + |b| \right)                \tag{3}

(1) Conv, ConvTranspose, Gemm, MatMul: n products and a bias, summed in any order.
(2) LayerNormalization over n elements: the mean is off by gamma_n of the mean of :math:`|x|`, the
variance by gamma_{n+3} of itself (the mean's error enters as its square), and its root by half of
that; five operators round besides.
(3) BatchNormalization, whose statistics are constants: five operators, each rounds once.

Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2002, sections 3.1 and 4.2; twice,
for two engines.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from refquant.model.execute_node import execute_node
from refquant.model.graph import Graph, Node, Value
from refquant.model.reals import reals

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def gamma(n: int) -> float:
    return n * 2.0**-24 / (1 - n * 2.0**-24)


def bound_of(graph: Graph, node: Node, operands: list[Any]) -> Any:
    """How far each element of the result may be from another engine's."""
    if node.op == "LayerNormalization":
        return _layer(node, operands)
    if node.op == "BatchNormalization":
        x, g, b, mean, variance = (np.asarray(a, np.float64) for a in operands)
        g, b, mean, variance = (a[:, *(None,) * (x.ndim - 2)] for a in (g, b, mean, variance))
        root = np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))  # type: ignore[arg-type]  # a float
        return 2 * gamma(6) * (np.abs(g) * (np.abs(x) + np.abs(mean)) / root + np.abs(b))
    assert node.op in _PRODUCTS, f"{node.op}: no bound is known"
    exact = [
        array if graph.values[name].quant is None else reals(graph, name, array)
        for name, array in zip(node.inputs, operands, strict=True)
    ]
    sizes = [np.abs(array) for array in exact]
    floats = {
        name: Value("float32", array.shape) for name, array in zip(node.inputs, sizes, strict=True)
    }
    plain = replace(graph, values={**graph.values, **floats})
    magnitude = execute_node(plain, replace(node, contract=None), sizes)[0].astype(np.float64)
    w = operands[1]
    n = w.shape[-2] if node.op == "MatMul" else w.size // magnitude.shape[1]
    return 2 * gamma(n + 1) * magnitude


def _layer(node: Node, operands: list[Any]) -> Any:
    x, g = (np.asarray(a, np.float64) for a in operands[:2])
    axis = int(node.attributes.get("axis", -1)) % x.ndim  # type: ignore[arg-type]  # an int
    axes = tuple(range(axis, x.ndim))
    n = int(np.prod(x.shape[axis:]))
    away = x - x.mean(axis=axes, keepdims=True)
    epsilon = float(node.attributes.get("epsilon", 1e-5))  # type: ignore[arg-type]  # a float
    root = np.sqrt((away**2).mean(axis=axes, keepdims=True) + epsilon)
    mean = np.abs(x).mean(axis=axes, keepdims=True)
    y = np.abs(g * away / root) + (np.abs(operands[2]) if len(operands) > 2 else 0)
    return 2 * gamma(n + 8) * (np.abs(g) * (mean + np.abs(away)) / root + y)
