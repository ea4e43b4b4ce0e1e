"""Files of streams with edited fields: one typed error, or the reference's bits and states."""

from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.model.graph import Graph
from refquant.model.rq import rq_bytes
from refquant.model.states import free_inputs
from refquant.model.stream import Stream
from refquant_runtime import FormatError, InputError, Session, UnsupportedError
from tests.refquant.model.streams import STREAMS
from tests.runtime.test_bad_files import (
    EDGES,
    at,
    edit_anything,
    edit_meaning,
    feeds_of,
    fuzz,
    mend_shapes,
    paths,
    reference_of,
    time_limit,
)
from tests.runtime.test_equivalence import same_bits
from tests.runtime.zoo import graph_of, parts, whole, with_graph

FILES = {name: rq_bytes(make()) for name, make in STREAMS.items()}
ODD = (KeyError, TypeError, AttributeError, IndexError, ValueError)


def edit_state(tree: dict[str, Any], random: Random) -> None:
    """Another end, another name, one state more, an edge: of what most states are, or any."""
    states = tree["states"]
    state, names = random.choice(states), [*tree["values"], "nobody"]
    kind = random.randrange(7)
    if kind < 3:
        state[random.choice(["input", "output", "initial", "name"])] = random.choice(names)
    elif kind == 3:
        states.append({**state, "name": random.choice(["more", state["name"]])})
    elif kind == 4:
        name = random.choice(names[:-1])
        tree["values"][name] = dict(tree["values"][random.choice(names[:-1])])
    elif kind == 5:
        path = random.choice(paths(states) or [()])
        if path:
            at(states, path[:-1])[path[-1]] = random.choice(EDGES)
    else:
        tree["states"] = random.choice([[], {}, None, states[:1], [state, state], "x", [[]]])


def edited(name: str, random: Random) -> bytes:
    tree = graph_of(FILES[name])
    for _ in range(random.choice([1, 1, 2])):
        with suppress(*ODD):  # of edits on earlier edits
            random.choice([edit_state, edit_state, edit_anything, edit_meaning])(tree, random)
    if random.random() < 0.5:
        with suppress(*ODD):
            mend_shapes(tree)
    return with_graph(FILES[name], tree)


def steps(graph: Graph, session: Session) -> None:
    """Run both for some steps, fed with what has no state."""
    every: dict[str, NDArray[Any]] = feeds_of(graph)
    feeds, stream = {name: every[name] for name in free_inputs(graph)}, Stream(graph)
    for step in range(3):
        before = session.state
        try:
            with np.errstate(all="ignore"):
                expected = stream.run(feeds)
        except ValueError:  # an index that names no row
            with pytest.raises(InputError):
                session.run(feeds)
            assert all((before[n] == a).all() for n, a in session.state.items()), "unchanged"
            return
        actual = session.run(feeds)
        for kind, ours, theirs in (
            ("output", expected, actual),
            ("state", stream.state, session.state),
        ):
            for name, array in ours.items():
                assert same_bits(array, theirs[name]), f"step {step}: {kind} {name!r} differs"


def check(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    reference = reference_of(data)
    with time_limit():
        try:
            session = Session(file, threads=1)
        except (FormatError, UnsupportedError) as error:
            message = str(error)
            assert message.startswith(f"{file}: "), f"the message names the file: {message}"
            assert "; " in message, f"and a remedy: {message}"
            assert len(message) < 2000, "of bounded length"
            valid = isinstance(error, FormatError) and reference is not None
            assert not valid, f"the reference reads what we call wrong: {message}"
            return
        assert reference is not None, "we read what the reference refuses"
        if session.plan.arena.size < 2**22 and sum(s.macs for s in session.plan.steps) < 2**22:
            steps(reference, session)


@settings(parent=fuzz, max_examples=250)
@given(st.sampled_from(sorted(FILES)), st.randoms(use_true_random=False))
def test_edited_streams(tmp_path_factory: Any, name: str, random: Random) -> None:
    check(tmp_path_factory.getbasetemp() / "stream.rq", edited(name, random))


@pytest.mark.parametrize("name", FILES)
def test_the_files_that_are_edited_are_valid(name: str, tmp_path: Path) -> None:
    (tmp_path / "m.rq").write_bytes(FILES[name])
    Session(tmp_path / "m.rq", threads=1)
    check(tmp_path / "m.rq", FILES[name])


RULES: dict[str, tuple[dict[str, Any], str]] = {
    "no input": ({"input": "total"}, "state 'sum': its input 'total' is no input of the graph"),
    "nothing": ({"output": "nobody"}, "state 'sum': its output 'nobody' is neither"),
    "a constant": ({"output": "first"}, "state 'sum': its output 'first' is neither"),
    "itself": ({"output": "before"}, "state 'sum': 'before' would never change"),
    "begins as none": ({"initial": "x"}, "state 'sum': its initial 'x' is no constant"),
    "an empty name": ({"name": ""}, "state '': its name is empty or not unique"),
    "a number": ({"input": 7}, "state 0 input: 7 is not of type str"),
    "more": ({"decay": 1}, "state 0: unknown key 'decay'; use a runtime that knows it"),
}


@pytest.mark.parametrize("case", RULES)
def test_the_error_says_which_state_and_which_rule(case: str, tmp_path: Path) -> None:
    changes, rule = RULES[case]
    tree = graph_of(FILES["sums"])
    tree["states"][0].update(changes)
    (tmp_path / "m.rq").write_bytes(with_graph(FILES["sums"], tree))
    with pytest.raises(FormatError) as caught:
        Session(tmp_path / "m.rq", threads=1)
    assert rule in str(caught.value), "the state and the rule"


def test_a_file_of_version_1_has_no_states(tmp_path: Path) -> None:
    header, body = parts(FILES["sums"])
    metadata = header["__metadata__"] | {"format": "refquant/1"}
    (tmp_path / "m.rq").write_bytes(whole(header | {"__metadata__": metadata}, body))
    with pytest.raises(FormatError, match="states: are what only refquant/2 has"):
        Session(tmp_path / "m.rq", threads=1)


def test_kinds_that_differ_are_refused(tmp_path: Path) -> None:
    tree = graph_of(FILES["sums"])
    tree["values"]["extra"] = {"dtype": "float32", "shape": ["N", 3]}
    tree["inputs"].append("extra")
    tree["states"][0] = {"name": "s", "input": "extra", "output": "total"}
    (tmp_path / "m.rq").write_bytes(with_graph(FILES["sums"], tree))
    with pytest.raises(FormatError, match="state 's': 'extra' and 'total' differ in dtype, shape"):
        Session(tmp_path / "m.rq", threads=1)
    tree["values"]["extra"]["shape"] = ["N", "T"]
    (tmp_path / "m.rq").write_bytes(with_graph(FILES["sums"], tree))
    with pytest.raises(FormatError, match="'extra' has a length 'T', and a state has one size"):
        Session(tmp_path / "m.rq", threads=1)
