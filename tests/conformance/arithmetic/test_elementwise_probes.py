"""The cases of sums and products: all pairs of codes, in the types of the scheme."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.elementwise_probes import add_probes, all_pairs, mul_probes


def test_all_pairs_are_all_pairs() -> None:
    case = all_pairs("qlinear_add", "i8", ((1.0, 0), (1.0, 0), (1.0, 0)))
    pairs = {(int(a), int(b)) for a, b in zip(*(case.inputs[n].flat for n in "ab"), strict=True)}
    assert len(pairs) == 2**16, f"{len(pairs)} pairs"


@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_zero_points_are_codes_and_not_all_equal(scheme: str) -> None:
    for cases in (add_probes(scheme), mul_probes(scheme)):
        points = {int(case.inputs["a_zero_point"]) for case in cases}
        assert len(points) > 1, f"{points}"
        assert all(np.isfinite(case.inputs["y_scale"]) for case in cases), "a scale"
