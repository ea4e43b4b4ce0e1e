"""Cases of products reach the accumulators they are made for, from codes alone."""

from itertools import combinations

import numpy as np
import pytest

from refquant_conformance.arithmetic import product_probes
from refquant_conformance.arithmetic.matmul import QLINEAR_MATMUL
from refquant_conformance.arithmetic.rescale import RESCALE_AXES, formed


@pytest.mark.parametrize("scheme", QLINEAR_MATMUL.schemes)
def test_every_integer_near_a_target_is_reached(scheme: str) -> None:
    targets = [-(10**6), -5000, -3, 0, 2, 777, 10**6]
    a, b = product_probes.rows_and_columns(scheme, targets)
    za, zb, _ = product_probes.zero_points(scheme, 0)
    acc = (a.astype(np.int64) - za) @ (b.astype(np.int64) - zb)
    for column, target in enumerate(targets):
        reached = set(acc[:, column].tolist())
        assert set(range(target - 60, target + 60)) <= reached, f"{scheme}: {target}"


def test_scales_are_formed_differently_by_each_way() -> None:
    """Every two ways differ for one of them."""
    differing = set()
    for scales in product_probes.FORMED:
        sa, sb, sy = (np.array(s, np.float32) for s in scales)
        ms = {way: float(formed((sa, sb, sy), way)) for way in RESCALE_AXES["multiplier"]}
        differing |= {pair for pair in combinations(ms, 2) if ms[pair[0]] != ms[pair[1]]}
    same = set(combinations(RESCALE_AXES["multiplier"], 2)) - differing
    assert not same, f"two ways never differ: {same}"


def test_the_codes_are_those_of_the_types() -> None:
    for scheme in QLINEAR_MATMUL.schemes:
        for case in QLINEAR_MATMUL.probes(scheme):
            for name, array in case.inputs.items():
                assert array.dtype.name == case.types[name], f"{scheme}: {name} is {array.dtype}"


def test_one_sum_leaves_int32_and_pairs_leave_int16() -> None:
    case = product_probes.overflowing("u8_i8")
    wrapped = QLINEAR_MATMUL.compute(case, {**AXES, "accumulator": "int32_exact"})
    assert wrapped is None, "the sum fits"
    case = product_probes.saturating("u8_i8")
    one, other = (QLINEAR_MATMUL.compute(case, {**AXES, "accumulator": how})
                  for how in ("int32_wrap", "i16_pair_saturate"))  # fmt: skip
    assert one is not None, "refused"
    assert other is not None, "refused"
    assert (one["y"] != other["y"]).all(), "no pair saturates"


AXES = {"requantize": "float_rne", "multiplier": "product_f32"}


def test_float32_holds_the_large_sums_in_any_order() -> None:
    case = product_probes.large("u8_i8", 2**24 + 2**20, 2.0**-18 / 3)
    a, b = case.inputs["a"].astype(np.int64) - 128, case.inputs["b"].astype(np.int64)
    products = a[:, :, None] * b[None]
    assert not (products % 2).any(), "an odd product"
    assert np.abs(products).sum(axis=1).max() < 2**25, "a part of a sum that no float32 holds"
    assert np.abs(a @ b).max() > 2**24, "no sum is beyond 2^24"
