"""One data policy for all observers."""

import re

import numpy as np
import pytest

from refquant.calibration import batch
from refquant.calibration.min_max import MinMax
from refquant.calibration.percentile import Percentile


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_and_counted(bad: float) -> None:
    x = np.array([1, bad, 2, bad], np.float32)
    with pytest.raises(ValueError, match="batch must be finite, got 2 NaN or infinity in 4"):
        batch.check_batch(x)


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2)])
def test_an_empty_batch_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"must not be empty, got shape {shape}")):
        batch.check_batch(np.zeros(shape, np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8, bool])
def test_only_float32_is_accepted(dtype: type) -> None:
    with pytest.raises(ValueError, match=f"must be a float32 array, got {np.dtype(dtype)}"):
        batch.check_batch(np.zeros(3, dtype))


def test_a_list_is_not_an_array() -> None:
    with pytest.raises(ValueError, match="must be a float32 array, got list"):
        batch.check_batch([1.0])  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 4)])
def test_any_shape_is_accepted(shape: tuple[int, ...]) -> None:
    x = np.ones(shape, np.float32)
    assert batch.check_batch(x).shape == shape, "the batch is returned as it came"


@pytest.mark.parametrize("value", [1, 65537, 2.5, True, "8"])
def test_an_option_that_is_no_integer_in_range_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"bins must be an integer in \[2, 65536\], got"):
        batch.require_integer("bins", value, low=2, high=65536)


def test_states_of_two_observers_do_not_merge() -> None:
    with pytest.raises(ValueError, match="one observer, got MinMax and Percentile"):
        batch.check_mergeable(MinMax(), Percentile(), settings=())


def test_states_of_two_settings_do_not_merge() -> None:
    with pytest.raises(ValueError, match="merge needs equal bins, got 64 and 128"):
        batch.check_mergeable(Percentile(bins=64), Percentile(bins=128), settings=("bins",))
