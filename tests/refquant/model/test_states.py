"""The two forms of a graph with states, and the file that holds it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.channel_groups import channel_groups
from refquant.model.equalize import equalize
from refquant.model.fold import fold
from refquant.model.graph import Graph, Quant, State, Value
from refquant.model.identity import remove_identity
from refquant.model.rotate import rotate
from refquant.model.rq import RqFormatError, parse_rq, rq_bytes
from refquant.model.rq_container import decode, encode
from refquant.model.rq_json import dumps, loads
from refquant.model.states import checked_state, closed, initial_state, opened
from refquant.model.validate import GraphError, validate
from tests.refquant.model.streams import STREAMS, codes, leaky, lstm, sums


@pytest.mark.parametrize("name", STREAMS)
def test_a_file_gives_back_its_states(name: str) -> None:
    graph = STREAMS[name]()
    data = rq_bytes(graph)
    assert parse_rq(data, name="m.rq") == graph, "states and all"
    assert decode(data)[0]["format"] == "refquant/2", "readers of version 1 refuse it"
    assert closed(opened(graph), graph) == graph, "closing is the inverse of opening"


def test_a_graph_without_states_has_the_bytes_that_it_had() -> None:
    pure = opened(sums())
    metadata, _ = decode(rq_bytes(pure))
    assert metadata["format"] == "refquant/1", "nothing of version 2"
    assert "states" not in loads(metadata["graph"]), "no key"


def test_opening_gives_a_pure_function() -> None:
    pure = opened(lstm())
    assert pure.outputs == ("y", "hn", "cn"), "what the states become are outputs"
    assert pure.inputs == ("x", "h", "c"), "and what they are, inputs"
    assert opened(lstm(hidden=False)).outputs == ("y", "hn", "cn"), "each once"


def test_zeros_of_codes_are_the_zero_point() -> None:
    assert initial_state(codes())["window"].tolist() == [[[3] * 4] * 3], "the code of 0.0"
    assert initial_state(sums())["sum"].tolist() == [[1.0, 2.0]], "the constant"


def edited(change: Callable[[dict[str, object]], object]) -> bytes:
    metadata, tensors = decode(rq_bytes(sums()))
    tree = loads(metadata["graph"])
    change(tree)
    return b"".join(encode(tensors, metadata | {"graph": dumps(tree)}))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda t: t.update(states=[]), "graph.states is not empty"),
        (lambda t: t.update(states={}), "graph.states is a list"),
        (lambda t: t["states"][0].pop("output"), "states[0] lacks the key 'output'"),
        (lambda t: t["states"][0].update(decay=1), "states[0] has the unknown key 'decay'"),
        (lambda t: t["states"][0].update(initial=""), "states[0].initial names a constant"),
        (lambda t: t["states"][0].update(name=7), "states[0].name is a string"),
        (lambda t: t["states"].append(t["states"][0]), "a state's name is unique"),
    ],
)
def test_a_damaged_list_is_one_error(
    change: Callable[[dict[str, object]], object], rule: str
) -> None:
    with pytest.raises(RqFormatError) as caught:
        parse_rq(edited(change), name="m.rq")
    assert rule in str(caught.value), "the rule"
    assert str(caught.value).startswith("m.rq: "), "the file"


def test_a_file_of_version_1_has_no_states() -> None:
    metadata, tensors = decode(rq_bytes(sums()))
    data = b"".join(encode(tensors, metadata | {"format": "refquant/1"}))
    with pytest.raises(RqFormatError, match="the graph needs 'refquant/2': the state 'sum'"):
        parse_rq(data, name="m.rq")


def kind(**changes: object) -> Graph:
    """``sums`` with another value for its input."""
    graph = sums()
    value = replace(graph.values["before"], **changes)  # type: ignore[arg-type]  # any of its own
    return replace(graph, values={**graph.values, "extra": value}, inputs=("x", "before", "extra"))


@pytest.mark.parametrize(
    ("states", "rule"),
    [
        ([State("", "before", "total")], "state '': a state's name is unique and not empty"),
        ([State("s", "nobody", "total")], "state 's': 'nobody' is no input"),
        ([State("s", "first", "total")], "state 's': 'first' is no input"),
        ([State("s", "before", "nobody")], "state 's': 'nobody' is neither an input nor made"),
        ([State("s", "before", "first")], "state 's': 'first' is neither an input nor made"),
        ([State("s", "before", "before")], "state 's': 'before' would stay what it is"),
        ([State("s", "before", "total", "x")], "it begins as 'x', which is no constant"),
        (
            [State("s", "before", "total"), State("t", "before", "x")],
            "state 't': the input 'before' has a state already",
        ),
    ],
)
def test_a_state_that_means_nothing_is_named(states: list[State], rule: str) -> None:
    with pytest.raises(GraphError) as caught:
        validate(replace(sums(), states=tuple(states)))
    assert rule in str(caught.value), "the state and the rule"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"shape": ("N", 3)}, "'extra' is float32 [N, 3], 'total' is float32 [N, 2]"),
        ({"dtype": "int32"}, "'extra' is int32 [N, 2], 'total' is float32 [N, 2]"),
        ({"dtype": "int8", "quant": Quant(0.5, 0)}, "int8 [N, 2] of scale 0.5 and zero point 0"),
        ({"shape": ("N", "T")}, "a state has one size, not the length of a run"),
    ],
)
def test_both_ends_are_of_one_kind(value: dict[str, object], rule: str) -> None:
    with pytest.raises(GraphError) as caught:
        validate(replace(kind(**value), states=(State("s", "extra", "total"),)))
    assert rule in str(caught.value), "both kinds"


def test_it_begins_as_one_sample_of_its_kind() -> None:
    graph = sums()
    two = np.zeros((2, 2), np.float32)
    wide = replace(
        graph,
        constants={"first": two},
        values={**graph.values, "first": Value("float32", (2, 2))},
    )
    with pytest.raises(GraphError, match=r"begins as 'first', float32 \[2, 2\]; give one sample"):
        validate(wide)


def test_a_scale_that_differs_is_refused() -> None:
    graph = codes()
    b = Builder("g")
    before = b.input("before", ("N", 2), dtype="int8", quant=Quant(0.5, 0))
    pair = [before, before]
    after = b.node("Add", pair, contract=preset("ort"), dtype="int8", quant=Quant(0.25, 0))
    with pytest.raises(GraphError, match="and zero point 0; make them one dtype"):
        b.graph([after], states=[State("s", before, after)])
    assert graph.states[0].name == "window", "equal ones are not"


def test_what_is_no_state_is_refused() -> None:
    graph = sums()
    with pytest.raises(ValueError, match=r"must have exactly \['sum'\], got \[\]"):
        checked_state(graph, {})
    with pytest.raises(ValueError, match="'sum' must be an array of float32, got float64"):
        checked_state(graph, {"sum": np.zeros((1, 2))})
    with pytest.raises(ValueError, match="'sum' must be an array of float32, got list"):
        checked_state(graph, {"sum": [[0, 0]]})  # type: ignore[dict-item]  # that is the test
    with pytest.raises(ValueError, match=r"must have shape \[1, 2\], got \[2\]"):
        checked_state(graph, {"sum": np.zeros(2, np.float32)})
    given = np.full((1, 2), np.nan, np.float32)
    held = checked_state(graph, {"sum": given})["sum"]
    given[:] = 0
    assert np.isnan(held).all(), "a copy; NaN is data, as in an input"


@pytest.mark.parametrize(
    "rewrite",
    [
        remove_identity,
        fold,
        lambda graph: equalize(graph, sweeps=1, absorb_bias=False),
        channel_groups,
        lambda graph: rotate(graph, how="online", seed=0),
    ],
)
def test_who_rewrites_a_graph_wants_a_pure_one(rewrite: Callable[[Graph], object]) -> None:
    """Scales that move past a state would change what it means in the next run."""
    with pytest.raises(ValueError, match=r"has states \('h'\); rewrite opened"):
        rewrite(leaky())
