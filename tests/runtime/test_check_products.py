"""Integer products: whose weights fit, and whose sums cannot overflow: exactly those."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant_runtime.check_products import check_product, check_raw, check_static_recurrent
from refquant_runtime.contracts import arithmetic_of
from refquant_runtime.graph import Node, Quant, Value
from refquant_runtime.rules import BeyondError

MATMUL = Node("m", "MatMul", ("x", "w", "b"), ("y",), {}, "ort")
INTEGER = replace(MATMUL, op="MatMulInteger")
TO_FLOAT = replace(MATMUL, op="MatMulIntegerToFloat")


def quant(zero: int = 0) -> Quant:
    return Quant(np.array(0.5, np.float32), np.array(zero, np.int32), None)


def value(name: str, dtype: str, *shape: int, quant: Quant | None = None) -> Value:
    return Value(name, dtype, shape, False, quant, None)


def constant(name: str, data: NDArray[Any], quant: Quant | None = None) -> Value:
    return Value(name, data.dtype.name, data.shape, False, quant, data)


def weights(k: int, code: int = -128, zero: int = 0, *, plain: bool = False) -> Value:
    dtype = np.int8 if code < 0 else np.uint8
    return constant("w", np.full((k, 1), code, dtype), None if plain else quant(zero))


Y = value("y", "int32", 1, 1)
X = value("x", "uint8", 1, 4)
LIMIT = 2**31 - 1


@given(
    zero_x=st.integers(0, 255), zero_w=st.integers(-128, 127), k=st.integers(32_000, 70_000),
    bias=st.integers(-(2**30), 2**30),
)  # fmt: skip
def test_a_layer_passes_exactly_when_its_worst_sum_fits(
    zero_x: int, zero_w: int, k: int, bias: int
) -> None:
    x = value("x", "uint8", 1, k, quant=quant(zero_x))
    b = constant("b", np.array([bias], np.int32), quant())
    worst = max(zero_x, 255 - zero_x) * k * abs(-128 - zero_w) + abs(bias)
    if worst <= LIMIT:
        check_product(MATMUL, [x, weights(k, -128, zero_w), b])
    else:
        with pytest.raises(ValueError, match=f"channel 0 may reach {worst}"):
            check_product(MATMUL, [x, weights(k, -128, zero_w), b])


@given(st.integers(0, 255), st.integers(-128, 127), st.integers(30_000, 140_000))
def test_a_product_of_two_computed_tensors_is_bounded_by_its_zero_points(
    zero_a: int, zero_b: int, k: int
) -> None:
    a = value("a", "uint8", 1, k, quant=quant(zero_a))
    b = value("b", "int8", k, 1, quant=quant(zero_b))
    worst = k * max(zero_a, 255 - zero_a) * max(127 - zero_b, zero_b + 128)
    if worst <= LIMIT:
        check_product(MATMUL, [a, b])
    else:
        with pytest.raises(ValueError, match=f"up to {worst}"):
            check_product(MATMUL, [a, b])


@pytest.mark.parametrize(
    ("dtype", "zero", "reach"),
    [
        ("uint8", None, 255),
        ("int8", None, 128),  # absent is zero
        ("uint8", 128, 128),
        ("int8", 127, 255),
        ("uint8", "computed", 255),
    ],
)
@pytest.mark.parametrize("w_zero", [None, 127])
def test_a_raw_product_is_bounded_by_what_is_known_of_its_zero_points(
    dtype: str, zero: int | str | None, reach: int, w_zero: int | None
) -> None:
    z: Value | None = None
    if zero == "computed":
        z = value("z", dtype)
    elif isinstance(zero, int):
        z = constant("z", np.array(zero, dtype))
    wz = None if w_zero is None else constant("wz", np.array(w_zero, np.int8))
    most = LIMIT // (reach * (128 + (w_zero or 0)))
    x = value("x", dtype, 1, most)
    check_raw(INTEGER, [x, weights(most, plain=True), z, wz], Y)
    with pytest.raises(ValueError, match="int32 accumulator of output channel 0"):
        check_raw(INTEGER, [x, weights(most + 1, plain=True), z, wz], Y)


F = value("y", "float32", 1, 1)
S, Z = value("s", "float32"), value("z", "uint8")
W = weights(4)
PLAIN = weights(4, plain=True)


def test_operands_that_fit_pass() -> None:
    check_raw(TO_FLOAT, [X, W, S, Z], F)
    check_raw(TO_FLOAT, [X, W, value("s", "float32", 1), value("z", "uint8", 1), None], F)
    check_raw(TO_FLOAT, [X, W, S, Z, constant("b", np.zeros(1, np.float32))], F)
    narrow = Value("w", "int4", (4, 1), False, quant(), np.array([0x21, 0x43], np.uint8))
    check_raw(TO_FLOAT, [X, narrow, S, Z], F)
    for shape in ((), (1,)):
        check_raw(INTEGER, [X, PLAIN, Z, constant("wz", np.zeros(shape, np.int8))], Y)


WRONG: list[tuple[Node, list[Value | None], Value, str]] = [
    (TO_FLOAT, [value("x", "int8", 1, 4), W, S, Z], F, "x is int8"),
    (INTEGER, [value("x", "float32", 1, 4), PLAIN], Y, "x is float32"),
    (INTEGER, [value("x", "uint8", 1, 4, quant=quant()), PLAIN], Y, "x carries no quant"),
    (INTEGER, [X, PLAIN], F, "output is float32"),
    (TO_FLOAT, [X, W, S, Z], Y, "output is int32"),
    (INTEGER, [X, PLAIN], value("y", "int32", 1, 1, quant=quant()), "output carries no quant"),
    (TO_FLOAT, [X, W, Z, Z], F, "x_scale is one float32"),
    (TO_FLOAT, [X, W, value("s", "float32", 2), Z], F, "x_scale is one float32"),
    (TO_FLOAT, [X, W, replace(S, shape=(1,), batched=True), Z], F, "x_scale is one float32"),
    (TO_FLOAT, [X, W, S, value("z", "int8")], F, "x's zero point is one code of uint8"),
    (TO_FLOAT, [X, W, S, replace(Z, shape=(1,), batched=True)], F, "x's zero point is one code"),
    (TO_FLOAT, [X, PLAIN, S, Z], F, "weights are constants with quant"),
    (TO_FLOAT, [X, value("w", "int8", 4, 1, quant=quant()), S, Z], F, "weights are constants"),
    (TO_FLOAT, [X, weights(4, -128, 1), S, Z], F, "w has zero point 0"),
    (TO_FLOAT, [X, W, S, Z, constant("b", np.zeros(1, np.int32))], F, "bias is float32"),
    (INTEGER, [X, W], Y, "w is int8 or uint8 without quant"),
    (INTEGER, [X, PLAIN, Z, constant("wz", np.array(0, np.uint8))], Y, "has w's dtype"),
    (INTEGER, [X, PLAIN, Z, constant("wz", np.zeros(2, np.int8))], Y, "is one, or a channel's"),
    (INTEGER, [X, value("w", "int8", 40_000, 1)], Y, "accumulators of 40000 products may overfl"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case[3])
def test_operands_that_do_not_fit_are_refused(
    case: tuple[Node, list[Value | None], Value, str],
) -> None:
    node, inputs, y, rule = case
    with pytest.raises(ValueError, match=rule) as caught:
        check_raw(node, inputs, y)
    assert not isinstance(caught.value, BeyondError), "the file is wrong"


@pytest.mark.parametrize(
    ("node", "inputs", "y"),
    [
        (INTEGER, [X, value("w", "int8", 4, 1)], Y),
        (INTEGER, [X, PLAIN, Z, value("wz", "int8")], Y),
        (INTEGER, [X, constant("w", np.zeros((2, 4, 1), np.int8))], Y),
        (TO_FLOAT, [X, W, S, Z, value("b", "float32", 1)], F),
        (TO_FLOAT, [X, constant("w", np.zeros((4, 1), np.int16), quant()), S, Z], F),
    ],
)
def test_what_is_valid_but_not_implemented_is_a_limit(
    node: Node, inputs: list[Value | None], y: Value
) -> None:
    with pytest.raises(BeyondError):
        check_raw(node, inputs, y)


def test_quantized_layers_need_quantized_constants() -> None:
    x = value("x", "uint8", 1, 4, quant=quant())
    for w, rule in (
        (PLAIN, "weights are constants with quant"),
        (constant("w", np.zeros((2, 4, 1), np.int8), quant()), r"weights are \(K, N\)"),
        (constant("w", np.zeros((4, 1), np.int32), quant()), "at most 16 bits"),
    ):
        with pytest.raises(ValueError, match=rule):
            check_product(MATMUL, [x, w])
    with pytest.raises(ValueError, match="weights must be constants"):
        check_product(MATMUL, [x, value("w", "int8", 4, 1, quant=quant()), W])
    for bias in (constant("b", np.zeros(1, np.int32)), value("b", "int32", 1, quant=quant())):
        with pytest.raises(ValueError, match="bias is an int32 constant with quant"):
            check_product(MATMUL, [x, W, bias])


def recurrent(
    k: int = 3, *, zeros: tuple[int, int] = (100, 128), w: Value | None = None,
    r: Value | None = None, y: Value | None = None, state: Value | None = None,
    bias: Value | None = None, contract: str = "ort",
) -> None:  # fmt: skip
    """Check a GRU of one element whose rows are -128, ``k`` of them in w."""
    x = value("x", "uint8", 1, 1, k, quant=quant(zeros[0]))
    y = y or value("y", "uint8", 1, 1, 1, 1, quant=quant(zeros[1]))
    w = w or constant("w", np.full((1, 3, k), -128, np.int8), quant())
    r = r or constant("r", np.full((1, 3, 1), -128, np.int8), quant())
    inputs = [x, w, r, bias, None, state or value("h", "float32", 1, 1, 1)]
    axes = preset(contract).to_json()
    arithmetic = arithmetic_of("m.rq", contract, {k: v for k, v in axes.items() if k != "name"})
    check_static_recurrent(inputs, [y, value("hn", "float32", 1, 1, 1)], arithmetic)


@pytest.mark.parametrize("zero", [0, 130, 255])
def test_a_recurrent_layer_passes_exactly_when_its_worst_sum_fits(zero: int) -> None:
    most = LIMIT // (max(zero, 255 - zero) * 128)
    recurrent(most, zeros=(zero, 0))
    with pytest.raises(ValueError, match="int32 accumulator of output channel 0"):
        recurrent(most + 1, zeros=(zero, 0))
    wide = constant("r", np.full((1, 3, most + 1), -128, np.int8), quant())
    recurrent(r=constant("r", wide.data[..., :most], quant()), zeros=(0, zero))  # type: ignore[index] # it is there
    with pytest.raises(ValueError, match="int32 accumulator of output channel 0"):
        recurrent(r=wide, zeros=(0, zero))


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"w": constant("w", np.zeros((1, 3, 3), np.uint8), quant())}, "weights are of int8, int7"),
        ({"w": constant("w", np.zeros((1, 3, 3), np.int8))}, "weights are constants with quant"),
        ({"r": value("r", "int8", 1, 3, 1, quant=quant())}, "weights are constants with quant"),
        ({"r": constant("r", np.zeros((1, 3, 1), np.int8), quant(3))}, "weights have zero point 0"),
        ({"state": value("h", "uint8", 1, 1, 1, quant=quant())}, "its states are float32"),
        ({"bias": value("b", "int32", 1, 6)}, "its bias and its states are float32"),
        ({"y": value("y", "uint8", 1, 1, 1, 1)}, "'y' must be codes with quant"),
        ({"contract": "tflite_hybrid"}, "gives reals, not codes"),
    ],
)
def test_a_recurrent_layer_with_other_operands_is_refused(
    changed: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        recurrent(**changed)


def test_a_recurrent_layer_with_a_computed_bias_is_a_limit() -> None:
    recurrent(bias=constant("b", np.zeros((1, 6), np.float32)))
    with pytest.raises(BeyondError, match="a computed bias"):
        recurrent(bias=value("b", "float32", 1, 6))
