"""A stream: what was heard before changes what is heard now, and nothing else does."""

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import advance, run
from refquant.model.graph import State
from refquant.model.states import initial_state, opened
from refquant.model.stream import Stream, in_order
from tests.refquant.model.streams import STREAMS, delays, feeds, free_running, lstm, sums


@pytest.mark.parametrize("name", STREAMS)
def test_steps_are_what_feeding_the_state_by_hand_gives(name: str) -> None:
    graph = STREAMS[name]()
    x, pure, stream = feeds(graph, 6), opened(graph), Stream(graph)
    now = {s.input: initial_state(graph)[s.name] for s in graph.states}
    whole = run(graph, x)
    for i in range(6):
        piece = {n: a[i : i + 1] for n, a in x.items()}
        by_hand = run(pure, {**piece, **now})
        now = {s.input: by_hand[s.output] for s in graph.states}
        got = stream.run(piece)
        for output in graph.outputs:
            assert got[output].tobytes() == by_hand[output].tobytes(), f"step {i}"
            assert whole[output][i : i + 1].tobytes() == got[output].tobytes(), f"in one call, {i}"
        for s in graph.states:
            assert stream.state[s.name].tobytes() == now[s.input].tobytes(), f"state, step {i}"


def test_a_delay_takes_what_was_there_before_the_step() -> None:
    x = np.arange(1, 9, dtype=np.float32).reshape(4, 2)
    assert run(delays(), {"x": x})["y"].tolist() == [[0, 0], [0, 0], [1, 2], [3, 4]], "two steps"


def test_an_lstm_in_pieces_is_the_lstm_of_the_whole() -> None:
    graph = lstm()
    x = feeds(graph, 1, length=8)["x"]
    whole = run(graph, {"x": x})["y"]
    stream = Stream(graph)
    parts = [stream.run({"x": x[:, a:b]})["y"] for a, b in ((0, 3), (3, 4), (4, 8))]
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes(), "cut anywhere"


def test_state_is_a_copy_and_reset_begins_anew() -> None:
    stream = Stream(sums())
    x = feeds(sums(), 2)
    first = stream.run(x)["total"]
    held = stream.state
    held["sum"][:] = 9
    assert stream.state["sum"].tolist() == first[-1:].tolist(), "a copy"
    stream.state = held
    held["sum"][:] = 0
    assert stream.state["sum"].tolist() == [[9, 9]], "and a copy in"
    stream.reset()
    assert stream.run(x)["total"].tobytes() == first.tobytes(), "from the beginning"


def test_after_an_error_the_state_is_what_it_was() -> None:
    stream = Stream(sums())
    stream.run(feeds(sums(), 1))
    before = stream.state["sum"].tobytes()
    with pytest.raises(ValueError, match=r"inputs must be exactly \['x'\], got \['y'\]"):
        stream.run({"y": np.zeros((1, 2), np.float32)})
    with pytest.raises(ValueError, match="must have shape"):
        stream.run({"x": np.zeros((1, 3), np.float32)})
    assert stream.state["sum"].tobytes() == before, "unchanged"


def test_what_is_fed_wins_over_the_state() -> None:
    graph = sums()
    x, fed = np.ones((3, 2), np.float32), np.full((3, 2), 5, np.float32)
    outputs, state = advance(graph, {"x": x, "before": fed}, initial_state(graph))
    assert outputs["total"].tolist() == [[6, 6]] * 3, "each step as it is fed"
    assert state["sum"].tolist() == [[6, 6]], "and the state goes on from there"


def test_no_steps_change_nothing() -> None:
    graph = sums()
    state = {"sum": np.full((1, 2), 7, np.float32)}
    outputs, after = advance(graph, {"x": np.zeros((0, 2), np.float32)}, state)
    assert outputs["total"].shape == (0, 2), "nothing"
    assert after["sum"].tolist() == [[7, 7]], "unchanged"


def test_a_stream_may_have_no_input() -> None:
    stream = Stream(free_running())
    assert [stream.run({})["next"].item() for _ in range(3)] == [1.0, 1.5, 1.75], "it runs"


def test_data_in_order_have_the_states_that_each_step_finds() -> None:
    graph = sums()
    x = feeds(graph, 4)
    one, two = in_order(graph, [x, x])
    assert one["before"][0].tolist() == [1, 2], "as the file says"
    assert one["before"][1:].tolist() == run(graph, x)["total"][:3].tolist(), "then what was made"
    again = run(opened(graph), one)["total"]
    assert again.tobytes() == run(graph, x)["total"].tobytes(), "the steps in any order"
    assert two["before"].tobytes() == one["before"].tobytes(), "a recording begins anew"
    (alone,) = in_order(graph, x)
    assert alone["before"].tobytes() == one["before"].tobytes(), "one recording"
    with pytest.raises(ValueError, match=r"each of the inputs \['x'\], got \['before', 'x'\]"):
        list(in_order(graph, [one]))


def test_steps_of_a_graph_without_a_batch_have_an_axis_of_their_own() -> None:
    graph, many = lstm(length=2, batch=1), lstm(length=2)
    x = feeds(many, 5)["x"]
    made = list(in_order(graph, {"x": x[:, None]}))
    assert [batch["x"].shape for batch in made] == [(1, 2, 3)] * 5, "a step each"
    (whole,) = in_order(many, {"x": x})
    for i, batch in enumerate(made):
        assert batch["h"].tobytes() == whole["h"][i : i + 1].tobytes(), f"step {i}"
    assert len(list(in_order(graph, {"x": x[:1]}))) == 1, "without the axis: one step"
    b = Builder("two")
    y = b.node("Add", [b.input("x", (1,)), b.input("z", (1,))], name="y")
    two = b.graph([b.node("Add", [y, b.input("h", (1,))], name="sum")],
                  states=[State("h", "h", "sum")])  # fmt: skip
    odd = {"x": np.zeros((2, 1), np.float32), "z": np.zeros((3, 1), np.float32)}
    with pytest.raises(ValueError, match=r"different numbers of steps \[2, 3\]"):
        list(in_order(two, odd))
