"""Reductions and products of int8: numpy, and codes of LiteRT 2.3.0."""

from typing import Any

import numpy as np
import pytest

from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model
from tests.refquant.model.importers.tflite_calls import called, made

TOOLS = ["xnnpack", "tflite_reference"]
Q: dict[str, Any] = {"scale": 0.25, "zero_point": 5}
RNG = np.random.default_rng(4)
REDUCE: dict[str, Any] = {"REDUCE_MAX": np.max, "REDUCE_MIN": np.min, "SUM": np.sum}


def reduction(op: str, dtype: str, axes: tuple[int, ...], keep: bool, **own: Any) -> Any:
    m, shape = Model(), (1, 4, 5, 3)
    x = m.tensor(shape, dtype, name="x", **own)
    held = m.tensor((len(axes),), "int32", values=axes)
    gone = {axis % 4 for axis in axes}
    out = [1 if i in gone else d for i, d in enumerate(shape) if keep or i not in gone]
    y = m.tensor(out, dtype, **own)
    m.op(op, [x, held], [y], KeepDims=keep)
    return m, x, y


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("axes", [(1, 2), (-1,), (3, 1), (2,), (1, 2, 3)])
@pytest.mark.parametrize("op", ["REDUCE_MAX", "REDUCE_MIN"])
def test_extremes_of_codes(op: str, axes: tuple[int, ...], keep: bool, tool: str) -> None:
    if len(axes) == 3 and not keep:
        axes = (1, 3)  # an output of the batch alone has no other axis to hold
    m, x, y = reduction(op, "int8", axes, keep, **Q)
    q = RNG.integers(-128, 128, (2, 4, 5, 3)).astype(np.int8)
    assert np.array_equal(made(m, [x], y, tool, q), REDUCE[op](q, axes, keepdims=keep)), "moved"


@pytest.mark.parametrize("op", ["REDUCE_MAX", "REDUCE_MIN"])
def test_extremes_of_16_bits(op: str) -> None:
    m, x, y = reduction(op, "int16", (3, 1), True, scale=0.25)
    q = RNG.integers(-32768, 32768, (2, 4, 5, 3)).astype(np.int16)
    q[0, :, 0] = -32768
    assert np.array_equal(made(m, [x], y, "xnnpack", q), REDUCE[op](q, (1, 3), keepdims=True)), op


@pytest.mark.parametrize("op", REDUCE)
def test_of_reals(op: str) -> None:
    m, x, y = reduction(op, "float32", (1, 3), True)
    q = RNG.integers(-9, 9, (2, 4, 5, 3)).astype(np.float32)
    assert np.array_equal(made(m, [x], y, "xnnpack", q), REDUCE[op](q, (1, 3), keepdims=True)), op


@pytest.mark.parametrize("op", ["ARG_MAX", "ARG_MIN"])
def test_of_equal_codes_the_first_is_found(op: str) -> None:
    m = Model()
    x, y = m.tensor((1, 3, 9), name="x", **Q), m.tensor((1, 3), "int32")
    m.op(op, [x, m.tensor((), "int32", values=-1)], [y])
    q = RNG.integers(-2, 3, (5, 3, 9)).astype(np.int8)
    find = np.argmax if op == "ARG_MAX" else np.argmin
    assert np.array_equal(made(m, [x], y, "xnnpack", q), find(q, -1)), "places, not codes"


def test_a_sum_is_litert_s() -> None:
    m = Model()
    x = m.tensor((1, 2, 5), scale=0.1, zero_point=5, name="x")
    y = m.tensor((1, 2), scale=0.41, zero_point=-11)
    m.op("SUM", [x, m.tensor((1,), "int32", values=[2])], [y])
    q = np.array([[[-128, 60, 33, 1, 2], [5, -77, 127, 99, 54]]], np.int8)
    assert made(m, [x], y, "xnnpack", q).tolist() == [[-25, 34]], "of five codes: no power of two"
    with pytest.raises(ModelFileError, match="reads the codes as uint8; import it for xnnpack"):
        called(m, [x], [y], "tflite_reference")


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("constant", [False, True])
def test_a_product_is_litert_s(constant: bool, tool: str) -> None:
    m, codes = Model(), np.array([[[-100, 3], [50, -7], [127, 90]]], np.int8)
    x = m.tensor((1, 2, 3), scale=0.1, zero_point=5, name="x")
    w = m.tensor((1, 3, 2), scale=0.07, values=codes if constant else None, name="w")
    y = m.tensor((1, 2, 2), scale=0.9, zero_point=-11)
    m.op("BATCH_MATMUL", [x, w], [y])
    q = np.array([[[-128, 60, 33], [5, -77, 127]]], np.int8)
    inputs, arrays = ([x], [q]) if constant else ([x, w], [q, codes])
    assert made(m, inputs, y, tool, *arrays).tolist() == [[[127, 3], [78, 79]]], "as LiteRT"


@pytest.mark.parametrize("turned", [(False, True), (True, False), (True, True)])
def test_matrices_turn(turned: tuple[bool, bool]) -> None:
    m, a, b = Model(), RNG.standard_normal((2, 4, 3)), RNG.standard_normal((2, 3, 5))
    a, b = np.round(a * 4), np.round(b * 4)
    x = m.tensor((1, 3, 4) if turned[0] else (1, 4, 3), "float32", name="x")
    w = m.tensor((1, 5, 3) if turned[1] else (1, 3, 5), "float32", name="w")
    y = m.tensor((1, 4, 5), "float32")
    m.op("BATCH_MATMUL", [x, w], [y], AdjX=turned[0], AdjY=turned[1])
    feeds = [np.swapaxes(v, 1, 2) if t else v for v, t in zip((a, b), turned, strict=True)]
    got = made(m, [x, w], y, "xnnpack", *(np.asarray(v, np.float32) for v in feeds))
    assert np.array_equal(got, a @ b), "whole numbers: exact"


def test_what_is_refused_says_why() -> None:
    m, x, y = reduction("REDUCE_MAX", "int8", (0,), True, **Q)
    with pytest.raises(ModelFileError, match="reduces the first axis"):
        called(m, [x], [y], "xnnpack")
    m, x, y = reduction("REDUCE_MAX", "float32", (7,), False)
    with pytest.raises(ModelFileError, match="axes"):
        called(m, [x], [y], "xnnpack")
    m = Model()
    x, y = m.tensor((1, 3), **Q), m.tensor((1,), "int16")
    m.op("ARG_MAX", [x, m.tensor((), "int32", values=1)], [y])
    with pytest.raises(ModelFileError, match="makes int16, not int32 or int64"):
        called(m, [x], [y], "xnnpack")
    m = Model()
    a, b, y = m.tensor((1, 2, 3), **Q), m.tensor((1, 3, 2), **Q), m.tensor((1, 2, 2), **Q)
    m.op("BATCH_MATMUL", [a, b], [y])
    with pytest.raises(ModelFileError, match="zero point 5, beyond XNNPACK"):
        called(m, [a, b], [y], "xnnpack")
