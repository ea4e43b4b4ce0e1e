"""Whole models: the demo's network by every recipe, what has no form, and there and back."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as runtime
import pytest
from onnxruntime.quantization import QuantFormat, QuantType

from refquant.cli.data import encode
from refquant.cli.demo_data import DemoData, load_demo
from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import (
    OnnxExportError,
    default_form,
    draft_onnx,
    onnx_bytes,
)
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.model import streams
from tests.refquant.model.conftest import float_cnn, quantized_cnn, tables, weight_only
from tests.refquant.model.exporters.onnx_runs import LEVELS, differing
from tests.refquant.model.importers.onnx_models import reals
from tests.refquant.model.importers.test_onnx_qdq import network, quantized
from tests.refquant.model.small_cnn import fitted, samples, small_cnn

STATIC = ("w8a8_static_per_channel", "w8a8_static_per_tensor", "w8a8_full_integer")


@pytest.fixture(scope="module")
def demo() -> DemoData:
    return load_demo(8)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", STATIC)
def test_every_code_of_the_demo_is_onnxruntime_s(demo: DemoData, name: str, level: str) -> None:
    graph = quantize(demo.graph, recipe(name), {demo.input: demo.calibration[:50]})
    feeds = encode(graph, {demo.input: demo.x})
    wrong = differing(graph, feeds, form="qoperator", level=level)
    assert not wrong, f"{name} {level}: {wrong}"


@pytest.mark.parametrize("name", STATIC)
def test_fused_pairs_of_the_demo_differ_after_add_only(demo: DemoData, name: str) -> None:
    """By `ort` the sum is of reals; onnxruntime fuses to QLinearAdd (test_onnx_qdq.py)."""
    graph = quantize(demo.graph, recipe(name), {demo.input: demo.calibration[:50]})
    feeds = encode(graph, {demo.input: demo.x})
    wrong = differing(graph, feeds, form="qdq", level=LEVELS[1], int8=True)
    order = [n for node in graph.nodes for n in node.outputs]
    first = min((order.index(n) for n in wrong), default=None)
    ops = {n: node.op for node in graph.nodes for n in node.outputs}
    assert first is None or ops[order[first]] == "Add", f"{wrong}"


@pytest.mark.parametrize("name", ["w8a8_static_per_channel", "w8a8_full_integer"])
def test_a_network_of_every_operator(name: str) -> None:
    """Softmax is the last layer: its exp is onnxruntime's, the codes of these samples agree."""
    graph = quantize(small_cnn(), fitted(recipe(name)), samples(16))
    feeds = encode(graph, samples(8, seed=2))
    for level in LEVELS:
        wrong = differing(graph, feeds, form="qoperator", level=level)
        coded = {n for n in wrong if graph.values[n].dtype != "float32"}
        assert not coded, f"{name} {level}: {wrong}"


def test_what_has_no_form_is_one_error() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 4))
    h = b.node("Hadamard", [x], name="turn")
    h = b.node("FakeQuantize", [h], name="round",
               attributes={"format": "fp8_e4m3", "granularity": "tensor"})  # fmt: skip
    graph = b.graph([b.node("Relu", [h], name="y")])
    with pytest.raises(OnnxExportError) as caught:
        onnx_bytes(graph)
    assert caught.value.failures == (
        ("turn", "Hadamard", "Hadamard is no operator of ONNX"),
        ("round", "FakeQuantize", "FakeQuantize is no operator of ONNX"),
    ), f"{caught.value.failures}"
    assert str(caught.value).startswith("2 nodes cannot be exported:\n  turn (Hadamard): "), "one"


def test_a_contract_of_others_is_refused_node_by_node(demo: DemoData) -> None:
    graph = quantize(demo.graph, recipe("w8a8_tflite"), {demo.input: demo.calibration[:20]})
    with pytest.raises(OnnxExportError) as caught:
        onnx_bytes(graph)
    coded = [n.name for n in graph.nodes if n.contract is not None]
    assert [n for n, _, _ in caught.value.failures] == coded, "all that compute, none that move"
    assert "has rounding 'half_away'; onnxruntime has half_even" in str(caught.value), "the axis"


def test_tables_that_onnx_has_not_are_refused() -> None:
    with pytest.raises(OnnxExportError, match="a table that is none of the float types"):
        onnx_bytes(tables())


def test_the_form_fits_the_graph() -> None:
    assert default_form(float_cnn()) == "float", "no codes"
    assert default_form(quantized_cnn()) == default_form(weight_only()) == "qdq", "codes"
    with pytest.raises(ValueError, match="form must be qdq or qoperator for a graph with codes"):
        draft_onnx(quantized_cnn(), form="float")
    with pytest.raises(ValueError, match="form must be one of"):
        draft_onnx(float_cnn(), form="int8")


def test_an_output_that_nothing_computes_is_refused() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 4))
    with pytest.raises(ValueError, match="output 'x' is computed by no node"):
        onnx_bytes(b.graph([b.node("Relu", [x]), x]))


def _back(graph: Graph, form: str) -> Graph:
    return import_onnx(onnx_bytes(graph, form=form))


@pytest.mark.parametrize("name", ["float_cnn", "weight_only"])
def test_reals_come_back_bit_for_bit(name: str) -> None:
    graph = {"float_cnn": float_cnn, "weight_only": weight_only}[name]()
    rng = np.random.default_rng(1)
    feeds = {
        n: rng.standard_normal([3 if d == "N" else int(d) for d in graph.values[n].shape]).astype(
            "f4"
        )
        for n in graph.inputs
    }
    want = run(graph, feeds)
    for form in ("qdq", "qoperator") if name == "weight_only" else ("float",):
        got = run(_back(graph, form), feeds)
        assert all(np.array_equal(got[n], want[n]) for n in graph.outputs), f"{name} {form}"


def test_codes_come_back_by_their_contract(demo: DemoData) -> None:
    """The importer reads Add as onnxruntime fuses it; everything else is the same graph."""
    graph = quantize(demo.graph, recipe(STATIC[0]), {demo.input: demo.calibration[:50]})
    back = _back(graph, "qdq")
    ops = [(n.op, n.contract) for n in back.nodes]
    want = [(n.op, "ort_elementwise" if n.op == "Add" else n.contract) for n in graph.nodes]
    assert ops == want, f"{ops}"
    for ours, theirs in zip(graph.nodes, back.nodes, strict=True):
        assert (
            dict(ours.attributes).items()
            >= {k: v for k, v in theirs.attributes.items() if k.startswith("clamp")}.items()
        ), f"{ours.name}: {theirs.attributes}"
    assert back.contracts["ort"] == preset("ort"), "the arithmetic"
    first = graph.nodes[1].outputs[0]
    feeds = {demo.input: demo.x}
    mine, read = (run(g, feeds, keep=[n.outputs[0] for n in g.nodes[:2]]) for g in (graph, back))
    assert np.array_equal(mine[first], read[back.nodes[1].outputs[0]]), "the first layer's codes"


def test_constants_are_those_that_are_read() -> None:
    for form in ("qdq", "qoperator"):
        draft = draft_onnx(quantized_cnn(), form=form)
        read = {name for made in draft.nodes for name in made.inputs}
        assert draft.constants.keys() <= read, f"{draft.constants.keys() - read}"


@pytest.mark.parametrize("written", ["QDQ", "QOperator"])
def test_models_of_its_own_quantizer_keep_its_codes(tmp_path: Path, written: str) -> None:
    """There, here, and there again; only Softmax is fused to something else (test_onnx_qdq.py)."""
    made = network()
    feeds = [{"x": reals(i, 4, 3, 8, 8)} for i in range(3)]
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    theirs = quantized(
        made, tmp_path, feeds, quant_format=QuantFormat[written], per_channel=True, **kinds
    )
    graph = import_onnx(theirs.SerializeToString())
    last = set(graph.nodes[-2].outputs) | set(graph.outputs)
    for level in LEVELS:
        for form in ("qdq", "qoperator"):
            wrong = differing(graph, feeds[0], form=form, level=level)
            assert wrong.keys() <= last, f"{form} {level}: {wrong}"
    back = import_onnx(onnx_bytes(graph, form="qdq"))
    ops = [[(n.op, n.contract) for n in g.nodes] for g in (graph, back)]
    assert sorted(map(str, ops[0])) == sorted(map(str, ops[1])), f"{ops}"
    want, got = run(graph, feeds[0]), run(back, feeds[0])
    assert all(np.array_equal(got[n], want[n]) for n in want), "the same bits"


def test_states_are_inputs_and_outputs_in_onnx() -> None:
    """ONNX has no states: whoever runs it feeds them, by the names that the metadata have."""
    graph = streams.leaky()
    made = onnx.load_model_from_string(onnx_bytes(graph))
    assert [i.name for i in made.graph.input] == ["x", "h"], "what they are"
    assert [o.name for o in made.graph.output] == ["y", "state"], "and what they become"
    told = {entry.key: entry.value for entry in made.metadata_props}
    assert json.loads(told["refquant.states"]) == {"h": "state"}, "which of which"
    again = import_onnx(onnx_bytes(graph), states={"h": "state"})
    assert again.states == graph.states, "there and back"
    x = streams.feeds(graph, 5)
    assert run(again, x)["y"].tobytes() == run(graph, x)["y"].tobytes(), "the same stream"
    h, session = np.zeros((1, 4), np.float32), runtime.InferenceSession(onnx_bytes(graph))
    for i, want in enumerate(run(graph, x)["y"]):
        y, h = session.run(["y", "state"], {"x": x["x"][i : i + 1], "h": h})
        assert np.abs(y[0] - want).max() < 2.0**-18, f"step {i}: onnxruntime, states by hand"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("form", ["qdq", "qoperator"])
def test_a_table_of_more_than_its_function_is_a_gather(form: str, level: str) -> None:
    """Numbers behind the function are in the table, and so is the slope of a LeakyRelu."""
    b = Builder("g")
    h = b.node("LeakyRelu", [b.input("x", ("N", 64))], name="act", attributes={"alpha": 0.3})
    y = b.node("Add", [h, b.constant("b", np.asarray(-1.5, np.float32))], name="y")
    x = np.linspace(-8, 8, 512, dtype=np.float32).reshape(8, 64)
    graph = quantize(b.graph([y]), recipe("w8a8_static_per_tensor"), {"x": x})
    assert not differing(graph, {"x": x}, form=form, level=level), "its codes are ours"
