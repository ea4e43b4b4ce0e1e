"""The rules of states, on values alone; `test_states.py` breaks each in a whole graph."""

from refquant.model.validate_states import check_states
from tests.refquant.model.streams import STREAMS, free_running


def test_the_streams_of_the_tests_are_valid() -> None:
    for make in (*STREAMS.values(), free_running):
        assert check_states(make()) is None, "nothing to say"  # type: ignore[func-returns-value]
