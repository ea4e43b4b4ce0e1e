"""Static: clamps, tables, shared parameters, and what stands at the ends."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import dequantize
from refquant.formats.affine import quantize as to_codes
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.graph import Graph, Node
from refquant.model.operators import MOVEMENT
from refquant.model.params import qparams_of
from refquant.model.quantize import quantize
from refquant.model.quantize_plan import plan
from refquant.model.quantize_static import observed
from refquant.model.recipe import Activations, Override, Recipe, Weights, recipe
from refquant.ops.unary import UNARY
from tests.refquant.model.literals import f32
from tests.refquant.model.small_cnn import samples, small_cnn

F32 = np.float32
CONTRACTS = ("ort", "xnnpack", "tflite_reference")


def _recipe(contract: str = "ort", **activations: Any) -> Recipe:
    return Recipe("r", "static", contract, Activations(**activations), Weights())


def _node(graph: Graph, name: str) -> Node:
    return next(node for node in graph.nodes if node.name == name)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_zero_is_exact_everywhere(contract: str) -> None:
    q = quantize(small_cnn(), _recipe(contract), samples(16))
    for name, value in q.values.items():
        if value.quant is not None and value.dtype != "int32":
            p = qparams_of(q, name)
            shape = tuple(1 if d == "N" else int(d) for d in value.shape)
            codes = to_codes(np.zeros(shape, F32), p, contract=preset(contract))
            assert (dequantize(codes, p) == 0).all(), f"{name}: zero has a code"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_copies_share_parameters(contract: str) -> None:
    q = quantize(small_cnn(), _recipe(contract), samples(16))
    copying = set(MOVEMENT)
    if contract == "tflite_reference":
        copying |= {"AveragePool", "GlobalAveragePool"}
    seen = set()
    for node in q.nodes:
        if node.op in copying:
            seen.add(node.op)
            for name in node.inputs:
                assert q.values[name].quant == q.values[node.outputs[0]].quant, node.name
    assert {"Concat", "Pad", "Transpose", "Flatten", "MaxPool"} <= seen, seen


def test_ranges_are_sought_for_what_has_parameters_of_its_own() -> None:
    g = fold(small_cnn())
    ort = plan(g, contract=preset("ort"), excluded=())
    assert observed(g, ort, full_integer=False) == {
        "x", "stem.relu", "dw.clip", "pw", "residual.relu", "squeeze", "gate", "excite", "mean",
        "side", "leaky", "join", "fc.relu", "head",
    }, "no movement, no fused value, no Softmax"  # fmt: skip
    every = {node.name for node in g.nodes}
    none = plan(g, contract=preset("ort"), excluded=every)
    assert observed(g, none, full_integer=False) == set(), "nothing on codes"
    assert observed(g, none, full_integer=True) == {"x"}, "but the ends: y is a Softmax"


def _bounded(op: str, attributes: dict[str, float], *, extra: float = 0.0) -> Graph:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    h = b.node("Add", [x, b.constant("c", f32([extra, extra]))], name="sum")
    return b.graph([b.node(op, [h], name="y", attributes=attributes)])


@pytest.mark.parametrize(
    ("op", "attributes", "activations", "clamps"),
    [
        ("Relu", {}, {}, {}),  # the range begins at zero: the smallest code is it
        ("Relu", {}, {"symmetric": True}, {"clamp_min": 0}),
        ("Relu", {}, {"symmetric": True, "dtype": "uint8"}, {"clamp_min": 128}),
        ("Clip", {"min": 0.0, "max": 2.0}, {}, {}),  # reached: the largest code is 2.0
        ("Clip", {"min": 0.0, "max": 6.0}, {}, {}),  # not reached: codes end before it
        ("Clip", {"max": 1.0}, {"symmetric": True}, {"clamp_max": 32}),  # 1.0 * 127 / 4 = 31.75
        ("Clip", {"min": -1.0, "max": 3e38}, {"symmetric": True}, {"clamp_min": -32}),
    ],
)
@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_fused_bound_is_a_clamp_where_the_range_is_not(
    op: str,
    attributes: dict[str, float],
    activations: dict[str, Any],
    clamps: dict[str, int],
    contract: str,
) -> None:
    data = {"x": f32([[-4.0, 4.0]])}
    q = quantize(_bounded(op, attributes), _recipe(contract, **activations), data)
    assert [n.op for n in q.nodes] == ["QuantizeLinear", "Add", "DequantizeLinear"], "it is fused"
    got = dict(_node(q, "sum").attributes)
    assert got == clamps, got


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_clamp_never_lets_a_value_beyond_the_bound(contract: str) -> None:
    graph = _bounded("Clip", {"min": -0.3, "max": 0.7}, extra=0.1)
    # Calibrated by data far inside of the bounds on one side: the codes reach beyond -0.3.
    q = quantize(graph, _recipe(contract, symmetric=True), {"x": f32([[-0.1, 0.9]])})
    x = {"x": np.linspace(-9, 9, 200, dtype=F32).reshape(100, 2)}
    y, p = run(q, x)["y"], qparams_of(q, "y/codes")
    half = float(p.scale) / 2
    assert y.min() >= -0.3 - half, f"half a step is the bound's own rounding: {y.min()}"
    assert y.max() <= 0.7 + half, f"half a step is the bound's own rounding: {y.max()}"


def test_every_unary_function_is_a_table() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 3))
    names = sorted(op for op in UNARY if op not in ("Requantize", "Identity", "Log", "Sqrt"))
    root = b.node("Sqrt", [b.node("Abs", [x], name="size")], name="Sqrt")
    g = b.graph([*(b.node(op, [x], name=op) for op in names), root])
    q = quantize(g, _recipe(), {"x": f32([[-2, 0, 3]])})
    for node in q.nodes:
        if node.op in UNARY:
            table = q.constants[node.inputs[1]]
            assert (table.shape, node.attributes) == ((256,), {}), node.name
    assert sum(n.op == "QuantizeLinear" for n in q.nodes) == 1, "one for all readers of x"


def test_concat_requantizes_what_differs_and_nothing_else() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 1))
    wide = b.node("Mul", [x, b.constant("c", f32([4]))], name="wide")
    small = b.node("Tanh", [x], name="small")
    g = b.graph([b.node("Concat", [wide, small, small], name="y", attributes={"axis": 1})])
    q = quantize(g, _recipe(), {"x": f32([[-2], [2]])})
    assert [n.name for n in q.nodes if n.op == "Requantize"] == ["small/requantize/y"], (
        "the range of y is that of wide; small is brought there, once"
    )
    assert _node(q, "y").inputs == ("wide", "small/for/y", "small/for/y")


def test_constants_beside_values_become_codes() -> None:
    b = Builder("g")
    x = b.input("x", (1, 2))
    c, k = b.constant("c", f32([0.5, -1])), b.constant("k", f32([[1, 7]]))
    h = b.node("Mul", [c, x], name="h")
    g = b.graph([b.node("Concat", [h, k], name="y", attributes={"axis": 0})])
    q = quantize(g, _recipe(), {"x": f32([[2, -4]])})
    assert _node(q, "h").inputs == ("c/codes", "x/codes")
    assert _node(q, "y").inputs == ("h/for/y", "k/for/y"), "k in the parameters of y"
    y = run(q, {"x": f32([[2, -4]])})["y"]
    half = float(qparams_of(q, "y/codes").scale)
    assert np.abs(y - f32([[1, 4], [1, 7]])).max() <= 2 * half, "input, product, Requantize, output"


def test_excluded_nodes_stand_between_two_doors() -> None:
    rules = (Override("residual", exclude=True), Override("fc*", op="MatMul", exclude=True))
    made = Recipe("r", "static", "ort", Activations(), Weights(), rules)
    q = quantize(small_cnn(), made, samples(16))
    node = _node(q, "residual")
    assert (node.inputs, node.contract) == (("pw/float", "stem.relu/float"), None)
    assert _node(q, "residual.relu").inputs == ("residual",), "its Relu stays with it, in float32"
    assert _node(q, "residual.relu/quantize").outputs == ("residual.relu/codes",)
    assert q.values["fc.w"].dtype == "float32", "an excluded weight stays"


@pytest.mark.parametrize("contract", ["xnnpack", "tflite_reference"])
def test_full_integer_has_no_float_that_nobody_asked_for(contract: str) -> None:
    rules = Recipe("r", "full_integer", contract, Activations(), Weights())
    with pytest.raises(ValueError, match=r"'y' \(Softmax\) has no integer form in contract"):
        quantize(small_cnn(), rules, samples(4))
    q = quantize(small_cnn(softmax=False), rules, samples(4))
    assert {v.dtype for v in q.values.values()} == {"int8", "int32", "float32"}
    computed = {name for node in q.nodes for name in node.outputs}
    assert {q.values[name].dtype for name in computed} == {"int8"}, "float32 are scales only"
    asked = Recipe(
        "r", "full_integer", contract, Activations(), Weights(), (Override("y", exclude=True),)
    )
    q = quantize(small_cnn(), asked, samples(4))
    assert [n.op for n in q.nodes[-3:]] == ["DequantizeLinear", "Softmax", "QuantizeLinear"]
    assert (q.values["x"].dtype, q.values["y"].dtype) == ("int8", "int8"), "the ends are codes"


def test_a_softmax_on_codes_has_its_own_scale() -> None:
    q = quantize(small_cnn(), recipe("w8a8_static_per_channel"), samples(8))
    quant = q.values["y/codes"].quant
    assert quant is not None, "codes mean something"
    assert (quant.scale, quant.zero_point) == (1 / 256, 0), "uint8 from 0 to 255/256"


def test_every_observer_serves() -> None:
    for name in ("moving_average", "percentile", "mse_histogram", "entropy", "mse_grid"):
        q = quantize(small_cnn(), _recipe(observer=name), samples(40))
        assert np.isfinite(run(q, samples(2, seed=3))["y"]).all(), name


@pytest.mark.parametrize("contract", ["ort", "tflite_reference"])
def test_numbers_behind_a_function_are_in_its_table(contract: str) -> None:
    b = Builder("g")
    h = b.node("HardSwish", [b.input("x", ("N", 64))], name="act")
    h = b.node("Mul", [b.constant("a", np.array([-0.25], np.float32)), h], name="scaled")
    y = b.node("Add", [h, b.constant("b", np.asarray(0.75, np.float32))], name="y")
    x = f32(np.linspace(-8, 8, 512)).reshape(8, 64)
    made = quantize(b.graph([y]), _recipe(contract), {"x": x})
    assert [n.op for n in made.nodes] == ["QuantizeLinear", "HardSwish", "DequantizeLinear"]
    table = made.constants[made.nodes[1].inputs[1]]
    before = qparams_of(made, made.nodes[0].outputs[0])
    low, high = before.full_range
    reals = dequantize(np.arange(low, high + 1).astype(before.dtype), before)
    exact = -0.25 * reals * np.clip(reals / 6 + 0.5, 0, 1) + 0.75
    step = qparams_of(made, made.nodes[1].outputs[0])
    far = np.abs(dequantize(table, step) - exact)[np.abs(reals) <= 8]  # what calibration has seen
    # Half a step; where the zero point was rounded, an end is another half a step off.
    assert far.max() <= 1.01 * float(step.scale), f"{far.max() / step.scale} steps"
    assert np.median(far) <= 0.5 * float(step.scale), "rounded once"


@pytest.mark.parametrize("excluded", ["act", "y"])
def test_numbers_that_are_excluded_are_nodes(excluded: str) -> None:
    b = Builder("g")
    h = b.node("Sigmoid", [b.input("x", ("N", 4))], name="act")
    y = b.node("Add", [h, b.constant("b", np.asarray(1, np.float32))], name="y")
    layers = plan(b.graph([y]), contract=preset("ort"), excluded=[excluded]).layers
    assert [layer.codes for layer in layers] == [excluded == "y", excluded == "act"], f"{layers}"
    assert not any(layer.behind for layer in layers), "nothing to absorb, or nobody to"


def test_a_vector_behind_a_function_is_a_node() -> None:
    b = Builder("g")
    h = b.node("Sigmoid", [b.input("x", ("N", 4))], name="act")
    y = b.node("Add", [h, b.constant("b", np.arange(4, dtype=np.float32))], name="y")
    layers = plan(b.graph([y]), contract=preset("ort"), excluded=()).layers
    assert [layer.node.op for layer in layers] == ["Sigmoid", "Add"], "one table has one number"
