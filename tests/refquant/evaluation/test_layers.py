"""Errors of layers by hand: who adds how much, and where to look first."""

import math

import numpy as np
import pytest

from refquant.evaluation.layers import Layer, first_below, layer_errors, worst_step
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.metrics import Moments, moments
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.evaluation.two_models import chain, small_net
from tests.refquant.model.literals import f32

X = {"x": f32([[1, 2], [3, 4]])}


def test_noise_is_counted_where_it_arises() -> None:
    """Twice 1, then 1.5 for 1, then 1: noise 0, 1/4, 1/4."""
    layers = layer_errors(chain(2, 1, 1), chain(2, 1.5, 1), [X])
    assert [(layer.value, layer.adds) for layer in layers] == [("h0", 0), ("h1", 0.25), ("y", 0)]
    assert [layer.op for layer in layers] == ["Mul"] * 3
    assert [layer.errors.largest for layer in layers] == [0, 4, 4], "of 2 x 4"
    below, worst = first_below(layers, 20), worst_step(layers)
    assert below is worst is layers[1], f"{below}, {worst}"
    assert first_below(layers, 6) is None, "6.02 dB is above 6"
    assert layers[1].errors.sqnr_db == 10 * math.log10(4), f"{layers[1]}"


def branches(left: float, right: float) -> Graph:
    """y = left x - right x, with a name for each branch, and z = -y."""
    b = Builder("branches")
    x = b.input("x", ("N", 2))
    parts = [
        b.node("Mul", [x, b.constant(f"w{n}", f32([v]))], name=n)
        for n, v in (("left", left), ("right", right))
    ]
    return b.graph([b.node("Neg", [b.node("Sub", parts, name="y")], name="z")])


def test_a_node_answers_for_what_it_adds_to_its_worst_input() -> None:
    """3 - 1 against 2.75 - 1.5: noises (1/12)^2, (1/2)^2, (3/8)^2 of 2, the same again."""
    layers = layer_errors(branches(3, 1), branches(2.75, 1.5), [X])
    noise = {"left": 1 / 144, "right": 0.25, "y": 9 / 64, "z": 9 / 64}
    adds = {"left": 1 / 144, "right": 0.25, "y": 9 / 64 - 0.25, "z": 0.0}
    for layer in layers:
        # Sums of small integers and eighths are exact: one quotient, one difference.
        assert layer.errors.noise / layer.errors.signal == noise[layer.value], layer.value
        assert abs(layer.adds - adds[layer.value]) <= 2.0**-53, f"{layer.value}: {layer.adds}"
    worst = worst_step(layers)
    assert worst is not None, "there is noise"
    assert worst.value == "right", f"{worst}"


def test_what_is_not_compared_hands_on_the_noise_of_what_it_reads() -> None:
    b = Builder("renamed")
    x = b.input("x", ("N", 2))
    h = b.node("Mul", [x, b.constant("w0", f32([1.5]))], name="h0")
    other = b.node("Mul", [h, b.constant("w1", f32([1]))], name="another name")
    small = b.graph([b.node("Mul", [other, b.constant("w2", f32([1]))], name="y")])
    layers = layer_errors(chain(1, 1, 1), small, [X])
    assert [(layer.value, layer.adds) for layer in layers] == [("h0", 0.25), ("y", 0)], f"{layers}"


def test_batches_are_one() -> None:
    net, rng = small_net(), np.random.default_rng(4)
    x = rng.standard_normal((300, 4)).astype(np.float32)
    small = quantize(net, recipe("int4_rtn"), {"x": x})
    told: list[int] = []
    layers = layer_errors(net, small, [{"x": x[:7]}, {"x": x[7:]}], advance=told.append)
    assert sum(told) == 300, f"{told}"
    assert [layer.value for layer in layers] == ["first", "relu", "y"], f"{layers}"
    names = [layer.value for layer in layers]
    r, t = (run(g, {"x": x}, keep=names) for g in (net, small))
    for layer in layers:
        whole = moments(r[layer.value], t[layer.value])
        for got, wanted in ((layer.errors.signal, whole.signal), (layer.errors.noise, whole.noise)):
            # The same 2,400 squares in another order: each within 2,400 roundings.
            assert abs(got - wanted) <= 2 * 2400 * 2.0**-53 * wanted, f"{layer.value}"
        assert layer.errors.largest == whole.largest, layer.value


def test_a_model_without_errors_has_no_worst_step() -> None:
    layers = layer_errors(small_net(), small_net(), [{"x": np.ones((1, 4), np.float32)}])
    assert {layer.errors.sqnr_db for layer in layers} == {math.inf}, f"{layers}"
    assert worst_step(layers) is None, "nobody adds anything"
    assert first_below(layers, 1000) is None, "nobody is below"


def test_a_signal_of_zeros_is_all_noise() -> None:
    layers = layer_errors(chain(0, 1), chain(1, 1), [X])
    assert layers[0].adds == math.inf, f"{layers[0]}"
    assert first_below(layers, -1000) is layers[0], "-inf dB"


def test_of_equal_steps_the_first_is_the_worst() -> None:
    m = Moments(1.0, 1.0, 1.0, 0.1, 0.1)
    layers = [Layer("a", "Mul", m, 0.1), Layer("b", "Mul", m, 0.1)]
    assert worst_step(layers) is layers[0]


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="no node of the model makes a value"):
        layer_errors(chain(1), chain(1, last="z"), [X])
    with pytest.raises(ValueError, match="the model computes NaN or infinity in 'h0'"):
        layer_errors(chain(1, 1), chain(np.nan, 1), [X])
