"""Pools by the range of the output: the oracle, and padding that is no zero."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.pool_probes import pool_probes
from refquant_conformance.arithmetic.pools import QLINEAR_AVERAGE_POOL

AXES = {"average_pool": "by_range"}


@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_the_oracle_counts_the_same(scheme: str) -> None:
    for number, case in enumerate(pool_probes(scheme)):
        made = QLINEAR_AVERAGE_POOL.compute(case, AXES)
        assert made is not None, "it refuses nothing"
        flat = made["y"].reshape(-1)
        for index in range(0, flat.size, max(1, flat.size // 8)):
            counted = QLINEAR_AVERAGE_POOL.exact(case, AXES, "y", index)
            assert int(flat[index]) == counted, f"{scheme}: probe {number}, element {index}"


def test_padding_that_counts_is_the_code_zero() -> None:
    parted = []
    for case in pool_probes("u8"):
        made = [
            QLINEAR_AVERAGE_POOL.compute(case, {"average_pool": how})
            for how in ("by_range", "dequantize_zero_point_first")
        ]
        ours, other = (one["y"].astype(int) for one in made if one is not None)
        if (np.abs(ours - other) > 1).any():
            parted.append(bool(case.params["count_include_pad"]))
    assert parted, "no window has padding that counts"
    assert all(parted), "more than one step apart without padding"
