"""A stream: what was heard before changes what is heard now, and nothing else does."""

import numpy as np
import pytest

from refquant.model.execute import advance, run
from refquant.model.states import initial_state, opened
from refquant.model.stream import Stream, run_in_order
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
    data, last = run_in_order(graph, x, initial_state(graph))
    assert data["before"][0].tolist() == [1, 2], "as the file says"
    assert data["before"][1:].tolist() == run(graph, x)["total"][:3].tolist(), "then what was made"
    again = run(opened(graph), data)["total"]
    assert again.tobytes() == run(graph, x)["total"].tobytes(), "the steps in any order"
    assert last["sum"].tolist() == again[-1:].tolist(), "and what comes after"
