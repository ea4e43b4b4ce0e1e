"""Channels by hand: where they are, and which stands out."""

import math

import numpy as np

from refquant.evaluation.channels import channel_axes, largest_of_channels, outliers
from refquant.model.build import Builder
from tests.refquant.evaluation.two_models import small_net
from tests.refquant.model.literals import f32


def test_channels_of_a_convolution_are_axis_one_until_something_turns_them() -> None:
    b = Builder("net")
    w = b.constant("w", np.zeros((8, 3, 1, 1), np.float32))
    h = b.node("Conv", [b.input("x", ("N", 3, 5, 6)), w], name="conv")
    h = b.node("Relu", [h], name="relu")
    pooled = b.node("GlobalAveragePool", [h], name="pool")
    turned = b.node("Transpose", [h], attributes={"perm": (0, 2, 3, 1)}, name="turned")
    flat = b.node("Flatten", [pooled], name="flat")
    found = channel_axes(b.graph([turned, flat]))
    assert found == {"conv": 1, "relu": 1, "pool": 1, "turned": 3, "flat": 1}, f"{found}"


def test_elsewhere_they_are_the_last_axis_if_it_is_one() -> None:
    assert channel_axes(small_net()) == {"first": 1, "relu": 1, "y": 1}, "features"
    b = Builder("text")
    x = b.input("x", ("N", "T", 4))
    y = b.node("Relu", [x], name="r")
    scores = b.node("MatMul", [y, b.node("Transpose", [y], attributes={"perm": (0, 2, 1)},
                                         name="t")], name="scores")  # fmt: skip
    found = channel_axes(b.graph([scores]))
    assert found == {"r": 2}, "as long as the text: no channels"
    b = Builder("list")
    assert channel_axes(b.graph([b.node("Relu", [b.input("x", ("N",))], name="y")])) == {}, "a list"


def test_the_largest_magnitudes_are_of_finite_elements() -> None:
    array = f32([[[1, -5], [np.nan, 2]], [[np.inf, 3], [-np.inf, -1]]])
    assert largest_of_channels(array, 1).tolist() == [5, 2], "axis 1"
    assert largest_of_channels(array, 2).tolist() == [1, 5], "axis 2"
    assert largest_of_channels(np.zeros((0, 2), np.float32), 1).tolist() == [0, 0], "of none"


def test_the_ratio_is_to_the_median() -> None:
    found = outliers(np.array([2.0, 1.0, 3.0, 30.0, 2.0]), count=2)
    assert found.channels == ((3, 30.0), (2, 3.0)), f"{found}"
    assert (found.median, found.ratio, found.count) == (2.0, 15.0, 5), f"{found}"
    tie = outliers(np.array([4.0, 4.0]), count=1)
    assert tie.channels == ((0, 4.0),), "of equal ones the first"


def test_ranges_of_zero() -> None:
    assert outliers(np.zeros(3), count=2).ratio == 1, "nobody stands out"
    assert outliers(np.zeros(3), count=2).channels == (), "nobody is shown"
    assert outliers(np.zeros(0), count=2).ratio == 1, "no channels"
    assert outliers(np.array([0.0, 0.0, 1.0]), count=1).ratio == math.inf, "beside zeros"
