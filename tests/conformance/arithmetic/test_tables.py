"""Codes of results: the ways by hand, and the oracle at ties."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.tables import TABLES, table_exactly, table_of_reals
from refquant_conformance.arithmetic.unary import every_code


@pytest.mark.parametrize("how", TABLES)
@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_the_oracle_counts_the_same(how: str, scheme: str) -> None:
    zero = -128 if scheme == "i8" else 0
    for y in ((0.1, 7 + zero), (1 / 3, 131 + zero), (0.25, 128 + zero)):
        case = every_code("qlinear_tanh", scheme, (1.0, zero), y)
        ties = ((np.arange(-40, 40) + 0.5) * y[0]).astype(np.float32)
        near = np.concatenate([ties, np.nextafter(ties, np.float32(9)), -ties])
        limits = (-128, 127) if scheme == "i8" else (0, 255)
        for v, code in zip(near.tolist(), table_of_reals(near, how, case).tolist(), strict=True):
            counted = min(max(table_exactly(v, how, case), limits[0]), limits[1])
            assert min(max(int(code), limits[0]), limits[1]) == counted, f"{how} {y}: {v!r}"


def test_a_tie_parts_the_ways() -> None:
    case = every_code("qlinear_tanh", "u8", (1.0, 0), (0.5, 1))
    codes = [int(table_of_reals(np.array([1.25], np.float32), how, case)[0]) for how in TABLES]
    assert codes == [3, 4, 4, 3, 4], "2.5 is 2 or 3, then 1 more; or 3.5 is 4"
