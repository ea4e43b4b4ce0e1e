"""A transposed convolution becomes a convolution of phases, or of a stuffed image."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from refquant.model.quantize import quantize
from refquant.model.quantize_weights import add_codes
from refquant.model.recipe import recipe
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.check import bind
from refquant_runtime.errors import UnsupportedError
from refquant_runtime.graph import Quant as Parameters
from refquant_runtime.graph import Value as Constant
from refquant_runtime.passes.transposed import convolved
from refquant_runtime.read_graph import read_graph
from refquant_runtime.transposed import mirrored

# x, w, strides, pads, dilations, output padding, group
WINDOWS: dict[str, tuple[Any, ...]] = {
    "plain": ((2, 3, 4), (3, 2, 3), (1,), (0, 0), (1,), (0,), 1),
    "strides": ((1, 2, 5), (2, 3, 3), (3,), (1, 0), (1,), (2,), 1),
    "cut": ((1, 2, 5), (2, 9, 4), (2,), (3, 3), (1,), (0,), 1),
    "dilated": ((1, 2, 5), (2, 3, 3), (2,), (2, 4), (2,), (1,), 1),
    "dilated by more": ((1, 2, 4), (2, 3, 3), (2,), (1, 5), (3,), (0,), 1),
    "groups": ((1, 4, 3), (4, 3, 2), (2,), (0, 1), (1,), (0,), 2),
    "whole": ((2, 6, 5, 7), (6, 9, 2, 2), (2, 2), (0, 0, 0, 0), (1, 1), (0, 0), 1),
    "one channel": ((2, 5, 3, 9), (5, 1, 2, 2), (2, 2), (0, 0, 0, 0), (1, 1), (0, 0), 1),
    "2-D": ((2, 2, 3, 4), (2, 2, 2, 3), (2, 1), (0, 1, 1, 2), (1, 1), (0, 0), 1),
    "2-D, cut": ((1, 3, 4, 5), (3, 8, 4, 4), (2, 2), (1, 1, 1, 1), (1, 1), (0, 0), 1),
    "2-D, groups": ((1, 4, 2, 3), (4, 3, 3, 2), (3, 2), (2, 0, 1, 0), (1, 2), (1, 0), 2),
    "depthwise": ((1, 3, 2, 5), (3, 1, 4, 4), (2, 2), (1, 1, 1, 1), (1, 1), (0, 0), 3),
    "apart": ((1, 2, 3), (2, 3, 2), (4,), (0, 0), (1,), (3,), 1),  # outputs of the bias alone
    "one pixel": ((1, 2, 1, 1), (2, 2, 1, 1), (5, 5), (0, 0, 0, 0), (1, 1), (0, 0), 1),
}


def attributes_of(name: str) -> dict[str, Any]:
    _, _, strides, pads, dilations, extra, group = WINDOWS[name]
    return {"strides": strides, "pads": pads, "dilations": dilations, "output_padding": extra,
            "group": group}  # fmt: skip


def rulers(w: Any, group: int, zeros: bool, dtype: str) -> QParams:
    grid = (group, w.shape[1], *(1,) * (w.ndim - 2))
    count = np.arange(group * w.shape[1])
    scale = np.float32(0.003 * (1 + count % 5)).reshape(grid)
    zero = (count.astype(np.int32) % 7 - (0 if dtype == "uint8" else 3)) * int(zeros)
    block = (w.shape[0] // group, 1, *w.shape[2:])
    return QParams(scale, zero.astype(np.int32).reshape(grid), block, dtype)


def on_codes(name: str, contract: str, dtype: str, w_dtype: str, zeros: bool) -> tuple[Graph, Any]:
    shape, kernel, *_, group = WINDOWS[name]
    rng = np.random.default_rng(len(name))
    low, high = (0, 256) if w_dtype == "uint8" else (-127, 128)
    w = rng.integers(low, high, kernel).astype(w_dtype)
    b = Builder("g")
    zero = {"int8": -9, "uint8": 130, "int16": 0}[dtype]
    x = b.input("x", ("N", *shape[1:]), dtype=dtype, quant=Quant(float(np.float32(0.02)), zero))
    w_name = add_codes(b, "w", w, rulers(w, group, zeros, w_dtype))
    bias = rng.integers(-3000, 3000, kernel[1] * group).astype(np.int32)
    b_name = add_codes(b, "b", bias, QParams(np.float32(1), np.int32(0), None, "int32"))
    sy = float(np.float32(0.0005 if dtype == "int16" else 0.05))
    y = b.node(
        "ConvTranspose", [x, w_name, b_name], name="y", attributes=attributes_of(name),
        contract=preset(contract), dtype=dtype, quant=Quant(sy, zero),
    )  # fmt: skip
    limits = np.iinfo(np.dtype(dtype))
    codes = rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
    return b.graph([y]), codes


def both(path: Path, graph: Graph, x: Any, threads: int = 1) -> Any:
    """The runtime's result, which must be the reference's."""
    write_rq(path / "m.rq", graph)
    (name,) = graph.outputs
    expected = run(graph, {"x": x})[name]
    got = Session(path / "m.rq", threads=threads).run({"x": x})[name]
    assert got.dtype == expected.dtype, "one dtype"
    assert got.tobytes() == expected.tobytes(), "bit for bit"
    return expected


@pytest.mark.parametrize("name", WINDOWS)
def test_codes(name: str, tmp_path: Path) -> None:
    for contract, (dtype, w_dtype) in itertools.product(
        ("ort", "tflite_builtin"), (("int8", "int8"), ("uint8", "uint8"), ("uint8", "int8"))
    ):
        graph, x = on_codes(name, contract, dtype, w_dtype, zeros=True)
        y = both(tmp_path, graph, x)
        assert len(np.unique(y)) > 1, "the case tells something"


@pytest.mark.parametrize("name", ["cut", "2-D, cut", "depthwise", "groups"])
def test_codes_of_16_bits(name: str, tmp_path: Path) -> None:
    graph, x = on_codes(name, "tflite_int16", "int16", "int8", zeros=False)
    both(tmp_path, graph, x)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("coded", [False, True])
def test_reals_and_weights_of_codes_beside_them(name: str, coded: bool, tmp_path: Path) -> None:
    shape, kernel, *_, group = WINDOWS[name]
    rng = np.random.default_rng(len(name))
    b = Builder("g")
    x = b.input("x", ("N", *shape[1:]))
    w: Any = rng.normal(size=kernel).astype(np.float32)
    if coded:
        w = np.clip(np.rint(w * 40), -127, 127).astype(np.int8)
        w_name = add_codes(b, "w", w, rulers(w, group, True, "int8"))
    else:
        w_name = b.constant("w", w)
    bias = b.constant("b", rng.normal(size=kernel[1] * group).astype(np.float32))
    y = b.node(
        "ConvTranspose", [x, w_name, bias], name="y", attributes=attributes_of(name),
        contract=preset("ort") if coded else None,
    )  # fmt: skip
    y = b.node("Relu", [y], name="z")
    feed = rng.normal(size=shape).astype(np.float32)
    feed.flat[0], feed.flat[-1] = -0.0, np.inf
    both(tmp_path, b.graph([y]), feed)


@pytest.mark.parametrize("name", WINDOWS)
def test_dynamic_codes(name: str, tmp_path: Path) -> None:
    shape, kernel, *_, group = WINDOWS[name]
    rng = np.random.default_rng(len(name))
    b = Builder("g")
    x = b.input("x", ("N", *shape[1:]))
    q = b.node_with("DynamicQuantizeLinear", [x], ["q", "s", "z"], name="d", contract=preset("ort"))
    w = rng.integers(-127, 128, kernel).astype(np.int8)
    w_name = add_codes(b, "w", w, rulers(w, group, False, "int8"))
    bias = b.constant("b", rng.normal(size=kernel[1] * group).astype(np.float32))
    y = b.node(
        "ConvTransposeIntegerToFloat", [q[0], w_name, q[1], q[2], bias], name="y",
        attributes=attributes_of(name), contract=preset("ort"),
    )  # fmt: skip
    both(tmp_path, b.graph([y]), rng.normal(size=shape).astype(np.float32) * 3 + 1)


def test_many_threads_and_samples(tmp_path: Path) -> None:
    graph, x = on_codes("2-D, cut", "ort", "uint8", "int8", zeros=True)
    both(tmp_path, graph, np.concatenate([x, x[..., ::-1], 255 - x]), threads=2)


@pytest.mark.parametrize(
    "scheme", ["int8_static", "w8a8_dynamic", "w8_group64_weight_only", "int4_rtn"]
)
@pytest.mark.parametrize("group", [1, 2])
def test_what_the_pipeline_makes(scheme: str, group: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(group)
    b = Builder("g")
    w = b.constant("w", rng.normal(size=(4, 3, 3, 2)).astype(np.float32))
    bias = b.constant("b", rng.normal(size=3 * group).astype(np.float32))
    window: Any = {"strides": (2, 2), "pads": (1, 0, 0, 1), "group": group}
    y = b.node("ConvTranspose", [b.input("x", ("N", 4, 5, 4)), w, bias], name="up",
               attributes=window)  # fmt: skip
    graph = b.graph([b.node("Clip", [y], name="y", attributes={"min": -1.0, "max": 2.5})])
    x = rng.normal(size=(3, 4, 5, 4)).astype(np.float32)
    made = quantize(graph, recipe(scheme), {"x": x})
    both(tmp_path, made, x)


def test_by_hand(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2, 2))
    taken = b.node("Neg", [x], name="up/phases")  # the name that the pass would take
    w = b.constant("w", np.array([[[1, 10]], [[0, 100]]], np.float32))
    y = b.node("ConvTranspose", [taken, w], name="up", attributes={"strides": (2,)})
    write_rq(tmp_path / "m.rq", b.graph([y]))
    graph = convolved(bind(read_graph(tmp_path / "m.rq"), 1)[0])
    assert [node.op for node in graph.nodes] == ["Neg", "Conv", "Interleave"], "two for one"
    parts = graph.values[graph.nodes[1].outputs[0]]
    assert parts.name != "up/phases", "a name of its own"
    assert parts.shape == (1, 2, 2), "a channel a phase"
    kernel = graph.values[graph.nodes[1].inputs[1]]
    assert kernel.data is not None, "a constant"
    assert kernel.data.tolist() == [[[1], [0]], [[10], [100]]], "one tap a phase"
    got = Session(tmp_path / "m.rq", threads=1).run({"x": -np.ones((1, 2, 2), np.float32)})
    assert got["up"].tolist() == [[[1, 110, 1, 110]]], "1 * (1, 10) + 1 * (0, 100), twice"


def test_taps_that_are_missing_and_infinite_weights_want_a_stuffed_image(tmp_path: Path) -> None:
    """An infinite input times a tap that is not there would be NaN."""
    for kernel, op in (([1, 10, 100], "Stuff"), ([1, np.inf], "Stuff"), ([1, 10], "Conv")):
        b = Builder("g")
        w = b.constant("w", np.array([[kernel]], np.float32))
        y = b.node("ConvTranspose", [b.input("x", ("N", 1, 2)), w], name="y",
                   attributes={"strides": (2,)})  # fmt: skip
        write_rq(tmp_path / "m.rq", b.graph([y]))
        graph = convolved(bind(read_graph(tmp_path / "m.rq"), 1)[0])
        assert graph.nodes[0].op == op, f"{kernel}"
        both(tmp_path, b.graph([y]), np.array([[[np.inf, 1]]], np.float32))


def test_what_is_refused(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", (1, 1, 2))
    y = b.node("ConvTranspose", [x, b.input("w", (1, 1, 2))], name="y")
    write_rq(tmp_path / "m.rq", b.graph([y]))
    with pytest.raises(UnsupportedError, match="computed weights"):
        Session(tmp_path / "m.rq")
    rows = Parameters(np.ones((4, 1, 1), np.float32), np.zeros((), np.int32), (1, 2, 3))
    w = Constant("w", "int8", (4, 2, 3), False, rows, np.ones((4, 2, 3), np.int8))
    with pytest.raises(
        ValueError, match=r"one an output channel, shape \[2, 2, 1\]; got \[4, 1, 1"
    ):
        mirrored(w, 2)
