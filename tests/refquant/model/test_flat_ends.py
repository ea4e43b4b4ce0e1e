"""Where functions stop to change: eq. (1) against the functions, and who may be cut."""

import math

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.flat_ends import ends_of, flat_ends
from refquant.model.graph import Graph, Node
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.ops.unary import apply_unary

CASES = [
    ("HardSwish", {}), ("HardSigmoid", {}), ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    ("Sigmoid", {}), ("Tanh", {}), ("Erf", {}), ("Swish", {}), ("Gelu", {}), ("Softplus", {}),
    ("Gelu", {"approximate": "tanh"}), ("Elu", {}), ("Elu", {"alpha": 4.0}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attributes"), CASES)
def test_beyond_its_ends_a_function_is_at_its_limit(op: str, attributes: dict[str, float]) -> None:
    ends = ends_of(Node("y", op, ("x",), ("y",), attributes))
    assert ends is not None, "it has ends"
    assert any(math.isfinite(end) for end in ends), "one at least"
    for end, far in zip(ends, (-1e4, 1e4), strict=True):
        if math.isfinite(end):
            beyond = np.append(np.linspace(end, 4 * end, 1000), far).astype(np.float32)
            y = apply_unary(op, beyond, attributes).astype(np.float64)
            assert np.abs(y - y[-1]).max() < 2.0**-11, f"{op}: eq. (1) beyond {end}"


@pytest.mark.parametrize("op", ["Relu", "Exp", "Abs", "LeakyRelu", "Neg"])
def test_others_have_none(op: str) -> None:
    assert ends_of(Node("y", op, ("x",), ("y",))) is None, op


def test_functions_that_fall_have_none() -> None:
    for op in ("Elu", "HardSigmoid"):
        assert ends_of(Node("y", op, ("x",), ("y",), {"alpha": -1.0})) is None, op


def graph(*ops: str, output: bool = False) -> Graph:
    b = Builder("g")
    w = b.constant("w", np.ones((1, 1, 1), np.float32))
    h = b.node("Conv", [b.input("x", ("N", 1, 64)), w], name="h")
    made = [b.node(op, [h], name=f"y{i}") for i, op in enumerate(ops)]
    return b.graph([*made, h] if output else made)


def test_every_reader_has_its_say() -> None:
    source, tables = {"x": "x", "h": "h"}, {"y0", "y1"}
    found = flat_ends(graph("HardSwish", "Sigmoid"), tables=tables, source=source)
    assert found == {"h": (-8.0, math.inf)}, "the widest"
    assert not flat_ends(graph("HardSwish", "Neg"), tables=tables, source=source), "Neg reads it"
    shown = graph("HardSwish", output=True)
    assert not flat_ends(shown, tables=tables, source=source), "the model shows it"
    one = graph("HardSwish")
    assert not flat_ends(one, tables=set(), source=source), "not a table: it stays float32"
    assert not flat_ends(one, tables=tables, source={"x": "x", "h": "x"}), "its range is another's"
    moved = {"x": "x", "h": "h", "z": "h"}
    assert not flat_ends(one, tables=tables, source=moved), "another value has its parameters"


@pytest.mark.parametrize(("op", "range_of"), [("HardSwish", (-3, 60)), ("HardSigmoid", (-3, 3))])
def test_static_recipes_spend_no_codes_beyond(op: str, range_of: tuple[int, int]) -> None:
    b = Builder("g")
    w = b.constant("w", np.ones((1, 1, 1), np.float32))
    h = b.node("Conv", [b.input("x", ("N", 1, 256)), w], name="h")
    attributes = {"alpha": float(np.float32(1 / 6))} if op == "HardSigmoid" else {}
    g = b.graph([b.node(op, [h], name="y", attributes=attributes)])
    x = np.linspace(-300, 60, 512, dtype=np.float32).reshape(2, 1, 256)
    made = quantize(g, recipe("int8_static"), {"x": x})
    quant = made.values["h"].quant
    assert quant is not None, "codes"
    low, high = range_of
    assert float(quant.scale) * 255 <= (high - low) * 1.01, f"{quant}: no step for what is flat"
