"""MSE grid: the best of its factors, min-max among them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.calibration.mse_grid import MseGrid
from refquant.calibration.objective import expected_error, uniform_grid
from refquant.contracts import preset
from refquant.formats.affine import choose_qparams

element = st.one_of(
    st.floats(-1, 1, width=32), st.floats(width=32, allow_nan=False, allow_infinity=False)
)
data = st.lists(element, min_size=1, max_size=60).map(lambda v: np.array(v, np.float32))


@given(
    x=data,
    num_bits=st.sampled_from([2, 4, 8]),
    symmetric=st.booleans(),
    norm=st.sampled_from([1.0, 2.4, 16.0]),
)
def test_the_choice_is_the_best_factor(x: Any, num_bits: int, symmetric: bool, norm: float) -> None:
    """The oracle tries them all again; min-max is factor 1, so the choice is never worse."""
    state = MseGrid(bins=128, grid=10, max_shrink=0.8, norm=norm).update(x)

    def cost(lo: Any, hi: Any) -> float:
        grid = uniform_grid(float(lo), float(hi), num_bits=num_bits, symmetric=symmetric)
        return expected_error(state.histogram, grid, norm=norm)

    lo, hi = float(min(x.min(), 0)), float(max(x.max(), 0))
    tried = [(np.float32(lo * (1 - i / 10)), np.float32(hi * (1 - i / 10))) for i in range(9)]
    chosen = state.range(num_bits=num_bits, symmetric=symmetric)
    assert chosen in tried, f"{chosen} is no factor of the range"
    assert cost(*chosen) == min(cost(*t) for t in tried), f"{chosen} is not the best"
    assert cost(*chosen) <= cost(lo, hi), f"{chosen} is worse than min-max"


def test_no_shrinking_is_min_max() -> None:
    x = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    assert MseGrid(max_shrink=0.0).update(x).range() == (x.min(), x.max()), "one factor: 1"


def test_the_last_factor_is_that_of_the_decimals() -> None:
    """In float64 100 * 0.29 is below 29; the outlier makes the smallest factor tried the best."""
    x = np.append(np.linspace(-1, 1, 10_000), 1.5).astype(np.float32)
    top = MseGrid(max_shrink=0.29).update(x).range(num_bits=2)[1]
    assert top == np.float32(1.5 * (1 - 29 / 100)), f"the range ends at {top}"


def test_a_higher_norm_clips_less() -> None:
    x = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    tops = [MseGrid(norm=p, max_shrink=0.8).update(x).range(num_bits=4)[1] for p in (1.0, 2, 4, 8)]
    assert tops == sorted(tops), f"thresholds {tops} do not grow with the norm"


@pytest.mark.parametrize(("dtype", "num_bits"), [("int4", 4), ("uint8", 8), ("int16", 16)])
def test_the_parameters_are_for_the_dtype(dtype: str, num_bits: int) -> None:
    x = np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    state = MseGrid().update(x)
    lo, hi = state.range(num_bits=num_bits, symmetric=True)
    contract = preset("onnx")
    wanted = choose_qparams(lo, hi, dtype=dtype, symmetric=True, contract=contract)
    got = state.qparams(dtype=dtype, symmetric=True, contract=contract)
    assert got == wanted, "the range is not that of the dtype's bits"


@pytest.mark.parametrize("dtype", ["uint1", "int1"])
def test_one_bit_is_searched_and_never_worse_than_min_max(dtype: str) -> None:
    x = np.append(np.linspace(0, 1, 1000), [4, -0.5]).astype(np.float32)
    state = MseGrid(max_shrink=0.8, grid=10).update(x)
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
