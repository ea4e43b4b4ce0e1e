"""Single numbers before convolutions: the same real function, folded.

Small integers and powers of two are exact in float32, whatever the order: bit for bit.
"""

from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.fold_scalars import fold_scalars
from refquant.model.graph import Graph

F32 = np.float32
X = np.random.default_rng(0).integers(-8, 9, (2, 4, 5, 5)).astype(F32)


def graph(
    steps: list[tuple[str, Any]],
    *,
    pads: tuple[int, ...] = (0, 0, 0, 0),
    convs: int = 1,
    bias: bool = True,
    end: str = "",
) -> Graph:
    """Numbers, then convolutions that all read them; ``end`` reads them, too."""
    rng = np.random.default_rng(1)
    b = Builder("g")
    name = b.input("x", ("N", 4, 5, 5))
    for i, (op, number) in enumerate(steps):
        name = b.node(op, [name, b.constant(f"c{i}", np.asarray(number, F32))], name=f"s{i}")
    outputs = []
    for i in range(convs):
        w = b.constant(f"w{i}", rng.integers(-4, 5, (6, 4, 3, 3)).astype(F32))
        more = [b.constant(f"b{i}", np.arange(6).astype(F32))] if bias else []
        attributes = {"kernel_shape": [3, 3], "pads": list(pads)}
        outputs.append(b.node("Conv", [name, w, *more], name=f"y{i}", attributes=attributes))
    if end:
        outputs.append(b.node(end, [name], name="other"))
    return b.graph(outputs)


def check(before: Graph, ops: list[str]) -> None:
    after = fold_scalars(before)
    assert [n.op for n in after.nodes] == ops, f"{[n.op for n in after.nodes]}"
    expected, got = run(before, {"x": X}), run(after, {"x": X})
    for name in before.outputs:
        assert np.array_equal(expected[name], got[name]), f"{name}: small integers are exact"


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("convs", [1, 2])
@pytest.mark.parametrize(
    "steps",
    [[("Mul", 2.0)], [("Div", 0.5)], [("Add", 3.0)], [("Mul", -2.0), ("Add", [5.0])]],
)
def test_numbers_are_in_the_weights(steps: list[Any], convs: int, bias: bool) -> None:
    check(graph(steps, convs=convs, bias=bias), ["Conv"] * convs)


def test_a_term_before_padding_stays_and_the_factor_goes() -> None:
    check(graph([("Mul", 0.5), ("Add", 3.0)], pads=(1, 1, 1, 1)), ["Add", "Conv"])
    check(graph([("Mul", 0.5)], pads=(1, 1, 1, 1)), ["Conv"])
    check(graph([("Add", 3.0)], pads=(0, 0, 0, 1)), ["Add", "Conv"])


@pytest.mark.parametrize("number", [0.0, np.inf, np.nan, [1.0, 2.0, 3.0, 4.0, 5.0]])
def test_other_numbers_stay(number: Any) -> None:
    made = graph([("Mul", number)])
    assert fold_scalars(made) is made, "no number to divide or to multiply by"


def test_what_others_read_stays() -> None:
    made = graph([("Mul", 2.0)], end="Neg")
    assert fold_scalars(made) is made, "another reader wants it"


def test_weights_beyond_float32_stay() -> None:
    made = graph([("Mul", 3e38)])
    assert fold_scalars(made) is made, "4 times that is not finite"


def test_fold_does_it_behind_an_activation() -> None:
    b = Builder("g")
    h = b.node("Sigmoid", [b.input("x", ("N", 4, 5, 5))])
    h = b.node("Mul", [h, b.constant("a", np.array([2], F32))])
    w = b.constant("w", np.ones((6, 4, 1, 1), F32))
    made = b.graph([b.node("Conv", [h, w], name="y")])
    assert [n.op for n in fold(made).nodes] == ["Sigmoid", "Conv"], "nothing between"
