"""Min-max: exact, and it clips nothing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.calibration.min_max import MinMax
from refquant.contracts import preset
from refquant.formats.affine import choose_qparams

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
data = st.lists(finite, min_size=1, max_size=20).map(lambda v: np.array(v, np.float32))


@given(x=data)
def test_the_range_is_minimum_and_maximum(x: Any) -> None:
    state = MinMax().update(x)
    lo, hi = state.range()
    assert (lo, hi) == (min(x.tolist()), max(x.tolist())), "not the extremes"
    assert state.count == x.size, "elements are counted"


@given(x=data)
def test_negated_data_have_the_mirrored_range(x: Any) -> None:
    lo, hi = MinMax().update(x).range()
    assert MinMax().update(-x).range() == (-hi, -lo), "the range does not mirror"


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_parameters_are_those_of_the_range(symmetric: bool) -> None:
    contract = preset("onnx")
    x = np.array([-1.0, 3.0], np.float32)
    got = MinMax().update(x).qparams(dtype="int8", symmetric=symmetric, contract=contract)
    wanted = choose_qparams(x[0], x[1], dtype="int8", symmetric=symmetric, contract=contract)
    assert got == wanted, "qparams is choose_qparams of range"
