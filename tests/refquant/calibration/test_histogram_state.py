"""What every observer of a histogram inherits: a state grows, and keeps its settings."""

import numpy as np
import pytest

from refquant.calibration.histogram_state import HistogramState
from refquant.calibration.mse_grid import MseGrid
from refquant.calibration.percentile import Percentile


def test_update_and_merge_see_the_same_data_and_leave_the_state_alone() -> None:
    x = np.array([-1, 0, 0.5, 1, 6, 20], np.float32)
    empty = HistogramState(bins=8)
    halves = empty.update(x[:2]).merge(empty.update(x[2:]))
    assert halves.histogram.counts.tolist() == [1, 3, 1, 0, 0, 0, 1], "the bins of the concept page"
    whole = empty.update(x).histogram
    assert halves.histogram.exponent == whole.exponent == 2, "bins of 4"
    assert halves.histogram.counts.tolist() == whole.counts.tolist(), "how they were cut is seen"
    assert empty == HistogramState(bins=8), "a state was changed in place"


@pytest.mark.parametrize("state", [MseGrid(bins=16, norm=3.0), Percentile(percentile=90, bins=16)])
def test_the_settings_of_who_inherits_are_kept(state: HistogramState) -> None:
    seen = state.update(np.ones(3, np.float32))
    for made in (seen, seen.merge(state)):
        assert type(made) is type(state), f"{type(made)}"
        kept = {name: getattr(made, name) for name in state.options}
        assert kept == {name: getattr(state, name) for name in state.options}, f"{kept}"


def test_only_equal_settings_are_merged() -> None:
    with pytest.raises(ValueError, match=r"merge needs equal norm, got 3\.0 and 2\.4"):
        MseGrid(norm=3.0).merge(MseGrid())
    with pytest.raises(ValueError, match="two states of one observer, got MseGrid and Percentile"):
        HistogramState.merge(MseGrid(), Percentile())


def test_bins_that_cannot_hold_two_signs_are_refused() -> None:
    for kind in (HistogramState, MseGrid, Percentile):
        with pytest.raises(ValueError, match=r"bins must be an integer in \[2, 65536\], got 1"):
            kind(bins=1)
