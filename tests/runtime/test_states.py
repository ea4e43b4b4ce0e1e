"""Sessions with states: the reference's bits, step by step, and nothing that leaks or is lost."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant, State
from refquant.model.rq import rq_bytes
from refquant.model.stream import Stream
from refquant_runtime import InputError, Session
from tests.refquant.model.streams import STREAMS, codes, feeds, free_running, lstm, sums

Arrays = dict[str, NDArray[Any]]


def session_of(graph: Graph, folder: Path, *, threads: int = 1) -> Session:
    (folder / "m.rq").write_bytes(rq_bytes(graph))
    return Session(folder / "m.rq", threads=threads)


def same(got: Any, expected: Any, what: str) -> None:
    assert got.keys() == expected.keys(), f"{what}: names"
    for name, array in expected.items():
        assert got[name].dtype == array.dtype, f"{what}: dtype of {name!r}"
        assert got[name].tobytes() == array.tobytes(), f"{what}: {name!r}"


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_has_the_references_bits(name: str, threads: int, tmp_path: Path) -> None:
    graph = STREAMS[name]()
    session, stream = session_of(graph, tmp_path, threads=threads), Stream(graph)
    same(session.state, stream.state, "at first")
    for step, count in enumerate((1, 2, 1, 5)):
        x = feeds(graph, count, seed=step)
        same(session.run(x), stream.run(x), f"outputs of run {step}")
        same(session.state, stream.state, f"state after run {step}")
    session.reset()
    stream.reset()
    x = feeds(graph, 3)
    same(session.run(x), stream.run(x), "after a reset")


def test_bound_buffers_keep_the_state_too(tmp_path: Path) -> None:
    graph = sums()
    session, stream = session_of(graph, tmp_path), Stream(graph)
    assert list(session.inputs) == ["x"], "what has a state is not fed"
    for step in range(4):
        x = feeds(graph, 1, seed=step)
        session.inputs["x"][...] = x["x"]
        session.invoke()
        same(session.outputs, stream.run(x), f"step {step}")


def test_the_state_goes_from_one_length_to_another(tmp_path: Path) -> None:
    graph = lstm()
    session, stream = session_of(graph, tmp_path, threads=2), Stream(graph)
    for step, length in enumerate((3, 1, 7, 2, 9, 4, 3, 1)):  # more than plans that are kept
        x = feeds(graph, 1, length=length, seed=step)
        same(session.run(x), stream.run(x), f"{length} steps at once")
    session.resize(5)
    x = feeds(graph, 1, length=5)
    session.inputs["x"][...] = x["x"]
    session.invoke()
    same(session.outputs, stream.run(x), "bound buffers of another length")
    same(session.state, stream.state, "and its state")


def test_a_state_may_be_set_and_is_a_copy(tmp_path: Path) -> None:
    graph = sums()
    session = session_of(graph, tmp_path)
    given = np.array([[5, 7]], np.float32)
    session.state = {"sum": given}
    given[:] = 0
    assert session.state["sum"].tolist() == [[5, 7]], "a copy"
    x = {"x": np.ones((1, 2), np.float32)}
    assert session.run(x)["total"].tolist() == [[6, 8]], "and the next run begins with it"
    held = session.state
    session.run(x)
    assert held["sum"].tolist() == [[6, 8]], "what was read stays what it was"
    assert not np.shares_memory(held["sum"], session.plan.arena), "no view of the arena"
    with pytest.raises(ValueError, match="read-only"):
        held["sum"][...] = 0
    with pytest.raises(TypeError):
        held["sum"] = given
    order = np.asfortranarray(np.array([[1, 2]], np.float32))
    session.state = {"sum": order}
    assert session.run(x)["total"].tolist() == [[2, 3]], "any order of memory"


BAD: list[tuple[Any, str]] = [
    ({}, r"states are \['sum'\], got \[\]"),
    ([1], r"states are \['sum'\], got list"),
    ({"sum": np.zeros((1, 2), np.float32), "h": 0}, r"got \['h', 'sum'\]; pass a dict"),
    ({"sum": np.zeros((1, 2))}, "state 'sum' must be an array of float32, got float64"),
    ({"sum": [[0, 0]]}, "state 'sum' must be an array of float32, got list; convert it"),
    ({"sum": np.ma.zeros((1, 2), np.float32)}, "state 'sum' must be an array of float32"),
    ({"sum": np.zeros((2, 2), np.float32)}, r"must have shape \[1, 2\], got \[2, 2\]"),
    ({"sum": np.zeros(2, np.float32)}, r"must have shape \[1, 2\], got \[2\]; reshape it"),
]


@pytest.mark.parametrize(("state", "rule"), BAD)
def test_what_is_no_state_is_one_error(state: Any, rule: str, tmp_path: Path) -> None:
    session = session_of(sums(), tmp_path)
    with pytest.raises(InputError, match=rule) as caught:
        session.state = state
    assert str(caught.value).startswith(str(session.path)), "it names the file"
    assert session.state["sum"].tolist() == [[1, 2]], "and nothing has changed"


def test_a_model_without_states_has_none(tmp_path: Path) -> None:
    b = Builder("g")
    session = session_of(b.graph([b.node("Relu", [b.input("x", ("N", 2))])]), tmp_path)
    assert dict(session.state) == {}, "no states"
    session.state = {}
    session.reset()
    with pytest.raises(InputError, match=r"states are \[\], got \['h'\]"):
        session.state = {"h": np.zeros(1)}


def guarded() -> Graph:
    """Gather refuses what is no row of its table; the sum of what it found is kept."""
    b = Builder("guarded")
    table = b.constant("table", np.arange(8, dtype=np.float32).reshape(4, 2))
    row = b.node("Gather", [table, b.input("i", ("N",), dtype="int32")], name="row")
    total = b.node("Add", [row, b.input("before", ("N", 2))], name="total")
    return b.graph([total], states=[State("sum", "before", "total")])


def test_a_run_that_fails_changes_nothing(tmp_path: Path) -> None:
    session = session_of(guarded(), tmp_path)
    session.run({"i": np.array([1, 2], np.int32)})
    before = session.state["sum"].tolist()
    assert before == [[6, 8]], "rows 1 and 2"
    with pytest.raises(InputError):
        session.run({"i": np.array([3, 3, 9], np.int32)})  # the third step is wrong
    assert session.state["sum"].tolist() == before, "the first two are undone"
    session.inputs["i"][...] = 9
    with pytest.raises(InputError):
        session.invoke()
    assert session.state["sum"].tolist() == before, "bound buffers, too"
    with pytest.raises(InputError, match=r"inputs are \['i'\], got \['j'\]"):
        session.run({"j": np.array([0], np.int32)})
    with pytest.raises(InputError):
        session.run([1])  # type: ignore[arg-type]  # no mapping at all
    assert session.state["sum"].tolist() == before, "nor does what is never run"
    session.inputs["i"][...] = 0
    session.profile(runs=2)
    assert session.state["sum"].tolist() == before, "nor looking at its speed"
    assert session.run({"i": np.array([0], np.int32)})["total"].tolist() == [[6, 9]], "it goes on"


def test_what_is_fed_wins_over_the_state(tmp_path: Path) -> None:
    session = session_of(sums(), tmp_path)
    x, fed = np.ones((2, 2), np.float32), np.array([[5, 6], [7, 8]], np.float32)
    assert session.run({"x": x, "before": fed})["total"].tolist() == [[6, 7], [8, 9]], "as fed"
    assert session.state["sum"].tolist() == [[8, 9]], "and goes on from there"
    with pytest.raises(InputError, match="'before' must have shape"):
        session.run({"x": x, "before": fed[:, :1]})


def test_no_samples_change_nothing(tmp_path: Path) -> None:
    session = session_of(codes(), tmp_path)
    assert session.run({"x": np.zeros((0, 1, 4), np.int8)})["y"].shape == (0, 2), "nothing"
    assert session.state["window"].tolist() == [[[3] * 4] * 3], "the code of 0.0"


def test_a_model_may_run_by_itself(tmp_path: Path) -> None:
    session = session_of(free_running(), tmp_path)
    assert [session.run({})["next"].item() for _ in range(3)] == [1.0, 1.5, 1.75], "no input"
    session.invoke()
    assert session.outputs["next"].item() == 1.875, "nor a buffer of one"


def test_sessions_of_one_file_share_nothing(tmp_path: Path) -> None:
    one = session_of(sums(), tmp_path)
    other = Session(one.path, threads=1)
    x = {"x": np.ones((1, 2), np.float32)}
    one.run(x)
    assert other.state["sum"].tolist() == [[1, 2]], "untouched"
    assert other.run(x)["total"].tolist() == [[2, 3]], "its own"
    assert one.run(x)["total"].tolist() == [[3, 4]], "its own"


def test_threads_take_turns_and_no_step_is_lost(tmp_path: Path) -> None:
    session = session_of(sums(), tmp_path, threads=2)
    x, odd = {"x": np.ones((3, 2), np.float32)}, list[Any]()

    def many() -> None:
        for _ in range(50):
            total = session.run(x)["total"]
            if (np.diff(total, axis=0) != 1).any():
                odd.append(total)  # somebody else's step between two of ours

    callers = [threading.Thread(target=many) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not odd, "a run is one piece of the stream"
    assert session.state["sum"].tolist() == [[601, 602]], "4 * 50 * 3 steps from 1 and 2"


def test_all_states_are_taken_before_one_is_given(tmp_path: Path) -> None:
    """Two states that change places: whoever copied one by one would lose one."""
    b = Builder("swap")
    p, q = b.input("p", ("N", 1)), b.input("q", ("N", 1))
    y = b.node("Add", [b.input("x", ("N", 1)), p], name="y")
    begin = b.constant("begin", np.array([[4]], np.float32))
    graph = b.graph([y], states=[State("p", p, q, begin), State("q", q, p)])
    session, stream = session_of(graph, tmp_path), Stream(graph)
    for step in range(3):
        x = feeds(graph, 3, seed=step)
        same(session.run(x), stream.run(x), f"run {step}")
    assert stream.run({"x": np.zeros((2, 1), np.float32)})["y"].tolist() == [[0], [4]], "in turn"


def test_a_state_that_a_fusion_would_swallow(tmp_path: Path) -> None:
    """The sum of a layer is kept though a bound and a bias come after it."""
    b, contract, quant = Builder("fused"), preset("ort"), Quant(0.5, 3)
    x = b.input("x", ("N", 4), dtype="int8", quant=quant)
    old = b.input("old", ("N", 2))
    w = b.constant("w", np.arange(-4, 4, dtype=np.int8).reshape(4, 2), quant=Quant(0.25, 0))
    made = b.node("MatMul", [x, w], name="made", contract=contract, dtype="int8", quant=quant)
    bounded = b.node("Relu", [made], name="bounded", contract=contract)
    real = b.node("DequantizeLinear", [bounded], name="real", contract=contract)
    plus = b.node("Add", [real, old], name="plus")
    y = b.node("Relu", [plus], name="y")
    codes_before = b.input("codes_before", ("N", 2), dtype="int8", quant=quant)
    seen = b.node("DequantizeLinear", [codes_before], name="seen", contract=contract)
    z = b.node("Mul", [y, seen], name="z")
    states = [State("made", codes_before, "made"), State("plus", old, plus)]
    graph = b.graph([z], states=states)
    session, stream = session_of(graph, tmp_path), Stream(graph)
    for step in range(4):
        x_ = feeds(graph, 2, seed=step)
        same(session.run(x_), stream.run(x_), f"run {step}")
        same(session.state, stream.state, f"state {step}")
