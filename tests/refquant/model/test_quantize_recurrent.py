"""GRU and LSTM through the static pipeline: what is on codes, and by whose range."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import FORMS, OnnxExportError, onnx_bytes
from refquant.model.graph import Graph, Node
from refquant.model.quantize import quantize
from refquant.model.quantize_recurrent import add_gates
from refquant.model.recipe import Weights, parse_recipe, recipe
from refquant.model.rq import parse_rq, rq_bytes
from tests.refquant.model.streams import feeds as stream_feeds
from tests.refquant.model.streams import lstm

F32 = NDArray[np.float32]
MINMAX = """
scheme = "static"
contract = "ort"
[activations]
dtype = "uint8"
symmetric = false
observer = "minmax"
[weights]
"""


def model(
    op: str = "LSTM", *, direction: str = "forward", states: Sequence[str] = (), bias: str = "",
    after: int = 0, head: str = "y", size: int = 6,
) -> Graph:  # fmt: skip
    """A recurrent layer and a product of one of its outputs; ``bias``: "input" or "constant"."""
    rng, b = np.random.default_rng(size), Builder("m")
    gates, d = 3 if op == "GRU" else 4, 2 if direction == "bidirectional" else 1
    n: Any = 1 if bias == "input" else "N"
    x = b.input("x", (n, 4, 3))
    w, r = (
        b.constant(name, rng.normal(0, 0.5, (d, gates * size, k)).astype(np.float32))
        for name, k in (("w", 3), ("r", size))
    )
    inputs = [x, w, r, ""]
    if bias == "input":
        inputs[3] = b.input("bias", (d, 2 * gates * size))
    elif bias:
        values = rng.normal(0, 0.5, (d, 2 * gates * size)).astype(np.float32)
        inputs[3] = b.constant("bias", values)
    inputs += ["", *(b.input(name, (n, d, size)) for name in states)]
    while not inputs[-1]:
        inputs.pop()
    own: dict[str, Any] = {"hidden_size": size, "layout": 1, "direction": direction}
    own |= {"linear_before_reset": after} if op == "GRU" else {}
    names = ["y", "yh", "yc"][: gates - 1]
    b.node_with(op, inputs, names, name="walk", attributes=own)
    v = b.constant("v", rng.normal(size=(size, 2)).astype(np.float32))
    return b.graph([b.node("MatMul", [head, v], name="z")])


def data(graph: Graph, samples: int = 16) -> dict[str, F32]:
    rng = np.random.default_rng(1)
    shapes = {name: graph.values[name].shape for name in graph.inputs}
    return {
        name: rng.uniform(-1, 1, [samples if s == "N" else int(s) for s in shape]).astype("f4")
        for name, shape in shapes.items()
    }


def walk_of(graph: Graph) -> Node:
    (node,) = (n for n in graph.nodes if n.op in ("GRU", "LSTM"))
    return node


def scale_of(graph: Graph, name: str) -> float:
    quant = graph.values[name].quant
    assert quant is not None, f"{name} is of codes"
    assert isinstance(quant.scale, float), f"{name} has one scale"
    return quant.scale


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", ["LSTM", "GRU"])
@pytest.mark.parametrize("name", ["int8_static", "w8a8_static_linear"])
def test_it_computes_on_codes_and_is_near(name: str, op: str, direction: str) -> None:
    states = ("h", "c")[: 1 + (op == "LSTM")]
    graph = model(op, direction=direction, states=states, bias="constant", after=1)
    inputs = data(graph)
    made = quantize(graph, recipe(name), inputs)
    node = walk_of(made)
    kinds = [made.values[n].dtype if n else "" for n in (*node.inputs, *node.outputs)]
    held = ["float32"] * len(states)
    assert kinds == ["uint8", "int8", "int8", "float32", "", *held, "uint8", *held], f"{kinds}"
    assert [n.op for n in made.nodes].count("QuantizeLinear") == 1, "codes go on to the product"
    assert parse_rq(rq_bytes(made), name="m.rq") == made, "and a file"
    want, got = run(graph, inputs)["z"], run(made, inputs)["z"]
    noise = np.square(got - want).mean() / np.square(want).mean()
    assert noise < 10**-2.5, f"{op} {direction}: {-10 * np.log10(noise):.1f} dB"


def test_the_first_state_is_in_the_range_of_the_output() -> None:
    """Both are quantized by one ruler, so that has seen both."""
    graph = model("GRU", states=("h",))
    inputs = data(graph)
    inputs["h"] *= 3
    made = quantize(graph, parse_recipe(MINMAX, name="r"), inputs)
    scale = scale_of(made, "y")
    ends = (
        min(run(graph, inputs, keep=["y"])["y"].min(), inputs["h"].min()),
        max(run(graph, inputs, keep=["y"])["y"].max(), inputs["h"].max()),
    )
    assert abs(scale * 255 - (ends[1] - ends[0])) < 1e-6, "the width of both"
    assert ends[1] > 2, "states go further than outputs"


@pytest.mark.parametrize("head", ["yh", "yc"])
def test_the_last_states_have_ranges_of_their_own_where_codes_are_made_of_them(head: str) -> None:
    graph = model(head=head)
    inputs = data(graph)
    for excluded in (False, True):
        text = MINMAX + ('[[override]]\nnodes = "walk"\nexclude = true\n' if excluded else "")
        made = quantize(graph, parse_recipe(text, name="r"), inputs)
        codes = next(n for n in made.nodes if n.op == "MatMul").inputs[0]
        scale = scale_of(made, codes)
        seen = run(graph, inputs, keep=[head])[head]
        width = max(seen.max(), 0) - min(seen.min(), 0)
        assert abs(scale * 255 - width) < 1e-6, f"the range of {head}, excluded {excluded}"


def test_what_has_no_integer_form_stays_float_and_the_card_says_why() -> None:
    graph = model(bias="input")
    made = quantize(graph, recipe("int8_static"), data(graph))
    assert made.values[walk_of(made).inputs[1]].dtype == "float32", "a computed bias"
    assert why(made) == {"walk": "LSTM: 'bias' is computed"}, "and that is said"
    graph = model()
    half = "LSTM: products of codes need both weights, and 'r' is excluded"
    for text, reason in (
        ('[[override]]\nnodes = "walk"\nexclude = true\n', "LSTM: excluded"),
        ('[[override]]\nnodes = "walk"\nweight = "r"\nexclude = true\n', half),
    ):
        made = quantize(graph, parse_recipe(MINMAX + text, name="r"), data(graph))
        kinds = [made.values[name].dtype for name in walk_of(made).inputs[1:3]]
        assert kinds == ["float32", "float32"], f"both or none: {text}"
        assert why(made) == {"walk": reason}, "and that is said"
    made = quantize(graph, recipe("int8_static"), data(graph))
    assert why(made) is None, "nothing to say of a layer on codes"


def why(graph: Graph) -> Any:
    return graph.meta["numerics"].get("recurrent_float32")


def test_a_recipe_of_integers_alone_refuses_gates_of_reals() -> None:
    with pytest.raises(ValueError, match=r"node 'walk' \(LSTM\) has no integer form"):
        quantize(model(), recipe("int8_full_integer"), data(model()))


@pytest.mark.parametrize("rules", [Weights(symmetric=False), Weights(4, granularity="group")])
def test_rules_that_it_has_not_are_refused(rules: Weights) -> None:
    """Groups a recipe refuses by itself: codes beside reals have them only."""
    graph = model()
    node, said = graph.nodes[0], "" if rules.symmetric else ", asymmetric"
    message = f"got {rules.bits} bits {rules.granularity}{said}; override"
    with pytest.raises(ValueError, match=f"node 'walk', weight 'r': a LSTM on codes.*{message}"):
        add_gates(Builder("h"), graph, node, rules={"walk": Weights(), "walk[2]": rules},
                  contract=preset("ort"))  # fmt: skip
    if not rules.symmetric:
        text = f'{MINMAX}[[override]]\nnodes = "walk"\nweights = {{ symmetric = false }}\n'
        with pytest.raises(ValueError, match=message):
            quantize(graph, parse_recipe(text, name="r"), data(graph))


def test_weights_have_the_bits_and_the_scales_that_rules_say() -> None:
    for text, dtype, scales in (
        ("", "int8", (1, 24, 1)),
        ('granularity = "per_tensor"', "int8", None),
        ("bits = 4", "int4", (1, 24, 1)),
    ):
        own = (
            f'{MINMAX}[[override]]\nnodes = "walk"\nweight = "r"\nweights = {{ {text} }}\n'
            if text
            else MINMAX
        )
        made = quantize(model(), parse_recipe(own, name="r"), data(model()))
        value = made.values[walk_of(made).inputs[2]]
        assert value.dtype == dtype, f"{text}"
        assert value.quant is not None, "codes"
        name = value.quant.scale
        found = made.constants[name].shape if isinstance(name, str) else None
        assert found == scales, f"{text}: scales"


def test_two_layers_may_share_a_weight() -> None:
    b, rng = Builder("g"), np.random.default_rng(0)
    x = b.input("x", ("N", 3, 4))
    w = b.constant("w", rng.normal(size=(1, 12, 4)).astype(np.float32))
    attributes = {"hidden_size": 4, "layout": 1}
    y, _ = b.node_with("GRU", [x, w, w], ["y", "yh"], name="one", attributes=attributes)
    flat = b.node("Squeeze", [y], attributes={"axes": [2]}, name="flat")
    b.node_with("GRU", [flat, w, w], ["z", "zh"], name="two", attributes=attributes)
    graph = b.graph(["z"])
    made = quantize(graph, recipe("int8_static"), {"x": np.ones((2, 3, 4), np.float32)})
    assert [n.inputs[1:3] for n in made.nodes if n.op == "GRU"] == [("w", "w")] * 2, "once"


@pytest.mark.parametrize("form", FORMS[1:])
def test_onnx_has_no_such_layer(form: str) -> None:
    graph = lstm()
    made = quantize(graph, recipe("int8_static"), stream_feeds(graph, 12))
    with pytest.raises(OnnxExportError, match=r"rnn \(LSTM\): nothing in ONNX quantizes its state"):
        onnx_bytes(made, form=form)
