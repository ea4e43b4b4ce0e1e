"""Transposed convolutions of codes in onnxruntime: spelled out, its codes are ours."""

from typing import Any

import numpy as np
import pytest

from refquant.formats.qparams import QParams
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import OnnxExportError, draft_onnx, onnx_bytes
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.quantize import quantize
from refquant.model.quantize_weights import add_codes
from refquant.model.recipe import recipe
from tests.refquant.model.exporters.onnx_runs import (
    LEVELS,
    ORT,
    Small,
    codes,
    differing,
    feeds_of,
    kinds,
    run_onnx,
)

WINDOW: dict[str, Any] = {"strides": (2, 3), "pads": (1, 0, 0, 2), "output_padding": (1, 0)}
GROUPS: dict[str, Any] = {"strides": (2, 2), "group": 2}


def small(s: Small, group: int, *, wide: bool = False, weight: str = "int8") -> Graph:
    w = s.weight("w", weight, 4 if not wide else 400, 3, 3, 3, axis=1)
    x = s.input("N", 4 if not wide else 400, 4, 5)
    given = {**(WINDOW if group == 1 else GROUPS), "clamp_max": 90}
    return s.finish("ConvTranspose", [x, w, s.bias(3 * group)], given)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("group", [1, 2])
def test_spelled_out_its_codes_are_ours(group: int, level: str) -> None:
    for seed, (x, y) in enumerate(kinds()):
        graph = small(Small(seed, x, y), group, weight=("int8", "uint8")[seed % 2])
        feeds = feeds_of(graph, np.random.default_rng(seed), 3)
        got = differing(graph, feeds, form="qoperator", level=level)
        assert not got, f"{x} -> {y}: {got}"


def test_a_weight_may_have_zero_points() -> None:
    for group, grid in ((1, (1, 3)), (2, (1, 3)), (2, (2, 3))):
        s = Small(group)
        rng, (rows, columns) = np.random.default_rng(9), grid
        zeros = rng.integers(-5, 6, (rows, columns, 1, 1)).astype(np.int32)
        scale = np.exp2(rng.uniform(-8, -5, zeros.shape)).astype(np.float32)
        ruler = QParams(scale, zeros, (4 // rows, 1, 3, 3), "int8")
        w = add_codes(s.b, "w", codes(rng, "int8", 4, 3, 3, 3), ruler)
        window = WINDOW if group == 1 else GROUPS
        graph = s.finish("ConvTranspose", [s.input("N", 4, 4, 5), w, s.bias(3 * group)], window)
        feeds = feeds_of(graph, rng, 3)
        got = differing(graph, feeds, form="qoperator", level=LEVELS[1])
        assert not got, f"{group} groups, parameters {grid}: {got}"


def test_in_pairs_it_is_float32_rounded() -> None:
    """Onnxruntime fuses no such pair: codes are off where f32 sums end near a tie, by one."""
    off = 0
    for seed in range(8):
        graph = small(Small(seed), 1)
        feeds = feeds_of(graph, np.random.default_rng(seed), 3)
        want = run(graph, feeds)["y"].astype(int)
        got = run_onnx(onnx_bytes(graph, form="qdq"), feeds, ["y"], level=LEVELS[1])["y"]
        assert np.abs(got - want).max() <= 1, f"{seed}: a neighbour at most"
        off += int((got != want).sum())
    assert off <= 8, f"{off} of some thousands"


def test_a_sum_that_float32_cannot_hold_is_refused() -> None:
    graph = small(Small(1), 1, wide=True)
    with pytest.raises(OnnxExportError, match="more than float32 has exactly; say qdq"):
        draft_onnx(graph, form="qoperator")
    assert any(n.op == "ConvTranspose" for n in draft_onnx(graph, form="qdq").nodes), "as it says"


def net(rng: np.random.Generator) -> Graph:
    """Two layers that grow an image, as the detector of PP-OCR ends: bias and norm behind one."""
    b = Builder("g")

    def number(*shape: int) -> str:
        name = f"c{len(b.constants)}"
        return b.constant(name, rng.standard_normal(shape).astype(np.float32))

    h = b.node("ConvTranspose", [b.input("x", ("N", 4, 3, 3)), number(4, 3, 2, 2)], name="up",
               attributes={"strides": (2, 2)})  # fmt: skip
    h = b.node("Add", [h, number(1, 3, 1, 1)], name="plus")
    variance = b.constant("var", np.array([0.5, 1, 2], np.float32))
    h = b.node("BatchNormalization", [h, number(3), number(3), number(3), variance], name="norm")
    h = b.node("Relu", [h], name="relu")
    h = b.node("ConvTranspose", [h, number(3, 2, 3, 3), number(2)], name="out",
               attributes={"strides": (2, 2), "pads": (1, 1, 1, 1)})  # fmt: skip
    return b.graph([b.node("Sigmoid", [h], name="y")])


def decibels(want: Any, got: Any) -> float:
    error = np.square(want.astype(np.float64) - got).sum()
    return float(10 * np.log10(np.square(want.astype(np.float64)).sum() / error))


SCHEMES = {"int8_static": "ConvTranspose", "w8a8_dynamic": "ConvTransposeIntegerToFloat",
           "w8_group64_weight_only": "ConvTranspose", "int4_gptq": "ConvTranspose"}  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_takes_it(scheme: str) -> None:
    rng = np.random.default_rng(5)
    graph, x = net(rng), rng.standard_normal((8, 4, 3, 3)).astype(np.float32)
    made = quantize(graph, recipe(scheme), {"x": x})
    ops = [node.op for node in made.nodes]
    assert ops.count(SCHEMES[scheme]) == 2, f"{ops}"
    assert not {"Add", "BatchNormalization"} & set(ops), f"folded: {ops}"
    weights = {n.inputs[1] for n in made.nodes if n.op.startswith("ConvTranspose")}
    assert all(made.values[name].dtype == "int8" for name in weights), "8 bits, rounded"
    found = decibels(run(graph, {"x": x})["y"], run(made, {"x": x})["y"])
    assert found >= 30, f"{found:.1f} dB"


def test_of_dynamic_codes_its_reals_are_ours() -> None:
    rng = np.random.default_rng(6)
    graph, x = net(rng), rng.standard_normal((3, 4, 3, 3)).astype(np.float32)
    made = quantize(graph, recipe("w8a8_dynamic"))
    names = [n.outputs[0] for n in made.nodes if n.op == "ConvTransposeIntegerToFloat"]
    want = run(made, {"x": x}, keep=names)
    for level in LEVELS:
        got = run_onnx(onnx_bytes(made, form="qdq"), {"x": x}, names, level=level)
        for name in names:
            assert np.array_equal(got[name], want[name]), f"{name}, {level}"


def test_a_pair_that_is_read_stays_in_float32_as_in_onnxruntime(tmp_path: Any) -> None:
    """Read back, onnxruntime's arithmetic is the model: float32 between codes, and it is said."""
    graph = small(Small(3), 1)
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_bytes(graph, form="qdq"))
    back = import_onnx(path)
    (node,) = [n for n in back.nodes if n.op == "ConvTranspose"]
    assert back.values[node.outputs[0]].dtype == "float32", "reals"
    assert back.values[node.inputs[1]].dtype == "int8", "its weight keeps its codes"
    reasons = {item["reason"] for item in back.meta["import"]["unfused"]}
    assert any("onnxruntime has no ConvTranspose of codes" in why for why in reasons), f"{reasons}"
    feeds = feeds_of(graph, np.random.default_rng(3), 3)
    want = run_onnx(path.read_bytes(), feeds, ["y"], level=LEVELS[1])["y"]
    got = run(back, feeds)[back.outputs[0]]
    assert (got != want).mean() <= 0.002, "float32 sums, in another order"
    assert node.contract == ORT.name, "weights of codes name their contract"
