import math
from typing import Any

import pytest

from refquant.model.graph import Node
from refquant.model.operators import DYNAMIC, MOVEMENT, OPERATORS, check_signature
from refquant.model.shapes import _RULES, _WITH_ABSENT


def node(op: str, count: int = 1, outputs: int = 1, **attributes: Any) -> Node:
    return Node("n", op, tuple("abcdefg"[:count]), tuple("uvwxyz"[:outputs]), attributes)


def test_every_operator_has_a_shape_rule() -> None:
    products = DYNAMIC - {"DynamicQuantizeLinear"}  # they share the rules of Conv and MatMul
    assert OPERATORS.keys() == _RULES.keys() | _WITH_ABSENT.keys() | products, (
        "one table, one set of operators"
    )
    assert OPERATORS.keys() >= MOVEMENT | DYNAMIC, "classes of operators are of operators"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (node("Relu6"), "unknown operator 'Relu6'"),
        (node(""), "unknown operator ''"),
        (node("Conv", 1), "Conv has 2 to 3 inputs, got 1"),
        (node("Conv", 4), "Conv has 2 to 3 inputs, got 4"),
        (node("Concat", 0, axis=0), "Concat has 1 to any number of inputs"),
        (node("Relu", 1, 2), "Relu has 1 outputs, got 2"),
        (node("DynamicQuantizeLinear", 1, 1), "has 3 outputs, got 1"),
        (Node("n", "Conv", ("x", ""), ("y",)), "Conv needs input 1"),
        (Node("n", "Concat", ("x", ""), ("y",), {"axis": 0}), "Concat needs input 1"),
        (node("Relu", alpha=1), "Relu has no attribute 'alpha'"),
        (node("Conv", 2, auto_pad="SAME_UPPER"), "no attribute 'auto_pad'"),
        (node("Sub", 2, clamp_min=1), "no attribute 'clamp_min'"),
        (node("MaxPool"), "needs the attribute 'kernel_shape'"),
        (node("MaxPool", kernel_shape=(1,), ceil_mode=1), r"ceil_mode is one of \[0\], got 1"),
        (node("MaxPool", kernel_shape=[1]), "kernel_shape is a list of integers"),
        (node("MaxPool", kernel_shape=3), "kernel_shape is a list of integers"),
        (node("MaxPool", kernel_shape=(1.0,)), "kernel_shape is a list of integers"),
        (node("MaxPool", kernel_shape=(True,)), "kernel_shape is a list of integers"),
        (node("Conv", 2, group=1.0), "group is an integer, got 1.0"),
        (node("Conv", 2, group=True), "group is an integer, got True"),
        (node("Gemm", 2, alpha=2), r"alpha is one of \[1\], got 2"),
        (node("Gemm", 2, transA=1), r"transA is one of \[0\], got 1"),
        (node("Gemm", 2, transB=2), r"transB is one of \[0, 1\], got 2"),
        (node("Gemm", 2, transB=True), "transB is one of"),
        (node("Flatten", axis=2), r"axis is one of \[1\], got 2"),
        (node("Pad", pads=(0, 0), mode="edge"), "mode is one of"),
        (node("LeakyRelu", alpha="1"), "alpha is a float32"),
        (node("LeakyRelu", alpha=math.nan), "alpha is a float32"),
        (node("LeakyRelu", alpha=1e39), "alpha is a float32"),
        (node("LeakyRelu", alpha=10**40), "alpha is a float32"),
        (node("Clip", min=True), "min is a float32"),
    ],
)
def test_a_broken_signature_is_named(broken: Node, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_signature(broken)


@pytest.mark.parametrize(
    "good",
    [
        node("Gemm", 3, alpha=1.0, beta=1, transA=0, transB=1),
        node("Conv", 2, clamp_min=-3, clamp_max=7),
        Node("n", "Conv", ("x", "w", ""), ("y",)),
        Node("n", "MatMulInteger", ("x", "w", "", "z"), ("y",)),
        node("Clip", min=0, max=6.0),
        node("Sigmoid", 2),
        node("Pad", pads=(1, 1), mode="constant", value=-1.5),
        node("Concat", 7, axis=-1),
    ],
)
def test_a_good_signature_passes(good: Node) -> None:
    check_signature(good)
