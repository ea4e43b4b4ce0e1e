"""What is exported comes back through the importer with the same bits: whole models, every form."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import onnx_bytes
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.loaders.minilm import minilm_graph
from refquant.model.loaders.smollm2_gguf import llama_graph, prompt
from refquant.model.loaders.sources import open_model
from refquant.model.loaders.tensors import Tensors
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.model.loaders import tiny

ASSETS = Path(__file__).parents[4] / "assets"


def feeds_of(graph: Graph, samples: int = 2, steps: int = 5) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    result = {}
    for name in graph.inputs:
        value = graph.values[name]
        shape = [int({"N": samples, "T": steps}.get(str(d), d)) for d in value.shape]
        if "mask" in name:
            array: Any = np.ones(shape)
            array[:, steps - 2 :] = 0
        elif "position" in name:
            array = np.broadcast_to(np.arange(steps), shape)
        else:
            array = rng.integers(0, 2, shape)
        result[name] = np.asarray(array, value.dtype)
    return result


def same_bits(graph: Graph, form: str, feeds: dict[str, Any], *, alike: bool = True) -> Graph:
    back = import_onnx(onnx_bytes(graph, form=form))
    want, got = run(graph, feeds), run(back, feeds)
    for ours, theirs in zip(graph.outputs, back.outputs, strict=True):
        assert want[ours].tobytes() == got[theirs].tobytes(), f"{ours}"
    if alike:
        ops = [Counter(node.op for node in g.nodes) for g in (graph, back)]
        ops[0].update({"Mul": ops[0]["Swish"], "Sigmoid": ops[0].pop("Swish", 0)})
        assert +ops[0] == +ops[1], f"{ops[0]} became {ops[1]}"
    return back


def bert() -> Graph:
    return minilm_graph(Tensors("m", tiny.minilm_arrays()), heads=2)


def llama() -> Graph:
    return llama_graph(tiny.llama_file(), path="m", positions=8)


@pytest.mark.parametrize("make", [bert, llama])
def test_float_transformers(make: Any) -> None:
    graph = make()
    same_bits(graph, "float", feeds_of(graph))


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("make", [bert, llama])
def test_weights_of_codes(make: Any, form: str) -> None:
    graph = quantize(make(), recipe("w8_weight_only"))
    back = same_bits(graph, form, feeds_of(graph), alike=False)
    coded = [sum(v.quant is not None for v in g.values.values()) for g in (graph, back)]
    assert coded[0] == coded[1], "codes stay codes"


def padded() -> Graph:
    """A small CNN whose `Pad` no convolution takes in: a `Relu` stands between."""
    b = Builder("padded")
    b.input("x", ("N", 2, 5, 5))
    rng = np.random.default_rng(1)
    b.constant("w", rng.normal(size=(3, 2, 3, 3)).astype(np.float32))
    b.constant("v", rng.normal(size=(2, 3, 3, 3)).astype(np.float32))
    first = b.node("Conv", ["x", "w"])
    pads = b.node("Pad", [b.node("Relu", [first])], attributes={"pads": (0, 0, 1, 2, 0, 0, 1, 0)})
    return b.graph([b.node("Conv", [pads, "v"])])


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
def test_codes_that_are_padded(form: str) -> None:
    x = np.random.default_rng(2).normal(size=(4, 2, 5, 5)).astype(np.float32)
    graph = quantize(padded(), recipe("int8_static"), {"x": x})
    assert any(node.op == "Pad" for node in graph.nodes), "it was folded away: nothing is asked"
    same_bits(graph, form, {"x": x})


@pytest.mark.models
def test_minilm_comes_back() -> None:
    graph = open_model(ASSETS / "minilm")
    same_bits(graph, "float", feeds_of(graph))


@pytest.mark.models
def test_a_layer_of_smollm2_comes_back() -> None:
    graph = open_model(ASSETS / "smollm2")
    end = next(n.inputs[0] for n in graph.nodes if n.op == "RMSNormalization" and "1" in n.name)
    kept, needed = [], {end}
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(name for name in node.inputs if name)
    names = needed | {n for name in needed if (q := graph.values[name].quant) for n in q.names}
    layer = Graph(
        "layer", graph.inputs, (end,), {n: v for n, v in graph.values.items() if n in names},
        tuple(kept[::-1]), {n: a for n, a in graph.constants.items() if n in names},
        graph.contracts, {},
    )  # fmt: skip
    assert {"Attention", "RotaryEmbedding", "RMSNormalization"} <= {n.op for n in layer.nodes}
    same_bits(layer, "qdq" if layer.contracts else "float", prompt([1, 5, 900, 17]), alike=False)
