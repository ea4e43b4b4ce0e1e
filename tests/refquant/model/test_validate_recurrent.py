"""GRU and LSTM of codes: what is defined passes, the rest is refused by name, in files too."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant, Value
from refquant.model.rq import parse_rq, rq_bytes
from refquant.model.stream import Stream
from refquant.model.validate import GraphError, validate
from refquant.ops.accumulate import AccumulatorOverflowError, prove_accumulator
from tests.refquant.model.coded_walks import coded_walk, feeds


@pytest.mark.parametrize("per", ["tensor", "direction", "row"])
@pytest.mark.parametrize("op", ["LSTM", "GRU"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_what_is_defined_is_a_file_of_version_2(op: str, per: str, direction: str) -> None:
    graph = coded_walk(op, per=per, direction=direction, weight=("int4", 7))
    data = rq_bytes(graph)
    assert b"refquant/2" in data, "the operator is of version 2"
    back = parse_rq(data, name="m.rq")
    assert back == graph, "a file says all of it"
    made = run(back, feeds(graph, 3))
    assert [made[name].dtype.name for name in graph.outputs[:2]] == ["uint8", "float32"]


def retyped(name: str, value: Value) -> Graph:
    graph = coded_walk()
    return replace(graph, values={**graph.values, name: value})


def plain(dtype: str, *shape: Any) -> Value:
    return Value(dtype, shape)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: coded_walk(per="all"), r"one scale, one a direction or one a row"),
        (lambda: coded_walk(w=Quant(0.5, 3)), "weights have zero point 0"),
        (lambda: coded_walk(weight=("uint8", 200)), "'w' is a constant of int8 codes, or narrower"),
        (lambda: coded_walk(contract="tflite_hybrid"), "gives reals, not codes"),
        (lambda: coded_walk(x=("int16", Quant(0.5, 0))), "'x' has quant and at most 8 bits"),
        (lambda: coded_walk(y=("int16", Quant(0.5, 0))), "'y' has quant and at most 8 bits"),
        (lambda: retyped("h", Value("uint8", ("N", 1, 5), Quant(0.5, 0))), "states are float32"),
        (lambda: retyped("hn", Value("uint8", ("N", 1, 5), Quant(0.5, 0))), "'hn' is uint8 with"),
        (lambda: retyped("y", plain("float32", "N", "T", 1, 5)), "input 'x' is float32 without"),
        (lambda: retyped("x", plain("float32", "N", "T", 3)), "'x' has quant"),
    ],
)  # fmt: skip
def test_what_is_not_is_refused_by_name(build: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        validate(build())


def sums(k: int, zero: int, *, of_state: bool) -> Graph:
    """A GRU whose rows sum ``k`` weights of -128, of the input or of the state."""
    b = Builder("g")
    i, h = (1, k) if of_state else (k, 1)
    x = b.input("x", ("N", 1, i), dtype="uint8", quant=Quant(0.5, 0 if of_state else zero))
    w = np.full((1, 3 * h, i), 0 if of_state else -128, np.int8)
    r = np.zeros((1, 3 * h, h), np.int8)
    r[0, 0] = -128 if of_state else 0
    names = [x, *(b.constant(n, a, quant=Quant(0.5, 0)) for n, a in (("w", w), ("r", r)))]
    b.node_with("GRU", names, ["y", "hn"], name="walk", contract=preset("ort"), dtype="uint8",
                attributes={"hidden_size": h, "layout": 1},
                quant=Quant(0.5, zero if of_state else 0))  # fmt: skip
    return b.graph(["y"])


@pytest.mark.parametrize("zero", [0, 255])
def test_a_sum_of_the_input_that_can_leave_int32_is_refused(zero: int) -> None:
    fits = (2**31 - 1) // (255 * 128)
    sums(fits, zero, of_state=False)
    with pytest.raises(GraphError, match=r"walk.*can reach 2147516160"):
        sums(fits + 1, zero, of_state=False)
    sums(fits + 1, 128, of_state=False)  # codes around 128 reach half as far


def test_a_sum_of_the_state_that_can_leave_int32_is_refused() -> None:
    """By the output's zero point; the largest state whose weights a test can hold has int8 ones."""
    row = np.full((1, 70_000), -128, np.int8)
    with pytest.raises(AccumulatorOverflowError):
        prove_accumulator(row, 0, "uint8", 0, None, channel_axis=0, name="walk")
    seen: list[tuple[str, int]] = []

    def told(part: Any, zero: int, dtype: str, x_zero: int, *rest: Any, **given: Any) -> None:
        seen.append((dtype, x_zero))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("refquant.model.validate_recurrent.prove_accumulator", told)
        coded_walk(x=("int8", Quant(0.5, -7)), y=("uint8", Quant(0.5, 9)))
    assert seen == [("int8", -7), ("uint8", 9)], "w by the input's codes, r by the output's"


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_a_stream_in_pieces_has_the_bits_of_the_whole(op: str) -> None:
    graph = coded_walk(op, stream=True)
    codes = feeds(graph, 9, samples=1)["x"]
    whole, pieces = Stream(graph), Stream(graph)
    want = whole.run({"x": codes})["y"]
    parts = [pieces.run({"x": part})["y"] for part in np.split(codes, [1, 2, 6], axis=1)]
    assert np.array_equal(np.concatenate(parts, axis=1), want), "codes"
    for name, state in whole.state.items():
        assert state.tobytes() == pieces.state[name].tobytes(), f"state {name}"
