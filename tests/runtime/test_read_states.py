"""What the reader makes of a list of states; `test_bad_states.py` breaks each rule of it."""

from pathlib import Path

from refquant.model.rq import rq_bytes
from refquant_runtime.graph import State
from refquant_runtime.read_graph import read_graph
from tests.refquant.model.streams import lstm, sums


def test_states_as_the_file_has_them(tmp_path: Path) -> None:
    (tmp_path / "m.rq").write_bytes(rq_bytes(lstm()))
    graph = read_graph(tmp_path / "m.rq")
    assert graph.states == (State("h", "h", "hn", ""), State("c", "c", "cn", "")), "in their order"
    assert graph.outputs == ("y",), "what they become need not be an output"
    (tmp_path / "m.rq").write_bytes(rq_bytes(sums()))
    (state,) = read_graph(tmp_path / "m.rq").states
    assert state == State("sum", "before", "total", "first"), "and what it begins as"
