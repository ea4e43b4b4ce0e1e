"""Bias correction without data: what batch normalization knows, and what it does not."""

from typing import Any

import numpy as np
import pytest

from refquant.algorithms.bias_correction import clipped_normal_mean, correct_by_inputs
from refquant.model.build import Builder
from refquant.model.correct_bias_analytic import correct_analytic
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.graph import Graph
from refquant.model.metrics import sqnr_db
from refquant.model.quantize import quantize
from refquant.model.recipe import parse_recipe
from tests.refquant.model.literals import f32
from tests.refquant.model.small_cnn import small_cnn

HEAD = 'scheme = "weight_only"\ncontract = "ort"\n'
ROUNDED = f"{HEAD}[weights]\nbits = 3\n"
TEXT = f'{HEAD}[transforms]\nbias_correction = "analytic"\n[weights]\nbits = 3\n'


def normed(bound: str, **attributes: Any) -> Graph:
    """A normalization of 3 channels, a bound, a depthwise Conv with a bias, a 1x1 without."""
    rng = np.random.default_rng(4)
    b = Builder("normed")
    parts = {"g": [1, -2, 0.5], "b": [0.5, -1, 2], "m": [0, 0, 0], "v": [1, 1, 1]}
    norm = [b.constant(k, f32(v)) for k, v in parts.items()]
    h = b.node("BatchNormalization", [b.input("x", ("N", 3, 4, 4)), *norm], name="norm",
               attributes={"epsilon": 0.0})  # fmt: skip
    h = b.node(bound, [h], name="bound", attributes=attributes) if bound else h
    dw = b.constant("dw.w", rng.standard_normal((3, 1, 2, 2)).astype(np.float32))
    left = b.node("Conv", [h, dw, b.constant("dw.b", f32([1, 2, 3]))], name="dw",
                  attributes={"group": 3})  # fmt: skip
    w = b.constant("pw.w", rng.standard_normal((5, 3, 1, 1)).astype(np.float32))
    return b.graph([left, b.node("Conv", [h, w], name="pw")])


@pytest.mark.parametrize(
    ("bound", "attributes", "low", "high"),
    [
        ("Relu", {}, 0, np.inf),
        ("Clip", {"min": 0.0, "max": 1.5}, 0, 1.5),
        ("Clip", {"max": 1.5}, -np.inf, 1.5),
        ("", {}, -np.inf, np.inf),
    ],
)
def test_biases_are_those_of_the_statistics(
    bound: str, attributes: dict[str, float], low: float, high: float
) -> None:
    graph = normed(bound, **attributes)
    folded = fold(graph)
    codes = {n: np.rint(folded.constants[f"{n}.w"]) for n in ("dw", "pw")}
    done, record = correct_analytic(graph, folded, codes)
    mean = clipped_normal_mean(
        np.array([0.5, -1, 2]), np.array([1, 2, 0.5]), low=low, high=high
    )  # by hand: bias, |scale|
    for name, groups, bias in (("dw", 3, f32([1, 2, 3])), ("pw", 1, np.zeros(5, np.float32))):
        w = folded.constants[f"{name}.w"]
        want = correct_by_inputs(bias, w, codes[name], mean_input=mean, groups=groups)
        label = {"dw": "dw.b", "pw": "pw.bias"}[name]
        assert done.constants[label].tobytes() == want.tobytes(), f"{name} behind {bound!r}"
    assert record["left"] == [], f"{record}"


def test_normal_inputs_lose_less() -> None:
    """The witness: no data were seen, and the outputs on data are nearer."""
    graph = normed("Relu")
    x = {"x": np.random.default_rng(5).standard_normal((300, 3, 4, 4)).astype(np.float32)}
    exact = run(graph, x)
    plain = quantize(graph, parse_recipe(ROUNDED, name="r"))
    rules = parse_recipe(TEXT, name="r")
    assert not rules.needs_data, "that is the point"
    done = quantize(graph, rules)
    for name in graph.outputs:
        off = [np.abs((run(g, x)[name].astype(float) - exact[name]).mean(axis=(0, 2, 3))).max()
               for g in (plain, done)]  # fmt: skip
        assert off[1] < 0.25 * off[0], f"{name}: {off}"
    assert sqnr_db(exact["pw"], run(done, x)["pw"]) > sqnr_db(exact["pw"], run(plain, x)["pw"])


def test_what_nothing_is_known_of_is_listed() -> None:
    record = quantize(small_cnn(), parse_recipe(TEXT, name="r")).meta["numerics"]["bias_correction"]
    assert list(record["corrected"]) == ["dw"], "behind norm and Relu"
    assert set(record["left"]) == {"stem", "pw", "side", "fc", "head"}, record


def test_transforms_that_move_statistics_are_refused() -> None:
    for key in ("equalize = true", 'rotate = "fused"', "smooth = 0.5"):
        text = TEXT.replace("[transforms]\n", f"[transforms]\n{key}\n")
        with pytest.raises(ValueError, match="'analytic' reads batch normalization as the model"):
            parse_recipe(text, name="r")
    with pytest.raises(ValueError, match=r"transforms\.bias_correction: unknown value 'both'"):
        parse_recipe(TEXT.replace("analytic", "both"), name="r")


def test_behind_another_function_nothing_is_known() -> None:
    for bound in ("Tanh", "LeakyRelu", "Sigmoid"):
        graph = normed(bound)
        _, record = correct_analytic(graph, fold(graph), {"pw": np.ones((5, 3, 1, 1), np.float32)})
        assert record["left"] == ["pw"], f"{bound}: {record}"
