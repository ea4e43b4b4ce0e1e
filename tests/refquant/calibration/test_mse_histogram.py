"""Histogram MSE: never worse than min-max by its own objective."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.calibration.mse_histogram import HistogramMse
from refquant.calibration.objective import expected_error, uniform_grid
from refquant.contracts import preset
from refquant.formats.affine import choose_qparams

element = st.one_of(
    st.floats(-1, 1, width=32), st.floats(width=32, allow_nan=False, allow_infinity=False)
)
data = st.lists(element, min_size=1, max_size=60).map(lambda v: np.array(v, np.float32))


def cost(state: HistogramMse, lo: Any, hi: Any, num_bits: int, symmetric: bool) -> float:
    grid = uniform_grid(float(lo), float(hi), num_bits=num_bits, symmetric=symmetric)
    return expected_error(state.histogram, grid, norm=2.0)


@given(x=data, num_bits=st.sampled_from([2, 4, 8]), symmetric=st.booleans())
def test_the_choice_is_never_worse_than_min_max(x: Any, num_bits: int, symmetric: bool) -> None:
    state = HistogramMse(bins=128, steps=2).update(x)
    chosen = state.range(num_bits=num_bits, symmetric=symmetric)
    full = min(x.min(), 0), max(x.max(), 0)
    assert cost(state, *chosen, num_bits, symmetric) <= cost(state, *full, num_bits, symmetric), (
        f"{chosen} costs more than min-max {full}"
    )
    assert full[0] <= chosen[0] <= 0 <= chosen[1] <= full[1], f"{chosen} is outside {full}"


def test_neither_end_can_be_improved_alone() -> None:
    x = np.random.default_rng(0).standard_t(3, 20_000).astype(np.float32)
    state = HistogramMse(steps=4).update(x)
    lo, hi = state.range(num_bits=4)
    best = cost(state, lo, hi, 4, False)
    for k in range(40):
        f = 2.0 ** (-k / 4)
        for a, b in ((np.float32(x.min() * f), hi), (lo, np.float32(x.max() * f))):
            assert cost(state, a, b, 4, False) >= best, f"[{a}, {b}] is better than [{lo}, {hi}]"


def test_a_symmetric_range_is_the_best_of_its_candidates() -> None:
    x = np.append(np.random.default_rng(0).standard_normal(5000), 30).astype(np.float32)
    state = HistogramMse(steps=4).update(x)
    tried = [float(np.float32(30 * 2.0 ** (-k / 4))) for k in range(40)]
    best = min(cost(state, -t, t, 4, True) for t in tried)
    lo, hi = state.range(num_bits=4, symmetric=True)
    assert cost(state, lo, hi, 4, True) <= best, "a candidate is better"
    assert hi < 10, "the outlier stayed"


def test_the_two_tails_are_cut_apart() -> None:
    x = np.append(np.linspace(-1, 1, 10_000), 10).astype(np.float32)
    lo, hi = HistogramMse().update(x).range(num_bits=4)
    assert lo < -0.9, "the short tail was cut with the long one"
    assert hi < 2, "the outlier stayed"


def test_fewer_bits_cut_more() -> None:
    x = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    state = HistogramMse().update(x)
    tops = [state.range(num_bits=b, symmetric=True)[1] for b in (2, 3, 4, 6, 8)]
    assert tops == sorted(tops), f"thresholds {tops} do not grow with the bits"


@pytest.mark.parametrize(("dtype", "num_bits"), [("int4", 4), ("uint8", 8), ("int16", 16)])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_parameters_are_for_the_dtype(dtype: str, num_bits: int, symmetric: bool) -> None:
    x = np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    state = HistogramMse().update(x)
    lo, hi = state.range(num_bits=num_bits, symmetric=symmetric)
    contract = preset("onnx")
    wanted = choose_qparams(lo, hi, dtype=dtype, symmetric=symmetric, contract=contract)
    got = state.qparams(dtype=dtype, symmetric=symmetric, contract=contract)
    assert got == wanted, "the range is not that of the dtype's bits"


@pytest.mark.parametrize("dtype", ["uint1", "int1"])
def test_one_bit_is_searched_and_never_worse_than_min_max(dtype: str) -> None:
    x = np.append(np.linspace(0, 1, 1000), [4, -0.5]).astype(np.float32)
    state = HistogramMse().update(x)
    grids = [
        uniform_grid(float(lo), float(hi), num_bits=1, symmetric=False)
        for lo, hi in (state.range(num_bits=1), (x.min(), x.max()))
    ]
    costs = [expected_error(state.histogram, grid, norm=2.0) for grid in grids]
    assert costs[0] < costs[1], f"the outlier is cut: {costs}"
    q = state.qparams(dtype=dtype, symmetric=False, contract=preset("onnx"))
    assert float(q.scale) == np.float32(grids[0][0]), "the step that was searched"
    assert int(q.zero_point) == (0 if dtype == "uint1" else -1), "zero has the lower code"
    with pytest.raises(ValueError, match="for a symmetric range, got 1"):
        state.qparams(dtype=dtype, symmetric=True, contract=preset("onnx"))
