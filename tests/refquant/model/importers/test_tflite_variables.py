"""Variables of TFLite are states; `tests/outsiders/test_litert_variables.py` asks LiteRT."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refquant.model.execute import run
from refquant.model.graph import Graph, State
from refquant.model.importers.tflite import tflite_graph
from refquant.model.loaders.tensors import ModelFileError
from refquant.model.stream import Stream
from tests.refquant.model.importers.test_tflite_read import refused
from tests.refquant.model.importers.tflite_bytes import Model
from tests.refquant.model.importers.tflite_streams import (
    CODES,
    FRAME,
    first,
    handle,
    running_sum,
    spotter,
)

TOOLS = ("xnnpack", "tflite_reference")
SPOTTER = spotter()


def imported(data: bytes, tool: str = "xnnpack") -> Graph:
    return tflite_graph(data, path="m.tflite", contract=tool)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_variable_is_a_state(tool: str) -> None:
    graph = imported(running_sum(), tool)
    assert graph.inputs == ("x", "v"), "what READ gives is an input"
    assert graph.states == (State("v", "v", "y", "v/first"),), "what ASSIGN takes, it becomes"
    assert graph.outputs == ("y",), "outputs are the file's"
    assert graph.values["v"].shape == ("N", FRAME), "of one sample"
    ones = {"x": np.ones((3, FRAME), np.float32)}
    assert run(graph, ones)["y"].tolist() == [[2, 3, 4, 5], [3, 4, 5, 6], [4, 5, 6, 7]], "steps"


def test_codes_that_litert_made() -> None:
    """ai-edge-litert 2.3.0, both resolvers: three steps of code 1, that is -1.0."""
    for tool in TOOLS:
        ones = {"x": np.ones((3, FRAME), np.int8)}
        y = run(imported(running_sum("int8"), tool), ones)["y"]
        assert y.tolist() == [[-1, 0, 1, 2], [-3, -2, -1, 0], [-5, -4, -3, -2]], tool


def test_what_is_read_after_an_assignment_was_assigned() -> None:
    outputs = run(imported(running_sum(again=True)), {"x": np.ones((2, FRAME), np.float32)})
    assert outputs["y"].tolist() == [[2, 3, 4, 5], [3, 4, 5, 6]], "before"
    assert outputs["z"].tolist() == [[3, 4, 5, 6], [4, 5, 6, 7]], "and after, in the same run"


def test_a_variable_that_nobody_assigns_is_a_constant() -> None:
    graph = imported(running_sum(assigned=False))
    assert (graph.inputs, graph.states) == (("x",), ()), "no state"
    assert run(graph, {"x": np.ones((2, FRAME), np.float32)})["y"].tolist() == [[2, 3, 4, 5]] * 2


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_window_over_frames(dtype: str) -> None:
    graph = imported(spotter(dtype))
    (state,) = graph.states
    assert state.initial == "", "silence needs no constant: zeros, or the zero point"
    x = np.arange(20, dtype=dtype).reshape(5, 1, FRAME)
    stream = Stream(graph)
    stream.run({"x": x})
    assert stream.state["heard"].tolist() == x[None, 2:].reshape(1, 3, FRAME).tolist(), "the last"


def refusal(m: Model, inputs: list[int], outputs: list[int], *others: Model) -> str:
    with pytest.raises(ModelFileError) as caught:
        imported(m.data(inputs, outputs, others=others))
    return str(caught.value)


def test_a_variable_that_was_never_filled_is_refused() -> None:
    with pytest.raises(ModelFileError, match="reads the variable 'v', and nothing has been put"):
        imported(running_sum(begins=False))


def reader(shape: tuple[int, ...] = (1, 2), dtype: str = "float32", **quant: Any) -> Any:
    """A model that reads v and adds x, up to where it would assign."""
    m = Model()
    once = first(m, v=((1, 2), "float32", [0, 0], {}))
    x, v = m.tensor((1, 2), "float32", name="x"), handle(m, "v")
    old = m.tensor(shape, dtype, name="old", **quant)
    m.op("READ_VARIABLE", [v], [old])
    return m, once, x, v, old


def test_a_variable_is_of_one_kind() -> None:
    m, once, x, _, old = reader((1, 3))
    y = m.tensor((1, 3), "float32")
    m.op("ADD", [old, old], [y])
    assert "as float32 [1, 2] and as float32 [1, 3]" in refusal(m, [x], [y], once), "where read"
    m, once, x, v, old = reader()
    wide = m.tensor((1, 4), "float32")
    m.op("CONCATENATION", [old, x], [wide], Axis=1)
    m.op("ASSIGN_VARIABLE", [v, wide], [])
    assert "as float32 [1, 2] and as float32 [1, 4]" in refusal(m, [x], [wide], once), "assigned"
    m = Model()
    once = first(m, v=((1, FRAME), "int8", [0] * FRAME, CODES))
    v = handle(m, "v")
    old = m.tensor((1, FRAME), scale=0.25, zero_point=3)
    m.op("READ_VARIABLE", [v], [old])
    assert "or with other scales" in refusal(m, [], [old], once), "codes of another ruler"


def test_what_begins_as_no_constant_is_refused() -> None:
    m, once = Model(), Model()
    a, b = (once.tensor((1, 2), "float32", values=[1, 2]) for _ in "ab")
    both = once.tensor((1, 2), "float32")
    once.op("ADD", [a, b], [both])
    once.op("ASSIGN_VARIABLE", [handle(once, "v"), both], [])
    m.op("CALL_ONCE", [], [], InitSubgraphIndex=1)
    old = m.tensor((1, 2), "float32")
    m.op("READ_VARIABLE", [handle(m, "v")], [old])
    assert "calls a subgraph with ADD, not constants only" in refusal(m, [], [old], once), "ADD"


def test_a_call_of_nothing_is_refused() -> None:
    for index in (0, 2, -1):
        m = Model()
        m.op("CALL_ONCE", [], [], InitSubgraphIndex=index)
        x, y = m.tensor((1, 2), "float32"), m.tensor((1, 2), "float32")
        m.op("ABS", [x], [y])
        assert "it calls a subgraph that is not there" in refusal(m, [x], [y], Model()), f"{index}"


def test_a_handle_that_is_none_is_refused() -> None:
    m = Model()
    x, y = m.tensor((1, 2), "float32"), m.tensor((1, 2), "float32")
    m.op("READ_VARIABLE", [x], [y])
    assert "takes a handle that VAR_HANDLE has not made" in refusal(m, [x], [y]), "a tensor"


def test_a_call_behind_its_variables_is_refused() -> None:
    m, once, x, v, _ = reader()
    m.op("ASSIGN_VARIABLE", [v, x], [])
    m.op("CALL_ONCE", [], [], InitSubgraphIndex=1)
    y = m.tensor((1, 2), "float32")
    m.op("ABS", [x], [y])
    assert "comes after a variable was used" in refusal(m, [x], [y], once), "it would undo them"


def test_a_variable_that_becomes_a_constant() -> None:
    m, once, x, v, old = reader()
    y, seven = m.tensor((1, 2), "float32", name="y"), m.tensor((1, 2), "float32", values=[7, 7])
    m.op("ADD", [old, x], [y])
    m.op("ASSIGN_VARIABLE", [v, seven], [])
    stream = Stream(imported(m.data([x], [y], others=[once])))
    got = [stream.run({"x": np.ones((1, 2), np.float32)})["y"][0, 0] for _ in range(3)]
    assert got == [1, 8, 8], "zero at first, then seven"


def test_a_variable_that_is_assigned_first_is_no_state() -> None:
    m = Model()
    x, v = m.tensor((1, 2), "float32", name="x"), handle(m, "v")
    m.op("ASSIGN_VARIABLE", [v, x], [])
    old, y = m.tensor((1, 2), "float32"), m.tensor((1, 2), "float32", name="y")
    m.op("READ_VARIABLE", [v], [old])
    m.op("ABS", [old], [y])
    graph = imported(m.data([x], [y]))
    assert graph.states == (), "nothing is kept"
    assert run(graph, {"x": np.array([[-1, 2]], np.float32)})["y"].tolist() == [[1, 2]], (
        "and it runs"
    )


def test_two_variables_that_change_places() -> None:
    m = Model()
    once = first(m, p=((1, 1), "float32", [5], {}), q=((1, 1), "float32", [6], {}))
    x, p, q = m.tensor((1, 1), "float32", name="x"), handle(m, "p"), handle(m, "q")
    old = [m.tensor((1, 1), "float32") for _ in "pq"]
    m.op("READ_VARIABLE", [p], [old[0]])
    m.op("READ_VARIABLE", [q], [old[1]])
    m.op("ASSIGN_VARIABLE", [p, old[1]], [])
    m.op("ASSIGN_VARIABLE", [q, old[0]], [])
    y = m.tensor((1, 1), "float32", name="y")
    m.op("ADD", [old[0], x], [y])
    stream = Stream(imported(m.data([x], [y], others=[once])))
    got = [stream.run({"x": np.zeros((1, 1), np.float32)})["y"].item() for _ in range(4)]
    assert got == [5, 6, 5, 6], "all are read before one is written"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_bytes_are_a_model_or_one_error(data: st.DataObject) -> None:
    changed = bytearray(SPOTTER)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 255]) | st.integers(0, 255))
    refused(bytes(changed))


def test_many_handles_take_no_longer_than_they_are_many() -> None:
    m = Model()
    once = first(m, v=((1, 2), "float32", [0, 0], {}))
    x, v = m.tensor((1, 2), "float32", name="x"), handle(m, "v")
    for _ in range(1500):
        old = m.tensor((1, 2), "float32")
        m.op("READ_VARIABLE", [v], [old])
        m.op("ASSIGN_VARIABLE", [v, x], [])
    begin = time.perf_counter()
    graph = imported(m.data([x], [old], others=[once]))
    assert time.perf_counter() - begin < 10, "not their square: that would be minutes"
    assert len(graph.states) == 1, "one variable"
