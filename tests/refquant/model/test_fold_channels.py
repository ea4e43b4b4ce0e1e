"""Chains of constants behind a convolution: the same real function, folded.

Small integers and powers of two are exact in float32, whatever the order: bit for bit.
"""

from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.fold_channels import fold_channels
from refquant.model.graph import Graph

F32 = np.float32
X = np.random.default_rng(0).integers(-8, 9, (2, 4, 5, 5)).astype(F32)
ROW = [1, -2, 4, 0.5, 8, -1]
LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def f32(values: Any) -> np.ndarray:
    return np.array(values, F32)


def graph(
    steps: list[tuple[str, Any, bool]],
    *,
    perm: tuple[int, ...] | None = LAST,
    bias: bool = False,
    group: int = 1,
    also: str = "",
) -> Graph:
    """Conv of 6 channels, perhaps turned, then op after op: (op, constant, constant first)."""
    rng = np.random.default_rng(1)
    b = Builder("g")
    names = [b.input("x", ("N", 4, 5, 5))]
    names.append(b.constant("w", rng.integers(-4, 5, (6, 4 // group, 3, 3)).astype(F32)))
    if bias:
        names.append(b.constant("b", rng.integers(-4, 5, 6).astype(F32)))
    x = b.node("Conv", names, name="conv", attributes={"group": group})
    seen = [x]
    if perm is not None:
        x = b.node("Transpose", [x], name="turn", attributes={"perm": list(perm)})
        seen.append(x)
    for i, (op, constant, first) in enumerate(steps):
        c = b.constant(f"c{i}", np.asarray(constant, F32))
        x = b.node(op, [c, x] if first else [x, c], name=f"step{i}")
        seen.append(x)
    outputs = [x] if not also else [x, also]
    return b.graph(outputs)


def ops(g: Graph) -> list[str]:
    return [node.op for node in g.nodes]


def same(before: Graph, after: Graph) -> None:
    """Bit for bit, but for the sign of a zero: 0 * -2 is -0, 0 of other terms is not."""
    a, b = run(before, {"x": X}), run(after, {"x": X})
    for name in before.outputs:
        assert np.array_equal(a[name], b[name]), f"{name}: {a[name].ravel()[:4]}"


column = np.reshape(ROW, (6, 1, 1))
CHAINS: dict[str, tuple[list[tuple[str, Any, bool]], tuple[int, ...] | None]] = {
    "add": ([("Add", ROW, False)], LAST),
    "add, first": ([("Add", ROW, True)], LAST),
    "sub": ([("Sub", ROW, False)], LAST),
    "from": ([("Sub", ROW, True)], LAST),
    "mul": ([("Mul", ROW, False)], LAST),
    "div": ([("Div", ROW, False)], LAST),
    "one number": ([("Mul", 2.0, False), ("Add", [3], True)], LAST),
    "norm": ([("Add", ROW, False), ("Sub", ROW[::-1], False), ("Mul", ROW, False),
              ("Add", ROW, True)],
             LAST),
    "not turned": ([("Mul", column, False), ("Add", column[None], False)], None),
    "turned otherwise": ([("Mul", np.reshape(ROW, (6, 1)), False)], (0, 2, 1, 3)),
}  # fmt: skip


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_disappears(name: str, bias: bool, group: int) -> None:
    steps, perm = CHAINS[name]
    before = graph(steps, perm=perm, bias=bias, group=group)
    after = fold_channels(before)
    assert ops(after) == ["Conv"] + ["Transpose"] * (perm is not None), f"{ops(after)}"
    assert set(after.constants) == {"conv.weight", "conv.bias"}, f"{set(after.constants)}"
    assert ops(fold(before)) == ops(after), "folding does it"
    same(before, after)


STAYS: dict[str, dict[str, Any]] = {
    "another axis": {"steps": [("Add", np.ones((3, 1)), False)]},
    "both": {"steps": [("Add", np.ones((3, 6)), False)]},
    "by a zero": {"steps": [("Div", [1, 2, 0, 1, 1, 1], False)]},
    "divided": {"steps": [("Div", ROW, True)]},
    "an output between": {"steps": [("Add", ROW, False)], "also": "turn"},
    "the product is an output": {"steps": [("Add", ROW, False)], "also": "conv"},
    "too large": {"steps": [("Mul", np.full(6, 3e38), False), ("Mul", np.full(6, 4), False)]},
}


@pytest.mark.parametrize("name", STAYS)
def test_what_is_no_constant_of_a_channel_stays(name: str) -> None:
    before = graph(**STAYS[name])
    assert fold_channels(before) is before, f"{ops(fold_channels(before))}"


def test_a_value_with_two_readers_ends_the_chain() -> None:
    before = graph([("Add", ROW, False), ("Mul", ROW, False)], also="step0")
    after = fold_channels(before)
    assert ops(after) == ["Conv", "Transpose", "Mul"], f"{ops(after)}"
    same(before, after)


def test_as_many_numbers_as_channels_on_another_axis_stay() -> None:
    b = Builder("g")
    w = b.constant("w", np.ones((3, 4, 3, 3), F32))
    h = b.node("Conv", [b.input("x", ("N", 4, 5, 5)), w], name="conv")
    before = b.graph([b.node("Add", [h, b.constant("c", f32([1, 2, 3]))], name="y")])
    assert fold_channels(before) is before, "three channels, and three columns: the columns'"


def test_a_shared_weight_and_a_taken_name() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 4, 5, 5))
    w = b.constant("w", np.ones((2, 4, 1, 1), F32))
    taken = b.constant("one.weight", f32([[[1]], [[2]]]))
    one = b.node("Mul", [b.node("Conv", [x, w], name="one"), taken], name="y1")
    two = b.node("Relu", [b.node("Conv", [x, w], name="two")], name="y2")
    before = b.graph([one, two])
    after = fold_channels(before)
    assert ops(after) == ["Conv", "Conv", "Relu"], f"{ops(after)}"
    assert set(after.constants) == {"w", "one.weight_", "one.bias"}, f"{set(after.constants)}"
    same(before, after)
