"""The clip search of AWQ: each group for itself, and never worse than no cut."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.awq import round_groups
from refquant.algorithms.awq_clip import clip_groups, search_clip
from refquant.algorithms.weight import QuantizedWeight

F32 = NDArray[np.float32]
G = 4


def _rounding(w: F32) -> QuantizedWeight:
    return round_groups(w, num_bits=3, group_size=G)


def _search(w: F32, x: F32, **change: Any) -> F32:
    kinds: dict[str, Any] = {
        "rounding": _rounding, "group_size": G, "grid": 20, "max_shrink": 0.5, "max_samples": 512,
    }  # fmt: skip
    return search_clip(w, x, **(kinds | change))


def _group_error(w: F32, x: F32, limit: np.float32) -> Fraction:
    """Return the sum over samples of eq. (2) of one group, exactly: w (G,), x (samples, G)."""
    new = _rounding(np.clip(w, -limit, limit)[None, :]).dequantize()[0]
    d = [Fraction(float(a)) - Fraction(float(b)) for a, b in zip(new, w, strict=True)]
    rows = [[Fraction(float(v)) for v in row] for row in x]
    return sum(
        (sum((a * b for a, b in zip(row, d, strict=True)), Fraction(0)) ** 2 for row in rows),
        Fraction(0),
    )


def test_each_group_takes_the_first_of_the_least_errors_exactly() -> None:
    rng = np.random.default_rng(2)
    w = rng.standard_t(3, size=(6, 3 * G)).astype(np.float32)
    x = rng.normal(size=(9, 3 * G)).astype(np.float32)
    got = _search(w, x)
    cut = 0
    for i in range(6):
        for g in range(3):
            part, seen = w[i, g * G : g * G + G], x[:, g * G : g * G + G]
            limits = [np.abs(part).max() * np.float32(1 - step / 20) for step in range(10)]
            errors = [_group_error(part, seen, limit) for limit in limits]
            assert got[i, g] == limits[errors.index(min(errors))], f"row {i}, group {g}"
            cut += errors.index(min(errors)) > 0
    assert cut >= 6, f"only {cut} of 18 groups were cut: the fixture says little"


def test_an_outlier_that_meets_silence_is_cut_and_one_that_meets_noise_is_not() -> None:
    w = np.array([[8, 1, -1, 0.7]], np.float32)
    quiet, loud = np.array([[0, 1, 1, 1]], np.float32), np.array([[9, 1, 1, 1]], np.float32)
    assert _search(w, quiet)[0, 0] == np.float32(8) * np.float32(0.55), "the last of ten steps"
    assert _search(w, 0 * quiet)[0, 0] == 8, "the first of equal errors: no cut"
    assert _search(w, loud)[0, 0] == 8, "everybody would"


def test_samples_are_strided() -> None:
    rng = np.random.default_rng(7)
    w, x = (rng.normal(size=(n, G)).astype(np.float32) for n in (32, 100))
    got = _search(w, x, max_samples=30)
    assert np.array_equal(got, _search(w, x[::3])), "100 // 30 = 3"
    assert not np.array_equal(got, _search(w, x)), "and that is not all of them"
    assert np.array_equal(_search(w, x[:5], max_samples=30), _search(w, x[:5])), "too few: all"


def test_no_steps_no_cut() -> None:
    rng = np.random.default_rng(8)
    w, x = (rng.normal(size=(5, 2 * G)).astype(np.float32) for _ in range(2))
    largest = np.abs(w).reshape(5, 2, G).max(axis=2)
    assert np.array_equal(_search(w, x, max_shrink=0.0), largest), "nothing was tried"
    assert np.array_equal(_search(w, x, grid=1, max_shrink=1.0), largest), "only i = 0"
    assert np.array_equal(clip_groups(w, largest), w), "and a cut there is none"


def test_a_cut_at_both_ends_ties_the_zero_point() -> None:
    """The range [-L, L] of 2^b - 1 steps has its zero half way; a last bit decides: TIE-CLIP."""
    zeros = set()
    for bits in range(40):
        limit = np.float32(1 + bits * 2.0**-23)
        w = np.array([[-9, 9, 0.3, 0.1]], np.float32)
        zeros.add(int(_rounding(clip_groups(w, np.full((1, 1), limit))).zero_point[0, 0]))
    assert zeros == {3, 4}, f"zero points {zeros} for limits that differ in the last bits"


def test_shapes_and_numbers_are_checked() -> None:
    w = np.ones((2, G), np.float32)
    bad: tuple[tuple[Callable[[], F32], str], ...] = (
        (lambda: _search(w, w[:, :2]), "x must be"),
        (lambda: _search(w, w[:0]), "x must be"),
        (lambda: _search(w[0], w), "x must be"),
        (lambda: _search(w, w, grid=0), "at least 1"),
        (lambda: _search(w, w, max_samples=0), "at least 1"),
        (lambda: _search(w, w, max_shrink=1.5), "max_shrink in 0..1"),
        (lambda: _search(w, w, group_size=3), "group_size must divide"),
    )
    for call, words in bad:
        with pytest.raises(ValueError, match=words):
            call()
