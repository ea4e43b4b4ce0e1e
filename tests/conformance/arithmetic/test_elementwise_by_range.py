"""Sums and products of codes by the range of the output: the oracle, and orders of scales."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.elementwise import QLINEAR_ADD, QLINEAR_MUL
from refquant_conformance.arithmetic.elementwise_by_range import add_by_range, mul_by_range
from refquant_conformance.arithmetic.elementwise_probes import binary_case

AXES = {"add": "by_range", "requantize": "by_range", "multiplier": "product_f32"}


@pytest.mark.parametrize("family", [QLINEAR_ADD, QLINEAR_MUL], ids=lambda family: family.op)
@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_elements_of_each_probe_are_counted(family: object, scheme: str) -> None:
    chosen = QLINEAR_ADD if family is QLINEAR_ADD else QLINEAR_MUL
    for number, case in enumerate(chosen.probes(scheme)):
        made = chosen.compute(case, AXES)
        assert made is not None, "it refuses nothing"
        flat = made["y"].reshape(-1)
        for k in range(0, flat.size, 701):
            counted = chosen.exact(case, AXES, "y", k)
            assert int(flat[k]) == counted, f"{scheme} probe {number}, element {k}"


def test_a_product_without_a_zero_point_of_b_joins_the_scales() -> None:
    a, b = np.meshgrid(np.arange(256), np.arange(128), indexing="ij")
    sa, sb, sy = 0.10258300602436066, 0.013828682713210583, 0.018157923594117165
    made = [
        mul_by_range(binary_case("qlinear_mul", "u8", a, b + zb, ((sa, 128), (sb, zb), (sy, 131))))[
            "y"
        ]
        for zb in (0, 128)
    ]
    differing = int((made[0] != made[1]).sum())
    assert 0 < differing < 100, f"the same reals: {differing} codes differ"


def test_a_sum_of_one_scale_is_the_sum_of_codes() -> None:
    a, b = np.array([10, 200]), np.array([20, 30])
    case = binary_case("qlinear_add", "u8", a, b, ((1, 5), (1, 3), (1, 0)))
    assert add_by_range(case)["y"].tolist() == [22, 222], "not 10 - 5 + 20 - 3"
