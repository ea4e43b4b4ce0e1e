"""Products of what codes mean: the oracle, and scale by scale the same as sums of codes."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.matmul import QLINEAR_MATMUL
from refquant_conformance.arithmetic.matmul_of_reals import (
    matmul_of_reals,
    matmul_of_reals_exactly,
)
from refquant_conformance.arithmetic.product_probes import product_case
from refquant_conformance.arithmetic.real_sums import ORDERS
from refquant_conformance.protocol import Case


def drawn(scheme: str, scales: tuple[float, float, float]) -> Case:
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 100, (5, 21)), rng.integers(0, 100, (21, 6))
    bias = np.array([-900, -5, 0, 77, 4000, 1])
    return product_case(scheme, a, b, scales, (3, 2, 5), bias=bias, clamp_min=1, clamp_max=100)


@pytest.mark.parametrize("order", [*ORDERS, "by_range_of_reals"])
@pytest.mark.parametrize("scheme", ["u8_u8", "i8_i8_channel", "i8_u8"])
def test_the_oracle_counts_the_same(order: str, scheme: str) -> None:
    case = drawn(scheme, (0.1, 1 / 3, 70.0))
    flat = matmul_of_reals(case, order)["y"].reshape(-1)
    assert len(set(flat.tolist())) > 5, "hardly any code was computed"
    for index in range(flat.size):
        counted = matmul_of_reals_exactly(case, order, index)
        assert int(flat[index]) == counted, f"{order} {scheme}, element {index}"


@pytest.mark.parametrize("order", ORDERS)
def test_with_powers_of_two_it_is_the_specifications_choice(order: str) -> None:
    case = drawn("u8_i8", (0.5, 0.25, 32.0))
    axes = {"multiplier": "product_f32", "accumulator": "int32_wrap"}
    spec = QLINEAR_MATMUL.compute(case, {**axes, "requantize": "float_rne"})
    assert spec is not None, "refused"
    assert (matmul_of_reals(case, order)["y"] == spec["y"]).all(), "float sums are exact here"


def test_awkward_scales_tell_reals_from_codes() -> None:
    axes = {"multiplier": "product_f32", "accumulator": "int32_wrap"}
    differing = 0
    for case in list(QLINEAR_MATMUL.probes("i8_i8"))[9:14]:
        spec = QLINEAR_MATMUL.compute(case, {**axes, "requantize": "float_rne"})
        assert spec is not None, "refused"
        differing += int((matmul_of_reals(case, "reals_fused")["y"] != spec["y"]).sum())
    assert differing > 10, f"only {differing} codes differ"
