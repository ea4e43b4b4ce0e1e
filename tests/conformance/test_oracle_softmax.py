"""Softmax of codes by hand."""

import pytest

from refquant_conformance.oracle_softmax import softmax_exact

HOWS = ("dequantize", "float_table", "float_table_quotient", "fixed_point_table")


@pytest.mark.parametrize("how", HOWS)
def test_equal_inputs_share_and_one_takes_all(how: str) -> None:
    y, limits = (1 / 256, -128), (-128, 127)
    row = [7, 7, 7, 7]
    found = [softmax_exact(row, k, (0.1, 0), y, how=how, limits=limits) for k in range(4)]
    assert found == [-64] * 4, f"a quarter is 64 steps: {found}"
    found = [softmax_exact([100, -100], k, (0.5, 0), y, how=how, limits=limits) for k in (0, 1)]
    assert found == [127, -128], f"{found}"


def test_an_unknown_arithmetic_is_refused() -> None:
    with pytest.raises(ValueError, match="no arithmetic"):
        softmax_exact([1], 0, (1.0, 0), (1.0, 0), how="unknown", limits=(0, 255))
