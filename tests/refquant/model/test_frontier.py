"""The walk hands out what the golden executor computes, with the weights that were put in."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model import frontier
from refquant.model.build import Builder
from refquant.model.calibrate import STEP, calibrate
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.frontier import Frontier, hold
from refquant.model.graph import Graph
from refquant.model.quantize_weights import has_constant_weight
from refquant.model.recipe import Activations
from tests.refquant.model.small_cnn import samples, small_cnn


def test_the_inputs_of_every_layer_are_those_of_the_executor() -> None:
    graph, data = fold(small_cnn()), samples(STEP + 3)
    layers = [node for node in graph.nodes if has_constant_weight(graph, node)]
    names = {node.inputs[0] for node in layers}
    expected = {**run(graph, data, keep=names), **data}
    walk = Frontier(graph, hold(graph, data), {node.name for node in layers}, "ordered")
    for node in layers:
        got = np.concatenate(list(walk.inputs(node)))
        assert got.tobytes() == expected[node.inputs[0]].tobytes(), f"{node.name} reads other bits"


def test_a_replaced_weight_is_what_later_layers_meet() -> None:
    graph, data = fold(small_cnn()), samples(3)
    layers = [node for node in graph.nodes if has_constant_weight(graph, node)]
    walk = Frontier(graph, hold(graph, data), {node.name for node in layers}, "ordered")
    constants = dict(graph.constants)
    for node in layers:
        changed = type(graph)(
            graph.name, graph.inputs, graph.outputs, graph.values, graph.nodes, dict(constants),
            graph.contracts, graph.meta,
        )  # fmt: skip
        expected = {**run(changed, data, keep=[node.inputs[0]]), **data}[node.inputs[0]]
        got = np.concatenate(list(walk.inputs(node)))
        assert got.tobytes() == expected.tobytes(), f"{node.name}: not the prefix as it is now"
        constants[node.inputs[1]] = np.round(constants[node.inputs[1]], 1)
        walk.replace(node, constants[node.inputs[1]])


def test_it_keeps_what_a_later_node_reads_and_computes_what_a_stop_needs() -> None:
    b = Builder("g")
    w = b.constant("w", np.eye(2, dtype=np.float32))
    h = b.node("Tanh", [b.node("Neg", [b.input("x", ("N", 2))], name="a")], name="h")
    y = b.node("MatMul", [h, w], name="y")
    z = b.node("Softmax", [b.node("Add", [y, h], name="sum")], name="z")
    graph = b.graph([z])
    walk = Frontier(graph, hold(graph, {"x": np.zeros((1, 2), np.float32)}), ["y"], "ordered")
    list(walk.inputs(graph.nodes[2]))
    assert walk.live() == {"h"}, "x and a are forgotten, nothing behind y is computed"


def _sequences() -> tuple[Graph, dict[str, NDArray[np.float32]]]:
    """Two products with what a sequence has between them, and 11 sequences of 5 steps."""
    rng = np.random.default_rng(3)
    b = Builder("g")
    x = b.input("x", ("N", "T", 4))
    w = b.constant("w", rng.standard_normal((4, 4)).astype(np.float32))
    h = b.node("MatMul", [x, w], name="m1")
    counts = {"q_num_heads": 2, "kv_num_heads": 2, "is_causal": 1}
    h = b.node("Attention", [h, h, h], attributes=counts, name="attention")
    graph = b.graph([b.node("MatMul", [b.node("Tanh", [h], name="t"), w], name="m2")])
    return graph, {"x": rng.standard_normal((11, 5, 4)).astype(np.float32)}


@pytest.mark.parametrize("threads", [1, 3])
def test_no_number_of_threads_changes_a_bit(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data = _sequences()
    monkeypatch.setattr(frontier, "_threads", lambda sums: threads)
    walk = Frontier(graph, hold(graph, data), {"m1", "m2"}, "ordered")
    first, second = (node for node in graph.nodes if node.op == "MatMul")
    list(walk.inputs(first))
    walk.replace(first, np.eye(4, dtype=np.float32))
    got = list(walk.inputs(second))
    assert [len(part) for part in got] == [4, 4, 3], "a few sequences at a time"
    changed = replace(graph, constants={"w": np.eye(4, dtype=np.float32)})
    expected = run(changed, data, keep=["t"])["t"]
    assert np.concatenate(got).tobytes() == expected.tobytes(), "other bits, or another order"
    assert walk.live() == {"t"}, "what was needed on the way is forgotten"


def test_blas_has_the_cores_for_itself() -> None:
    assert frontier._threads("blas") == 1, "threads of ours would wait for threads of BLAS's"
    assert frontier._threads("ordered") >= 1, "at least one"


def test_what_a_batch_raises_is_the_caller_s(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data = _sequences()

    def fails(*args: Any, **options: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(frontier, "execute_node", fails)
    walk = Frontier(graph, hold(graph, data), {"m2"}, "ordered")
    with pytest.raises(MemoryError, match="no room"):
        list(walk.inputs(graph.nodes[-1]))


def test_stops_come_in_order() -> None:
    graph = fold(small_cnn())
    first, second = [n for n in graph.nodes if has_constant_weight(graph, n)][:2]
    walk = Frontier(graph, hold(graph, samples(1)), {first.name, second.name}, "ordered")
    list(walk.inputs(second))
    with pytest.raises(ValueError, match="is no stop, or behind the frontier"):
        list(walk.inputs(first))


def test_held_data_are_described_as_calibration_describes_them() -> None:
    graph, data = small_cnn(), samples(40)
    held = hold(graph, data)
    seen = calibrate(graph, data, names=[], rules=Activations())
    assert (held.samples, held.sha256) == (seen.samples, seen.sha256), "the same two facts"
    parts = hold(graph, ({"x": data["x"][i : i + 7]} for i in range(0, 40, 7)))
    assert parts.sha256 == held.sha256, "however the data come"
    assert max(len(batch["x"]) for batch in held.batches) <= STEP, "a few at a time"
    with pytest.raises(ValueError, match="no samples"):
        hold(graph, [])
    with pytest.raises(ValueError, match="calibration data are missing"):
        hold(graph, None)
