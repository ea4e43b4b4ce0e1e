"""Sums of codes that are no products: what `Softmax` and `ReduceMean` refuse beforehand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant
from refquant.model.rq import parse_rq, rq_bytes
from refquant.model.validate import GraphError

Q, UNIT = Quant(0.5, 3), Quant(2.0**-8, -128)
FLOATS = np.exp(-0.5 * np.arange(256)).astype(np.float32)
FIXED = np.minimum(np.exp(-0.5 * np.arange(256)) * 2.0**31, 2**31 - 1).astype(np.int32)


def softmax(
    table: np.ndarray | None = FIXED, *, name: str = "tflite_reference", y: Quant = UNIT,
    shape: tuple[Any, ...] = ("N", 4), axis: int = -1, dtype: str = "int8",
) -> Graph:  # fmt: skip
    b = Builder("g")
    inputs = [b.input("x", shape, dtype=dtype, quant=Quant(0.5, 0))]
    if table is not None:
        inputs.append(b.constant("t", table))
    return b.graph([b.node("Softmax", inputs, attributes={"axis": axis}, contract=preset(name),
                           dtype="int8", quant=y, name="s")])  # fmt: skip


def mean(
    axes: tuple[int, ...] = (1,), *, name: str = "tflite_reference", x: Quant = Q, y: Quant = Q,
    shape: tuple[Any, ...] = ("N", 4, 5), dtype: str = "int8",
) -> Graph:  # fmt: skip
    b = Builder("g")
    source = b.input("x", shape, dtype=dtype, quant=x)
    return b.graph([b.node("ReduceMean", [source], attributes={"axes": axes}, dtype=dtype,
                           contract=preset(name), quant=y, name="m")])  # fmt: skip


def test_what_means_something_is_a_file_of_version_2() -> None:
    good = [softmax(), softmax(FLOATS, name="tflite_builtin", y=Q), mean(), mean(name="xnnpack")]
    for graph in (*good, softmax(FIXED, shape=("N", 2, 3), axis=1)):
        data = rq_bytes(graph)
        assert b'"refquant/2"' in data, "the first version that has it"
        assert parse_rq(data, name="g") == graph, "read again"
        with pytest.raises(ValueError, match="the graph needs 'refquant/2'"):
            parse_rq(data.replace(b'"refquant/2"', b'"refquant/1"'), name="g")


RISING, NEGATIVE, NAN = FLOATS.copy(), FIXED.copy(), FLOATS.copy()
RISING[7], NEGATIVE[255], NAN[9] = 0.9, -1, np.nan


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: softmax(None), "leaves a quantized Softmax fixed_point_table, and it has no"),
        (lambda: softmax(FLOATS, name="onnx"), "leaves a quantized Softmax dequantize, and it has"),
        (lambda: softmax(None, name="xnnpack"), "leaves a quantized Softmax unspecified"),
        (lambda: softmax(FLOATS), "is a constant of 256 int32"),
        (lambda: softmax(FIXED, name="tflite_builtin"), "is a constant of 256 float32"),
        (lambda: softmax(FIXED - 1), "the first 2147483647"),
        (lambda: softmax(NEGATIVE), "larger than the one before or below 0"),
        (lambda: softmax(RISING, name="tflite_builtin"), "larger than the one before"),
        (lambda: softmax(NAN, name="tflite_builtin"), "larger than the one before"),
        (lambda: softmax(y=Q), "has the output scale 1/256 and zero point -128"),
        (lambda: softmax(shape=("N", 4096)), "sums at most 4095 elements, got 4096"),
        (lambda: softmax(dtype="int16"), "of int16 gives int16 with scale 2.-15 and zero point 0"),
        (lambda: softmax(dtype="uint16"), "at most 8 bits"),
        (lambda: mean(name="ort"), "leaves a quantized ReduceMean unspecified .axis mean"),
        (lambda: mean(y=Quant(2.0**-126, 0), x=Quant(4.0, 0)), "is finite and positive, got inf"),
        (lambda: mean(shape=("N", 4096, 4095), axes=(1, 2)), "the int32 sum can reach 21972"),
        (lambda: mean(shape=("N", "T", 5)), "a sum along T has any length"),
        (lambda: mean(y=Quant(2.0**-30, 0)), "the int32 sum can reach"),
    ],
)  # fmt: skip
def test_what_is_not_defined_is_named(build: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        build()


def test_a_table_of_another_length_has_no_shape() -> None:
    with pytest.raises(ValueError, match=r"the table \(input 1\) has shape \[256\], got \[255\]"):
        softmax(FIXED[1:])


def test_a_table_that_is_computed_is_none() -> None:
    graph = softmax()
    computed = replace(graph, inputs=("x", "t"), constants={})
    with pytest.raises(ValueError, match="is a constant of 256 int32"):
        rq_bytes(computed)
