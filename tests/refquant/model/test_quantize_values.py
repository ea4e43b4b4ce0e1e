"""A value in both forms: made once, named after who sees it."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.calibrate import calibrate
from refquant.model.graph import Graph, Quant
from refquant.model.quantize_values import Values
from refquant.model.recipe_rules import Activations
from tests.refquant.model.literals import f32


def _graph() -> Graph:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    h = b.node("Add", [x, b.constant("c", f32([-1, 3]))], name="h")
    return b.graph([b.node("Softmax", [h], name="y")])


def _values(*, full_integer: bool = False, symmetric: bool = False, dtype: str = "int8") -> Values:
    g, rules = _graph(), Activations(dtype, symmetric)
    seen = calibrate(g, {"x": f32([[-1, 1.55]])}, names=["x", "h"], rules=rules)
    b = Builder("made")
    if full_integer:
        b.input("x", ("N", 2), dtype=dtype, quant=Quant(0.5, 0))
    else:
        b.input("x", ("N", 2))
    return Values(g, {"x": "x", "h": "h", "y": "y"}, seen, rules, preset("ort"), full_integer, b)


def test_names() -> None:
    v = _values()
    assert v.born("x", codes=False) == "x", "an input is float32"
    assert v.codes("x") == v.codes("x") == "x/codes", "its codes stand beside it"
    assert len(v.b.nodes) == 1, "and are made once"
    assert v.reals("x") == "x", "nothing to make"


def test_the_ends_of_a_full_integer_graph_are_codes() -> None:
    v = _values(full_integer=True)
    assert v.born("x", codes=True) == "x", "an input is codes"
    assert v.reals("x") == "x/float", "its reals stand beside it"
    assert v.born("h", codes=True) == "h", "born as codes"
    assert v.born("h", codes=False) == "h", "born as reals: the name stays"
    assert v.born("y", codes=False) == "y/float", "the name is for the codes that users see"


@pytest.mark.parametrize(("dtype", "low"), [("int8", -128), ("uint8", 0)])
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_softmax_is_between_zero_and_one(dtype: str, low: int, symmetric: bool) -> None:
    v = _values(dtype=dtype, symmetric=symmetric)
    assert v.quant("y") == Quant(1 / 256, low), "whatever the recipe says"


def test_zero_is_a_code_of_every_value() -> None:
    for symmetric in (True, False):
        v = _values(symmetric=symmetric)
        for name in ("x", "h", "y", "c"):
            q = v.qparams(name)
            low, high = q.full_range
            assert low <= int(q.zero_point) <= high, f"{name}: {q}"


def test_constants_have_their_own_range_or_anothers() -> None:
    v = _values()
    assert v.codes("c") == "c/codes", "codes of a constant"
    assert v.b.constants["c/codes"].tolist() == [-128, 127], "its ends are the ends of the codes"
    assert v.codes("c", like="h") == "c/for/h", "in the parameters of h"
    assert v.b.values["c/for/h"].quant == v.quant("h"), "which it shares"
    assert v.reals("c") == "c", "and as reals"


def test_a_constant_without_a_range() -> None:
    b = Builder("g")
    g = b.graph([b.node("Add", [b.input("x", ("N", 1)), b.constant("c", f32([np.inf]))])])
    seen = calibrate(g, {"x": f32([[1]])}, names=["x"], rules=Activations())
    v = Values(g, {}, seen, Activations(), preset("ort"), False, Builder("h"))
    with pytest.raises(ValueError, match="constant 'c' must be finite"):
        v.codes("c")
