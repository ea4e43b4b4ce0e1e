"""The search for a scale alone, and the sums of all searches, against a scalar program."""

import numpy as np
import pytest

from refquant.formats.ggml.k_search import (
    GROUP_MAX_EPS,
    final_codes,
    fit_scale,
    sequential_sum,
    signed_max,
)
from tests.refquant.formats.ggml.k_quants import MODULES
from tests.refquant.formats.ggml.k_scalar import scale_alone, total
from tests.refquant.formats.ggml.test_k_grids import hostile_columns

WITH_FMA = {
    "q2_k": ([7, 3], 16, 2, 3),
    "q3_k": ([-30, 48], 32, 2, 3),
    "q4_k": ([2, 1], 8, 0, 63),
    "q5_k": ([7, 1], 48, 14, 15),
    "q6_k": ([-83, 89, -97, 37, 29], 208, 28, 27),
}
"""A difference with a name: ggml compiled with fused multiply-add. Values (then zeros), the byte
that differs, without FMA, with it. Both are ggml's own C of 2026-08 by gcc 12.2 -O3, the second
with -mfma. Neither is wrong: C lets the compiler fuse. Ours has no FMA, as ggml on x86-64."""


@pytest.mark.parametrize("nmax", [4, 32])
def test_columns_are_fitted_as_by_a_scalar_program(nmax: int) -> None:
    x = hostile_columns(16)
    random = np.random.default_rng(6).random(x.shape).astype(np.float32)
    for w in (x * x, np.where(random < 0.5, np.float32(0), random)):
        with np.errstate(all="ignore"):
            scale, codes = fit_scale(x, w, nmax=nmax)
        for i in range(x.shape[1]):
            expected = scale_alone(x[:, i].tolist(), w[:, i].tolist(), nmax=nmax)
            got = (float(scale[i]), codes[:, i].tolist())
            assert got == expected, f"column {x[:, i].tolist()}: {got} is not {expected}"


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 64])
def test_sums_are_in_the_order_of_the_elements(count: int) -> None:
    """One column too, whose axis NumPy would drop, and add in pairs."""
    terms = np.random.default_rng(1).standard_normal((256, count)).astype(np.float32)
    expected = [total(column.tolist()) for column in terms.T]
    assert sequential_sum(terms).tolist() == expected, "one element after the other"


def test_along_the_last_axis_numpy_adds_in_another_order() -> None:
    terms = np.random.default_rng(1).standard_normal((256, 64)).astype(np.float32)
    pairs = np.ascontiguousarray(terms.T).sum(axis=1)
    assert not np.array_equal(pairs, sequential_sum(terms)), "why elements come first here"


def test_a_sum_begins_with_plus_zero() -> None:
    for count in (1, 2):
        zeros = np.full((3, count), -0.0, np.float32)
        assert not np.signbit(sequential_sum(zeros)).any(), "0 + -0 is 0"


def test_the_first_of_equal_magnitudes_counts() -> None:
    x = np.array([[1, -3, np.nan, 0], [-3, 3, 2, -0.0]], np.float32)
    assert signed_max(x).tolist() == [-3.0, -3.0, 2.0, 0.0], "NaN is no number"


def test_columns_below_the_limit_count_as_zeros() -> None:
    least = np.nextafter(GROUP_MAX_EPS, np.float32(0))
    x = np.array([[least, GROUP_MAX_EPS, 0]], np.float32)
    with np.errstate(all="ignore"):
        scale, codes = fit_scale(x, np.ones_like(x), nmax=4)
    assert (scale != 0).tolist() == [False, True, False], "1e-15 itself is fitted"
    assert codes[0, [0, 2]].tolist() == [0, 0], "stored 0, which means -4"


def test_final_codes_are_nearest_to_even_and_kept_where_the_scale_is_zero() -> None:
    x = np.array([[0.5, 7], [1.5, 7], [-9, 7], [9, 7]], np.float32)
    old = np.full((4, 2), 2, np.uint8)
    scale, minimum = np.array([1, 0], np.float32), np.zeros(2, np.float32)
    with np.errstate(all="ignore"):
        codes = final_codes(x, old, scale, minimum, qmin=-4, qmax=3)
    assert codes.T.tolist() == [[4, 6, 0, 7], [2, 2, 2, 2]], "plus 4; the second as searched"


@pytest.mark.parametrize("name", WITH_FMA)
def test_bytes_are_those_of_a_compiler_that_does_not_fuse(name: str) -> None:
    values, byte, without, fused = WITH_FMA[name]
    x = np.zeros(256, np.float32)
    x[: len(values)] = values
    got = int(MODULES[name].encode(x)[byte])
    assert got == without, f"{name}: byte {byte} is {got}; with FMA it is {fused}"
