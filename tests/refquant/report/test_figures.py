"""Which layers get a figure, and what stands under it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from refquant.evaluation.trace import Trace
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.report.figures import (
    CHANNELS,
    FIGURES,
    activations,
    choose,
    outlier_rows,
    weight_figures,
)
from tests.refquant.evaluation.two_models import chain, small_net
from tests.refquant.model.literals import f32
from tests.refquant.report.made import traced

X = {"x": np.random.default_rng(4).standard_normal((64, 4)).astype(np.float32)}
TWO = {"x": f32([[1, 2], [3, 4]])}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn in test_plots.py."""
    monkeypatch.setattr("refquant.report.plots.draw", lambda paint, **options: "<svg></svg>")


def drawn(a: Graph, b: Graph, found: Trace, x: dict[str, np.ndarray]) -> list[dict[str, object]]:
    return activations((a, b), (x, x), found.values, "ordered", lambda done: None)[0]


def test_the_worst_have_a_figure_in_the_order_of_the_model() -> None:
    factors = [1.0] * 40
    others = list(factors)
    for i in (30, 3, 20):
        others[i] = 1.25
    found = traced(chain(*factors), chain(*others), TWO)
    chosen = [each.value for each in choose(found.values)]
    assert len(chosen) == FIGURES, f"{chosen}"
    assert {"h3", "h20", "h30"} <= set(chosen), f"{chosen}"
    assert chosen == sorted(chosen, key=lambda name: int(name[1:])), f"{chosen}"
    assert chosen[:9] == [f"h{i}" for i in range(9)], "the rest: the first that add nothing"


def test_infinite_noise_is_worst() -> None:
    found = traced(chain(*[1.0] * 30), chain(*[1.0] * 28, math.inf, 1.0), TWO)
    assert "h28" in [each.value for each in choose(found.values)], "before all that add nothing"


def test_a_figure_says_its_clipping_range_and_what_is_clipped() -> None:
    net = small_net()
    small = quantize(net, recipe("int8_static"), {"x": X["x"][:8]})
    rows = drawn(net, small, traced(net, small, X), X)
    relu = next(row for row in rows if row["value"] == "relu")
    assert relu["dtypes"] == "float32 in A, uint8 in B", f"{relu}"
    clip = str(relu["clip"])
    assert clip.startswith("codes of B reach from 0 to "), clip
    assert "of 512 elements of A are clipped (" in clip, clip
    assert str(relu["svg"]).startswith("<svg"), "a figure"
    weights = weight_figures((net, small), ["relu", "y"])
    assert [row["name"] for row in weights] == ["w1", "w2"], "of these layers"
    assert "of the narrowest block" in weights[0]["clip"], "a range a column"
    assert "0 of 32 elements of A are clipped" in weights[0]["clip"], weights[0]["clip"]


def test_a_model_of_reals_has_no_range() -> None:
    rows = drawn(chain(1), chain(2), traced(chain(1), chain(2), TWO), TWO)
    assert rows[0]["clip"] == "", f"{rows[0]}"


def test_constants_and_what_is_not_finite_are_said() -> None:
    zero = chain(0)
    (row,) = drawn(zero, zero, traced(zero, zero, TWO), TWO)
    assert row["constant"], "all zeros"
    bad = chain(math.inf)
    (row,) = drawn(bad, bad, traced(bad, bad, TWO), TWO)
    assert row["not_finite"] == 8, "four on each side"


def test_outlier_channels_stand_in_the_order_of_their_ratio() -> None:
    x = np.ones((3, 2), np.float32)
    a = chain(*[1.0] * 20)
    assert outlier_rows(traced(a, a, {"x": x}).values) == [], "two channels are no crowd"
    net = small_net()
    net.constants["w1"][:, 5] *= 1000
    rows = outlier_rows(traced(net, net, X).values)
    assert 0 < len(rows) <= CHANNELS, f"{rows}"
    assert rows[0]["channels"].startswith("5: "), f"{rows[0]}"
    assert float(rows[0]["ratio"]) > 100, f"{rows[0]}"
    assert rows[0]["svg"] is not None, "the first has a figure"
    ratios = [float(row["ratio"]) for row in rows]
    assert ratios == sorted(ratios, reverse=True), f"{ratios}"


def test_only_the_first_few_outliers_have_a_figure() -> None:
    a = chain(*[1.0] * 20)
    wide = np.ones((3, 2), np.float32)
    values = traced(a, a, {"x": wide}).values
    many = [
        replace(
            each, difference=replace(each.difference, channels=np.array([1, 1, 1, 1, 10.0 * i]))
        )
        for i, each in enumerate(values, 1)
    ]
    rows = outlier_rows(many)
    assert len(rows) == CHANNELS, f"{len(rows)}"
    assert [row["number"] for row in rows] == list(range(20, 20 - CHANNELS, -1)), "largest first"
    assert [row["svg"] is not None for row in rows] == [True] * 4 + [False] * (CHANNELS - 4)
