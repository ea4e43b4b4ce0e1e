"""Convolutions by the range of the output: the oracle, with groups, padding and bias."""

import numpy as np
import pytest

from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.conv_by_range import RANGES

AXES = {"multiplier": "product_f32", "accumulator": "int32_wrap"}


@pytest.mark.parametrize("how", RANGES)
@pytest.mark.parametrize("scheme", ["u8_i8", "i8_u8_channel"])
def test_a_few_elements_of_each_probe_are_counted(scheme: str, how: str) -> None:
    family = arithmetic_of("qlinear_depthwise_conv", scheme)
    assert family is not None, "no family"
    rng = np.random.default_rng(3)
    for number, case in enumerate(family.probes(scheme)):
        axes = {**AXES, "requantize": how}
        if case.inputs["w"][0].size > 100:
            continue
        made = family.compute(case, axes)
        assert made is not None, "it refuses nothing"
        flat = made["y"].reshape(-1)
        for k in rng.integers(0, flat.size, 6):
            counted = family.exact(case, axes, "y", int(k))
            assert int(flat[k]) == counted, f"{scheme} {how}: probe {number}, element {k}"


@pytest.mark.parametrize("scheme", ["u8_u8", "i8_i8", "u8_i8_channel"])
def test_dense_convolutions_are_counted(scheme: str) -> None:
    family = arithmetic_of("qlinear_conv", scheme)
    assert family is not None, "no family"
    axes = {**AXES, "requantize": "by_range"}
    for number, case in enumerate(family.probes(scheme)):
        if case.inputs["w"].size > 10_000:
            continue  # counting takes long
        made = family.compute(case, axes)
        assert made is not None, "it refuses nothing"
        flat = made["y"].reshape(-1)
        for k in range(0, flat.size, max(1, flat.size // 5)):
            counted = family.exact(case, axes, "y", k)
            assert int(flat[k]) == counted, f"{scheme}: probe {number}, element {k}"
