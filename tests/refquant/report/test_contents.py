"""What the page is given to say."""

import math

import numpy as np
import pytest

from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.evaluation.two_models import chain, small_net
from tests.refquant.model.literals import f32
from tests.refquant.report.made import page_data

TWO = {"x": f32([[1, 2], [3, 4]])}
X = {"x": np.random.default_rng(4).standard_normal((64, 4)).astype(np.float32)}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn in test_plots.py."""
    monkeypatch.setattr("refquant.report.plots.draw", lambda paint, **options: "<svg></svg>")


def test_where_to_look_is_said_with_numbers_of_the_table() -> None:
    found = page_data(chain(2, 1, 1), chain(2, 1.5, 1), TWO)
    assert found["divergence"] == {
        "number": 2, "value": "h1", "op": "Mul", "index": "[0, 0]", "a": "2", "b": "3",
    }  # fmt: skip
    assert found["below"] == {"number": 2, "value": "h1", "sqnr": "6.02"}
    assert found["worst"] == [{"number": 2, "value": "h1", "adds": "25 %"}]
    assert [row["first"] for row in found["layers"]] == [False, True, False]
    assert [row["worst"] for row in found["layers"]] == [False, True, False]
    assert [row["sqnr"] for row in found["layers"]] == ["inf", "6.02", "6.02"]
    assert [row["differ"] for row in found["layers"]] == ["0", "100 %", "100 %"]


def test_a_few_that_differ_are_never_none_and_never_all() -> None:
    x = {"x": np.ones((20_000, 2), np.float32)}
    x["x"][1:] = 0
    (row,) = page_data(chain(1), chain(2), x)["layers"]
    assert row["differ"] == "0.01 %", row["differ"]
    x["x"][:] = 1
    x["x"][0] = 0
    (row,) = page_data(chain(1), chain(2), x)["layers"]
    assert row["differ"] == "99.99 %", row["differ"]


def test_a_model_and_itself() -> None:
    found = page_data(chain(1, 2), chain(1, 2), TWO)
    assert found["divergence"] is None, "nowhere"
    assert (found["below"], found["worst"]) == (None, []), f"{found}"
    assert len(found["histograms"]) == 2, "there is still something to see"


def test_models_without_a_common_layer() -> None:
    found = page_data(chain(1, last="a"), chain(1, last="b"), TWO)
    assert (found["layer_count"], found["errors_plot"]) == (0, None), "nothing"
    assert (found["histograms"], found["weights"], found["outliers"]) == ([], [], []), "nothing"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_counted(bad: float) -> None:
    found = page_data(chain(1, 1), chain(1, bad), TWO)
    last = found["layers"][1]
    assert (last["sqnr"], last["cosine"], last["adds"]) == ("NaN", "NaN", "inf"), f"{last}"
    assert last["not_finite"] == (0, 4), f"{last}"
    assert found["divergence"]["b"] == str(bad), f"{found['divergence']}"


def test_sizes_are_those_of_both_files() -> None:
    small = quantize(small_net(), recipe("int8_static"), X)
    found = page_data(small_net(), small, X)
    kinds = {row["kind"]: (row["a"], row["b"]) for row in found["sizes"]}
    assert kinds["weights, float32"] == (4 * 56, 0), f"{kinds}"
    assert kinds["weights, int8"] == (0, 56), f"{kinds}"
    for which in ("a", "b"):
        assert sum(row[which] for row in found["sizes"]) == 10**6, "the whole file"


def test_times_are_there_if_they_are_asked_for() -> None:
    assert page_data(chain(1), chain(2), TWO)["times"] is None, "they are others after every run"
    times = page_data(chain(1), chain(2), TWO, times=True)["times"]
    assert [[row[1] for row in rows] for rows in times] == [["Mul"], ["Mul"]], f"{times}"


def test_every_name_is_made_fit_to_be_shown() -> None:
    name = "\u202e" + "x" * 10_000
    found = page_data(chain(1, last=name), chain(2, last=name), TWO, path="\n" * 300)

    def strings(tree: object) -> list[str]:
        if isinstance(tree, dict):
            return [s for item in tree.values() for s in strings(item)]
        if isinstance(tree, list | tuple):
            return [s for item in tree for s in strings(item)]
        return [tree] if isinstance(tree, str) and not tree.startswith("<svg") else []

    for text in strings(found):
        assert "\u202e" not in text, f"{text!r:.60}"
        assert len(text) <= 700, f"{len(text)}: {text!r:.60}"
    assert isinstance(chain(1), Graph), "a model like any other"
