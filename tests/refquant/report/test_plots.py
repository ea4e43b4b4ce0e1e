"""Figures of everything that a comparison may bring, drawn without a warning."""

import math
import re

import numpy as np
import pytest

from refquant.evaluation.spread import Spread, spread_of_arrays
from refquant.report.plots import plot_channels, plot_errors, plot_sizes, plot_spread
from tests.refquant.model.literals import f32
from tests.refquant.report.test_svg import parsed


def texts(svg: str) -> list[str]:
    page = parsed(svg)
    assert page.faults == [], f"{page.faults}"
    return [element.text for element in page.all("text")]


@pytest.mark.parametrize(
    ("sqnr_db", "adds", "said"),
    [
        ([30.0, 20.0], [0.0, 0.1], "SQNR"),
        ([math.inf] * 3, [0.0] * 3, "the same"),
        ([math.nan, 10.0], [math.inf, None], "not a number"),
        ([-math.inf], [math.inf], "noise alone"),
        ([None, 5.0], [None, 0.5], "SQNR"),
        ([None], [None], "20 dB"),
        ([-400.0, 400.0], [1e30, 1e-30], "SQNR"),
        ([25.0] * 1000, [0.001] * 1000, "SQNR"),
    ],
)
def test_errors_of_any_kind_are_drawn_and_named(
    sqnr_db: list[float | None], adds: list[float | None], said: str
) -> None:
    found = texts(plot_errors(sqnr_db, adds, 20.0, "f"))
    assert said in found, f"{found}"
    assert ("the same" in found) is (math.inf in sqnr_db), f"{found}"


@pytest.mark.parametrize(
    "spread",
    [
        spread_of_arrays(f32([0, 0, 0]), f32([0, 0]), None),
        spread_of_arrays(f32([np.nan]), None, None),
        spread_of_arrays(None, f32([1e-45, 0]), None),
        spread_of_arrays(f32([-3.4e38, 3.4e38]), f32([0]), None),
        Spread(np.linspace(0, 1, 3), (np.array([1, 2]), None), ((-1e9, 1e9), (0.1, 0.9)), 0, 3),
        Spread(np.linspace(0, 1, 3), (np.array([1, 2]), None), ((-math.inf, 1), (0.1, 0.9)), 0, 3),
        Spread(np.linspace(0, 1, 3), (None, np.array([10**9, 0])), ((0, 1), (0, 1)), None, 3),
    ],
)
def test_any_spread_is_drawn(spread: Spread) -> None:
    found = texts(plot_spread(spread, "f", "t"))
    assert ("clips at" in found) is (spread.clip is not None), f"{found}"
    blocks = spread.clip is not None and spread.clip[0] != spread.clip[1]
    assert ("narrowest block" in found) is blocks, f"{found}"
    assert not [text for text in found if "$" in text or "math" in text], f"{found}"


def test_counts_are_written_in_few_letters() -> None:
    spread = spread_of_arrays(np.zeros(2_000_000, np.float32), None, None)
    found = texts(plot_spread(spread, "f", "t"))
    assert {"1", "10", "1k", "1M"} <= set(found), f"{found}"


def test_channels_beyond_a_thousand_keep_their_largest() -> None:
    largest = np.ones(50_000)
    largest[33_333] = 77.0
    svg = plot_channels(largest, "f", "t")
    assert len(svg) < 300_000, f"{len(svg)}"
    assert "80" in texts(svg), f"{texts(svg)}: the axis goes to the outlier"
    assert plot_channels(np.zeros(4), "f", "t"), "zeros"
    assert plot_channels(np.array([1e-45, 3e38]), "f", "t"), "far apart"


def test_sizes_are_in_the_order_given() -> None:
    found = texts(plot_sizes([("weights, int8", 0, 10**6), ("other, int32", 5, 0)], "f"))
    assert found.index("weights, int8") < len(found), f"{found}"
    assert {"A", "B", "kB (1000 bytes)"} <= set(found), f"{found}"
    assert re.match("<svg ", plot_sizes([], "f")), "of nothing"
