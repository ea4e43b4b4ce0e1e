"""A layer as a matrix: the product of rows and matrix is what the layer computes, exactly."""

import re
from typing import Any

import numpy as np
import pytest

from refquant.algorithms.weight import QuantizedWeight, group_indices
from refquant.model.build import Builder
from refquant.model.coded import coded_reals
from refquant.model.execute import run
from refquant.model.graph import Node
from refquant.model.recipe_rules import Weights
from refquant.model.weight_matrix import Layout, coded_of, layout, matrix_of, tokens_of

LAYERS: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "MatMul": ("MatMul", (3, 5), (5, 4), {}),
    "MatMul of sequences": ("MatMul", (3, 2, 5), (5, 4), {}),
    "Gemm": ("Gemm", (3, 5), (5, 4), {}),
    "Gemm transB": ("Gemm", (3, 5), (4, 5), {"transB": 1}),
    "Conv 1x1": ("Conv", (2, 3, 4, 5), (6, 3, 1, 1), {}),
    "Conv 3x2": (
        "Conv", (2, 3, 7, 6), (4, 3, 3, 2),
        {"strides": (2, 1), "pads": (1, 0, 2, 1), "dilations": (2, 3)},
    ),
    "Conv 1-D": ("Conv", (2, 3, 7), (4, 3, 3), {"pads": (1, 2), "strides": (2,)}),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_rows_times_matrix_is_the_layer(name: str) -> None:
    op, x_shape, w_shape, attributes = LAYERS[name]
    rng = np.random.default_rng(1)
    x, w = (rng.integers(-4, 5, shape).astype(np.float32) for shape in (x_shape, w_shape))
    b = Builder("g")
    operands = [b.input("x", ("N", *x_shape[1:])), b.constant("w", w)]
    y = b.node(op, operands, name="y", attributes=attributes)
    graph = b.graph([y])
    (node,) = graph.nodes
    rows = tokens_of(node, x, w_shape)
    product = rows @ matrix_of(node, w).T  # small integers: exact in float32
    expected = run(graph, {"x": x})["y"]
    if op == "Conv":
        expected = np.moveaxis(expected, 1, -1)
    assert np.array_equal(product, expected.reshape(product.shape)), f"{name}: another product"


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("size", [None, 1])
def test_codes_come_back_where_they_were(name: str, size: int | None) -> None:
    op, _, shape, attributes = LAYERS[name]
    node = Node("y", op, ("x", "w"), ("y",), attributes)
    w = np.arange(np.prod(shape)).reshape(shape) % 15 - 7
    matrix = matrix_of(node, w)
    n, k = matrix.shape
    rules = Weights(4, True, "per_channel" if size is None else "group", size)
    cut = layout(node, shape, rules)
    g_idx = group_indices(k, group_size=size)
    groups = int(g_idx.max()) + 1
    scale = np.exp2(np.arange(n * groups).reshape(n, groups) % 9 - 4).astype(np.float32)
    q = QuantizedWeight(matrix, scale, np.zeros((n, groups), np.int32), g_idx, 4, signed=True)
    coded = coded_of(node, q, shape, cut)
    assert np.array_equal(coded.codes, w), "codes in the constant's layout"
    back = matrix_of(node, coded_reals(coded))
    assert back.tobytes() == q.dequantize().tobytes(), f"{name}: other numbers in the file"


def test_groups_in_another_order_keep_their_columns() -> None:
    rng = np.random.default_rng(2)
    g_idx = np.array([1, 0, 0, 1])
    q = QuantizedWeight(
        rng.integers(0, 16, (3, 4)), rng.uniform(1, 2, (3, 2)).astype(np.float32),
        rng.integers(0, 16, (3, 2)), g_idx, 4, signed=False,
    )  # fmt: skip
    for op, shape in (("MatMul", (4, 3)), ("Conv", (3, 4, 1, 1))):
        node = Node("y", op, ("x", "w"), ("y",))
        cut = layout(node, shape, Weights(4, False, "group", 2))
        coded = coded_of(node, q, shape, cut)
        back = matrix_of(node, coded_reals(coded))
        assert back.tobytes() == q.dequantize().tobytes(), f"{op}: groups got other columns"
    kernel = Node("y", "Conv", ("x", "w"), ("y",))
    with pytest.raises(ValueError, match=r"taps .* use groups = \"static\""):
        coded_of(kernel, q, (3, 1, 2, 2), Layout(2, (1, 1, 1, 2)))


def test_float_zero_points_stay_floats() -> None:
    node = Node("y", "MatMul", ("x", "w"), ("y",))
    one = np.ones((1, 1), np.float32)
    q = QuantizedWeight(np.array([[1, 2]]), one, one * np.float32(0.3), np.array([0, 0]), 4, False)
    coded = coded_of(node, q, (2, 1), Layout(None, (2, 1)))
    assert coded.zero_point.dtype == np.float32, "0.3 is no integer"


@pytest.mark.parametrize(
    ("shape", "size", "block"),
    [
        ((8, 12, 3, 3), 64, (1, 6, 3, 3)),
        ((8, 12, 3, 3), 1000, (1, 12, 3, 3)),
        ((8, 384, 3), 32, (1, 8, 3)),  # ten kernels fit, eight divide the channels
        ((8, 7, 5, 5), 16, (1, 1, 1, 5)),  # three rows of a kernel fit, one divides it
        ((8, 7, 5, 5), 25, (1, 1, 5, 5)),
        ((8, 12, 1, 1), 4, (1, 4, 1, 1)),
        ((8, 9, 6, 4), 3, (1, 1, 1, 2)),
        ((8, 6, 7), 5, (1, 1, 1)),  # room for five taps of seven, which divide by one: no channels
    ],
)
def test_blocks_of_convolutions_divide(
    shape: tuple[int, ...], size: int, block: tuple[int, ...]
) -> None:
    cut = layout(Node("c", "Conv", ("x", "w"), ("y",)), shape, Weights(4, True, "group", size))
    assert cut == Layout(int(np.prod(block)), block), "whole kernels that divide the channels"


def test_what_cannot_be_cut_is_refused_by_name() -> None:
    product = Node("fc", "MatMul", ("x", "w"), ("y",))
    with pytest.raises(ValueError, match=r"node 'fc': group_size divides the 500 inputs .* got 64"):
        layout(product, (500, 3), Weights(4, True, "group", 64))
    assert layout(product, (48, 3), Weights(4, True, "group", 64)).group_size == 48, "one group"
    with pytest.raises(ValueError, match=re.escape("granularity 'per_tensor'")):
        layout(product, (48, 3), Weights(4, True, "per_tensor", algorithm="gptq"))
    grouped = Node("dw", "Conv", ("x", "w"), ("y",), {"group": 4})
    with pytest.raises(ValueError, match=r"node 'dw': a convolution in 4 groups .* override"):
        layout(grouped, (4, 1, 3, 3), Weights(4, True, algorithm="gptq"))
