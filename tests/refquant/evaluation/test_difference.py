"""Bits, places and sums by hand, of everything that has no number, too."""

import math
from typing import Any

from numpy.typing import NDArray

from refquant.evaluation.difference import (
    Difference,
    Place,
    difference,
    pooled_difference,
    same_ruler,
)
from refquant.model.graph import Graph, Quant, Value
from refquant.model.metrics import moments
from tests.refquant.model.literals import f32, i8, i32

NAN, INF = math.nan, math.inf


def holding(value: Value, **constants: NDArray[Any]) -> Graph:
    return Graph("g", ("y",), ("y",), {"y": value}, (), constants, {}, {})


REALS = holding(Value("float32", ("N", 3)))


def compared(r: Any, t: Any, begin: int = 0) -> Difference:
    return difference((REALS, REALS), "y", f32(r), f32(t), axis=1, begin=begin)


def test_the_first_difference_has_its_place_among_all_samples() -> None:
    found = compared([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 7, 8]], begin=10)
    assert found.first == Place((11, 1), 5, 7), f"{found.first}"
    assert (found.differing, found.elements) == (2, 6), f"{found}"
    whole = pooled_difference([compared([[1, 2, 3]], [[1, 2, 3]]), found])
    assert whole.first == Place((11, 1), 5, 7), f"{whole.first}"
    assert (whole.differing, whole.elements) == (2, 9), f"{whole}"
    r, t = f32([1, 2, 3, 1, 2, 3, 4, 5, 6]), f32([1, 2, 3, 1, 2, 3, 4, 7, 8])
    assert whole.errors == moments(r, t), f"{whole.errors}"


def test_a_value_without_a_batch_has_no_sample_to_count() -> None:
    g = holding(Value("float32", (1, 2)))
    found = difference((g, g), "y", f32([[1, 2]]), f32([[1, 3]]), axis=None, begin=10)
    assert found.first == Place((0, 1), 2, 3), f"{found.first}"


def test_the_same_bits_are_no_difference() -> None:
    for r in ([[1, 2, 3]], [[NAN, INF, -INF]], [[0, -0.0, 1e-45]]):
        found = compared(r, r)
        assert found.differing == 0, f"{r}"
        assert found.first is None, f"{r}"
        assert found.errors is not None, f"{r}"
        assert found.errors.sqnr_db == INF, f"{r}: {found.errors}"
    assert compared([[0, 1, 2]], [[-0.0, 1, 2]]).differing == 1, "a minus zero is not a zero"


def test_the_same_infinity_is_in_no_sum() -> None:
    found = compared([[-INF, 3, 4]], [[-INF, 3, 4.5]])
    assert found.errors == moments(f32([3, 4]), f32([3, 4.5])), f"{found.errors}"
    assert found.not_finite == (1, 1), f"{found}"
    assert found.ranges == ((3, 4), (3, 4.5)), "of what is finite"
    odd = compared([[NAN, 3, 4]], [[-NAN, 3, 4]])
    assert odd.errors is not None, "reals"
    assert odd.errors.sqnr_db == INF, "one NaN is as good as another"


def test_one_side_that_is_not_finite_leaves_no_number() -> None:
    for bad in (NAN, INF, -INF):
        for r, t in (([[bad, 3, 4]], [[1, 3, 4]]), ([[1, 3, 4]], [[bad, 3, 4]])):
            found = compared(r, t)
            assert found.errors is not None, "reals"
            assert math.isnan(found.errors.sqnr_db), f"{r} {t}: {found.errors}"
            assert math.isnan(found.errors.cosine), f"{r} {t}: {found.errors}"
            assert found.differing == 1, f"{r} {t}"
            whole = pooled_difference([found, compared([[1, 2, 3]], [[1, 2, 3]])])
            assert whole.errors is not None, "reals"
            assert math.isnan(whole.errors.sqnr_db), "nor does it come back"
    found = compared([[INF, 3, 4]], [[-INF, 3, 4]])
    assert found.errors is not None, "reals"
    assert math.isnan(found.errors.sqnr_db), "the other infinity"


def test_nothing_finite_has_no_range() -> None:
    found = compared([[NAN, INF, NAN]], [[NAN, INF, NAN]])
    assert found.ranges == ((INF, -INF), (INF, -INF)), f"{found.ranges}"
    assert found.errors == moments(f32([]), f32([])), f"{found.errors}"


def test_codes_by_one_ruler_are_compared_as_codes() -> None:
    g = holding(Value("int8", ("N", 2), Quant(0.5, 1)))
    found = difference((g, g), "y", i8([[1, -128]]), i8([[1, 127]]), axis=1)
    assert found.max_code_difference == 255, "no int8 wraps"
    assert found.first == Place((0, 1), -64.5, 63.0), "said in reals"
    near = difference((g, g), "y", i8([[1, 2]]), i8([[1, 3]]), axis=1)
    for parts in ([near, found], [found, near]):
        assert pooled_difference(parts).max_code_difference == 255, "the largest of all"
    other = holding(Value("int8", ("N", 2), Quant(0.25, 1)))
    found = difference((g, other), "y", i8([[1, 3]]), i8([[1, 5]]), axis=1)
    assert found.max_code_difference is None, "of another ruler"
    assert found.differing == 0, "they mean the same"


def test_a_ruler_is_what_it_holds_not_what_it_is_called() -> None:
    values = [Value("int8", ("N", 2), Quant(name, 0, (1, 1))) for name in ("s", "t")]
    for scales, same in (([1, 2], True), ([1, 3], False)):
        one, two = f32([[1, 2]]), f32([scales])
        graphs = (holding(values[0], s=one), holding(values[1], t=two))
        assert same_ruler(graphs, ("y", "y")) is same, f"{scales}"
    assert not same_ruler((REALS, REALS), ("y", "y")), "reals have none"
    for a, b in (("int8", "uint8"), ("int8", "int4")):
        graphs = (holding(Value(a, (2,), Quant(1.0, 0))), holding(Value(b, (2,), Quant(1.0, 0))))
        assert not same_ruler(graphs, ("y", "y")), f"{a} {b}"
    graphs = (
        holding(Value("int8", (2,), Quant(1.0, 0))),
        holding(Value("int8", (2,), Quant(1.0, 1))),
    )
    assert not same_ruler(graphs, ("y", "y")), "another zero point"


def test_integers_that_are_no_codes_have_a_largest_difference_and_no_more() -> None:
    g = holding(Value("int32", ("N", 2)))
    found = difference((g, g), "y", i32([[2**31 - 1, 5]]), i32([[-(2**31), 5]]), axis=1)
    assert found.max_code_difference == 2**32 - 1, f"{found}"
    assert found.errors is None, "no signal and no noise"
    assert found.channels is None, "tokens have no magnitude"


def test_parts_are_put_together() -> None:
    a, b = compared([[1, -8, 3]], [[1, 2, 3]]), compared([[9, 2, 3]], [[1, 2, -7]])
    whole = pooled_difference([a, b])
    assert whole.ranges == ((-8, 9), (-7, 3)), f"{whole.ranges}"
    assert whole.channels is not None, "they have channels"
    assert whole.channels.tolist() == [9, 8, 3], f"{whole.channels}"
