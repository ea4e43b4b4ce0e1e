"""Palettes: the optimum by trying every cut, Lloyd's law, groups, importance, edges."""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.palette import CARD, MAX_OPTIMAL, METHODS, dequantize, palettize
from tests.refquant.formats.codebook_inputs import many


def squared_error(x: Sequence[float], marks: Sequence[float], f: Sequence[float]) -> Fraction:
    """Eq. (1), exactly, with the nearest mark for every value."""
    return sum(
        (
            Fraction(w) * min((Fraction(v) - Fraction(m)) ** 2 for m in marks)
            for v, w in zip(x, f, strict=True)
        ),
        Fraction(0),
    )


def least_error(x: Sequence[float], f: Sequence[float], count: int) -> Fraction:
    """The least eq. (1) over every way to cut the sorted values: brute force."""
    order = sorted(range(len(x)), key=lambda i: x[i])
    best = None
    for inner in itertools.combinations(range(1, len(x)), count - 1):
        total = Fraction(0)
        for start, end in itertools.pairwise((0, *inner, len(x))):
            part = [(Fraction(x[i]), Fraction(f[i])) for i in order[start:end]]
            mass = sum(w for _, w in part)
            mean = sum(v * w for v, w in part) / mass if mass else Fraction(0)
            total += sum(w * (v - mean) ** 2 for v, w in part)
        best = total if best is None else min(best, total)
    assert best is not None, "a cut"
    return best


CASES = {
    "normal": many(20, count=12),
    "two heaps and one between": np.array([0, 0.1, 0.2, 5, 9, 9.1, 9.3], np.float32),
    "far from zero": np.arange(10, dtype=np.float32) ** 2 + np.float32(4096),
    "duplicates": np.array([1, 1, 1, 2, 3, 3, 8, 9], np.float32),
    "one outlier": np.array([1e6, 1, 2, 3, 4, 5], np.float32),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("num_bits", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_optimal_is_the_best_of_all_cuts(name: str, num_bits: int, weighted: bool) -> None:
    """Marks are rounded to float32: each value's error may grow by half an ulp of the largest."""
    x = CASES[name]
    f = np.arange(1, x.size + 1) % 4 + 0.25 if weighted else np.ones(x.size)
    p = palettize(x, num_bits=num_bits, method="optimal", axis=0, group_size=x.size, importance=f)
    found = squared_error(x.tolist(), p.values[0].tolist(), f.tolist())
    best = least_error(x.tolist(), f.tolist(), 1 << num_bits)
    half_ulp = Fraction(float(np.spacing(np.abs(x).max()))) / 2
    slack = Fraction(float(f.sum())) * (half_ulp**2 + 2 * half_ulp * Fraction(float(np.ptp(x))))
    assert best - slack <= found <= best + slack, f"{float(found)} and {float(best)}"


@pytest.mark.parametrize("name", CASES)
def test_lloyd_is_never_better_than_optimal_and_settles(name: str) -> None:
    x = CASES[name]
    ones = [1.0] * x.size
    errors = []
    for method in METHODS:
        p = palettize(x, num_bits=1, method=method, axis=0, group_size=x.size)
        errors.append(squared_error(x.tolist(), p.values[0].tolist(), ones))
        for k in (0, 1):
            part = [
                Fraction(v) for v, c in zip(x.tolist(), p.codes.tolist(), strict=True) if c == k
            ]
            mean = float(sum(part) / len(part))
            ulp = float(np.spacing(np.float32(abs(mean)))) + float(np.ptp(x)) * 2.0**-40
            assert abs(mean - float(p.values[0, k])) <= ulp, f"{method}: mark {k} is the mean"
    assert errors[1] <= errors[0] * (1 + Fraction(1, 10**6)), "optimal is at most Lloyd's"


def test_lloyd_can_miss_the_optimum() -> None:
    """Squared errors 13.17 and 10.75: with 0, 0, 1 | 4, 9 no single value wants to move."""
    x = np.array([0, 0, 1, 4, 9], np.float32)
    marks = {
        method: palettize(x, num_bits=1, method=method, axis=0, group_size=5).values[0].tolist()
        for method in METHODS
    }
    third = float(np.float32(1 / 3))
    assert marks == {"lloyd": [third, 6.5], "optimal": [1.25, 9.0]}, "a local minimum"


def test_a_value_between_two_marks_goes_to_the_lower() -> None:
    x = np.array([0, 1, 2], np.float32)
    p = palettize(x, num_bits=1, method="lloyd", axis=0, group_size=3)
    assert p.values.tolist() == [[0.5, 2.0]], "it begins at 0 and 2, and 1 is a tie"


def test_importance_moves_a_mark() -> None:
    x = np.array([0, 1, 10, 11], np.float32)
    f = np.array([3, 1, 1, 1], np.float32)
    for method in METHODS:
        p = palettize(x, num_bits=1, method=method, axis=0, group_size=4, importance=f)
        assert p.values.tolist() == [[0.25, 10.5]], f"{method}: a weighted mean"


def test_zero_importance_counts_for_nothing() -> None:
    x = np.array([0, 1, 5, 10, 1000], np.float32)
    f = np.array([1, 1, 1, 1, 0], np.float32)
    for method in METHODS:
        p = palettize(x, num_bits=1, method=method, axis=0, group_size=5, importance=f)
        found = squared_error(x.tolist(), p.values[0].tolist(), f.tolist())
        assert found <= Fraction(15), f"{method}: {p.values}"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_bits", range(1, 9))
def test_few_distinct_values_are_kept(method: str, num_bits: int) -> None:
    x = np.tile(many(21, count=2**num_bits), 2)
    p = palettize(x, num_bits=num_bits, method=method, axis=0, group_size=x.size)
    assert np.array_equal(dequantize(p), x), "exactly"
    assert (np.diff(p.values[0]) > 0).all(), "ascending"
    p = palettize(x[:1], num_bits=num_bits, method=method, axis=0, group_size=1)
    assert p.values.tolist() == [[float(x[0])] * 2**num_bits], "the last is repeated"
    assert p.codes.tolist() == [0], "the first of equals"


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_groups_are_neighbours_along_the_axis(axis: int) -> None:
    x = many(22, count=5 * 7 * 3).reshape(5, 7, 3)
    p = palettize(x, num_bits=2, method="lloyd", axis=axis, group_size=2)
    back = dequantize(p)
    rows, restored = np.moveaxis(x, axis, 0), np.moveaxis(back, axis, 0)
    assert p.values.shape == (-(-rows.shape[0] // 2), 4), "a palette a group, the last short"
    for g in range(p.values.shape[0]):
        part = slice(2 * g, 2 * g + 2)
        alone = palettize(
            np.ascontiguousarray(rows[part]), num_bits=2, method="lloyd", axis=0, group_size=2
        )
        assert np.array_equal(alone.values[0], p.values[g]), f"group {g}: marks"
        assert np.array_equal(dequantize(alone), restored[part]), f"group {g}: values"


def test_every_value_takes_its_nearest_mark() -> None:
    x = many(23, count=500)
    p = palettize(x, num_bits=4, method="lloyd", axis=0, group_size=500)
    distances = np.abs(x[:, None].astype(np.float64) - p.values[0].astype(np.float64))
    chosen = distances[np.arange(500), p.codes]
    # A float32 midpoint is off by at most half an ulp of a value below 4.
    assert (chosen <= distances.min(axis=1) + 2.0**-22).all(), "nearest"


def test_special_values() -> None:
    empty = palettize(
        np.zeros((0, 3), np.float32), num_bits=2, method="lloyd", axis=0, group_size=1
    )
    assert dequantize(empty).shape == (0, 3), "nothing"
    huge = np.array([3e38, -3e38, 3.4e38, 3.3e38], np.float32)
    p = palettize(huge, num_bits=2, method="lloyd", axis=0, group_size=4)
    assert np.array_equal(dequantize(p), huge), "sums beyond float32"
    tiny = np.array([1e-45, 0, -1e-45, 3e-45], np.float32)
    p = palettize(tiny, num_bits=1, method="optimal", axis=0, group_size=4)
    assert np.abs(dequantize(p) - tiny).max() <= np.float32(3e-45), "subnormals"


def test_bad_input_is_refused() -> None:
    x = np.arange(6, dtype=np.float32)

    def call(**changes: object) -> None:
        options = {"num_bits": 1, "method": "lloyd", "axis": 0, "group_size": 6} | changes
        palettize(options.pop("x", x), **options)  # type: ignore[arg-type]  # wrong on purpose

    for changes, message in (
        ({"x": x * np.float32(np.nan)}, "finite"),
        ({"axis": 1}, "axis must be an axis of x"),
        ({"num_bits": 9}, "num_bits must be in"),
        ({"group_size": 0}, "group_size must be an integer of at least 1"),
        ({"method": "best"}, "method must be one of lloyd, optimal"),
        ({"importance": np.ones(5)}, "importance must be finite"),
        ({"importance": -np.ones(6)}, "importance must be finite"),
        ({"importance": np.zeros(6)}, "importance must not be zero"),
    ):
        with pytest.raises(ValueError, match=message):
            call(**changes)
    many_values = np.arange(MAX_OPTIMAL + 1, dtype=np.float32)
    with pytest.raises(ValueError, match="takes 2048 distinct values, got 2049"):
        call(x=many_values, method="optimal", group_size=MAX_OPTIMAL + 1)


def test_the_card_explains_a_value() -> None:
    steps = CARD.explain(np.array([1, 2, 3, 4], np.float32))
    assert steps[0].result == "1, 2, 3, 4", "four marks for four values"
    assert "0b11" in steps[4].how, "the last"
