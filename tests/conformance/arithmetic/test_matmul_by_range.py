"""Products by the range of the output: which sums there are, and the oracle."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.matmul_by_range import (
    matmul_by_range,
    matmul_by_range_exactly,
)
from refquant_conformance.arithmetic.product_probes import product_case
from refquant_conformance.protocol import Case


def drawn(scheme: str, zb: int) -> Case:
    rng = np.random.default_rng(8)
    a, b = rng.integers(0, 120, (4, 9)), rng.integers(0, 120, (9, 5))
    bias = np.arange(5) * 100
    return product_case(scheme, a, b, (0.1, 0.02, 0.6), (3, zb, 5), bias=bias, clamp_min=2)


@pytest.mark.parametrize("accumulator", ["int32_wrap", "i16_pair_saturate"])
@pytest.mark.parametrize("scheme", ["u8_i8", "u8_i8_channel", "i8_i8"])
def test_sums_of_codes_are_counted(scheme: str, accumulator: str) -> None:
    case = drawn(scheme, 0)
    made = matmul_by_range(case, accumulator)
    assert made is not None, "refused"
    for index, code in enumerate(made["y"].reshape(-1).tolist()):
        counted = matmul_by_range_exactly(case, accumulator, index)
        assert code == counted, f"{scheme} {accumulator}, element {index}"


@pytest.mark.parametrize(("scheme", "zb"), [("u8_u8", 7), ("i8_i8", 7)])
def test_other_weights_are_summed_in_one_way_only(scheme: str, zb: int) -> None:
    case = drawn(scheme, zb)
    made = matmul_by_range(case, "int32_wrap")
    assert made is not None, "refused"
    counted = [matmul_by_range_exactly(case, "int32_wrap", k) for k in range(made["y"].size)]
    assert made["y"].reshape(-1).tolist() == counted, "the oracle differs"
    assert matmul_by_range(case, "i16_pair_saturate") is None, "sums of reals do not saturate"
    assert matmul_by_range_exactly(case, "i16_pair_saturate", 0) is None, "nor by the oracle"
