"""Section 5 of the operators: dtypes and proofs where x is known at run time only."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant, Shape
from refquant.model.validate import GraphError

ONNX = preset("onnx")
Q = Quant(0.5, 0)


def raw(
    w: np.ndarray | Shape,
    *zeros: np.ndarray | str,
    x: str = "uint8",
    op: str = "MatMulInteger",
    dtype: str | None = None,
) -> Graph:
    """Return a raw product; a shape for ``w`` makes it an input, a dtype a zero point one."""
    b = Builder("g")
    shape = w.shape if isinstance(w, np.ndarray) else w
    k = shape[-2] if op.startswith("Mat") else shape[1]
    names = [b.input("x", (2, k) if op.startswith("Mat") else (2, k, 9), dtype=x)]
    names.append(
        b.constant("w", w) if isinstance(w, np.ndarray) else b.input("w", shape, dtype="int8")
    )
    for i, zero in enumerate(zeros):
        if isinstance(zero, np.ndarray):
            names.append(b.constant(f"z{i}", zero))
        else:
            names.append(b.input(f"z{i}", (), dtype=zero) if zero else "")
    return b.graph([b.node(op, names, contract=ONNX, dtype=dtype)])


def u8(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


ONES = np.ones((4, 2), np.int8)


def test_what_is_defined_passes() -> None:
    assert raw(ONES).values["matmulinteger_0"].dtype == "int32", "the accumulator"
    raw(ONES, u8(3).reshape(()), np.array([1, 2], np.int8))
    raw(ONES, "", np.array([1], np.int8))
    raw(ONES, "uint8", "int8")
    raw((4, 2))
    raw(np.ones((3, 4, 2), np.int8))
    raw(np.ones((5, 4, 3), np.int8), u8(3), np.zeros(5, np.int8), op="ConvInteger")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: raw(ONES, x="int16"), "'x' is uint8 or int8 without quant, got int16"),
        (lambda: raw(ONES.astype(np.int16)), "'w' is uint8 or int8 without quant"),
        (lambda: raw(ONES, "int8"), "'z0' is uint8 without quant, got int8"),
        (lambda: raw(ONES, "", "uint8"), "'z1' is int8 without quant"),
        (lambda: raw(ONES, u8(1, 2)), r"'z0' has shape \[\] or \[1\], got \[2\]"),
        (lambda: raw(ONES, "", np.zeros(4, np.int8)), r"'z1' has shape .* \[2\], got \[4\]"),
        (lambda: raw(ONES, dtype="float32"), "is int32 without quant, got float32"),
        (lambda: raw((33026, 2)), "33026 products of 8-bit codes can overflow"),
        (lambda: raw(np.full((2**17, 1), 127, np.int8)), "channel 0 can reach"),
        (lambda: raw(np.full((150_000, 1), 127, np.int8), u8(128)), "channel 0 can reach"),
        (lambda: raw((2, 33026, 1), op="ConvInteger"), "33026 products"),
    ],
)
def test_what_is_not_is_named(build: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        build()


def test_a_known_zero_point_makes_the_proof_sharper() -> None:
    """|x - 128| <= 128, but |x - z| may be 255 for a z of the run."""
    w = np.full((100_000, 1), 127, np.int8)
    raw(w, u8(128))
    with pytest.raises(GraphError, match="can reach"):
        raw(w, "uint8")
    raw(np.ones((33025, 1), np.int8), "uint8")


def to_float(
    w: np.ndarray,
    *,
    quant: Quant | None = Q,
    bias: np.ndarray | None = None,
    op: str = "MatMulIntegerToFloat",
    parameters: tuple[str, str, Shape] = ("float32", "uint8", ()),
    x: str = "uint8",
    constants: dict[str, np.ndarray] | None = None,
) -> Graph:
    b = Builder("g")
    k = w.shape[-2] if op.startswith("Mat") else w.shape[1]
    scale, zero, shape = parameters
    names = [b.input("x", (2, k) if op.startswith("Mat") else (2, k, 9), dtype=x)]
    for name, array in (constants or {}).items():
        b.constant(name, array)
    names.append(b.constant("w", w, quant=quant))
    names += [b.input("s", shape, dtype=scale), b.input("z", shape, dtype=zero)]
    if bias is not None:
        names.append(b.constant("b", bias))
    return b.graph([b.node(op, names, contract=ONNX)])


CHANNELS = {"s2": np.ones((1, 2), np.float32)}


def test_float_results_pass() -> None:
    to_float(ONES)
    to_float(ONES, bias=np.zeros(2, np.float32), parameters=("float32", "uint8", (1,)))
    to_float(ONES, quant=Quant("s2", 0, (4, 1)), constants=CHANNELS)
    to_float(np.ones((5, 4, 3), np.int8), op="ConvIntegerToFloat")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: to_float(ONES, x="int8"), "'x' is uint8 without quant, got int8"),
        (lambda: to_float(ONES, parameters=("int32", "uint8", ())), "'s' is float32"),
        (lambda: to_float(ONES, parameters=("float32", "int8", ())), "'z' is uint8"),
        (lambda: to_float(ONES, parameters=("float32", "uint8", (2,))), "'s' has shape"),
        (lambda: to_float(ONES, bias=np.zeros(2, np.int32)), "'b' is float32 without quant"),
        (lambda: to_float(ONES, quant=None), "weight 'w' is a constant of codes"),
        (lambda: to_float(ONES, quant=Quant(0.5, 1)), "zero point of the weight 'w' is 0"),
        (lambda: to_float(ONES.astype(np.int32), quant=Q), "weight 'w' is a constant of codes"),
        (lambda: to_float(np.ones((2, 4, 2), np.int8)), r"weight 'w' is \(K, N\)"),
        (
            lambda: to_float(
                ONES, quant=Quant("s4", 0, (1, 2)), constants={"s4": np.ones((4, 1), np.float32)}
            ),
            "one an output channel",
        ),
        (lambda: to_float(np.full((2**17, 1), 127, np.int8)), "channel 0 can reach"),
    ],
)
def test_what_has_no_float_result_is_named(build: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        build()


def test_dynamic_quantization_takes_reals_and_gives_uint8() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 4), dtype="int8")
    b.node_with("DynamicQuantizeLinear", [x], ["q", "s", "z"], name="d", contract=ONNX)
    with pytest.raises(GraphError, match="'x' is float32 without quant, got int8"):
        b.graph(["q"])
