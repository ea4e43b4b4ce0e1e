"""Quantized models keep their states, and are calibrated on recordings heard in order."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import parse_rq, rq_bytes
from refquant.model.states import opened
from refquant.model.stream import in_order
from tests.refquant.model.streams import feeds, leaky, lstm, sums

FLOAT_ENDS = (
    "int8_weight_only",
    "int8_static",
    "w8a8_tflite",
    "w8a8_dynamic",
    "int4_gptq",
    "fp8_static",
    "float32",
)


@pytest.mark.parametrize("name", FLOAT_ENDS)
@pytest.mark.parametrize("make", [leaky, lstm])
def test_a_quantized_stream_is_a_stream(make: Any, name: str) -> None:
    graph = make()
    data = feeds(graph, 12)
    small = quantize(graph, recipe(name), data)
    assert small.states == graph.states, "the same states"
    assert small.inputs == graph.inputs, "the same inputs"
    assert small.outputs == graph.outputs, "no output more"
    assert parse_rq(rq_bytes(small), name="m.rq") == small, "and a file"
    y, want = run(small, data)["y"], run(graph, data)["y"]
    assert np.abs(y - want).max() < 0.25 * np.abs(want).max(), "near: the state has not run away"


def test_it_is_calibrated_in_order_and_each_recording_begins_anew() -> None:
    """The result is that of the pure graph, on data whose states were fed by hand."""
    graph = leaky()
    recordings = [feeds(graph, 7, seed=s) for s in (1, 2)]
    by_hand: list[dict[str, NDArray[Any]]] = []
    for recording in recordings:
        h = np.zeros((1, 4), np.float32)
        for i in range(7):
            step = {"x": recording["x"][i : i + 1], "h": h}
            by_hand.append(step)
            h = run(opened(graph), step)["state"]
    whole = {name: np.concatenate([step[name] for step in by_hand]) for name in ("x", "h")}
    pure = quantize(opened(graph), recipe("w8a8_tflite"), whole)
    small = quantize(graph, recipe("w8a8_tflite"), recordings)
    for name, value in pure.values.items():
        assert small.values[name] == value, f"{name}: the same scale"
    assert small.meta["calibration"]["samples"] == 14, "steps of both"
    assert small.meta["calibration"] == pure.meta["calibration"], "the same data"
    joined = {"x": np.concatenate([recording["x"] for recording in recordings])}
    (other,) = in_order(graph, joined)
    assert other["h"][7].any(), "one recording of both would go on"
    assert not by_hand[7]["h"].any(), "two do not"


@pytest.mark.parametrize("initial", [False, True])
def test_full_integer_keeps_a_state_of_codes(initial: bool) -> None:
    graph = leaky(initial=initial)
    data = feeds(graph, 40)
    small = quantize(graph, recipe("int8_full_integer"), data)
    before, after = (small.values[name] for name in ("h", small.states[0].output))
    assert before.dtype == "int8", "codes"
    assert before == after, "of one ruler, which has seen both ends"
    assert bool(small.states[0].initial) == initial, "begins as the model does"
    if initial:
        first = small.constants[small.states[0].initial]
        assert before.quant is not None, "codes"
        real = float(before.quant.scale) * (int(first[0, 0]) - int(before.quant.zero_point))
        assert abs(real - 0.5) <= float(before.quant.scale) / 2, "the code of 0.5"
    assert parse_rq(rq_bytes(small), name="m.rq") == small, "a file"


def test_the_sum_of_a_stream_has_no_range_to_keep() -> None:
    """A sum grows for ever; the ruler is that of what was heard, and codes saturate."""
    x = {"x": np.ones((40, 2), np.float32)}  # the last total is the largest: no step has it before
    small = quantize(sums(), recipe("int8_full_integer"), x)
    quant = small.values["before"].quant
    assert quant is not None, "codes"
    assert quant == small.values["total"].quant, "of one ruler"
    assert 255 * float(quant.scale) >= 42 - float(quant.scale), "which has seen the last"


def test_data_that_are_no_recording_are_refused() -> None:
    with pytest.raises(ValueError, match=r"recording must have an array for each of the inputs"):
        quantize(leaky(), recipe("int8_static"), {"y": np.zeros((2, 3), np.float32)})
    with pytest.raises(ValueError, match="calibration data are missing"):
        quantize(leaky(), recipe("int8_static"))
    with pytest.raises(ValueError, match="must have shape"):
        quantize(leaky(), recipe("int8_static"), {"x": np.zeros((2, 4), np.float32)})


def test_states_of_a_layer_on_codes_are_float32_and_hold_more_than_codes() -> None:
    """What int8_static makes of an LSTM: h and c go from step to step unrounded."""
    graph = lstm()
    data = feeds(graph, 12)
    small = quantize(graph, recipe("int8_static"), data)
    (node,) = (n for n in small.nodes if n.op == "LSTM")
    assert small.values[node.inputs[0]].quant is not None, "it computes on codes"
    for state in small.states:
        assert small.values[state.input].dtype == "float32", f"{state.name} is reals"
        assert state.input in node.inputs, "and reaches the layer as it is"
        assert state.output in node.outputs, "and leaves it so"
