"""Layer normalization written out: one operator, another program for the same real function."""

from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.fold_layer_norm import fold_layer_norm
from refquant.model.graph import Graph

F32 = np.float32
X = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(F32)


def graph(
    *, gain: bool = True, bias: bool = True, axes: int = -1, keep: bool = False, same: bool = True
) -> Graph:
    b = Builder("g")
    x = b.input("x", ("N", 5, 8))
    mean: dict[str, Any] = {"axes": [axes], "keepdims": 1}
    d = b.node("Sub", [x, b.node("ReduceMean", [x], attributes=mean)], name="d")
    other = d if same else b.node("Sub", [x, b.constant("zero", np.asarray(0, F32))], name="raw")
    v = b.node("ReduceMean", [b.node("Mul", [d, other])], attributes=mean)
    v = b.node("Add", [v, b.constant("epsilon", np.asarray(1e-5, F32))])
    y = b.node("Div", [d, b.node("Sqrt", [v])], name="div")
    if gain:
        y = b.node("Mul", [b.constant("g", np.arange(1, 9).astype(F32)), y], name="scaled")
    if bias:
        y = b.node("Add", [y, b.constant("b", np.arange(8).astype(F32))], name="moved")
    return b.graph([y, "d"] if keep else [y])


@pytest.mark.parametrize("axes", [-1, 2])
@pytest.mark.parametrize(("gain", "bias"), [(True, True), (True, False), (False, True)])
def test_it_is_one_node(gain: bool, bias: bool, axes: int) -> None:
    made = graph(gain=gain, bias=bias, axes=axes)
    folded = fold(made)
    (norm,) = folded.nodes
    assert (norm.op, norm.name, norm.outputs) == (
        "LayerNormalization", made.nodes[-1].name, made.outputs,
    ), f"{norm}"  # fmt: skip
    before, after = (run(g, {"x": X})[made.outputs[0]].astype(float) for g in (made, folded))
    # Ten roundings and two sums of 8 in each: gamma_26 of at most 8 sqrt(8) + 8.
    bound = 2 * 26 * 2.0**-24 * (8 * 8**0.5 + 8)
    assert np.abs(before - after).max() <= bound, f"{np.abs(before - after).max()}"


def test_a_part_that_is_read_stays() -> None:
    made = graph(keep=True)
    assert fold_layer_norm(made) is made, "the difference is an output"


@pytest.mark.parametrize("options", [{"axes": 1}, {"same": False}])
def test_another_function_stays(options: dict[str, int]) -> None:
    made = graph(gain=False, bias=False, **options)  # type: ignore[arg-type]  # names of options
    assert fold_layer_norm(made) is made, "no normalization of the last axis"
