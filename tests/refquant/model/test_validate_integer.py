"""Section 4 of the operators: operands, contracts, proofs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant, Shape
from refquant.model.validate import GraphError

ONNX, TFLITE, XNNPACK = preset("onnx"), preset("tflite_reference"), preset("xnnpack")
Q = Quant(0.5, 0)
NEGATIVE = replace(ONNX, name="negative", negative_scale=True)


def gemm(
    w: np.ndarray,
    *,
    bias: np.ndarray | None = None,
    x: tuple[str, Quant] = ("int8", Q),
    w_quant: Quant | None = Q,
    b_quant: Quant | None = Q,
    y: tuple[str, Quant | None] = ("int8", Q),
    contract: Contract = ONNX,
    op: str = "Gemm",
    constants: dict[str, np.ndarray] | None = None,
    **attributes: Any,
) -> Graph:
    b = Builder("g")
    k = w.shape[1] if attributes.get("transB") else w.shape[-2]
    names = [b.input("x", ("N", k), dtype=x[0], quant=x[1])]
    for name, array in (constants or {}).items():
        b.constant(name, array)
    names.append(b.constant("w", w, quant=w_quant))
    if bias is not None:
        names.append(b.constant("b", bias, quant=b_quant))
    h = b.node(op, names, attributes=attributes, contract=contract, dtype=y[0], quant=y[1])
    return b.graph([h])


def simple(
    op: str,
    contract: Contract,
    *quants: Quant | None,
    dtype: str = "int8",
    shape: Shape = ("N", 4),
    **attributes: Any,
) -> Graph:
    """Return one node whose inputs and output have ``quants`` and one dtype."""
    b = Builder("g")
    names = [b.input(f"x{i}", shape, dtype=dtype, quant=q) for i, q in enumerate(quants[:-1])]
    h = b.node(op, names, attributes=attributes, contract=contract, dtype=dtype, quant=quants[-1])
    return b.graph([h])


ONES = np.ones((4, 2), np.int8)
LONG = np.full((100_000, 1), 127, np.int8)  # 10^5 * 127 * 128 < 2^31 < 10^5 * 127 * 255
ROWS = {"s": np.ones((4, 1), np.float32)}
COLUMNS = {"s": np.ones((1, 2), np.float32)}


def test_what_is_defined_passes() -> None:
    gemm(ONES)
    gemm(ONES, bias=np.zeros(2, np.int32), clamp_min=-3, clamp_max=3)
    gemm(ONES, constants=COLUMNS, w_quant=Quant("s", 0, (4, 1)))
    gemm(ONES, constants=ROWS, w_quant=Quant("s", 0, (1, 2)), transB=1)
    gemm(ONES, op="MatMul", bias=np.zeros(2, np.int32))
    gemm(ONES, contract=TFLITE)
    gemm(LONG)
    for contract in (ONNX, TFLITE, XNNPACK):
        simple("Add", contract, Q, Quant(0.25, 3), Q)
        simple("Mul", contract, Q, Quant(0.25, 3), Q)
        simple("GlobalAveragePool", contract, Q, Q, shape=("N", 2, 4))
    simple("Add", ONNX, Q, Q, Q, dtype="int16")
    simple("Add", TFLITE, Q, Q, Q, dtype="int16")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": ("int32", Q)}, "at most 16 bits, .* got int32 with quant"),
        ({"y": ("int8", None)}, "input 'x' is float32"),
        ({"x": ("int32", Q)}, "'x' has quant and at most 16 bits"),
        ({"x": ("int8", None)}, "'x' has quant and at most 16 bits"),
        ({"w_quant": None}, "the weight 'w' is a constant of codes"),
        ({"w": ONES.astype(np.int32)}, "the weight 'w' is a constant of codes"),
        ({"bias": np.zeros(2, np.int32), "b_quant": None}, "bias 'b' is an int32 constant with"),
        ({"bias": np.zeros(2, np.int8)}, "bias 'b' is an int32 constant with quant, got int8"),
        ({"constants": ROWS, "w_quant": Quant("s", 0, (1, 2))}, "one an output channel"),
        ({"clamp_min": -129}, r"codes in \[-128, 127\], got -129, 127"),
        ({"clamp_max": 128}, r"codes in \[-128, 127\], got -128, 128"),
        ({"clamp_min": 3, "clamp_max": 2}, "clamp_min <= clamp_max .* got 3, 2"),
        ({"w": LONG, "x": ("uint8", Quant(0.5, 0))}, "'gemm_0'.*channel 0 can reach"),
        ({"w": LONG, "bias": np.array([2**31 - 1], np.int32)}, "channel 0 can reach"),
        ({"w": LONG, "contract": TFLITE, "y": ("int8", Quant(2.0**-10, 0))}, "leaves int32"),
        ({"y": ("int8", Quant(2.0**-126, 0)), "w_quant": Quant(2.0**100, 0)}, "finite float32"),
        ({"contract": replace(ONNX, accumulator="float32")}, "accumulator 'float32'"),
    ],
)
def test_a_product_that_is_not_defined_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        gemm(**{"w": ONES, **arguments})


def test_the_proof_is_sharp() -> None:
    """The bound itself is allowed, one more is not: 128 * 10^5 * 127 + |b| <= 2^31 - 1."""
    spare = 2**31 - 1 - 128 * 100_000 * 127
    gemm(LONG, bias=np.array([-spare], np.int32))
    with pytest.raises(GraphError, match=r"can reach 2147483648 > 2147483647"):
        gemm(LONG, bias=np.array([-spare - 1], np.int32))


def product(k: int, *, quant: Quant | None = Q, y: Quant = Q, constant: bool = False) -> Graph:
    """Return a `MatMul` of two values with a batch, or of one with a constant of three axes."""
    b = Builder("g")
    x = b.input("x", ("N", 1, k), dtype="int8", quant=Q)
    if constant:
        w = b.constant("w", np.ones((1, k, 1), np.int8), quant=quant)
    else:
        w = b.input("w", ("N", k, 1), dtype="int8", quant=quant)
    return b.graph([b.node("MatMul", [x, w], contract=ONNX, dtype="int8", quant=y)])


def test_a_product_of_two_computed_values_is_proved_by_their_ranges() -> None:
    """|x - z| <= 128 on both sides: at most 2^31 / 2^14 - 1 terms."""
    product(2**17 - 1)
    with pytest.raises(GraphError, match="the int32 sum can reach 2147483648"):
        product(2**17)
    with pytest.raises(GraphError, match="'w' has quant and at most 16 bits"):
        product(4, quant=None)
    with pytest.raises(GraphError, match="finite float32"):
        product(4, quant=Quant(2.0**100, 0), y=Quant(2.0**-126, 0))
    with pytest.raises(GraphError, match=r"the weight 'w' of a quantized MatMul is \(K, N\)"):
        product(4, constant=True)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: simple("Add", TFLITE, Q, Q, Quant(2.0**-20, 0), dtype="int16"), "Add.*int32"),
        (lambda: simple("Add", XNNPACK, Q, Q, Quant(2.0**20, 0)), "xnnpack_shift20 needs"),
        (lambda: simple("Add", ONNX, Q, None, Q), "'x1' has quant"),
        (lambda: simple("Mul", ONNX, Quant(0.5, -2**15), Quant(0.5, -2**15), Q, dtype="int16"),
         "can reach"),
        (lambda: simple("Mul", ONNX, Quant(2.0**70, 0), Quant(2.0**70, 0), Q),
         "mul_0: the multiplier .* larger one for the output"),
        (lambda: simple("Mul", NEGATIVE, Quant(-0.5, 0), Q, Q), "mul_0: .* use positive scales"),
        (lambda: simple("Mul", replace(ONNX, name="p", requantize="pow2"), Quant(0.75, 0), Q, Q),
         "must be a power of two"),
        (lambda: simple("GlobalAveragePool", TFLITE, Q, Quant(0.25, 0), shape=("N", 2, 4)),
         "half_away needs equal dtype and quant"),
        (lambda: simple("GlobalAveragePool", ONNX, Quant(2.0**100, 0), Quant(2.0**-100, 0),
                        shape=("N", 2, 4)), "multiplier sx / sy is finite"),
        (lambda: simple("GlobalAveragePool", NEGATIVE, Quant(-0.5, 0), Q, shape=("N", 2, 4)),
         "multiplier sx / sy is finite and not negative, got -1"),
        (lambda: simple("GlobalAveragePool", ONNX, Q, Q, dtype="uint16", shape=("N", 1, 2**16)),
         "the int32 sum can reach"),
        (lambda: simple("Softmax", replace(ONNX, name="s", softmax="unspecified"), Q, Q),
         "leaves a quantized Softmax unspecified"),
        (lambda: simple("Add", replace(ONNX, name="s", add="unspecified"), Q, Q, Q),
         "leaves a quantized Add unspecified .axis add"),
        (lambda: gemm(np.ones((2, 2), np.int8), contract=preset("ncnn")),
         "leaves a quantized Gemm unspecified .axis requantize"),
        (lambda: simple("GlobalAveragePool", preset("ncnn"), Q, Q, shape=("N", 2, 4)),
         "leaves a quantized GlobalAveragePool unspecified .axis average_pool"),
        (lambda: simple("GlobalAveragePool", preset("tosa"), Q, Quant(0.25, 0), shape=("N", 2, 4)),
         "tosa_reciprocal needs equal dtype and quant"),
        (lambda: simple("Sigmoid", ONNX, Q, Q), "needs its table"),
        (lambda: simple("Relu", ONNX, Q, Quant(0.25, 0)), "without a table needs equal"),
        (lambda: simple("Clip", ONNX, Q, Q, min=0.0), "clamp_min and clamp_max"),
        (lambda: simple("Relu", NEGATIVE, Quant(-0.5, 0), Quant(-0.5, 0)),
         "codes are not in order"),
    ],
)  # fmt: skip
def test_what_is_not_defined_is_named(build: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        build()


def _table(table: np.ndarray, *, dtype: str = "uint8", x: str = "int8") -> Graph:
    b = Builder("g")
    names = [b.input("x", ("N", 4), dtype=x, quant=Q), b.constant("t", table)]
    return b.graph([b.node("Tanh", names, contract=ONNX, dtype=dtype, quant=Q)])


def test_a_table_has_the_dtype_of_the_output() -> None:
    _table(np.zeros(256, np.uint8))
    _table(np.zeros(256, np.int16), dtype="int16")
    _table(np.zeros(65536, np.uint8), x="int16")
    for table, dtype, x in ((np.int8, "uint8", "int8"), (np.uint8, "uint8", "int16")):
        with pytest.raises(GraphError, match="table 't' is a constant"):
            _table(np.zeros(256, table), dtype=dtype, x=x)
    with pytest.raises(GraphError, match=r"with 256 entries, got uint8 .65536."):
        _table(np.zeros(65536, np.uint8))


def long(bias: int, **others: Any) -> Graph:
    """Return a layer of int16 with weights 1, so tiny that the bias is a code or two."""
    own: dict[str, Any] = {"x": ("int16", Q), "y": ("int16", Q), "contract": preset("tflite_int16")}
    return gemm(ONES, bias=np.full(2, bias), w_quant=Quant(2.0**-31, 0), **own | others)


def test_a_bias_of_64_bits_has_48() -> None:
    """4 * 32768 + |b| <= 2^47 - 1."""
    most = 2**47 - 1 - 4 * 32768
    assert long(-most).values["b"].dtype == "int64", "as it was given"
    with pytest.raises(GraphError, match=rf"can reach {2**47} > {2**47 - 1}"):
        long(most + 1)
    for wrapping in (2**47, 2**63 - 1, -(2**63)):
        with pytest.raises(GraphError, match="the bias 'b' reaches"):
            long(wrapping)


@pytest.mark.parametrize(
    "others",
    [{"x": ("int8", Q)}, {"contract": TFLITE}, {"b_quant": None}, {"b_quant": Quant(0.5, 1)}],
)
def test_where_sums_have_32_bits_a_bias_has(others: dict[str, Any]) -> None:
    with pytest.raises(GraphError, match=r"is an int32 constant with quant|zero_point must be in"):
        long(5, **others)
