"""Histograms by counting, and the ends of codes by their definition."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.evaluation.spread import BINS, clip_of, histogram, spread_of_arrays, spreads
from refquant.model.graph import Graph, Quant, Value
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.evaluation.two_models import chain, small_net
from tests.refquant.model.literals import f32, i32


def holding(value: Value, **constants: NDArray[Any]) -> Graph:
    return Graph("g", ("y",), ("y",), {"y": value}, (), constants, {}, {})


def test_every_finite_element_is_in_one_bin() -> None:
    edges = np.array([0.0, 1.0, 2.0, 4.0])
    found = histogram(f32([0, 0.5, 1, 1.5, 2, 4, np.nan, np.inf, -np.inf]), edges)
    assert found.tolist() == [2, 2, 2], f"{found}"
    rng = np.random.default_rng(0)
    array = rng.standard_normal(10_000).astype(np.float32)
    both = spread_of_arrays(array, array * 2, None)
    for counts in both.counts:
        assert counts is not None, "both are there"
        assert counts.sum() == 10_000, "nobody is left out"
    assert both.edges[0] == 2 * array.min().astype(np.float64), "from the least of both"


@pytest.mark.parametrize("value", [0.0, 3.5, -1e30, 1e-45, 3.4e38])
def test_a_constant_has_one_bin(value: float) -> None:
    array = np.full(7, value, np.float32)
    found = spread_of_arrays(array, array, None)
    assert found.counts[0] is not None, "it is there"
    assert found.counts[0].tolist() == [7], f"{found}"
    assert found.edges[0] < float(array[0]) < found.edges[1], f"{found.edges}"


def test_the_whole_range_of_float32_and_its_smallest_numbers() -> None:
    for ends in ((-3.4e38, 3.4e38), (0.0, 1e-45), (1.0, 1.0000001)):
        array = f32(ends)
        found = spread_of_arrays(array, array, None)
        assert found.counts[0] is not None, "it is there"
        assert found.counts[0].sum() == 2, f"{ends}: {found.counts}"
        assert len(found.counts[0]) == BINS, f"{ends}"


def test_what_is_not_finite_is_in_no_bin() -> None:
    found = spread_of_arrays(f32([np.nan, np.inf]), f32([np.nan, 1]), None)
    assert [c.sum() for c in found.counts if c is not None] == [0, 1], f"{found.counts}"
    nothing = spread_of_arrays(f32([np.nan]), None, None)
    assert nothing.counts[1] is None, "there is no such array"
    assert nothing.counts[0] is not None, "it is there"
    assert nothing.counts[0].sum() == 0, f"{nothing.counts}"


def test_codes_end_where_their_definition_says() -> None:
    clip = clip_of(holding(Value("int8", ("N",), Quant(0.5, 3))), "y", (4,))
    assert clip is not None, "it has codes"
    assert clip.widest == clip.narrowest == ((-128 - 3) * 0.5, (127 - 3) * 0.5), f"{clip}"
    assert clip.low.tolist() == [-65.75], "half a step more"
    assert clip.high.tolist() == [62.25], "half a step more"
    assert clip_of(holding(Value("float32", ("N",))), "y", (4,)) is None, "no codes"
    assert clip_of(holding(Value("int8", ("N",), Quant(0.5, 3))), "y", (0,)) is None, "nothing"


def test_each_block_has_ends_of_its_own() -> None:
    g = holding(Value("int4", (2, 3), Quant("s", 0, (1, 3))), s=f32([[1], [10]]))
    clip = clip_of(g, "y", (2, 3))
    assert clip is not None, "it has codes"
    assert (clip.widest, clip.narrowest) == ((-80, 70), (-8, 7)), f"{clip}"
    found = spread_of_arrays(f32([[7.5, 7.75, -8.5], [75, 75.5, -86]]), np.zeros((2, 3)), clip)
    assert found.clipped == 3, "7.75, 75.5 and -86: beyond by more than half a step"


def test_the_narrowest_block_is_one_of_them() -> None:
    """From 0 to 15, and from -8 to -0.5: what both reach has no width."""
    g = holding(
        Value("uint4", (2, 1), Quant("s", "z", (1, 1))), s=f32([[1], [0.5]]), z=i32([[0], [16]])
    )
    clip = clip_of(g, "y", (2, 1))
    assert clip is not None, "it has codes"
    assert clip.widest == (-8, 15), f"{clip}"
    assert clip.narrowest == (-8, -0.5), f"{clip}"


def test_a_table_ends_at_its_least_and_largest_entry() -> None:
    table = f32([0, 6, np.nan, -4])
    g = holding(Value("uint2", (2,), Quant(0.5, 0, None, table="t")), t=table)
    clip = clip_of(g, "y", (2,))
    assert clip is not None, "it has codes"
    assert clip.widest == (-2, 3), f"{clip}"
    found = spread_of_arrays(f32([3, 3.1]), None, clip)
    assert found.clipped == 1, "a table has no step"


def test_nan_is_not_clipped() -> None:
    clip = clip_of(holding(Value("int8", ("N",), Quant(1.0, 0))), "y", (4,))
    found = spread_of_arrays(f32([np.nan, np.inf, -np.inf, 5]), None, clip)
    assert found.clipped == 2, "infinities are"
    assert spread_of_arrays(None, f32([500]), clip).clipped is None, (
        "no reference, nothing to count"
    )


def test_activations_are_counted_over_all_pieces() -> None:
    net, x = small_net(), np.random.default_rng(4).standard_normal((300, 4)).astype(np.float32)
    small = quantize(net, recipe("int8_static"), {"x": x[:100]})
    told: list[int] = []
    found = spreads((net, small), ({"x": x}, {"x": x}), {"relu": [(0, 3), (0, 2.9)]},
                    sums="ordered", advance=told.append)["relu"]  # fmt: skip
    assert sum(told) == 300, f"{told}"
    assert found.elements == 300 * 8, f"{found.elements}"
    assert found.clip is not None, "B has codes"
    quant = small.values["relu"].quant
    assert quant is not None, "codes"
    assert isinstance(quant.scale, float), "one scale"
    assert isinstance(quant.zero_point, int), "one zero point"
    high = np.float64(np.float32(np.float32(255 - quant.zero_point) * np.float32(quant.scale)))
    assert found.clip[0][1] == high, f"{found.clip}"
    h = np.maximum(x @ net.constants["w1"], 0)
    near = np.abs(h - (high + quant.scale / 2)) < 1e-5  # the order of a sum of four
    assert not near.any(), "no element is too near to the end to be counted here"
    assert found.clipped == (h > high + quant.scale / 2).sum() > 0, f"{found.clipped}"


def test_a_model_of_reals_has_no_ends() -> None:
    x = {"x": f32([[1, 2]])}
    found = spreads((chain(1), chain(2)), (x, x), {"y": [(1, 2), (2, 4)]}, sums="ordered")["y"]
    assert (found.clip, found.clipped) == (None, None), f"{found}"
    assert [c.sum() for c in found.counts if c is not None] == [2, 2], f"{found.counts}"


def test_nothing_finite_in_one_model_leaves_the_other() -> None:
    x = {"x": f32([[1, 2]])}
    found = spreads((chain(math.inf), chain(2)), (x, x), {"y": [(math.inf, -math.inf), (2, 4)]},
                    sums="ordered")["y"]  # fmt: skip
    assert [c.sum() for c in found.counts if c is not None] == [0, 2], f"{found.counts}"
