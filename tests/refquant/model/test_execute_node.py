"""The table: each operator reaches the function it should, with its attributes and parameters."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.execute_node import _TABLE
from refquant.model.graph import Quant
from refquant.model.operators import OPERATORS

ONNX = preset("onnx")


def test_every_operator_is_in_the_table() -> None:
    assert _TABLE.keys() == OPERATORS.keys(), "one entry an operator"


def reals(op: str, *arrays: Any, **attributes: Any) -> Any:
    """Return what a float32 node of constants and one input gives, as a list."""
    b = Builder("g")
    first, *rest = (np.array(a, np.float32) for a in arrays)
    names = [b.input("x", first.shape)]
    names += [b.constant(f"c{i}", a) for i, a in enumerate(rest)]
    g = b.graph([b.node(op, names, attributes=attributes, name="y")])
    return run(g, {"x": first})["y"].tolist()


X = [[[1, 2, 3, 4]]]  # (1, 1, 4)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (lambda: reals("Conv", X, [[[1, 10]]], strides=(2,), pads=(1, 0)), [[[10, 32]]]),
        (lambda: reals("Conv", X, [[[1, 10]]], dilations=(3,)), [[[41]]]),
        (lambda: reals("Conv", [[[1], [2]]], [[[3]], [[5]]], [1, 2], group=2), [[[4], [12]]]),
        (lambda: reals("Gemm", [[1, 2]], [[3, 4], [5, 6]], [1, 2], transB=1), [[12, 19]]),
        (lambda: reals("Gemm", [[1, 2]], [[3, 4], [5, 6]]), [[13, 16]]),
        (lambda: reals("MatMul", [[1, 2]], [[3], [4]]), [[11]]),
        (lambda: reals("Add", [6], [4]), [10]),
        (lambda: reals("Sub", [6], [4]), [2]),
        (lambda: reals("Mul", [6], [4]), [24]),
        (lambda: reals("Div", [6], [4]), [1.5]),
        (lambda: reals("LeakyRelu", [-4, 4], alpha=0.25), [-1, 4]),
        (lambda: reals("Clip", [-4, 4], max=2.5), [-4, 2.5]),
        (lambda: reals("HardSigmoid", [1], alpha=0.25, beta=0.5), [0.75]),
        (lambda: reals("Abs", [-2]), [2]),
        (lambda: reals("Softmax", [[0, 0], [0, 0]], axis=0), [[0.5, 0.5], [0.5, 0.5]]),
        (lambda: reals("MaxPool", X, kernel_shape=(2,), strides=(2,)), [[[2, 4]]]),
        (lambda: reals("MaxPool", X, kernel_shape=(3,), pads=(1, 1)), [[[2, 3, 4, 4]]]),
        (lambda: reals("AveragePool", X, kernel_shape=(2,), pads=(1, 0)), [[[1, 1.5, 2.5, 3.5]]]),
        (
            lambda: reals("AveragePool", X, kernel_shape=(2,), pads=(1, 0), count_include_pad=1),
            [[[0.5, 1.5, 2.5, 3.5]]],
        ),
        (lambda: reals("GlobalMaxPool", X), [[[4]]]),
        (lambda: reals("GlobalAveragePool", X), [[[2.5]]]),
        (lambda: reals("Reshape", X, shape=(0, -1)), [[1, 2, 3, 4]]),
        (lambda: reals("Flatten", X), [[1, 2, 3, 4]]),
        (lambda: reals("Transpose", [[1, 2]], perm=(1, 0)), [[1], [2]]),
        (lambda: reals("Concat", [[1]], [[2]], [[3]], axis=1), [[1, 2, 3]]),
        (lambda: reals("Pad", [1], pads=(1, 2), value=9), [9, 1, 9, 9]),
        (lambda: reals("Identity", [1]), [1]),
        (lambda: reals("BatchNormalization", [[3]], [2], [1], [1], [3], epsilon=1.0), [[3]]),
    ],
)
def test_a_float_operator_by_hand(got: Any, expected: Any) -> None:
    assert got() == expected, "every number here is exact in float32"


def codes(op: str, *operands: Any, contract: Any = ONNX, **attributes: Any) -> Any:
    """Return the int8 codes of a node whose operands are int8 codes 0.5 (q - 1)."""
    b = Builder("g")
    q = Quant(0.5, 1)
    first = np.array(operands[0], np.int8)
    names = [b.input("x", first.shape, dtype="int8", quant=q)]
    names += [
        b.constant(f"c{i}", np.array(a, np.int8), quant=q) for i, a in enumerate(operands[1:])
    ]
    g = b.graph(
        [
            b.node(
                op,
                names,
                attributes=attributes,
                contract=contract,
                dtype="int8",
                quant=q,
                name="y",
            )
        ]
    )
    return run(g, {"x": first})["y"].tolist()


QX = [[[1, 3, 5, 7]]]  # reals 0, 1, 2, 3


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        # reals 1 * 2 = 2 -> code 5; 3 * 2 = 6 -> 13
        (lambda: codes("Conv", QX, [[[5]]], strides=(2,)), [[[1, 9]]]),
        (lambda: codes("Conv", QX, [[[5]]], pads=(1, 0)), [[[1, 1, 5, 9, 13]]]),
        (lambda: codes("Gemm", [[3, 5]], [[3, 5]], transB=1), [[11]]),
        (lambda: codes("MatMul", [[3, 5]], [[3], [5]], clamp_max=10), [[10]]),
        (lambda: codes("Add", [3, 5], [3]), [5, 7]),
        (lambda: codes("Add", [3, 5], [3], clamp_max=6), [5, 6]),
        (lambda: codes("Mul", [5, 7], [5]), [9, 13]),
        (lambda: codes("Relu", [-3, 5]), [1, 5]),
        (lambda: codes("Clip", [-3, 5], clamp_min=-2, clamp_max=4), [-2, 4]),
        (lambda: codes("Softmax", [[3, 3]]), [[2, 2]]),
        (lambda: codes("AveragePool", QX, kernel_shape=(2,), strides=(2,)), [[[2, 6]]]),
        (lambda: codes("GlobalAveragePool", QX), [[[4]]]),
        (lambda: codes("MaxPool", QX, kernel_shape=(2,), contract=None), [[[3, 5, 7]]]),
        (lambda: codes("GlobalMaxPool", QX, contract=None), [[[7]]]),
        (lambda: codes("Pad", [3], pads=(1, 1), contract=None), [1, 3, 1]),
        (lambda: codes("Concat", [3], [5], axis=0, contract=None), [3, 5]),
        (lambda: codes("Reshape", QX, shape=(4,), contract=None), [1, 3, 5, 7]),
        (lambda: codes("Transpose", [[3, 5]], contract=None), [[3], [5]]),
    ],
)
def test_an_integer_operator_by_hand(got: Any, expected: Any) -> None:
    assert got() == expected, "codes are compared bit for bit"


def test_a_table_is_looked_up() -> None:
    b = Builder("g")
    x = b.input("x", (3,), dtype="int8", quant=Quant(1.0, 0))
    t = b.constant("t", np.arange(255, -1, -1).astype(np.uint8))
    y = b.node("Requantize", [x, t], contract=ONNX, dtype="uint8", quant=Quant(0.5, 0), name="y")
    result = run(b.graph([y]), {"x": np.array([-128, 0, 127], np.int8)})
    assert result["y"].tolist() == [255, 127, 0], "table[q + 128]"


def test_weights_of_codes_are_dequantized() -> None:
    """x = [1, 2], w = 0.5 [[4 - 1], [5 - 1]] = [[1.5], [2]]: y = 5.5."""
    b = Builder("g")
    w = b.constant("w", np.array([[4], [5]], np.int8), quant=Quant(0.5, 1))
    x = b.input("x", (1, 2))
    g = b.graph([b.node("MatMul", [x, w], contract=ONNX, name="y")])
    assert run(g, {"x": np.array([[1, 2]], np.float32)})["y"].tolist() == [[5.5]], "by hand"


@pytest.mark.parametrize("conv", [False, True])
def test_raw_integers_by_hand(conv: bool) -> None:
    """(x - 3) (w - 1) with x = [4, 6], w = [2, 5]: 1 * 1 + 3 * 4 = 13; without zeros 8 + 30."""
    x, w = np.array([[4, 6]], np.uint8), np.array([[2], [5]], np.int8)
    if conv:
        x, w = x[..., None], w.T[..., None]
    for zeros, expected in (((3, 1), 13), ((None, None), 38), ((None, 1), 28)):
        b = Builder("g")
        names = [b.input("x", x.shape, dtype="uint8"), b.constant("w", w)]
        for name, zero, dtype in zip("ab", zeros, (np.uint8, np.int8), strict=True):
            names.append("" if zero is None else b.constant(name, np.array(zero, dtype)))
        op = "ConvInteger" if conv else "MatMulInteger"
        g = b.graph([b.node(op, names, contract=ONNX, name="y")])
        assert run(g, {"x": x})["y"].reshape(-1).tolist() == [expected], f"{op} {zeros}"


@pytest.mark.parametrize("conv", [False, True])
def test_float_results_of_integers_by_hand(conv: bool) -> None:
    """acc = (4 - 3) 2 + (6 - 3) 5 = 17, times 0.25 * 0.5, plus 1: 3.125."""
    x, w = np.array([[4, 6]], np.uint8), np.array([[2], [5]], np.int8)
    if conv:
        x, w = x[..., None], w.T[..., None]
    b = Builder("g")
    names = [b.input("x", x.shape, dtype="uint8"), b.constant("w", w, quant=Quant(0.5, 0))]
    names.append(b.constant("s", np.array(0.25, np.float32)))
    names.append(b.constant("z", np.array(3, np.uint8)))
    names.append(b.constant("b", np.array([1], np.float32)))
    op = "ConvIntegerToFloat" if conv else "MatMulIntegerToFloat"
    g = b.graph([b.node(op, names, contract=ONNX, name="y")])
    assert run(g, {"x": x})["y"].reshape(-1).tolist() == [3.125], op
