"""A script for LiteRT's interpreter, over the runtime: steps, sizes, errors, and the bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.rq import rq_bytes, write_rq
from refquant_runtime import InputError
from refquant_runtime.compat.tflite import Interpreter
from tests.refquant.model.streams import sums
from tests.runtime.zoo import codes_cnn


@pytest.fixture
def graph() -> Graph:
    return codes_cnn("ort")


@pytest.fixture
def it(graph: Graph, tmp_path: Path) -> Interpreter:
    write_rq(tmp_path / "q.rq", graph)
    return Interpreter(model_path=str(tmp_path / "q.rq"), num_threads=1)


def _x(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def test_a_script_runs(it: Interpreter, graph: Graph) -> None:
    it.allocate_tensors()
    (given,) = it.get_input_details()
    outputs = it.get_output_details()
    assert given["shape"].tolist() == [1, 2, 4, 4], f"{given}"
    assert [o["index"] for o in outputs] == [1, 2], "after the input"
    x = _x(*given["shape"])
    it.set_tensor(given["index"], x)
    it.invoke()
    want = run(graph, {graph.inputs[0]: x})
    for told in outputs:
        got = it.get_tensor(told["index"])
        assert got.dtype == told["dtype"], told["name"]
        assert got.tobytes() == want[told["name"]].tobytes(), told["name"]


def test_codes_say_what_they_mean(it: Interpreter, graph: Graph) -> None:
    told = it.get_output_details()[0]
    quant = graph.values[graph.outputs[0]].quant
    assert quant is not None, "codes"
    assert told["quantization"] == (quant.scale, quant.zero_point), f"{told}"
    assert [d["name"] for d in it.get_tensor_details()] == [*graph.inputs, *graph.outputs], "ends"


def test_another_batch(it: Interpreter, graph: Graph) -> None:
    it.resize_tensor_input(0, [3, 2, 4, 4])
    it.allocate_tensors()
    assert it.get_output_details()[0]["shape"].tolist() == [3, 5], "outputs follow"
    it.set_tensor(0, _x(3, 2, 4, 4))
    it.invoke()
    want = run(graph, {graph.inputs[0]: _x(3, 2, 4, 4)})[graph.outputs[0]]
    assert np.array_equal(it.get_tensor(1), want), "each sample by itself"


def test_a_copy_is_a_copy_and_a_view_is_the_memory(it: Interpreter) -> None:
    it.allocate_tensors()
    view, copy = it.tensor(0), it.get_tensor(0)
    view()[...] = 1
    assert (it.get_tensor(0) == 1).all(), "the view writes"
    copy[...] = 2
    assert (it.get_tensor(0) == 1).all(), "the copy does not"


def test_before_memory_is_allocated(it: Interpreter) -> None:
    with pytest.raises(RuntimeError, match="allocate_tensors"):
        it.invoke()
    with pytest.raises(ValueError, match=r"Tensor data is null\. Run allocate_tensors"):
        it.get_tensor(0)
    it.allocate_tensors()
    it.resize_tensor_input(0, [2, 2, 4, 4])
    with pytest.raises(RuntimeError, match="allocate_tensors"):
        it.set_tensor(0, _x(2, 2, 4, 4))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (_x(1, 2, 4, 4).astype(np.float64), "Got value of type FLOAT64 but expected type FLOAT32"),
        (_x(2, 4, 4), "Dimension mismatch. Got 3 but expected 4 for input 0"),
        (_x(2, 2, 4, 4), "Dimension mismatch. Got 2 but expected 1 for dimension 0 of input 0"),
    ],
)
def test_what_does_not_fit_is_refused(it: Interpreter, value: Any, said: str) -> None:
    it.allocate_tensors()
    with pytest.raises(ValueError, match=said):
        it.set_tensor(0, value)


def test_wrong_indices_and_sizes(it: Interpreter) -> None:
    it.allocate_tensors()
    for call in (lambda: it.get_tensor(9), lambda: it.tensor(-1), lambda: it.set_tensor(3, 0)):
        with pytest.raises(ValueError, match="neither an input nor an output"):
            call()
    with pytest.raises(ValueError, match="it is no input"):
        it.set_tensor(1, np.zeros((1, 5), np.int8))
    with pytest.raises(ValueError, match="it is no input"):
        it.resize_tensor_input(1, [1, 5])
    for size in ([1, 2, 4, 5], [1, 2, 4], [0, 2, 4, 4]):
        with pytest.raises(ValueError, match="Cannot resize tensor 0"):
            it.resize_tensor_input(0, size)
    with pytest.raises(ValueError, match="Invalid subgraph index 1"):
        it.get_tensor(0, 1)


def test_sequences_and_batches_agree() -> None:
    b = Builder("two")
    x, y = b.input("x", ("N", "T", 2)), b.input("y", ("N", "T", 2))
    it = Interpreter(model_content=rq_bytes(b.graph([b.node("Add", [x, y], name="z")])))
    assert it.get_input_details()[0]["shape_signature"].tolist() == [-1, -1, 2], "both letters"
    it.resize_tensor_input(0, (2, 5, 2))
    with pytest.raises(RuntimeError, match="inputs disagree about N"):
        it.allocate_tensors()
    it.resize_tensor_input(1, (2, 5, 2))
    it.allocate_tensors()
    it.set_tensor(0, _x(2, 5, 2))
    it.set_tensor(1, _x(2, 5, 2))
    it.invoke()
    assert np.array_equal(it.get_tensor(2), _x(2, 5, 2) * 2), "the same bits"


def test_the_signature_is_a_function(it: Interpreter, graph: Graph) -> None:
    names = {"inputs": list(graph.inputs), "outputs": list(graph.outputs)}
    assert it.get_signature_list() == {"serving_default": names}, f"{it.get_signature_list()}"
    runner = it.get_signature_runner()
    assert list(runner.get_input_details()) == list(graph.inputs), "by name"
    assert list(runner.get_output_details()) == list(graph.outputs), "by name"
    x = _x(3, 2, 4, 4)
    got, want = runner(**{graph.inputs[0]: x}), run(graph, {graph.inputs[0]: x})
    assert all(np.array_equal(got[n], want[n]) for n in want), "of any batch"
    with pytest.raises(ValueError, match="Invalid Input name"):
        runner(q=x)
    with pytest.raises(ValueError, match="Invalid signature_key"):
        it.get_signature_runner("other")


def test_what_is_no_model_of_ours(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    with pytest.raises(InputError, match=r"refquant import m\.tflite -o m\.rq"):
        Interpreter(model_path=tmp_path / "m.tflite")
    for both in ({}, {"model_path": "a", "model_content": b"b"}):
        with pytest.raises(ValueError, match="`model_path`"):
            Interpreter(**both)  # type: ignore[arg-type]  # the point
    with pytest.raises(ValueError, match="num_threads should >= 1"):
        Interpreter(model_path="m.rq", num_threads=-2)
    with pytest.raises(ValueError, match="experimental_delegates"):
        Interpreter(model_path="m.rq", experimental_delegates=[object()])


def test_variables_stay_until_they_are_reset(tmp_path: Path) -> None:
    write_rq(tmp_path / "s.rq", sums())
    it = Interpreter(model_path=tmp_path / "s.rq", num_threads=1)
    assert [told["name"] for told in it.get_input_details()] == ["x"], "a variable is no input"
    assert it.get_signature_list()["serving_default"]["inputs"] == ["x"], "nor of the signature"
    it.allocate_tensors()
    got = []
    for step in range(5):
        if step == 3:
            it.reset_all_variables()
        it.set_tensor(0, np.ones((1, 2), np.float32))
        it.invoke()
        got.append(it.get_tensor(1)[0].tolist())
    assert got == [[2, 3], [3, 4], [4, 5], [2, 3], [3, 4]], "from 1 and 2, and once more"
    runner = it.get_signature_runner()
    assert runner(x=np.ones((1, 2), np.float32))["total"].tolist() == [[4, 5]], "the same variables"
