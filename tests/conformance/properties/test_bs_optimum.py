"""The least error of a block, against a search that knows nothing but the definition."""

import numpy as np
import pytest

from refquant.formats.ggml import codec
from refquant_conformance.properties.bs_optimum import LEVELS, least_error


@pytest.mark.parametrize("scheme", ["q4_0", "mxfp4"])
def test_it_is_the_least_of_every_scale_and_level(scheme: str) -> None:
    x = np.array([0.3, -1.7, 2.2, 0.05])
    if scheme == "mxfp4":
        scales = 2.0 ** np.arange(-20, 20)
    else:
        halves = np.arange(1, 0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
        scales = np.concatenate([halves, -halves])
    best = min(
        float(sum(min((v - d * level) ** 2 for level in LEVELS[scheme]) for v in x))
        for d in scales
        if 0.02 < abs(d) < 4
    )
    assert abs(least_error(scheme, x) - best) <= 2.0**-9 * best, f"{best}: every fourth half"


@pytest.mark.parametrize("scheme", list(LEVELS))
def test_no_encoder_of_the_reference_is_better(scheme: str) -> None:
    x = np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32)
    for row in x.reshape(-1, 64 if scheme == "nvfp4" else 32):
        y = codec.encode(row, type=scheme)
        ours = float(((codec.decode(y, type=scheme).astype(np.float64) - row) ** 2).sum())
        # Every fourth half only is tried: a scale is off by less than 2^-9 of itself.
        bound = ours + float(np.abs(row).sum()) * 2.0**-9 * float(np.abs(row).max())
        assert least_error(scheme, row) <= bound, f"{scheme}: an encoder beats the best of all"


def test_a_block_on_the_grid_costs_nothing() -> None:
    assert least_error("nvfp4", np.resize([6.0, 0.5, -3.0], 32)) == 0.0, "two blocks of 16"
