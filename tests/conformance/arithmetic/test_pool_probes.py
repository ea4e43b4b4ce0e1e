"""The cases of means: windows of many counts, equal ends and others, in the types of the scheme."""

import pytest

from refquant_conformance.arithmetic.pool_probes import mean_probes, pool_probes


@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_half_of_them_have_equal_ends(scheme: str) -> None:
    for cases in (pool_probes(scheme), mean_probes(scheme)):
        equal = [c for c in cases if c.inputs["x_scale"] == c.inputs["y_scale"]]
        assert len(cases) / 4 < len(equal) < len(cases), f"{len(equal)} of {len(cases)}"
        assert {c.inputs["x"].dtype.name for c in cases} == {c.types["x"] for c in cases}, "types"


def test_padding_counts_in_some_and_not_in_others() -> None:
    counted = {case.params.get("count_include_pad") for case in pool_probes("u8")}
    assert {0, 1} <= counted, f"{counted}"
