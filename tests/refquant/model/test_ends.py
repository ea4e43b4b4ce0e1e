"""The ends of a graph of codes."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.ends import from_outputs, to_inputs
from refquant.model.graph import Graph, Quant
from tests.refquant.model.literals import f32, u8


def _flat(contract: str) -> Graph:
    b = Builder("g")
    quant = Quant(0.5, 3)
    x = b.input("x", ("N", 1, 3), dtype="int8", quant=quant)
    h = b.node("Flatten", [x])
    y = b.node("Add", [h, h], contract=preset(contract), dtype="uint8", quant=Quant(1.0, 128))
    return b.graph([y])


def test_the_contract_behind_movement_decides_the_tie() -> None:
    x = {"x": f32([[[0.25, -0.25, 99.0]]])}
    even, away = to_inputs(_flat("ort"), x)["x"], to_inputs(_flat("tflite_reference"), x)["x"]
    assert even.tolist() == [[[3, 3, 127]]], f"half to even, then + 3: {even}"
    assert away.tolist() == [[[4, 2, 127]]], f"half away from zero: {away}"


def test_outputs_are_read_with_their_ruler() -> None:
    g = _flat("ort")
    name = g.outputs[0]
    assert from_outputs(g, {name: u8([[128, 130]])})[name].tolist() == [[0.0, 2.0]]


def test_reals_stay_reals() -> None:
    b = Builder("g")
    g = b.graph([b.node("Relu", [b.input("x", ("N", 1))], name="y")])
    x = f32([[1.5]])
    assert to_inputs(g, {"x": x})["x"] is x, "nothing to do"
    assert from_outputs(g, {"y": x})["y"] is x, "nothing to do"


def test_inputs_have_the_graphs_names() -> None:
    with pytest.raises(ValueError, match=r"exactly \['x'\], got \['z'\]"):
        to_inputs(_flat("ort"), {"z": np.zeros((1, 1, 3), np.float32)})


def test_codes_that_are_only_moved_have_no_contract() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 1, 3), dtype="int8", quant=Quant(0.5, 3))
    g = b.graph([b.node("Flatten", [x])])
    with pytest.raises(ValueError, match="no node that reads input 'x' has a contract"):
        to_inputs(g, {"x": np.zeros((1, 1, 3), np.float32)})
